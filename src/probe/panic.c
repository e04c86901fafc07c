/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(event, TEXT, "panic, oops, or oom: a process is ended because memory is short")          \
	X(message, TEXT, "of a panic: the message, as its printf() format")                        \
	X(victim, INTEGER, "of an oom: process id of the process that is ended")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static void begin(struct probe_hit *hit, const char *event)
{
	row_string(hit->row, COLUMN_event, event);
	row_absent(hit->row, COLUMN_message, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_absent(hit->row, COLUMN_victim, NUNCHI_ABSENT_NOT_APPLICABLE);
}

static enum probe_next enter_panic(struct probe_hit *hit)
{
	uint64_t format = 0;

	begin(hit, "panic");
	if (linux_variadic_argument(linux_hit_of(hit)->kernel, hit->registers, 0, &format) ==
	    READ_OK)
		hit_kernel_string(hit, COLUMN_message, format);
	return PROBE_ROW;
}

static enum probe_next enter_oops(struct probe_hit *hit)
{
	begin(hit, "oops");
	return PROBE_ROW;
}

/* oom_kill_process(control, message) */
static enum probe_next enter_oom(struct probe_hit *hit)
{
	static const struct linux_value *const values[] = {&linux_value_tgid};
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result;
	uint64_t task = 0;

	begin(hit, "oom");
	result = linux_read_field(kernel, hit_argument(hit, 0), &kernel->layout.oom_control_chosen,
				  &task);
	if (result == READ_OK)
		hit_other_task(hit, task, COLUMN_victim, values, ARRAY_SIZE(values));
	else
		row_unread(hit->row, COLUMN_victim, result);
	return PROBE_ROW;
}

const struct probe probe_panic = {
    .schema = {"panic", "what goes wrong in the kernel: panics, oopses, memory that runs out",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {{"panic", enter_panic, NULL},
		    {"oops_enter", enter_oops, NULL},
		    {"oom_kill_process", enter_oom, NULL}}}},
};
