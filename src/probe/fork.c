/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(child, INTEGER, "process id of the new task; that of the parent for a thread")           \
	X(child_tid, INTEGER, "thread id of the new task")                                         \
	X(child_name, TEXT, "the kernel's name for it (comm)")                                     \
	X(is_kernel_thread, INTEGER, "1 for a thread of the kernel")                               \
	X(thread, INTEGER, "1 for a thread of a process that was there before")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static enum probe_next enter(struct probe_hit *hit)
{
	static const struct linux_value *const values[] = {
	    &linux_value_tgid, &linux_value_tid, &linux_value_name, &linux_value_is_kernel_thread};
	const struct nunchi_cell *child = row_cell(hit->row, COLUMN_child);
	const struct nunchi_cell *tid = row_cell(hit->row, COLUMN_child_tid);

	hit_other_task(hit, hit_argument(hit, 0), COLUMN_child, values, ARRAY_SIZE(values));
	if (child->kind == NUNCHI_CELL_VALUE && tid->kind == NUNCHI_CELL_VALUE)
		row_integer(hit->row, COLUMN_thread, child->integer != tid->integer);
	return PROBE_ROW;
}

const struct probe probe_fork = {
    .schema = {"fork", "new processes and threads: fork(), vfork(), clone()", columns,
	       ARRAY_SIZE(columns)},
    /* Called for each new task, before it runs: kernel/fork.c, kernel_clone(). */
    .providers = {{&guest_linux, {{"wake_up_new_task", enter, NULL}}}},
};
