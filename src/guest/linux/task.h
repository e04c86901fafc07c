/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks over all processes, and over the threads of a process. */
#ifndef NUNCHI_GUEST_LINUX_TASK_H
#define NUNCHI_GUEST_LINUX_TASK_H

#include "core/buffer.h"
#include "core/hash.h"
#include "core/number_filter.h"
#include "guest/linux/linux.h"

/* The greatest number of tasks in a walk: PID_MAX_LIMIT of include/linux/threads.h. */
#define LINUX_MAX_TASKS ((uint64_t)4 << 20)

/* A walk over the processes. */
struct linux_tasks {
	struct linux_kernel *kernel;
	struct linux_list list;
	struct hash_map seen;
	const struct number_filter *pids; /* ids to select; borrowed; NULL: all */
	uint64_t left;                    /* number of processes that the filter may still select */
	bool by_id;                       /* the only one was looked up; the list is not walked */
	uint64_t looked_up;               /* its address; 0: no process has this id */
	uint64_t unread;                  /* processes whose task_struct cannot be read … */
	enum read_result why_unread;
};

/*
 * Begins a walk over the processes (thread-group leaders) in the order of the kernel's list,
 * without init_task. pids selects by id and must outlive the walk; NULL selects all. Of processes
 * that are not selected only the id is read. If the guest does not run, the walk ends when all ids
 * that can be selected were found; the second walk to a single process reads the ids of all, and
 * that one and later ones look theirs up. NUNCHI_ERROR_UNSUPPORTED names the symbol or field that
 * this kernel lacks.
 */
struct nunchi_error *linux_tasks_init(struct linux_tasks *walk, struct linux_kernel *kernel,
				      const struct number_filter *pids);
void linux_tasks_deinit(struct linux_tasks *walk);
/*
 * Copies the task_struct of the next process. False at the end; then walk->list.broken says whether
 * the list could not be followed to its end, and walk->unread how many processes could not be read.
 */
bool linux_tasks_next(struct linux_tasks *walk, struct object *task);

/* A walk over the threads of one process, the leader first. */
struct linux_threads {
	struct linux_kernel *kernel;
	struct linux_list list;
	struct hash_map *seen; /* borrowed */
	uint64_t unread;       /* as in struct linux_tasks */
	enum read_result why_unread;
};

/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * missing ones.
 */
struct nunchi_error *linux_threads_check(struct linux_kernel *kernel);
/*
 * Begins a walk over the threads of `leader`, a copy from linux_tasks_next(). False if fields that
 * it needs are missing.
 */
bool linux_threads_init(struct linux_threads *walk, struct linux_kernel *kernel,
			const struct object *leader, struct hash_map *seen);
/* Copies the task_struct of the next thread; false at the end. */
bool linux_threads_next(struct linux_threads *walk, struct object *task);

/*
 * Whether the copied task is still the same task with the same memory, credentials and signals. If
 * so, what was read through these pointers belongs to this task.
 */
bool linux_task_is_same(struct linux_kernel *kernel, const struct object *task);
/* Adds the fields that linux_task_is_same() compares to the parts that are copied of a task. */
void linux_task_add_identity(struct linux_kernel *kernel, struct layout_parts *parts);

#define LINUX_PF_KTHREAD 0x00200000 /* include/linux/sched.h */

static inline bool linux_task_is_kernel_thread(const struct linux_kernel *kernel,
					       const struct object *task)
{
	return object_u64(task, &kernel->layout.task_flags) & LINUX_PF_KTHREAD;
}

/*
 * Appends the name that /proc shows, at most 63 bytes: comm; for a kernel thread the full name; for
 * a worker also what it does ("+") or did last ("-"). Source: fs/proc/array.c, proc_task_name();
 * kernel/workqueue.c, wq_worker_comm(). Returns a fault and appends nothing if a part of the name
 * is in memory that is missing, as in a file that was cut off.
 */
enum read_result linux_task_name(struct linux_kernel *kernel, const struct object *task,
				 struct buffer *ret);

/*
 * The letter of the task's state in /proc: R S D T t X Z P I (fs/proc/array.c, get_task_state()).
 */
char linux_task_state(const struct linux_kernel *kernel, const struct object *task);

/*
 * Whether the task is still on the list on which it was found: that of processes, or that of
 * threads.
 */
bool linux_task_is_listed(struct linux_kernel *kernel, const struct object *task, bool thread);

#endif
