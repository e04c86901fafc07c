/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(signal, INTEGER, "number of the signal; 0 only asks whether it could be sent")           \
	X(target, INTEGER, "process id of the process that gets it")                               \
	X(target_tid, INTEGER, "thread id of the thread that gets it")                             \
	X(target_name, TEXT, "the kernel's name for it (comm)")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* security_task_kill(task, info, signal, credentials) */
static enum probe_next enter(struct probe_hit *hit)
{
	static const struct linux_value *const values[] = {&linux_value_tgid, &linux_value_tid,
							   &linux_value_name};

	row_integer(hit->row, COLUMN_signal, (int32_t)hit_argument(hit, 2));
	hit_other_task(hit, hit_argument(hit, 0), COLUMN_target, values, ARRAY_SIZE(values));
	return PROBE_ROW;
}

const struct probe probe_kill = {
    .schema = {"kill", "signals that a process is permitted to send: kill(), tgkill() …", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"security_task_kill", enter, NULL}}}},
};
