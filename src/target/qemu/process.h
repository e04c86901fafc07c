/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes of the host as /proc shows them, and the QEMU processes among them.
 */
#ifndef NUNCHI_TARGET_QEMU_PROCESS_H
#define NUNCHI_TARGET_QEMU_PROCESS_H

#include "core/buffer.h"
#include "core/error.h"
#include "target/qemu/cmdline.h"
#include "target/qemu/maps.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct qemu_process {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot; with pid names one process for good */
	char program[64];    /* "qemu-system-x86_64" */
	bool is_x86;
	struct cmdline cmdline;
};

/* Reads /proc/PID/NAME, at most 16 MiB. */
struct nunchi_error *process_read(pid_t pid, const char *name, struct buffer *ret);
/* When it started; NUNCHI_ERROR_GONE if there is no such process. */
struct nunchi_error *process_start_time(pid_t pid, uint64_t *ret);
struct nunchi_error *process_maps(pid_t pid, struct maps *ret);
/* The program's name as the kernel keeps it, "?" if it cannot be read. */
void process_name(pid_t pid, char *ret, size_t size);
/* Whether its memory may be read: NULL, or why not with what to do. */
struct nunchi_error *process_check_access(pid_t pid);
/* "kvm" or "tcg" by what it has open, else by its command line; "?" if neither tells. */
const char *process_accel(const struct qemu_process *process);

/* NUNCHI_ERROR_NOT_FOUND if it is not a QEMU that runs a guest of its own. */
struct nunchi_error *qemu_process_load(pid_t pid, struct qemu_process *ret);
void qemu_process_deinit(struct qemu_process *process);
#define _cleanup_qemu_process_ _cleanup_(qemu_process_deinit)

struct qemu_processes {
	struct qemu_process *entries; /* by pid */
	size_t count, capacity;
};

/* All QEMU processes that can be seen. */
struct nunchi_error *qemu_processes_find(struct qemu_processes *ret);
void qemu_processes_deinit(struct qemu_processes *processes);
#define _cleanup_qemu_processes_ _cleanup_(qemu_processes_deinit)

/*
 * The path of a QMP socket of process that can be opened from here, or NULL (with its descriptor
 * not to be seen, or the socket removed). Caller frees.
 */
char *qemu_process_socket_path(const struct qemu_process *process, size_t index);

/*
 * Who is connected to the listening socket at path, as "virtqemud (pid 812)"; false if that
 * cannot be found out. Not the calling process itself.
 */
bool process_socket_holder(const char *path, struct buffer *ret);

#endif
