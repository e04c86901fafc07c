/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(operation, TEXT, "mount or umount")                                                      \
	X(path, TEXT, "where it is mounted")                                                       \
	X(device, TEXT, "what is mounted")                                                         \
	X(type, TEXT, "type of the file system")                                                   \
	X(flags, ADDRESS, "flags of mount(2) or umount2(2)")                                       \
	X(status, INTEGER, "0, or the errno for which it failed")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static void set_path(struct probe_hit *hit, uint64_t address)
{
	struct linux_hit *state = linux_hit_of(hit);
	struct linux_path path;
	enum read_result result = linux_read_path(state->kernel, address, &path);

	buffer_clear(&state->text);
	if (result == READ_OK)
		result = linux_d_path(state->kernel, &path, linux_task_reader_root(&state->task),
				      &state->text);
	row_read_text(hit->row, COLUMN_path, result, &state->text);
}

/* A pointer that mount(2) may be given as NULL. */
static void set_string(struct probe_hit *hit, unsigned column, uint64_t address)
{
	if (address)
		hit_kernel_string(hit, column, address);
	else
		row_absent(hit->row, column, NUNCHI_ABSENT_NOT_APPLICABLE);
}

/* path_mount(device, path, type, flags, data) */
static enum probe_next enter_mount(struct probe_hit *hit)
{
	row_string(hit->row, COLUMN_operation, "mount");
	set_string(hit, COLUMN_device, hit_argument(hit, 0));
	set_path(hit, hit_argument(hit, 1));
	set_string(hit, COLUMN_type, hit_argument(hit, 2));
	row_address(hit->row, COLUMN_flags, hit_argument(hit, 3));
	return PROBE_RETURNS;
}

/* path_umount(path, flags) */
static enum probe_next enter_umount(struct probe_hit *hit)
{
	row_string(hit->row, COLUMN_operation, "umount");
	set_path(hit, hit_argument(hit, 0));
	row_absent(hit->row, COLUMN_device, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_absent(hit->row, COLUMN_type, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_address(hit->row, COLUMN_flags, (uint32_t)hit_argument(hit, 1));
	return PROBE_RETURNS;
}

static bool leave(struct probe_hit *hit)
{
	hit_status(hit, COLUMN_status);
	return true;
}

const struct probe probe_mount = {
    .schema = {"mount", "file systems that are mounted and unmounted: mount(), umount2()", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {{"path_mount", enter_mount, leave}, {"path_umount", enter_umount, leave}}}},
};
