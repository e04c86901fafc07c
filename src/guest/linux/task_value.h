/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What there is to be said of a process or a thread, value by value: a view lists the values of its
 * columns, and only what the columns asked for need is read. What several values need (the
 * credentials, the memory, the signals) is read when the first of them asks for it.
 */
#ifndef NUNCHI_GUEST_LINUX_TASK_VALUE_H
#define NUNCHI_GUEST_LINUX_TASK_VALUE_H

#include "core/buffer.h"
#include "guest/linux/path.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"

struct linux_task {
	struct linux_kernel *kernel;
	bool is_thread;            /* see linux_task_init() */
	struct object task;        /* the copy at hand */
	struct layout_parts parts; /* of the task_struct: what the values asked for need */
	unsigned fetch;            /* enum linux_fetch, likewise */
	/* Read when first needed, until linux_task_take(). */
	struct object cred, mm, signal;
	bool has_cred, has_mm, has_signal, has_times;
	enum read_result times_result;
	struct linux_cpu_time times;
	/* Read when first needed, for all tasks of a query. */
	bool has_root, has_clock;
	enum read_result root_result, clock_result;
	struct linux_path root; /* of process 1 */
	struct linux_clock clock;
	uint64_t threads_left; /* that are looked at for CPU times */
	struct hash_map seen;  /* scratch */
};

/* is_thread: tasks are shown as threads, not each as the process that it is the first thread of. */
void linux_task_init(struct linux_task *task, struct linux_kernel *kernel, bool is_thread);
void linux_task_deinit(struct linux_task *task);
/*
 * Forgets what was read of the last task, and on a running guest copies the task_struct of the task
 * at hand again; where nothing changes the walk's copy will do.
 */
enum read_result linux_task_take(struct linux_task *task);
/*
 * The root of process 1, by which paths are spelled; NULL if it cannot be told, for the reason in
 * task->root_result.
 */
const struct linux_path *linux_task_reader_root(struct linux_task *task);

/*
 * One value. A number is of an INTEGER or ADDRESS column, a text is appended. Both give the reason
 * where there is none; READ_NONE: a kernel thread has no memory …
 */
struct linux_value {
	enum read_result (*number)(struct linux_task *task, int64_t *ret); /* or: */
	enum read_result (*text)(struct linux_task *task, struct buffer *ret);
	size_t needs[6]; /* fields of task_struct that it takes: their places in struct layout */
	unsigned fetch;  /* what is worth fetching ahead for it: enum linux_fetch */
};

/* Says that this value will be asked for. To be called for each of them before the first task. */
void linux_task_need(struct linux_task *task, const struct linux_value *value);

extern const struct linux_value linux_value_pid;  /* of a process */
extern const struct linux_value linux_value_tid;  /* of a thread */
extern const struct linux_value linux_value_tgid; /* of the process that a thread belongs to */
extern const struct linux_value linux_value_parent;
extern const struct linux_value linux_value_nice;
extern const struct linux_value linux_value_cpu; /* that it runs on, or ran on last */
extern const struct linux_value linux_value_is_kernel_thread;
extern const struct linux_value linux_value_start_time; /* seconds since 1970 */
extern const struct linux_value linux_value_task;       /* of its task_struct */
extern const struct linux_value linux_value_uid;
extern const struct linux_value linux_value_gid;
extern const struct linux_value linux_value_euid;
extern const struct linux_value linux_value_egid;
extern const struct linux_value linux_value_suid;
extern const struct linux_value linux_value_sgid;
extern const struct linux_value linux_value_threads;
extern const struct linux_value linux_value_pgroup;  /* process group id */
extern const struct linux_value linux_value_session; /* session id */
extern const struct linux_value linux_value_pid_namespace;
extern const struct linux_value linux_value_mount_namespace;
/* CPU time in milliseconds: of a process with all its threads, or of the one thread. */
extern const struct linux_value linux_value_user_time;
extern const struct linux_value linux_value_system_time;
extern const struct linux_value
    linux_value_on_disk; /* 1: the executable exists, 0: deleted, -1: there is none */
extern const struct linux_value linux_value_resident_size;   /* bytes */
extern const struct linux_value linux_value_total_size;      /* bytes */
extern const struct linux_value linux_value_page_table_root; /* guest-physical address */

extern const struct linux_value linux_value_name;
extern const struct linux_value linux_value_state; /* one letter */
extern const struct linux_value linux_value_path;
extern const struct linux_value linux_value_cmdline; /* arguments separated by spaces */
extern const struct linux_value linux_value_cwd;
extern const struct linux_value linux_value_root;
extern const struct linux_value linux_value_cgroup_path;

#endif
