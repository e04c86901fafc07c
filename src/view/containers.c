/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/contained.h"
#include "view/linux_cells.h"

/* Of the container. */
#define OWN(X)                                                                                     \
	X(runtime, TEXT, "docker, containerd, cri-o, podman, lxc, systemd-nspawn, libvirt-lxc")    \
	X(id, TEXT, "its id of 64 digits; of LXC and systemd-nspawn its name")                     \
	X(pod, TEXT, "uid of its Kubernetes pod")                                                  \
	X(pid, INTEGER, "the first of its processes, in the first pid namespace")                  \
	X(processes, INTEGER, "number of its processes")                                           \
	X(cgroup_path, TEXT, "its control group; without a runtime that of its first process")

/* Of its first process; in the order of columns behind those. */
#define FIRST(X)                                                                                   \
	X(hostname, TEXT, "host name")                                                             \
	X(name, TEXT, "the kernel's name for the first process (comm)")                            \
	X(root, TEXT, "root directory of the first process")                                       \
	X(cgroup_namespace, INTEGER, "inode number of its cgroup namespace, as in /proc/PID/ns")   \
	X(ipc_namespace, INTEGER, "inode number of its IPC namespace")                             \
	X(mnt_namespace, INTEGER, "inode number of its mount namespace")                           \
	X(net_namespace, INTEGER, "inode number of its network namespace")                         \
	X(pid_namespace, INTEGER, "inode number of its pid namespace")                             \
	X(user_namespace, INTEGER, "inode number of its user namespace")                           \
	X(uts_namespace, INTEGER, "inode number of its UTS namespace")                             \
	X(time_namespace, INTEGER, "inode number of its time namespace")

#define COLUMNS(X) OWN(X) FIRST(X)

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
static const struct linux_value *const values[] = {FIRST(VIEW_TASK_VALUE)};
_Static_assert(ARRAY_SIZE(values) <= LINUX_CONTAINED_VALUES, "there is room for all of them");

struct containers {
	struct linux_tasks walk;
	struct linux_containers found;
	bool walked;
	size_t next;
};

static struct nunchi_error *containers_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct containers *state = data;

	(void)request;
	state->found.values = values;
	state->found.value_count = ARRAY_SIZE(values);
	return linux_tasks_init(&state->walk, linux_kernel_of(guest), NULL);
}

static void put(struct view_row *row, unsigned column, const struct containers *state,
		const struct linux_contained_cell *cell)
{
	if (cell->result != READ_OK)
		row_unread(row, column, cell->result);
	else if (columns[column].type == NUNCHI_TYPE_TEXT)
		row_text(row, column, state->found.text.data + cell->offset, cell->size);
	else
		row_integer(row, column, cell->number);
}

static struct nunchi_error *containers_next(void *data, struct view_row *row)
{
	struct containers *state = data;
	const struct linux_contained *item;

	if (!state->walked) {
		state->walked = true;
		if (!linux_containers_find(&state->found, &state->walk))
			return &error_nomem;
	}
	if (state->next == state->found.count) {
		row_warn_of_tasks(row, &state->walk);
		if (state->found.unread)
			row_warn(row,
				 "of %llu processes it is not known whether they are in a "
				 "container: %s",
				 (unsigned long long)state->found.unread,
				 read_result_string(state->found.why_unread));
		return &error_stop;
	}
	item = &state->found.items[state->next++];
	if (item->runtime)
		row_string(row, COLUMN_runtime, item->runtime);
	else
		row_unread(row, COLUMN_runtime, READ_NONE);
	put(row, COLUMN_id, state, &item->id);
	put(row, COLUMN_pod, state, &item->pod);
	row_integer(row, COLUMN_pid, item->pid);
	row_integer(row, COLUMN_processes, (int64_t)item->processes);
	put(row, COLUMN_cgroup_path, state, &item->path);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		put(row, COLUMN_hostname + i, state, &item->values[i]);
	return NULL;
}

static void containers_close(void *data)
{
	struct containers *state = data;

	linux_tasks_deinit(&state->walk);
	linux_containers_deinit(&state->found);
}

const struct view view_containers = {
    .schema = {"containers", "containers, found by control groups and pid namespaces", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_runtime) | VIEW_COLUMN_BIT(COLUMN_id) |
		      VIEW_COLUMN_BIT(COLUMN_pid_namespace),
	       .changing = VIEW_COLUMN_BIT(COLUMN_processes)},
    .providers = {{&guest_linux, sizeof(struct containers), containers_open, containers_next,
		   containers_close}},
};
