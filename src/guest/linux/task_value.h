/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties of a process or a thread, one by one. A view lists the values for its columns, and
 * only what the requested columns need is read. Data that several values need (credentials, memory,
 * signals) is read when the first of them needs it.
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
	struct object task;        /* the copy of the current task */
	struct layout_parts parts; /* parts of the task_struct that the requested values need */
	unsigned fetch;            /* enum linux_fetch: what the requested values need */
	/* Read when first needed, valid until linux_task_take(). */
	struct object cred, mm, signal;
	bool has_cred, has_mm, has_signal, has_times;
	enum read_result times_result;
	struct linux_cpu_time times;
	/* Read when first needed, valid for all tasks of a query. */
	bool has_root, has_clock;
	enum read_result root_result, clock_result;
	struct linux_path root; /* of process 1 */
	struct linux_clock clock;
	bool has_all_capabilities;
	enum read_result all_capabilities_result;
	uint64_t all_capabilities; /* that this kernel has */
	uint64_t threads_left;     /* number of threads that may still be read for CPU times */
	struct hash_map seen;      /* scratch space */
};

/*
 * is_thread: show tasks as threads; otherwise each task stands for the process whose leader it is.
 */
void linux_task_init(struct linux_task *task, struct linux_kernel *kernel, bool is_thread);
void linux_task_deinit(struct linux_task *task);
/*
 * Discards what was read of the previous task. On a running guest also copies the task_struct of
 * the current task again; otherwise the copy of the walk is used.
 */
enum read_result linux_task_take(struct linux_task *task);
/*
 * The root of process 1, relative to which paths are shown; NULL if it cannot be read, with the
 * reason in task->root_result.
 */
const struct linux_path *linux_task_reader_root(struct linux_task *task);

/*
 * A value: number() for an INTEGER or ADDRESS column, or text(), which appends. Both return the
 * reason if there is no value (READ_NONE: a kernel thread has no memory).
 */
struct linux_value {
	enum read_result (*number)(struct linux_task *task, int64_t *ret); /* or: */
	enum read_result (*text)(struct linux_task *task, struct buffer *ret);
	/* the fields of task_struct that it needs: their offsets in struct layout */
	size_t needs[6];
	unsigned fetch; /* enum linux_fetch: what to fetch in advance for this value */
};

/* Declares that this value will be read. Call it for each value before the first task. */
void linux_task_need(struct linux_task *task, const struct linux_value *value);

extern const struct linux_value linux_value_pid;  /* of a process */
extern const struct linux_value linux_value_tid;  /* of a thread */
extern const struct linux_value linux_value_tgid; /* of the process that a thread belongs to */
extern const struct linux_value linux_value_parent;
extern const struct linux_value linux_value_nice;
extern const struct linux_value linux_value_cpu; /* on which the task runs, or ran last */
extern const struct linux_value linux_value_is_kernel_thread;
extern const struct linux_value linux_value_start_time; /* seconds since 1970 */
extern const struct linux_value linux_value_task;       /* address of the task_struct */
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
/* namespaces.c: inode numbers of the namespaces, as in /proc/PID/ns */
extern const struct linux_value linux_value_cgroup_namespace;
extern const struct linux_value linux_value_ipc_namespace;
extern const struct linux_value linux_value_mnt_namespace;
extern const struct linux_value linux_value_net_namespace;
extern const struct linux_value linux_value_time_namespace;
extern const struct linux_value linux_value_user_namespace;
extern const struct linux_value linux_value_uts_namespace;
extern const struct linux_value linux_value_hostname; /* of the UTS namespace */
/* rights.c: names of capabilities with commas, and the sets as numbers */
extern const struct linux_value linux_value_effective, linux_value_effective_set;
extern const struct linux_value linux_value_permitted, linux_value_permitted_set;
extern const struct linux_value linux_value_inheritable, linux_value_inheritable_set;
extern const struct linux_value linux_value_bounding, linux_value_bounding_set;
extern const struct linux_value linux_value_ambient, linux_value_ambient_set;
extern const struct linux_value linux_value_seccomp; /* "disabled", "filter" … */
extern const struct linux_value linux_value_seccomp_filters;
extern const struct linux_value linux_value_no_new_privs; /* 0 or 1 */
/* CPU time in milliseconds: of a process with all its threads, or of one thread. */
extern const struct linux_value linux_value_user_time;
extern const struct linux_value linux_value_system_time;
/* 1: the executable exists, 0: it was deleted, -1: there is no executable */
extern const struct linux_value linux_value_on_disk;
extern const struct linux_value linux_value_resident_size;   /* in bytes */
extern const struct linux_value linux_value_total_size;      /* in bytes */
extern const struct linux_value linux_value_page_table_root; /* guest-physical address */

extern const struct linux_value linux_value_name;
extern const struct linux_value linux_value_state; /* one letter */
extern const struct linux_value linux_value_path;
extern const struct linux_value linux_value_cmdline;     /* arguments separated by spaces */
extern const struct linux_value linux_value_environment; /* variables separated by spaces */
extern const struct linux_value linux_value_cwd;
extern const struct linux_value linux_value_root;
extern const struct linux_value linux_value_cgroup_path;
extern const struct linux_value linux_value_container; /* see linux_runtime_id() */

#endif
