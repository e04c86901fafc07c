/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/task_cells.h"

#define COLUMNS(X)                                                                                 \
	X(tid, INTEGER, "thread id, in the first pid namespace")                                   \
	X(tgid, INTEGER, "process id of the thread's process")                                     \
	X(name, TEXT, "the kernel's name for it (comm); kernel threads in full")                   \
	X(state, TEXT, "R running, S sleeping, D waiting, T stopped, t traced, Z zombie, I idle")  \
	X(uid, INTEGER, "real user id")                                                            \
	X(euid, INTEGER, "effective user id")                                                      \
	X(nice, INTEGER, "nice value, -20 (most favoured) to 19")                                  \
	X(cpu, INTEGER, "CPU it runs on or last ran on")                                           \
	X(user_time, MILLISECONDS, "CPU time in user mode, milliseconds")                               \
	X(system_time, MILLISECONDS, "CPU time in the kernel, milliseconds")                            \
	X(start_time, UNIX_TIME, "start, seconds since 1970, by the guest's clock")                  \
	X(is_kernel_thread, INTEGER, "1 for a thread of the kernel")                               \
	X(task, ADDRESS, "address of its task_struct")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

#define UNSTABLE                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_state) | VIEW_COLUMN_BIT(COLUMN_cpu) |                             \
	 VIEW_COLUMN_BIT(COLUMN_user_time) | VIEW_COLUMN_BIT(COLUMN_system_time))

struct threads {
	struct linux_kernel *kernel;
	struct linux_tasks processes;
	struct linux_threads walk;
	bool walking;
	bool cut;      /* a list of threads was not walked to its end */
	uint64_t left; /* threads still to be looked at in all */
	struct hash_map seen;
	struct object leader, task, cred;
	struct buffer name;
	struct linux_clock clock;
	bool has_clock;
};

static void put_credentials(struct threads *state, struct view_row *row)
{
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;

	linux_read_object(kernel, LAYOUT_cred, object_u64(&state->task, &layout->task_real_cred),
			  &state->cred);
	row_field_unsigned(row, COLUMN_uid, &state->cred, &layout->cred_uid);
	row_field_unsigned(row, COLUMN_euid, &state->cred, &layout->cred_euid);
}

static bool fill(void *data, struct view_row *row)
{
	struct threads *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	struct object *task = &state->task;
	struct linux_cpu_time time;
	bool has_time;

	if (linux_read_object(kernel, LAYOUT_task, task->address, task) != MEMORY_OK)
		return false;
	row_field(row, COLUMN_tid, task, &layout->task_pid);
	row_field(row, COLUMN_tgid, task, &layout->task_tgid);
	task_cell_name(row, COLUMN_name, kernel, task, &state->name);
	task_cell_state(row, COLUMN_state, kernel, task);
	task_cell_nice(row, COLUMN_nice, kernel, task);
	row_field(row, COLUMN_cpu, task, &layout->task_cpu);
	has_time = linux_thread_cpu_time(kernel, task, &time);
	task_cells_cpu_time(row, COLUMN_user_time, COLUMN_system_time, has_time ? &time : NULL,
			    NUNCHI_ABSENT_NO_LAYOUT);
	task_cell_is_kernel_thread(row, COLUMN_is_kernel_thread, kernel, task);
	row_address(row, COLUMN_task, task->address);
	task_cell_start_time(row, COLUMN_start_time, kernel, task,
			     state->has_clock ? &state->clock : NULL);
	put_credentials(state, row);
	if (!kernel->guest.live)
		return true;
	if (!linux_task_is_same(kernel, task))
		row_changed(row);
	/* Taken off the list: the thread ended while it was looked at. */
	return linux_list_holds(kernel, task->address + layout->task_thread_node.offset);
}

static struct nunchi_error *threads_open(void *data, struct guest_kernel *guest,
					 const struct view_request *request)
{
	struct threads *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout;
	struct nunchi_error *err;

	err = linux_tasks_init(&state->processes, kernel, request->numbers[COLUMN_tgid]);
	if (err)
		return err;
	layout = linux_layout(kernel, LAYOUT_GROUP_process);
	if (!layout->task_signal.present || !layout->signal_thread_head.present ||
	    !layout->task_thread_node.present) {
		linux_tasks_deinit(&state->processes);
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "threads cannot be walked: this kernel's types lack "
				    "task_struct.signal, task_struct.thread_node or "
				    "signal_struct.thread_head");
	}
	state->kernel = kernel;
	state->left = LINUX_MAX_TASKS;
	hash_map_init(&state->seen);
	buffer_init(&state->name, 0);
	state->has_clock = linux_clock_read(kernel, &state->clock);
	return NULL;
}

/* The walk over a process's threads came to its end, or to where it cannot go on. */
static void end_walk(struct threads *state, struct view_row *row)
{
	uint64_t node = state->leader.address + state->kernel->layout.task_tasks.offset;

	if (!state->walking || !state->walk.list.broken)
		return;
	/* A process that ended meanwhile has no threads any more. */
	if (state->kernel->guest.live && !linux_list_holds(state->kernel, node))
		return;
	row_warn(row, "a list of threads is cut short: a link is broken");
	state->cut = true;
}

static struct nunchi_error *threads_next(void *data, struct view_row *row)
{
	struct threads *state = data;

	for (;;) {
		while (state->walking && state->left &&
		       linux_threads_next(&state->walk, &state->task)) {
			state->left--;
			if (row_settle(row, &state->kernel->guest, ~UNSTABLE, fill, state))
				return NULL;
		}
		end_walk(state, row);
		if (!state->left || !linux_tasks_next(&state->processes, &state->leader))
			break;
		state->walking =
		    linux_threads_init(&state->walk, state->kernel, &state->leader, &state->seen);
	}
	if (!state->left)
		row_warn(row, "more than %llu threads are not shown",
			 (unsigned long long)LINUX_MAX_TASKS);
	task_list_ended(row, &state->processes);
	if (state->cut)
		row_torn(row);
	return &error_stop;
}

static void threads_close(void *data)
{
	struct threads *state = data;

	linux_tasks_deinit(&state->processes);
	hash_map_deinit(&state->seen);
	buffer_deinit(&state->name);
	object_deinit(&state->leader);
	object_deinit(&state->task);
	object_deinit(&state->cred);
}

const struct view view_threads = {
    .schema = {"threads", "threads of all processes, each process's first thread among them",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct threads), threads_open, threads_next,
		   threads_close}},
};
