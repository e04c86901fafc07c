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
 * setproctitle() left there and in the environment behind it. *ret_too_long instead of bytes if
 * the area is larger than LINUX_MAX_CMDLINE. MEMORY_NO_LAYOUT where fields are missing. Source:
 * fs/proc/base.c, get_mm_cmdline().
 */
enum memory_fault linux_process_cmdline(struct linux_kernel *kernel, const struct object *mm,
					struct buffer *ret, bool *ret_too_long);

/*
 * Resident pages of an mm (file, anonymous and shared memory). MEMORY_NO_LAYOUT where the kernel's
 * types or the number of its CPUs are not known.
 */
enum memory_fault linux_process_resident(struct linux_kernel *kernel, const struct object *mm,
					 uint64_t *ret);

/* CPU time in nanoseconds, divided between user and system as /proc shows it. */
struct linux_cpu_time {
	uint64_t user, system;
};
/*
 * Of a process: all threads, dead ones included. seen is scratch. Each thread looked at takes one
 * off *left, which bounds what a guest whose processes share a made-up list can cost.
 * MEMORY_NO_LAYOUT where fields are missing, MEMORY_IO if the threads cannot be walked to their
 * end.
 */
enum memory_fault linux_process_cpu_time(struct linux_kernel *kernel, const struct object *task,
					 const struct object *signal, struct hash_map *seen,
					 uint64_t *left, struct linux_cpu_time *ret);
/* Of one thread; false where fields are missing. */
bool linux_thread_cpu_time(const struct linux_kernel *kernel, const struct object *task,
			   struct linux_cpu_time *ret);

/* The number of a struct pid in the first pid namespace. */
enum memory_fault linux_pid_number(struct linux_kernel *kernel, uint64_t pid, int64_t *ret);
/* The inode number of the pid namespace a struct pid was made in. */
enum memory_fault linux_pid_namespace(struct linux_kernel *kernel, uint64_t pid, uint64_t *ret);
/* The inode number of a task's mount namespace, from its nsproxy. */
enum memory_fault linux_mount_namespace(struct linux_kernel *kernel, uint64_t nsproxy,
					uint64_t *ret);

#endif
