/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/task_rows.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id, in the first pid namespace")                                  \
	X(cgroup_namespace, INTEGER, "inode number of the cgroup namespace, as in /proc/PID/ns")   \
	X(ipc_namespace, INTEGER, "inode number of the IPC namespace")                             \
	X(mnt_namespace, INTEGER, "inode number of the mount namespace")                           \
	X(net_namespace, INTEGER, "inode number of the network namespace")                         \
	X(pid_namespace, INTEGER, "inode number of the pid namespace")                             \
	X(user_namespace, INTEGER, "inode number of the user namespace")                           \
	X(uts_namespace, INTEGER, "inode number of the UTS namespace, which has the host name")    \
	X(time_namespace, INTEGER, "inode number of the time namespace")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
static const struct linux_value *const values[] = {COLUMNS(VIEW_TASK_VALUE)};

static struct nunchi_error *namespaces_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	return task_rows_open(data, guest, request, values, ARRAY_SIZE(values));
}

const struct view view_process_namespaces = {
    .schema = {"process_namespaces", "namespaces of processes", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid)},
    .providers = {{&guest_linux, sizeof(struct task_rows), namespaces_open, task_rows_next,
		   task_rows_close}},
};
