/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/linux_cells.h"

#include "guest/linux/mm.h"
#include "view/row.h"

void row_task_value(struct view_row *row, unsigned column, const struct linux_value *value,
		    struct linux_task *task, struct buffer *text)
{
	enum read_result result;
	int64_t number = 0;

	if (value->text) {
		buffer_clear(text);
		result = value->text(task, text);
		row_read_text(row, column, result, text);
		return;
	}
	result = value->number(task, &number);
	if (row->schema->columns[column].type == NUNCHI_TYPE_ADDRESS)
		row_read_address(row, column, result, (uint64_t)number);
	else
		row_read_integer(row, column, result, number);
}

void task_values_need(struct linux_task *task, const struct view_request *request,
		      const struct linux_value *const *values, size_t count)
{
	for (unsigned i = 0; i < count; i++) {
		if (view_wants(request, i))
			linux_task_need(task, values[i]);
	}
}

void row_task_values(struct view_row *row, const struct view_request *request,
		     const struct linux_value *const *values, size_t count, struct linux_task *task,
		     struct buffer *text)
{
	for (uint64_t left = request->columns; left; left &= left - 1) {
		unsigned column = (unsigned)__builtin_ctzll(left);

		if (column < count)
			row_task_value(row, column, values[column], task, text);
	}
	if (task->has_root)
		row_warn_of_root(row, task->root_result);
	if (task->has_clock && task->clock_result == READ_OK && task->clock.torn)
		row_torn(row);
}

void row_device(struct view_row *row, unsigned column, enum read_result result, uint64_t device,
		struct buffer *text)
{
	buffer_clear(text);
	buffer_append_unsigned(text, device >> 20, 16, 2);
	buffer_append_char(text, ':');
	buffer_append_unsigned(text, device & 0xfffff, 16, 2);
	row_read_text(row, column, result, text);
}

void row_warn_of_root(struct view_row *row, enum read_result result)
{
	/* Without a process 1, or without the layout, there is no other root that could be used. */
	if (result != READ_OK && result != READ_NONE && result != READ_NO_LAYOUT)
		row_warn(row,
			 "the root directory of process 1 cannot be read: %s; paths are shown from "
			 "the topmost mount",
			 read_result_string(result));
}

void row_warn_of_tasks(struct view_row *row, const struct linux_tasks *walk)
{
	if (walk->list.broken)
		row_warn(row, "the list of processes is cut short after %llu: %s",
			 (unsigned long long)walk->list.count,
			 read_result_string(walk->list.broken));
	if (walk->unread)
		row_warn(row, "%llu processes of the list cannot be read: %s",
			 (unsigned long long)walk->unread, read_result_string(walk->why_unread));
	if (walk->list.broken || walk->unread)
		row_torn(row);
}

struct nunchi_error *process_walk_open(struct process_walk *walk, struct guest_kernel *guest,
				       const struct number_filter *pids,
				       struct nunchi_error *(*check)(struct linux_kernel *kernel))
{
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err;

	*walk = (struct process_walk){.kernel = kernel};
	err = linux_tasks_init(&walk->tasks, kernel, pids);
	if (err)
		return err;
	err = check(kernel);
	if (err)
		linux_tasks_deinit(&walk->tasks);
	return err;
}

void process_walk_close(struct process_walk *walk)
{
	linux_tasks_deinit(&walk->tasks);
	object_deinit(&walk->task);
	buffer_deinit(&walk->text);
}

bool process_walk_next(struct process_walk *walk, struct view_row *row)
{
	if (linux_tasks_next(&walk->tasks, &walk->task)) {
		walk->pid = object_s64(&walk->task, &walk->kernel->layout.task_pid);
		return true;
	}
	row_warn_of_tasks(row, &walk->tasks);
	if (walk->cut)
		row_torn(row);
	walk->ended = true;
	return false;
}

void process_walk_warn(const struct process_walk *walk, struct view_row *row,
		       enum read_result result, const char *what)
{
	if (result != READ_OK && result != READ_NONE)
		row_warn(row, "process %lld: %s: %s", (long long)walk->pid, what,
			 read_result_string(result));
}

void process_walk_warn_of_first(const struct process_walk *walk, struct view_row *row,
				enum read_result result, const char *what, const char *shown)
{
	process_walk_warn(walk, row, result, what);
	if (result == READ_NONE && linux_task_has_other_threads(walk->kernel, &walk->task))
		row_warn(row, "process %lld: its first thread has ended, so that %s not shown",
			 (long long)walk->pid, shown);
}

const struct linux_path *process_walk_root(struct process_walk *walk, struct view_row *row)
{
	if (!walk->has_root) {
		walk->has_root = true;
		walk->root_result = linux_init_root(walk->kernel, &walk->root);
		row_warn_of_root(row, walk->root_result);
	}
	return walk->root_result == READ_OK ? &walk->root : NULL;
}
