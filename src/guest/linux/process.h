/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties of a process that are not in its task_struct. */
#ifndef NUNCHI_GUEST_LINUX_PROCESS_H
#define NUNCHI_GUEST_LINUX_PROCESS_H

#include "core/buffer.h"
#include "core/hash.h"
#include "guest/linux/linux.h"

/* Limit of the command line; the kernel's limit is 6 MiB of stack. */
#define LINUX_MAX_CMDLINE ((size_t)1 << 20)

/*
 * Gets the address of a process's memory (mm); READ_NONE: it has none, as a kernel thread. If its
 * first thread has ended, *task becomes one that has the memory still. READ_BAD_DATA if task_struct
 * names two: active_mm of a thread with memory of its own is that memory (kernel/sched/core.c,
 * context_switch()). In a running guest both may change between two reads, and that is not asked.
 */
enum read_result linux_process_mm(struct linux_kernel *kernel, struct object *task, uint64_t *ret);

/*
 * Appends the command line as in /proc/PID/cmdline, with NULs: the argument area, or the title that
 * setproctitle() wrote there and into the environment after it. READ_LIMIT if the area is larger
 * than LINUX_MAX_CMDLINE. Source: fs/proc/base.c, get_mm_cmdline().
 */
enum read_result linux_process_cmdline(struct linux_kernel *kernel, const struct object *mm,
				       struct buffer *ret);

/*
 * Appends the environment as execve() made it, with NULs. READ_LIMIT as for the command line. (The
 * walk over the variables of environment.h is for processes that may have changed it.)
 */
enum read_result linux_process_environment(struct linux_kernel *kernel, const struct object *mm,
					   struct buffer *ret);

/* Reads the number of resident pages of an mm (file, anonymous and shared memory). */
enum read_result linux_process_resident(struct linux_kernel *kernel, const struct object *mm,
					uint64_t *ret);

/* CPU time in nanoseconds, divided into user and system time as in /proc. */
struct linux_cpu_time {
	uint64_t user, system;
};
/*
 * Computes the CPU time of a process: of all its threads, including ended ones. seen is scratch
 * space. Each thread read reduces *left by one, which bounds the cost if the processes of a hostile
 * guest share a forged list. READ_LIMIT when *left is 0.
 */
enum read_result linux_process_cpu_time(struct linux_kernel *kernel, const struct object *task,
					const struct object *signal, struct hash_map *seen,
					uint64_t *left, struct linux_cpu_time *ret);
/* Computes the CPU time of one thread. */
enum read_result linux_thread_cpu_time(const struct linux_kernel *kernel, const struct object *task,
				       struct linux_cpu_time *ret);

/* Reads the number that a struct pid has in the first pid namespace. */
enum read_result linux_pid_number(struct linux_kernel *kernel, uint64_t pid, int64_t *ret);
/* Reads the inode number of the pid namespace in which a struct pid was created. */
enum read_result linux_pid_namespace(struct linux_kernel *kernel, uint64_t pid, uint64_t *ret);
/* Reads the inode number of the mount namespace of a task's nsproxy. */
enum read_result linux_mount_namespace(struct linux_kernel *kernel, uint64_t nsproxy,
				       uint64_t *ret);

#endif
