/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the views of Linux guests share: cells by the functions of guest/linux/task_value.h, and the
 * walk over processes.
 */
#ifndef NUNCHI_VIEW_LINUX_CELLS_H
#define NUNCHI_VIEW_LINUX_CELLS_H

#include "guest/linux/task_value.h"
#include "view/view.h"

/* For COLUMNS(): the value of guest/linux/task_value.h that has the column's name. */
#define VIEW_TASK_VALUE(name, type, doc) &linux_value_##name,

/* Prepares a task for the columns that are wanted; values has the view's columns in their order. */
void task_values_need(struct linux_task *task, const struct view_request *request,
		      const struct linux_value *const *values, size_t count);
/* Fills the columns that are wanted. text is scratch. */
void row_task_values(struct view_row *row, const struct view_request *request,
		     const struct linux_value *const *values, size_t count, struct linux_task *task,
		     struct buffer *text);

/* Warns that paths may be spelled from another root than that of process 1. */
void row_warn_of_root(struct view_row *row, enum read_result result);
/*
 * At the end of a walk over the processes: warns of those that were left out, and marks the result
 * as torn, since the guest may have changed meanwhile.
 */
void row_warn_of_tasks(struct view_row *row, const struct linux_tasks *walk);

/* A walk over the processes with something to be listed of each. */
struct process_walk {
	struct linux_kernel *kernel;
	struct linux_tasks tasks;
	struct object task; /* of the process at hand */
	int64_t pid;
	bool ended; /* there is no further process */
	bool cut; /* set by the view: not all of a process was shown, which its changing may explain
		   */
	bool has_root;
	enum read_result root_result;
	struct linux_path root;
	struct buffer text; /* scratch */
};

/*
 * check says whether the kernel's types have what is listed. On failure there is nothing to close.
 */
struct nunchi_error *process_walk_open(struct process_walk *walk, struct guest_kernel *guest,
				       const struct number_filter *pids,
				       struct nunchi_error *(*check)(struct linux_kernel *kernel));
void process_walk_close(struct process_walk *walk);
/* Goes to the next process; false at the end, having warned of what was left out. */
bool process_walk_next(struct process_walk *walk, struct view_row *row);
/*
 * Warns "process PID: WHAT: REASON" where something of the process at hand could not be read. Says
 * nothing for READ_OK and READ_NONE.
 */
void process_walk_warn(const struct process_walk *walk, struct view_row *row,
		       enum read_result result, const char *what);
/* The root of process 1 for spelling paths; NULL, with a warning, if it cannot be read. */
const struct linux_path *process_walk_root(struct process_walk *walk, struct view_row *row);

#endif
