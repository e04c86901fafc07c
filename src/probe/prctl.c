/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#include <inttypes.h>
#include <stdio.h>

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(option, TEXT, "what is to be done, as PR_SET_NO_NEW_PRIVS, or its number")               \
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

/* include/uapi/linux/prctl.h: they are macros, of which the kernel's types know nothing. */
static const struct option {
	uint32_t number;
	const char *name;
} options[] = {
    {1, "PR_SET_PDEATHSIG"},
    {2, "PR_GET_PDEATHSIG"},
    {3, "PR_GET_DUMPABLE"},
    {4, "PR_SET_DUMPABLE"},
    {7, "PR_GET_KEEPCAPS"},
    {8, "PR_SET_KEEPCAPS"},
    {13, "PR_GET_TIMING"},
    {14, "PR_SET_TIMING"},
    {15, "PR_SET_NAME"},
    {16, "PR_GET_NAME"},
    {21, "PR_GET_SECCOMP"},
    {22, "PR_SET_SECCOMP"},
    {23, "PR_CAPBSET_READ"},
    {24, "PR_CAPBSET_DROP"},
    {25, "PR_GET_TSC"},
    {26, "PR_SET_TSC"},
    {27, "PR_GET_SECUREBITS"},
    {28, "PR_SET_SECUREBITS"},
    {29, "PR_SET_TIMERSLACK"},
    {30, "PR_GET_TIMERSLACK"},
    {31, "PR_TASK_PERF_EVENTS_DISABLE"},
    {32, "PR_TASK_PERF_EVENTS_ENABLE"},
    {33, "PR_MCE_KILL"},
    {34, "PR_MCE_KILL_GET"},
    {35, "PR_SET_MM"},
    {36, "PR_SET_CHILD_SUBREAPER"},
    {37, "PR_GET_CHILD_SUBREAPER"},
    {38, "PR_SET_NO_NEW_PRIVS"},
    {39, "PR_GET_NO_NEW_PRIVS"},
    {40, "PR_GET_TID_ADDRESS"},
    {41, "PR_SET_THP_DISABLE"},
    {42, "PR_GET_THP_DISABLE"},
    {47, "PR_CAP_AMBIENT"},
    {52, "PR_GET_SPECULATION_CTRL"},
    {53, "PR_SET_SPECULATION_CTRL"},
    {57, "PR_SET_IO_FLUSHER"},
    {58, "PR_GET_IO_FLUSHER"},
    {59, "PR_SET_SYSCALL_USER_DISPATCH"},
    {62, "PR_SCHED_CORE"},
    {0x53564d41, "PR_SET_VMA"},
    {0x59616d61, "PR_SET_PTRACER"},
    {65, "PR_SET_MDWE"},
    {66, "PR_GET_MDWE"},
    {67, "PR_SET_MEMORY_MERGE"},
    {68, "PR_GET_MEMORY_MERGE"},
};

static void set_option(struct probe_hit *hit, uint32_t number)
{
	char text[16];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].number == number) {
			row_string(hit->row, COLUMN_option, options[i].name);
			return;
		}
	}
	snprintf(text, sizeof(text), "%" PRIu32, number);
	row_string(hit->row, COLUMN_option, text);
}

static enum probe_next enter(struct probe_hit *hit)
{
	uint32_t option = (uint32_t)hit_call_argument(hit, 0);

	set_option(hit, option);
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
