/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that the views of Linux guests share: cells from the values of
 * guest/linux/task_value.h, and a walk over the processes.
 */
#ifndef NUNCHI_VIEW_LINUX_CELLS_H
#define NUNCHI_VIEW_LINUX_CELLS_H

#include "guest/linux/task_value.h"
#include "view/view.h"

/* For COLUMNS(): the value of guest/linux/task_value.h with the same name as the column. */
#define VIEW_TASK_VALUE(name, type, doc) &linux_value_##name,

/*
 * Prepares a task for the requested columns. values has one value for each column of the view, in
 * their order.
 */
void task_values_need(struct linux_task *task, const struct view_request *request,
		      const struct linux_value *const *values, size_t count);
/* Sets a cell to a value of the task. text is scratch space. */
void row_task_value(struct view_row *row, unsigned column, const struct linux_value *value,
		    struct linux_task *task, struct buffer *text);
/* Fills the requested columns. text is scratch space. */
void row_task_values(struct view_row *row, const struct view_request *request,
		     const struct linux_value *const *values, size_t count, struct linux_task *task,
		     struct buffer *text);

/* Sets a text cell to the numbers of a device (dev_t), MAJOR:MINOR. text is scratch space. */
void row_device(struct view_row *row, unsigned column, enum read_result result, uint64_t device,
		struct buffer *text);
/* Warns that paths may be shown relative to another root than that of process 1. */
void row_warn_of_root(struct view_row *row, enum read_result result);
/*
 * At the end of a walk over the processes: warns of processes that could not be read, and marks the
 * result as torn, since a change of the guest may be the reason.
 */
void row_warn_of_tasks(struct view_row *row, const struct linux_tasks *walk);

/* A walk over the processes for a view that lists objects of each process. */
struct process_walk {
	struct linux_kernel *kernel;
	struct linux_tasks tasks;
	struct object task; /* of the current process */
	int64_t pid;
	bool ended; /* there are no more processes */
	/*
	 * set by the view: a process was not shown completely, and a change of the guest may be the
	 * reason
	 */
	bool cut;
	bool has_root;
	enum read_result root_result;
	struct linux_path root;
	struct buffer text; /* scratch space */
};

/*
 * Begins a walk. check() says whether the kernel's types have the fields that the view needs. If
 * this fails, there is nothing to close.
 */
struct nunchi_error *process_walk_open(struct process_walk *walk, struct guest_kernel *guest,
				       const struct number_filter *pids,
				       struct nunchi_error *(*check)(struct linux_kernel *kernel));
void process_walk_close(struct process_walk *walk);
/*
 * Steps to the next process. False at the end, after warning of processes that could not be read.
 */
bool process_walk_next(struct process_walk *walk, struct view_row *row);
/*
 * Warns "process PID: WHAT: REASON" if something of the current process could not be read. Does
 * nothing for READ_OK and READ_NONE.
 */
void process_walk_warn(const struct process_walk *walk, struct view_row *row,
		       enum read_result result, const char *what);
/* The same; and, for READ_NONE, if the others of its threads have what its first one gave up. */
void process_walk_warn_of_first(const struct process_walk *walk, struct view_row *row,
				enum read_result result, const char *what, const char *shown);
/*
 * The root of process 1, relative to which paths are shown; NULL, with a warning, if it cannot be
 * read.
 */
const struct linux_path *process_walk_root(struct process_walk *walk, struct view_row *row);

#endif
