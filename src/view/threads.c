/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(tid, INTEGER, "thread id, in the first pid namespace")                                   \
	X(tgid, INTEGER, "process id of the thread's process")                                     \
	X(name, TEXT, "the kernel's name for it (comm); kernel threads in full")                   \
	X(state, TEXT, "R running, S sleeping, D waiting, T stopped, t traced, Z zombie, I idle")  \
	X(uid, INTEGER, "real user id")                                                            \
	X(euid, INTEGER, "effective user id")                                                      \
	X(nice, INTEGER, "nice value, -20 (most favoured) to 19")                                  \
	X(cpu, INTEGER, "CPU it runs on or last ran on")                                           \
	X(user_time, MILLISECONDS, "CPU time in user mode, milliseconds")                          \
	X(system_time, MILLISECONDS, "CPU time in the kernel, milliseconds")                       \
	X(start_time, UNIX_TIME, "start, seconds since 1970, by the guest's clock")                \
	X(is_kernel_thread, INTEGER, "1 for a thread of the kernel")                               \
	X(task, ADDRESS, "address of its task_struct")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
static const struct linux_value *const values[] = {COLUMNS(VIEW_TASK_VALUE)};

/* Columns that change all the time while a thread runs. */
#define UNSTABLE                                                                                   \
	(VIEW_COLUMN_BIT(COLUMN_state) | VIEW_COLUMN_BIT(COLUMN_cpu) |                             \
	 VIEW_COLUMN_BIT(COLUMN_user_time) | VIEW_COLUMN_BIT(COLUMN_system_time))

struct threads {
	const struct view_request *request;
	struct process_walk processes;
	struct linux_threads walk;
	bool walking;
	uint64_t left; /* number of threads that may still be read in the whole query */
	struct hash_map seen;
	struct linux_task thread;
};

static bool fill(void *data, struct view_row *row)
{
	struct threads *state = data;
	struct linux_task *thread = &state->thread;

	if (linux_task_take(thread) != READ_OK)
		return false;
	row_task_values(row, state->request, values, ARRAY_SIZE(values), thread,
			&state->processes.text);
	if (!thread->kernel->guest.live)
		return true;
	if (!linux_task_is_same(thread->kernel, &thread->task))
		row_changed(row);
	/* If the thread is not on the list any more, it ended while it was read. */
	return linux_task_is_listed(thread->kernel, &thread->task, true);
}

static struct nunchi_error *threads_open(void *data, struct guest_kernel *guest,
					 const struct view_request *request)
{
	struct threads *state = data;
	struct nunchi_error *err = process_walk_open(
	    &state->processes, guest, request->numbers[COLUMN_tgid], linux_threads_check);

	if (err)
		return err;
	state->request = request;
	state->left = LINUX_MAX_TASKS;
	hash_map_init(&state->seen);
	linux_task_init(&state->thread, state->processes.kernel, true);
	task_values_need(&state->thread, request, values, ARRAY_SIZE(values));
	return NULL;
}

/* Ends the walk over a process's threads, and warns if it is incomplete. */
static void end_walk(struct threads *state, struct view_row *row)
{
	const struct linux_threads *walk = &state->walk;
	struct process_walk *processes = &state->processes;

	if (!state->walking || !(walk->list.broken || walk->unread))
		return;
	/* A process that has ended has no threads any more. */
	if (processes->kernel->guest.live &&
	    !linux_task_is_listed(processes->kernel, &processes->task, false))
		return;
	process_walk_warn(processes, row, walk->list.broken ? walk->list.broken : walk->why_unread,
			  "not all of its threads are shown");
	processes->cut = true;
}

static struct nunchi_error *threads_next(void *data, struct view_row *row)
{
	struct threads *state = data;
	struct process_walk *processes = &state->processes;

	do {
		while (state->walking && state->left &&
		       linux_threads_next(&state->walk, &state->thread.task)) {
			state->left--;
			if (row_settle(row, &processes->kernel->guest,
				       ~UNSTABLE & state->request->columns, fill, state))
				return NULL;
		}
		end_walk(state, row);
		state->walking = state->left && process_walk_next(processes, row) &&
				 linux_threads_init(&state->walk, processes->kernel,
						    &processes->task, &state->seen);
		/* Each process of the list has a signal_struct, also one that has ended. */
		if (state->left && !processes->ended && !state->walking &&
		    !processes->kernel->guest.live)
			process_walk_warn(processes, row, READ_BAD_DATA,
					  "its threads cannot be found");
	} while (state->left && !processes->ended);
	if (!state->left)
		row_warn(row, "more than %llu threads are not shown",
			 (unsigned long long)LINUX_MAX_TASKS);
	return &error_stop;
}

static void threads_close(void *data)
{
	struct threads *state = data;

	process_walk_close(&state->processes);
	hash_map_deinit(&state->seen);
	linux_task_deinit(&state->thread);
}

const struct view view_threads = {
    .schema = {"threads", "threads of all processes, each process's first thread among them",
	       columns, ARRAY_SIZE(columns), .key = VIEW_COLUMN_BIT(COLUMN_tid),
	       .changing = UNSTABLE | VIEW_COLUMN_BIT(COLUMN_start_time)},
    .providers = {{&guest_linux, sizeof(struct threads), threads_open, threads_next,
		   threads_close}},
};
