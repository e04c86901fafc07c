/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(target, INTEGER, "process id of the other process")                                      \
	X(target_tid, INTEGER, "thread id of its thread")                                          \
	X(target_name, TEXT, "the kernel's name for it (comm)")                                    \
	X(status, INTEGER, "0, or the errno for which access was refused")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* include/linux/ptrace.h: with this bit set access to registers and memory is asked for. */
#define MODE_ATTACH 0x02

/* security_ptrace_access_check(child, mode); ps(1) asks for reading alone. */
static enum probe_next enter(struct probe_hit *hit)
{
	static const struct linux_value *const values[] = {&linux_value_tgid, &linux_value_tid,
							   &linux_value_name};

	if (!(hit_argument(hit, 1) & MODE_ATTACH))
		return PROBE_NO_ROW;
	hit_other_task(hit, hit_argument(hit, 0), COLUMN_target, values, ARRAY_SIZE(values));
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_ptrace = {
    .schema = {"ptrace",
	       "access to another process: ptrace(), process_vm_readv(), process_vm_writev(), "
	       "/proc/PID/mem",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {{"security_ptrace_access_check", enter, leave}}}},
};
