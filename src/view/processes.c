/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/fetch.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id, in the first pid namespace")                                  \
	X(name, TEXT, "the kernel's name for it (comm); kernel threads in full")                   \
	X(path, TEXT, "path of the executable")                                                    \
	X(cmdline, TEXT, "command line, arguments separated by spaces")                            \
	X(state, TEXT, "R running, S sleeping, D waiting, T stopped, t traced, Z zombie, I idle")  \
	X(cwd, TEXT, "current working directory")                                                  \
	X(root, TEXT, "root directory")                                                            \
	X(uid, INTEGER, "real user id")                                                            \
	X(gid, INTEGER, "real group id")                                                           \
	X(euid, INTEGER, "effective user id")                                                      \
	X(egid, INTEGER, "effective group id")                                                     \
	X(suid, INTEGER, "saved user id")                                                          \
	X(sgid, INTEGER, "saved group id")                                                         \
	X(on_disk, INTEGER, "1 if the executable still exists, 0 if deleted, -1 if there is none") \
	X(resident_size, BYTES, "bytes of its memory that are in RAM")                             \
	X(total_size, BYTES, "bytes of its address space in use")                                  \
	X(user_time, MILLISECONDS, "CPU time in user mode, milliseconds")                          \
	X(system_time, MILLISECONDS, "CPU time in the kernel, milliseconds")                       \
	X(start_time, UNIX_TIME, "start, seconds since 1970, by the guest's clock")                \
	X(parent, INTEGER, "process id of the parent")                                             \
	X(pgroup, INTEGER, "process group id")                                                     \
	X(session, INTEGER, "session id")                                                          \
	X(threads, INTEGER, "number of threads")                                                   \
	X(nice, INTEGER, "nice value, -20 (most favoured) to 19")                                  \
	X(cgroup_path, TEXT, "control group, version 2")                                           \
	X(is_kernel_thread, INTEGER, "1 for a thread of the kernel")                               \
	X(pid_namespace, INTEGER, "inode number of the pid namespace")                             \
	X(mount_namespace, INTEGER, "inode number of the mount namespace")                         \
	X(page_table_root, ADDRESS, "guest-physical address of its page table (CR3)")              \
	X(task, ADDRESS, "address of its task_struct")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static const struct linux_value *const values[] = {COLUMNS(VIEW_TASK_VALUE)};

/* Columns that change all the time while a process runs. */
#define UNSTABLE                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_state) | VIEW_COLUMN_BIT(COLUMN_resident_size) |                   \
	 VIEW_COLUMN_BIT(COLUMN_total_size) | VIEW_COLUMN_BIT(COLUMN_user_time) |                  \
	 VIEW_COLUMN_BIT(COLUMN_system_time) | VIEW_COLUMN_BIT(COLUMN_threads))

struct processes {
	const struct view_request *request;
	struct linux_tasks walk;
	struct linux_task task;
	struct buffer text;
};

static bool fill(void *data, struct view_row *row)
{
	struct processes *state = data;
	struct linux_task *task = &state->task;

	if (linux_task_take(task) != READ_OK)
		return false;
	row_task_values(row, state->request, values, ARRAY_SIZE(values), task, &state->text);
	if (!task->kernel->guest.live)
		return true;
	if (!linux_task_is_same(task->kernel, &task->task))
		row_changed(row);
	/* If the process is not on the list any more, it ended while it was read. */
	return linux_task_is_listed(task->kernel, &task->task, false);
}

static struct nunchi_error *processes_open(void *data, struct guest_kernel *guest,
					   const struct view_request *request)
{
	struct processes *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err =
	    linux_tasks_init(&state->walk, kernel, request->numbers[COLUMN_pid]);

	if (err)
		return err;
	state->request = request;
	linux_task_init(&state->task, kernel, false);
	task_values_need(&state->task, request, values, ARRAY_SIZE(values));
	if (!request->numbers[COLUMN_pid])
		linux_fetch_processes(kernel, state->task.fetch);
	return NULL;
}

static struct nunchi_error *processes_next(void *data, struct view_row *row)
{
	struct processes *state = data;

	while (linux_tasks_next(&state->walk, &state->task.task)) {
		if (row_settle(row, &state->task.kernel->guest, ~UNSTABLE & state->request->columns,
			       fill, state))
			return NULL;
	}
	row_warn_of_tasks(row, &state->walk);
	return &error_stop;
}

static void processes_close(void *data)
{
	struct processes *state = data;

	linux_tasks_deinit(&state->walk);
	linux_task_deinit(&state->task);
	buffer_deinit(&state->text);
}

const struct view view_processes = {
    .schema = {"processes", "running processes, kernel threads among them", columns,
	       ARRAY_SIZE(columns), .key = VIEW_COLUMN_BIT(COLUMN_pid),
	       .changing = UNSTABLE | VIEW_COLUMN_BIT(COLUMN_start_time)},
    .providers = {{&guest_linux, sizeof(struct processes), processes_open, processes_next,
		   processes_close}},
};
