/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tasks: the walk over all processes and their threads.
 */
#ifndef NUNCHI_GUEST_LINUX_TASK_H
#define NUNCHI_GUEST_LINUX_TASK_H

#include "core/buffer.h"
#include "core/hash.h"
#include "core/number_filter.h"
#include "guest/linux/linux.h"

/* The most tasks that a walk gives: PID_MAX_LIMIT of include/linux/threads.h. */
#define LINUX_MAX_TASKS ((uint64_t)4 << 20)

/* A walk over the processes. */
struct linux_tasks {
	struct linux_kernel *kernel;
	struct linux_list list;
	struct hash_map seen;
	const struct number_filter *pids; /* borrowed; NULL: all */
	uint64_t left;                    /* processes that may still come, by the filter */
	uint64_t unread;                  /* processes whose task_struct cannot be read … */
	enum read_result why_unread;
};

/*
 * Starts a walk over the processes (thread-group leaders) in the order of the kernel's list;
 * init_task, which is no process, is left out. Of processes whose id does not pass pids (which must
 * outlive the walk; NULL: all pass) only the id is read; where the guest does not run, the walk
 * ends once all that can pass were found. NUNCHI_ERROR_UNSUPPORTED names the symbol or field that
 * this kernel's data lacks.
 */
struct nunchi_error *linux_tasks_init(struct linux_tasks *walk, struct linux_kernel *kernel,
				      const struct number_filter *pids);
void linux_tasks_deinit(struct linux_tasks *walk);
/*
 * Copies the next process's task_struct. False at the end; then walk->list.broken says whether the
 * list was cut short, and walk->unread how many processes on it were left out.
 */
bool linux_tasks_next(struct linux_tasks *walk, struct object *task);

/* A walk over one process's threads, the leader first. */
struct linux_threads {
	struct linux_kernel *kernel;
	struct linux_list list;
	struct hash_map *seen; /* borrowed */
	uint64_t unread;       /* as in struct linux_tasks */
	enum read_result why_unread;
};

/* NUNCHI_ERROR_UNSUPPORTED names the fields that this kernel's types lack for it. */
struct nunchi_error *linux_threads_check(struct linux_kernel *kernel);
/* leader: a copy from linux_tasks_next(). False if the fields it needs are missing. */
bool linux_threads_init(struct linux_threads *walk, struct linux_kernel *kernel,
			const struct object *leader, struct hash_map *seen);
bool linux_threads_next(struct linux_threads *walk, struct object *task);

/*
 * Whether the task that was copied is still the same one, with the memory, credentials and signals
 * that it had: what was read through these belongs to it then.
 */
bool linux_task_is_same(struct linux_kernel *kernel, const struct object *task);
/* Adds what linux_task_is_same() compares to the parts of a task that are copied. */
void linux_task_add_identity(struct linux_kernel *kernel, struct layout_parts *parts);

#define LINUX_PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static inline bool linux_task_is_kernel_thread(const struct linux_kernel *kernel,
					       const struct object *task)
{
	return object_u64(task, &kernel->layout.task_flags) & LINUX_PF_KTHREAD;
}

/*
 * Appends the name that /proc shows: comm, for a kernel thread in full, for a worker with what it
 * does ("+", or did: "-"). Source: fs/proc/array.c, proc_task_name(); kernel/workqueue.c,
 * wq_worker_comm(). At most 63 bytes. A fault, and nothing appended, if a part of it is in memory
 * that is not to be had, as in a file that was cut off.
 */
enum read_result linux_task_name(struct linux_kernel *kernel, const struct object *task,
				 struct buffer *ret);

/* The letter that /proc shows: R S D T t X Z P I (fs/proc/array.c, get_task_state()). */
char linux_task_state(const struct linux_kernel *kernel, const struct object *task);

/* Whether the task still is on the list that it was found on: the process's, or the thread's. */
bool linux_task_is_listed(struct linux_kernel *kernel, const struct object *task, bool thread);

#endif
