/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(operation, TEXT, "unshare: new namespaces; setns: those of another process")             \
	X(flags, TEXT, "what is not shared any more or is entered, as CLONE_NEWNET; 0x0: any")     \
	X(fd, INTEGER, "of setns: descriptor of the namespace, or of a process")                   \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* ksys_unshare(flags) */
static enum probe_next enter_unshare(struct probe_hit *hit)
{
	row_string(hit->row, COLUMN_operation, "unshare");
	hit_flags(hit, COLUMN_flags, &flags_namespace, hit_argument(hit, 0));
	row_absent(hit->row, COLUMN_fd, NUNCHI_ABSENT_NOT_APPLICABLE);
	return PROBE_RETURNS;
}

/* setns(descriptor, flags) */
static enum probe_next enter_setns(struct probe_hit *hit)
{
	row_string(hit->row, COLUMN_operation, "setns");
	hit_flags(hit, COLUMN_flags, &flags_namespace, (uint32_t)hit_call_argument(hit, 1));
	row_integer(hit->row, COLUMN_fd, (int32_t)hit_call_argument(hit, 0));
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_namespace = {
    .schema = {"namespace", "processes that leave their namespaces: unshare(), setns()", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {{"ksys_unshare", enter_unshare, leave},
		    CALL_HOOKS("setns", enter_setns, leave)}}},
};
