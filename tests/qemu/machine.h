/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real QEMU for the tests: small, without a kernel, with two QMP sockets. */
#ifndef NUNCHI_TESTS_QEMU_MACHINE_H
#define NUNCHI_TESTS_QEMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct machine {
	pid_t pid;
	char folder[64]; /* temporary; removed by machine_stop() */
	char first[96];  /* QMP socket */
	char second[96]; /* a second QMP socket, for the test itself */
	char memory[96]; /* file behind the memory, if asked for */
};

/* A QMP connection of the test's own, kept apart from the code under test. */
struct observer {
	int fd;
	unsigned stops, resumes; /* events STOP and RESUME that were read so far */
};

/* False if QEMU is not installed. */
bool machine_available(void);
/*
 * Starts QEMU with these arguments (NULL-terminated; "%d" in one is the machine's folder) and waits
 * until it answers. Fails the test if it does not.
 */
void machine_start(struct machine *machine, const char *const *arguments);
void machine_stop(struct machine *machine);

void observer_open(struct observer *observer, const char *path);
/* The answer to a command, as text; static storage. */
const char *observer_ask(struct observer *observer, const char *command);
bool observer_is_running(struct observer *observer);
/* Waits until the machine runs, or is stopped; false if that takes too long. */
bool observer_wait_running(struct observer *observer, bool running, int ms);
/* Waits for the next event of that name; gives its time in microseconds. */
uint64_t observer_event(struct observer *observer, const char *name);
void observer_close(struct observer *observer);

double now_ms(void);

#endif
