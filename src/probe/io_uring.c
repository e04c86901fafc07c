/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(operation, TEXT,                                                                         \
	  "setup, or what is to be done by its name in the kernel, as "                            \
	  "IORING_OP_OPENAT")                                                                      \
	X(entries, INTEGER, "of setup: size of the queue that is asked for")                       \
	X(user_data, ADDRESS, "of an operation: the number by which the program knows it")         \
	X(result, INTEGER, "of setup: the new file descriptor; absent if it failed")               \
	X(status, INTEGER, "of setup: 0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* io_uring_setup(entries, parameters) */
static enum probe_next enter_setup(struct probe_hit *hit)
{
	row_string(hit->row, COLUMN_operation, "setup");
	row_integer(hit->row, COLUMN_entries, (uint32_t)hit_call_argument(hit, 0));
	row_absent(hit->row, COLUMN_user_data, NUNCHI_ABSENT_NOT_APPLICABLE);
	return PROBE_RETURNS;
}

static bool leave_setup(struct probe_hit *hit)
{
	hit_returned(hit, COLUMN_result, COLUMN_status);
	return true;
}

/* io_issue_sqe(request, …), also when a thread of the kernel tries it again for the process */
static enum probe_next enter_operation(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t request = hit_argument(hit, 0), opcode, user_data = 0;
	enum read_result result =
	    linux_read_field(kernel, request, &layout->io_kiocb_opcode, &opcode);

	if (result == READ_OK)
		hit_enum_name(hit, COLUMN_operation, "IORING_OP_NOP", (int64_t)opcode);
	else
		row_unread(hit->row, COLUMN_operation, result);
	result = linux_read_field(kernel, request, &layout->io_kiocb_user_data, &user_data);
	if (result == READ_OK)
		row_address(hit->row, COLUMN_user_data, user_data);
	else
		row_unread(hit->row, COLUMN_user_data, result);
	row_absent(hit->row, COLUMN_entries, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_absent(hit->row, COLUMN_result, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_absent(hit->row, COLUMN_status, NUNCHI_ABSENT_NOT_APPLICABLE);
	return PROBE_ROW;
}

const struct probe probe_io_uring = {
    .schema = {"io_uring",
	       "what a process has done by io_uring, for which it makes no system call each",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {CALL_HOOKS("io_uring_setup", enter_setup, leave_setup),
		    {"io_issue_sqe", enter_operation, NULL}}}},
};
