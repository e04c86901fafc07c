/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/task_rows.h"

struct nunchi_error *task_rows_open(struct task_rows *rows, struct guest_kernel *guest,
				    const struct view_request *request,
				    const struct linux_value *const *values, size_t count)
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = linux_tasks_init(&rows->walk, kernel, request->numbers[0]);

	if (err)
		return err;
	rows->request = request;
	rows->values = values;
	rows->count = count;
	linux_task_init(&rows->task, kernel, false);
	task_values_need(&rows->task, request, values, count);
	return NULL;
}

static bool fill(void *data, struct view_row *row)
{
	struct task_rows *rows = data;
	struct linux_task *task = &rows->task;

	if (linux_task_take(task) != READ_OK)
		return false;
	row_task_values(row, rows->request, rows->values, rows->count, task, &rows->text);
	if (!task->kernel->guest.live)
		return true;
	if (!linux_task_is_same(task->kernel, &task->task))
		row_changed(row);
	/* If the process is not on the list any more, it ended while it was read. */
	return linux_task_is_listed(task->kernel, &task->task, false);
}

struct nunchi_error *task_rows_next(void *data, struct view_row *row)
{
	struct task_rows *rows = data;

	while (linux_tasks_next(&rows->walk, &rows->task.task)) {
		if (row_settle(row, &rows->task.kernel->guest, UINT64_MAX, fill, rows))
			return NULL;
	}
	row_warn_of_tasks(row, &rows->walk);
	return &error_stop;
}

void task_rows_close(void *data)
{
	struct task_rows *rows = data;

	linux_tasks_deinit(&rows->walk);
	linux_task_deinit(&rows->task);
	buffer_deinit(&rows->text);
}
