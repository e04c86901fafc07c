/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(option, TEXT, "what is to be done, as PR_SET_NO_NEW_PRIVS, or its number, hexadecimal")  \
	X(arg2, ADDRESS, "second argument of prctl(2)")                                            \
	X(arg3, ADDRESS, "third argument")                                                         \
	X(arg4, ADDRESS, "fourth argument")                                                        \
	X(arg5, ADDRESS, "fifth argument")                                                         \
	X(new_name, TEXT, "of PR_SET_NAME: the name")                                              \
	X(result, INTEGER, "what it returned; absent if it failed")                                \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* TASK_COMM_LEN without the NUL: what the kernel takes of a name */
#define MAX_NAME 15
#define SET_NAME 15

static enum probe_next enter(struct probe_hit *hit)
{
	uint32_t option = (uint32_t)hit_call_argument(hit, 0);

	hit_flags(hit, COLUMN_option, &flags_prctl, option);
	for (unsigned i = 1; i < 5; i++)
		row_address(hit->row, COLUMN_arg2 + i - 1, hit_call_argument(hit, i));
	if (option == SET_NAME)
		hit_string(hit, COLUMN_new_name, hit_call_argument(hit, 1), MAX_NAME);
	else
		row_absent(hit->row, COLUMN_new_name, NUNCHI_ABSENT_NOT_APPLICABLE);
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_returned(hit, COLUMN_result, COLUMN_status);
	return true;
}

const struct probe probe_prctl = {
    .schema = {"prctl", "what a thread sets or asks of itself: prctl()", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, {CALL_HOOKS("prctl", enter, leave)}}},
};
