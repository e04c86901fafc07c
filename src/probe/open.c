/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(path, TEXT, "path, as the program gave it")                                              \
	X(directory, INTEGER, "file descriptor to which a path without / is relative; -100: cwd")  \
	X(cwd, TEXT, "current working directory")                                                  \
	X(flags, TEXT, "access and flags of open(2), as O_RDWR|O_CREAT")                           \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static void set_flags(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	uint64_t value;
	enum read_result result;

	result =
	    linux_read_field(kernel, hit_argument(hit, 2), &kernel->layout.open_flags_flag, &value);
	if (result == READ_OK)
		hit_flags(hit, COLUMN_flags, &flags_open, value);
	else
		row_unread(hit->row, COLUMN_flags, result);
}

static enum probe_next enter(struct probe_hit *hit)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	enum read_result result;
	uint64_t name = 0;

	result =
	    linux_read_field(kernel, hit_argument(hit, 1), &kernel->layout.filename_name, &name);
	if (result == READ_OK)
		hit_kernel_string(hit, COLUMN_path, name);
	else
		row_unread(hit->row, COLUMN_path, result);
	row_integer(hit->row, COLUMN_directory, (int32_t)hit_argument(hit, 0));
	hit_task_value(hit, COLUMN_cwd, &linux_value_cwd);
	set_flags(hit);
	return view_wants(hit->request, COLUMN_status) ? PROBE_RETURNS : PROBE_ROW;
}

static bool leave(struct probe_hit *hit)
{
	hit_pointer_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_open = {
    .schema = {"open", "files that are opened: open(), openat(), openat2(), creat(), io_uring",
	       columns, ARRAY_SIZE(columns)},
    /* fs/namei.c; renamed in 7.0 */
    .providers = {{&guest_linux, {{"do_filp_open do_file_open", enter, leave}}}},
};
