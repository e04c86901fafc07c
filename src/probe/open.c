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

/* include/uapi/asm-generic/fcntl.h; the same for programs of 32 and of 64 bits */
static const struct hit_flag flags[] = {
    {0100, "O_CREAT"},        {0200, "O_EXCL"},         {0400, "O_NOCTTY"},
    {01000, "O_TRUNC"},       {02000, "O_APPEND"},      {04000, "O_NONBLOCK"},
    {04010000, "O_SYNC"},     {010000, "O_DSYNC"},      {020000, "O_ASYNC"},
    {040000, "O_DIRECT"},     {0100000, "O_LARGEFILE"}, {020200000, "O_TMPFILE"},
    {0200000, "O_DIRECTORY"}, {0400000, "O_NOFOLLOW"},  {01000000, "O_NOATIME"},
    {02000000, "O_CLOEXEC"},  {010000000, "O_PATH"},
};

static void set_flags(struct probe_hit *hit)
{
	static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "3"};
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	uint64_t value;
	enum read_result result;

	result =
	    linux_read_field(kernel, hit_argument(hit, 2), &kernel->layout.open_flags_flag, &value);
	if (result == READ_OK)
		hit_flags(hit, COLUMN_flags, access[value & 3], value & ~3ULL, flags,
			  ARRAY_SIZE(flags));
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
