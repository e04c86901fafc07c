/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(status, INTEGER, "exit status; absent if a signal ended it")                             \
	X(signal, INTEGER, "number of the signal that ended it")                                   \
	X(core_dumped, INTEGER, "1 if a core was dumped")                                          \
	X(path, TEXT, "path of its program")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* The argument is what wait(2) gives: include/linux/wait.h. */
static enum probe_next enter(struct probe_hit *hit)
{
	uint32_t code = (uint32_t)hit_argument(hit, 0);
	unsigned signal = code & 0x7f;

	if (linux_task_is_kernel_thread(linux_hit_of(hit)->kernel, &linux_hit_of(hit)->task.task)) {
		/* What it gives to do_exit() is no wait status. */
		for (unsigned i = COLUMN_status; i <= COLUMN_core_dumped; i++)
			row_absent(hit->row, i, NUNCHI_ABSENT_NOT_APPLICABLE);
	} else if (signal) {
		row_absent(hit->row, COLUMN_status, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_integer(hit->row, COLUMN_signal, signal);
		row_integer(hit->row, COLUMN_core_dumped, code >> 7 & 1);
	} else {
		row_integer(hit->row, COLUMN_status, code >> 8 & 0xff);
		row_absent(hit->row, COLUMN_signal, NUNCHI_ABSENT_NOT_APPLICABLE);
		row_absent(hit->row, COLUMN_core_dumped, NUNCHI_ABSENT_NOT_APPLICABLE);
	}
	hit_task_value(hit, COLUMN_path, &linux_value_path);
	return PROBE_ROW;
}

const struct probe probe_exit = {
    .schema = {"exit", "threads that end, each by itself; the last one ends its process", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"do_exit", enter, NULL}}}},
};
