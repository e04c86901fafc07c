/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A view with one row for each process, all of whose columns are values of task_value.h. */
#ifndef NUNCHI_VIEW_TASK_ROWS_H
#define NUNCHI_VIEW_TASK_ROWS_H

#include "view/linux_cells.h"

struct task_rows {
	const struct view_request *request;
	const struct linux_value *const *values; /* by column; the first is the process id */
	size_t count;
	struct linux_tasks walk;
	struct linux_task task;
	struct buffer text;
};

/* For view_provider.open; values must outlive the cursor. */
struct nunchi_error *task_rows_open(struct task_rows *rows, struct guest_kernel *guest,
				    const struct view_request *request,
				    const struct linux_value *const *values, size_t count);
/* For view_provider.next and close; data is a struct task_rows. */
struct nunchi_error *task_rows_next(void *data, struct view_row *row);
void task_rows_close(void *data);

#endif
