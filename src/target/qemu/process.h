/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes of the host according to /proc, and the QEMU processes among them. */
#ifndef NUNCHI_TARGET_QEMU_PROCESS_H
#define NUNCHI_TARGET_QEMU_PROCESS_H

#include "core/buffer.h"
#include "core/error.h"
#include "target/qemu/cmdline.h"
#include "target/qemu/maps.h"
#include "target/qemu/trust.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct qemu_process {
	pid_t pid;
	/* in clock ticks since boot; together with pid it identifies a process for ever */
	uint64_t start_time;
	char program[64]; /* "qemu-system-x86_64" */
	bool is_x86;
	struct qemu_trust trust;
	/* Why the command line is not known; "" if it is. */
	char unread[64];
	struct cmdline cmdline;
};

/* Reads /proc/PID/NAME, at most 16 MiB. */
struct nunchi_error *process_read(pid_t pid, const char *name, struct buffer *ret);
/* Gets the start time; NUNCHI_ERROR_GONE if there is no such process. */
struct nunchi_error *process_start_time(pid_t pid, uint64_t *ret);
/* Reads and parses /proc/PID/maps. */
struct nunchi_error *process_maps(pid_t pid, struct maps *ret);
/* Gets the program's name from the kernel, "?" if it cannot be read. */
void process_name(pid_t pid, char *ret, size_t size);
/* Checks whether the memory of a process may be read. Returns NULL, or an error with a hint. */
struct nunchi_error *process_check_access(pid_t pid);
/*
 * "kvm" or "tcg", according to the open files of the process, else to its command line; "?" if
 * neither tells.
 */
const char *process_accel(const struct qemu_process *process);

/*
 * Reads the properties of a QEMU process. NUNCHI_ERROR_NOT_FOUND if the process is not a QEMU with
 * a guest of its own.
 */
struct nunchi_error *qemu_process_load(pid_t pid, struct qemu_process *ret);
void qemu_process_deinit(struct qemu_process *process);
#define _cleanup_qemu_process_ _cleanup_(qemu_process_deinit)

struct qemu_processes {
	struct qemu_process *entries; /* in ascending order of pid */
	size_t count, capacity;
	size_t left_out; /* how many more look like QEMU, beyond PROCESSES_MAX */
};

/*
 * Finds all QEMU processes that this user can see: at most PROCESSES_MAX, and those of the system
 * first. What is behind the limits of memory and time is there without its command line
 * (process.unread).
 */
#define PROCESSES_MAX 1024
struct nunchi_error *qemu_processes_find(struct qemu_processes *ret);
void qemu_processes_deinit(struct qemu_processes *processes);
#define _cleanup_qemu_processes_ _cleanup_(qemu_processes_deinit)

/*
 * The path of a QMP socket of the process that can be opened from this process. NULL if the socket
 * is given as a descriptor that cannot be inspected, or was removed. The caller frees the path.
 */
char *qemu_process_socket_path(const struct qemu_process *process, size_t index);

enum process_holds { PROCESS_HOLDS, PROCESS_HOLDS_NOT, PROCESS_HOLDS_UNKNOWN };
/*
 * Whether the process has the other end of our connected Unix socket among its descriptors. Asks
 * the kernel by sock_diag(7); PROCESS_HOLDS_UNKNOWN if that, or the descriptors, may not be read.
 */
enum process_holds process_holds_peer(pid_t pid, int fd);

/*
 * Finds the process of the client that is connected to the listening socket at path. False if that
 * cannot be found out.
 */
bool process_socket_holder(const char *path, pid_t *ret);

#endif
