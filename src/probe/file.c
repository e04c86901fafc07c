/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_hit.h"

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(operation, TEXT,                                                                         \
	  "create, unlink, rmdir, mkdir, rename, link, symlink, chmod, chown, truncate")           \
	X(path, TEXT, "path of the file")                                                          \
	X(dest_path, TEXT, "its new path, or what a symbolic link refers to")                      \
	X(mode, OCTAL, "new permissions")                                                          \
	X(owner, INTEGER, "new user id; absent if it stays")                                       \
	X(group, INTEGER, "new group id; absent if it stays")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/*
 * Most operations leave most columns empty. The hooks are those of security modules, which are
 * called when the kernel has found the file, before it is changed: security/security.c.
 */
static void begin(struct probe_hit *hit, const char *operation)
{
	for (unsigned i = COLUMN_dest_path; i <= COLUMN_group; i++)
		row_absent(hit->row, i, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_string(hit->row, COLUMN_operation, operation);
}

/* The path of a dentry in the directory whose struct path is at an address; 0: the path itself. */
static void set_path(struct probe_hit *hit, unsigned column, uint64_t path_address, uint64_t dentry)
{
	struct linux_hit *state = linux_hit_of(hit);
	struct linux_path path;
	enum read_result result = linux_read_path(state->kernel, path_address, &path);
	bool below;

	if (dentry)
		path.dentry = dentry;
	buffer_clear(&state->text);
	if (result == READ_OK)
		result =
		    linux_path_below(state->kernel, &path, linux_task_reader_root(&state->task),
				     &state->text, &below);
	row_read_text(hit->row, column, result, &state->text);
}

static enum probe_next enter_unlink(struct probe_hit *hit)
{
	begin(hit, "unlink");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	return PROBE_ROW;
}

static enum probe_next enter_rmdir(struct probe_hit *hit)
{
	begin(hit, "rmdir");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	return PROBE_ROW;
}

static enum probe_next enter_mkdir(struct probe_hit *hit)
{
	begin(hit, "mkdir");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	row_integer(hit->row, COLUMN_mode, hit_argument(hit, 2) & 07777);
	return PROBE_ROW;
}

static enum probe_next enter_symlink(struct probe_hit *hit)
{
	begin(hit, "symlink");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	hit_kernel_string(hit, COLUMN_dest_path, hit_argument(hit, 2));
	return PROBE_ROW;
}

static enum probe_next enter_rename(struct probe_hit *hit)
{
	begin(hit, "rename");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	set_path(hit, COLUMN_dest_path, hit_argument(hit, 2), hit_argument(hit, 3));
	return PROBE_ROW;
}

/* security_path_link(old dentry, new directory, new dentry): both are on one mount. */
static enum probe_next enter_link(struct probe_hit *hit)
{
	begin(hit, "link");
	set_path(hit, COLUMN_path, hit_argument(hit, 1), hit_argument(hit, 0));
	set_path(hit, COLUMN_dest_path, hit_argument(hit, 1), hit_argument(hit, 2));
	return PROBE_ROW;
}

static enum probe_next enter_chmod(struct probe_hit *hit)
{
	begin(hit, "chmod");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), 0);
	row_integer(hit->row, COLUMN_mode, hit_argument(hit, 1) & 07777);
	return PROBE_ROW;
}

static void set_id(struct probe_hit *hit, unsigned column, uint32_t id)
{
	if (id != UINT32_MAX)
		row_integer(hit->row, column, id);
}

static enum probe_next enter_chown(struct probe_hit *hit)
{
	begin(hit, "chown");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), 0);
	set_id(hit, COLUMN_owner, (uint32_t)hit_argument(hit, 1));
	set_id(hit, COLUMN_group, (uint32_t)hit_argument(hit, 2));
	return PROBE_ROW;
}

/* security_path_mknod(directory, dentry, mode, device), also for a file that open() makes */
static enum probe_next enter_create(struct probe_hit *hit)
{
	begin(hit, "create");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), hit_argument(hit, 1));
	row_integer(hit->row, COLUMN_mode, hit_argument(hit, 2) & 07777);
	return PROBE_ROW;
}

/* security_file_truncate(file): of an open file, since 6.2 */
static enum probe_next enter_file_truncate(struct probe_hit *hit)
{
	const struct field *path = &linux_hit_of(hit)->kernel->layout.file_path;

	begin(hit, "truncate");
	set_path(hit, COLUMN_path, hit_argument(hit, 0) + path->offset, 0);
	return PROBE_ROW;
}

static enum probe_next enter_truncate(struct probe_hit *hit)
{
	begin(hit, "truncate");
	set_path(hit, COLUMN_path, hit_argument(hit, 0), 0);
	return PROBE_ROW;
}

const struct probe probe_file = {
    .schema = {"file", "files that are removed, renamed, linked, made or changed", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {
		       {"security_path_unlink", enter_unlink, NULL},
		       {"security_path_rmdir", enter_rmdir, NULL},
		       {"security_path_mkdir", enter_mkdir, NULL},
		       {"security_path_symlink", enter_symlink, NULL},
		       {"security_path_rename", enter_rename, NULL},
		       {"security_path_link", enter_link, NULL},
		       {"security_path_chmod", enter_chmod, NULL},
		       {"security_path_chown", enter_chown, NULL},
		       {"security_path_truncate", enter_truncate, NULL},
		       {"security_path_mknod", enter_create, NULL, .optional = true},
		       {"security_file_truncate", enter_file_truncate, NULL, .optional = true},
		   }}},
};
