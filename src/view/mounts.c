/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mounts.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(device, TEXT, "what is mounted, as it was named when mounted")                           \
	X(path, TEXT, "where, as a process that enters the namespace sees it")                     \
	X(type, TEXT, "file system, with its subtype if it has one (fuse.sshfs)")                  \
	X(flags, TEXT, "options of this mount (ro, nosuid …), as in /proc/PID/mountinfo")          \
	X(root, TEXT, "which directory of the file system")                                        \
	X(device_number, TEXT, "MAJOR:MINOR of the file system, decimal")                          \
	X(mount_id, INTEGER, "number of the mount")                                                \
	X(parent_id, INTEGER, "number of the mount it lies on")                                    \
	X(mount_namespace, INTEGER, "number of the namespace, as in /proc/PID/ns/mnt")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* Limit of the mounts examined in all namespaces together. */
#define MAX_TOTAL ((uint64_t)4 << 20)

struct mounts {
	struct process_walk processes;
	const struct view_request *request;
	struct linux_mounts walk;
	size_t next;
	uint64_t total;
	struct hash_map namespaces; /* namespaces shown so far */
	struct object mount;
};

static struct nunchi_error *mounts_open(void *data, struct guest_kernel *guest,
					const struct view_request *request)
{
	struct mounts *state = data;
	struct nunchi_error *err =
	    process_walk_open(&state->processes, guest, NULL, linux_mounts_check);

	if (err)
		return err;
	state->request = request;
	hash_map_init(&state->namespaces);
	linux_mounts_init(&state->walk, state->processes.kernel);
	return NULL;
}

/* Gives the content of state->text to a column and clears it. */
static void put_text(struct mounts *state, struct view_row *row, unsigned column,
		     enum read_result result)
{
	row_read_text(row, column, result, &state->processes.text);
	buffer_clear(&state->processes.text);
}

static bool fill(void *data, struct view_row *row)
{
	struct mounts *state = data;
	struct linux_kernel *kernel = state->processes.kernel;
	struct buffer *text = &state->processes.text;
	enum read_result result, path;
	struct linux_mount mount;

	buffer_clear(text);
	result =
	    linux_mounts_get(&state->walk, state->next - 1, &state->mount, &mount, text, &path);
	if (result != READ_OK && result != READ_NONE)
		row_warn(row, "a mount of namespace %llu cannot be read: %s",
			 (unsigned long long)state->walk.inum, read_result_string(result));
	if (result != READ_OK || !mount.is_seen)
		return false;
	put_text(state, row, COLUMN_path, path);
	put_text(state, row, COLUMN_device, linux_mount_device(kernel, &state->mount, text));
	put_text(state, row, COLUMN_type, linux_mount_type(kernel, mount.super_block, text));
	put_text(state, row, COLUMN_flags, linux_mount_flags(kernel, &state->mount, text));
	if (view_wants(state->request, COLUMN_root))
		put_text(state, row, COLUMN_root, linux_dentry_path(kernel, mount.root, text));
	buffer_printf(text, "%llu:%llu", (unsigned long long)mount.device >> 20,
		      (unsigned long long)mount.device & 0xfffff);
	put_text(state, row, COLUMN_device_number, mount.device_result);
	row_read_integer(row, COLUMN_mount_id, mount.id_result, mount.id);
	row_read_integer(row, COLUMN_parent_id, mount.parent_result, mount.parent_id);
	row_integer(row, COLUMN_mount_namespace, (int64_t)state->walk.inum);
	return true;
}

/* Collects the mounts of the current process, unless its namespace was shown before. */
static struct nunchi_error *collect(struct mounts *state, struct view_row *row)
{
	struct process_walk *processes = &state->processes;
	_cleanup_error_ struct nunchi_error *err = NULL;
	enum hash_result met;
	uint64_t namespace;
	enum read_result result =
	    linux_task_mounts(processes->kernel, &processes->task, &namespace);

	process_walk_warn(processes, row, result, "its mount namespace cannot be read");
	if (result != READ_OK)
		return NULL;
	met = hash_map_insert(&state->namespaces, namespace, 0);
	if (met != HASH_INSERTED)
		return met == HASH_NOMEM ? &error_nomem : NULL;
	err = linux_mounts_collect(&state->walk, namespace);
	if (err) {
		state->walk.count = 0;
		row_warn(row, "%s", nunchi_error_message(err));
		return NULL;
	}
	if (state->walk.broken)
		row_warn(row, "the mounts of namespace %llu are cut short after %zu: %s",
			 (unsigned long long)state->walk.inum, state->walk.count,
			 read_result_string(state->walk.broken));
	if (state->walk.root_result != READ_OK && state->walk.root_result != READ_NO_LAYOUT)
		row_warn(row,
			 "the root of mount namespace %llu cannot be read: %s; paths are shown "
			 "from the topmost mount",
			 (unsigned long long)state->walk.inum,
			 read_result_string(state->walk.root_result));
	state->total += state->walk.count;
	return NULL;
}

static struct nunchi_error *mounts_next(void *data, struct view_row *row)
{
	struct mounts *state = data;
	struct nunchi_error *err;

	for (;;) {
		while (state->next < state->walk.count) {
			state->next++;
			if (row_settle(row, &state->processes.kernel->guest, UINT64_MAX, fill,
				       state))
				return NULL;
		}
		state->walk.count = state->next = 0;
		if (state->total >= MAX_TOTAL) {
			row_warn(row, "only the first %llu mounts are shown",
				 (unsigned long long)state->total);
			return &error_stop;
		}
		if (!process_walk_next(&state->processes, row))
			return &error_stop;
		err = collect(state, row);
		if (err)
			return err;
	}
}

static void mounts_close(void *data)
{
	struct mounts *state = data;

	process_walk_close(&state->processes);
	linux_mounts_deinit(&state->walk);
	hash_map_deinit(&state->namespaces);
	object_deinit(&state->mount);
}

const struct view view_mounts = {
    .schema = {"mounts", "what is mounted, in every mount namespace that a process is in", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_mount_namespace) | VIEW_COLUMN_BIT(COLUMN_mount_id)},
    .providers = {{&guest_linux, sizeof(struct mounts), mounts_open, mounts_next, mounts_close}},
};
