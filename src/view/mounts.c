/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mounts.h"

#include "core/hash.h"
#include "guest/linux/task.h"
#include "view/task_cells.h"

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

/* Mounts looked at in all namespaces together. */
#define MAX_TOTAL ((uint64_t)4 << 20)

struct mounts {
	struct linux_kernel *kernel;
	const struct view_request *request;
	struct linux_tasks tasks;
	struct linux_mounts walk;
	size_t next;
	uint64_t total;
	struct hash_map namespaces; /* seen */
	struct object task, mount;
	struct buffer text;
};

static struct nunchi_error *mounts_open(void *data, struct guest_kernel *guest,
					const struct view_request *request)
{
	struct mounts *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	struct nunchi_error *err = linux_tasks_init(&state->tasks, kernel, NULL);

	if (err)
		return err;
	if (!layout->task_nsproxy.present || !linux_has_field(kernel, &layout->nsproxy_mnt_ns) ||
	    !layout->mount_root.present) {
		linux_tasks_deinit(&state->tasks);
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "mounts cannot be walked: this kernel's types lack a field of "
				    "task_struct, nsproxy or mount");
	}
	state->kernel = kernel;
	state->request = request;
	hash_map_init(&state->namespaces);
	linux_mounts_init(&state->walk, kernel);
	return NULL;
}

static void put_text(struct mounts *state, struct view_row *row, unsigned column,
		     enum memory_fault fault)
{
	if (fault == MEMORY_OK)
		row_text(row, column, buffer_string(&state->text), state->text.size);
	else
		row_absent(row, column, row_absence_of(fault));
	buffer_clear(&state->text);
}

static void fill_device(struct mounts *state, struct view_row *row)
{
	uint64_t name = object_u64(&state->mount, &state->kernel->layout.mount_devname);
	char text[LINUX_PATH_MAX];
	enum memory_fault fault;
	size_t size;

	if (!name) {
		row_string(row, COLUMN_device, "none");
		return;
	}
	fault = linux_read_string(state->kernel, name, text, sizeof(text), &size);
	if (fault == MEMORY_OK)
		row_text(row, COLUMN_device, text, size);
	else
		row_absent(row, COLUMN_device, row_absence_of(fault));
}

static void fill_file_system(struct mounts *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t super = object_u64(&state->mount, &layout->mount_sb);
	enum memory_fault fault;
	uint64_t device;

	fault = linux_read_field(kernel, super, &layout->super_dev, &device);
	if (fault == MEMORY_OK)
		buffer_printf(&state->text, "%llu:%llu", (unsigned long long)device >> 20,
			      (unsigned long long)device & 0xfffff);
	put_text(state, row, COLUMN_device_number, fault);
	put_text(state, row, COLUMN_type, linux_mount_type(kernel, super, &state->text));
	if (view_wants(state->request, COLUMN_root))
		put_text(state, row, COLUMN_root,
			 linux_dentry_path(kernel, object_u64(&state->mount, &layout->mount_root),
					   &state->text));
	linux_mount_flags(kernel, &state->mount, &state->text);
	put_text(state, row, COLUMN_flags, MEMORY_OK);
}

static bool fill(void *data, struct view_row *row)
{
	struct mounts *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t address = state->walk.mounts[state->next - 1], parent;
	const struct linux_path *root = state->walk.root.mnt ? &state->walk.root : NULL;
	struct linux_path path = {.mnt = address + layout->mount_vfsmount.offset};
	enum memory_fault fault;
	bool below = true;

	if (linux_read_object(kernel, LAYOUT_mount, address, &state->mount) != MEMORY_OK ||
	    (layout->mount_ns.present &&
	     object_u64(&state->mount, &layout->mount_ns) != state->walk.namespace))
		return false;
	path.dentry = object_u64(&state->mount, &layout->mount_root);
	buffer_clear(&state->text);
	fault = linux_path_below(kernel, &path, root, &state->text, &below);
	if (fault == MEMORY_OK && root && !below)
		return false;
	put_text(state, row, COLUMN_path, fault);
	fill_device(state, row);
	fill_file_system(state, row);
	row_integer(row, COLUMN_mount_id, object_s64(&state->mount, &layout->mount_id));
	if (linux_read_field(kernel, object_u64(&state->mount, &layout->mount_parent),
			     &layout->mount_id, &parent) == MEMORY_OK)
		row_integer(row, COLUMN_parent_id, (int32_t)parent);
	else
		row_absent(row, COLUMN_parent_id, NUNCHI_ABSENT_NOT_MAPPED);
	row_integer(row, COLUMN_mount_namespace, (int64_t)state->walk.inum);
	return true;
}

/* The namespace of a task if it was not met before, else 0. */
static uint64_t new_namespace(struct mounts *state)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t nsproxy = object_u64(&state->task, &layout->task_nsproxy);
	uint64_t namespace;

	/* A zombie has none any more. */
	if (!nsproxy ||
	    linux_read_field(kernel, nsproxy, &layout->nsproxy_mnt_ns, &namespace) != MEMORY_OK)
		return 0;
	if (hash_map_insert(&state->namespaces, namespace, 0) != HASH_INSERTED)
		return 0;
	return namespace;
}

/* Collects the next namespace's mounts; false at the end of the processes. */
static bool next_namespace(struct mounts *state, struct view_row *row)
{
	state->walk.count = 0;
	state->next = 0;
	while (state->total < MAX_TOTAL && linux_tasks_next(&state->tasks, &state->task)) {
		uint64_t namespace = new_namespace(state);
		_cleanup_error_ struct nunchi_error *err = NULL;

		if (!namespace)
			continue;
		err = linux_mounts_collect(&state->walk, namespace);
		if (err) {
			state->walk.count = 0;
			row_warn(row, "%s", nunchi_error_message(err));
			continue;
		}
		if (state->walk.broken)
			row_warn(row, "the mounts of namespace %llu are cut short after %zu",
				 (unsigned long long)state->walk.inum, state->walk.count);
		state->total += state->walk.count;
		return true;
	}
	return false;
}

static struct nunchi_error *mounts_next(void *data, struct view_row *row)
{
	struct mounts *state = data;

	do {
		while (state->next < state->walk.count) {
			state->next++;
			if (row_settle(row, &state->kernel->guest, UINT64_MAX, fill, state))
				return NULL;
		}
	} while (next_namespace(state, row));
	if (state->total >= MAX_TOTAL)
		row_warn(row, "only the first %llu mounts are shown",
			 (unsigned long long)state->total);
	task_list_ended(row, &state->tasks);
	return &error_stop;
}

static void mounts_close(void *data)
{
	struct mounts *state = data;

	linux_tasks_deinit(&state->tasks);
	linux_mounts_deinit(&state->walk);
	hash_map_deinit(&state->namespaces);
	object_deinit(&state->task);
	object_deinit(&state->mount);
	buffer_deinit(&state->text);
}

const struct view view_mounts = {
    .schema = {"mounts", "what is mounted, in every mount namespace that a process is in", columns,
	       ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct mounts), mounts_open, mounts_next, mounts_close}},
};
