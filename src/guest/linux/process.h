/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What belongs to one process beyond its task_struct.
 */
#ifndef NUNCHI_GUEST_LINUX_PROCESS_H
#define NUNCHI_GUEST_LINUX_PROCESS_H

#include "core/buffer.h"
#include "core/hash.h"
#include "guest/linux/linux.h"

/* The longest command line that is read; the kernel's own limit is 6 MiB of stack. */
#define LINUX_MAX_CMDLINE ((size_t)1 << 20)

/*
 * Appends the command line as /proc/PID/cmdline has it, NULs included: the argument area, or what
 * setproctitle() left there and in the environment behind it. READ_LIMIT if the area is larger than
 * LINUX_MAX_CMDLINE. Source: fs/proc/base.c, get_mm_cmdline().
 */
enum read_result linux_process_cmdline(struct linux_kernel *kernel, const struct object *mm,
				       struct buffer *ret);

/* Resident pages of an mm (file, anonymous and shared memory). */
enum read_result linux_process_resident(struct linux_kernel *kernel, const struct object *mm,
					uint64_t *ret);

/* CPU time in nanoseconds, divided between user and system as /proc shows it. */
struct linux_cpu_time {
	uint64_t user, system;
};
/*
 * Of a process: all threads, dead ones included. seen is scratch. Each thread looked at takes one
 * off *left, which bounds what a guest whose processes share a made-up list can cost: READ_LIMIT
 * when none are left.
 */
enum read_result linux_process_cpu_time(struct linux_kernel *kernel, const struct object *task,
					const struct object *signal, struct hash_map *seen,
					uint64_t *left, struct linux_cpu_time *ret);
/* Of one thread. */
enum read_result linux_thread_cpu_time(const struct linux_kernel *kernel, const struct object *task,
				       struct linux_cpu_time *ret);

/* The number of a struct pid in the first pid namespace. */
enum read_result linux_pid_number(struct linux_kernel *kernel, uint64_t pid, int64_t *ret);
/* The inode number of the pid namespace a struct pid was made in. */
enum read_result linux_pid_namespace(struct linux_kernel *kernel, uint64_t pid, uint64_t *ret);
/* The inode number of a task's mount namespace, from its nsproxy. */
enum read_result linux_mount_namespace(struct linux_kernel *kernel, uint64_t nsproxy,
				       uint64_t *ret);

#endif
