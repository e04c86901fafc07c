/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(tid, INTEGER, "thread id, in the first pid namespace")                                   \
	X(tgid, INTEGER, "process id of the thread's process")                                     \
	X(name, TEXT, "the kernel's name for it (comm); kernel threads in full")                   \
	X(state, TEXT, "R running, S sleeping, D waiting, T stopped, t traced, Z zombie, I idle")  \
	X(uid, INTEGER, "real user id")                                                            \
	X(euid, INTEGER, "effective user id")                                                      \
	X(nice, INTEGER, "nice value, -20 (most favoured) to 19")                                  \
	X(cpu, INTEGER, "CPU it runs on or last ran on")                                           \
	X(user_time, INTEGER, "CPU time in user mode, milliseconds")                               \
	X(system_time, INTEGER, "CPU time in the kernel, milliseconds")                            \
	X(start_time, INTEGER, "start, seconds since 1970, by the guest's clock")                  \
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
	struct hash_map seen;
	struct object leader, task, cred;
	struct buffer name;
	struct linux_clock clock;
	bool has_clock;
};

static bool fill(void *data, struct view_row *row)
{
	struct threads *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	struct object *task = &state->task;
	struct linux_cpu_time time;
	char letter;

	if (linux_read_object(kernel, LAYOUT_task, task->address, task) != MEMORY_OK)
		return false;
	row_integer(row, COLUMN_tid, object_s64(task, &layout->task_pid));
	row_integer(row, COLUMN_tgid, object_s64(task, &layout->task_tgid));
	buffer_clear(&state->name);
	linux_task_name(kernel, task, &state->name);
	row_text(row, COLUMN_name, buffer_string(&state->name), state->name.size);
	letter = linux_task_state(kernel, task);
	row_text(row, COLUMN_state, &letter, 1);
	row_integer(row, COLUMN_nice, object_s64(task, &layout->task_static_prio) - 120);
	row_integer(row, COLUMN_cpu, object_s64(task, &layout->task_cpu));
	if (linux_thread_cpu_time(kernel, task, &time)) {
		row_integer(row, COLUMN_user_time, (int64_t)(time.user / 1000000));
		row_integer(row, COLUMN_system_time, (int64_t)(time.system / 1000000));
	} else {
		row_absent(row, COLUMN_user_time, NUNCHI_ABSENT_NO_LAYOUT);
		row_absent(row, COLUMN_system_time, NUNCHI_ABSENT_NO_LAYOUT);
	}
	row_integer(row, COLUMN_is_kernel_thread, linux_task_is_kernel_thread(kernel, task));
	row_address(row, COLUMN_task, task->address);
	if (state->has_clock && layout->task_start_boottime.present)
		row_integer(
		    row, COLUMN_start_time,
		    state->clock.boot_ns / 1000000000 +
			(int64_t)(object_u64(task, &layout->task_start_boottime) / 1000000000));
	else
		row_absent(row, COLUMN_start_time, NUNCHI_ABSENT_NO_LAYOUT);
	if (linux_read_object(kernel, LAYOUT_cred, object_u64(task, &layout->task_real_cred),
			      &state->cred) == MEMORY_OK) {
		row_integer(row, COLUMN_uid, (uint32_t)object_u64(&state->cred, &layout->cred_uid));
		row_integer(row, COLUMN_euid,
			    (uint32_t)object_u64(&state->cred, &layout->cred_euid));
	} else {
		row_absent(row, COLUMN_uid, NUNCHI_ABSENT_NOT_MAPPED);
		row_absent(row, COLUMN_euid, NUNCHI_ABSENT_NOT_MAPPED);
	}
	return true;
}

static struct nunchi_error *threads_open(void *data, struct linux_kernel *kernel,
					 const struct view_request *request)
{
	struct threads *state = data;
	int64_t tgid = -1;
	struct nunchi_error *err;

	if (view_equal_integer(request, COLUMN_tgid, &tgid) && tgid < 0)
		tgid = INT64_MAX;
	err = linux_tasks_init(&state->processes, kernel, tgid);
	if (err)
		return err;
	state->kernel = kernel;
	hash_map_init(&state->seen);
	buffer_init(&state->name, 0);
	state->has_clock = linux_clock_read(kernel, &state->clock);
	return NULL;
}

static struct nunchi_error *threads_next(void *data, struct view_row *row)
{
	struct threads *state = data;

	for (;;) {
		while (state->walking && linux_threads_next(&state->walk, &state->task)) {
			if (row_settle(row, state->kernel, ~UNSTABLE, fill, state))
				return NULL;
		}
		if (state->walking && state->walk.list.broken)
			row_warn(row, "a list of threads is cut short: a link is broken");
		if (!linux_tasks_next(&state->processes, &state->leader))
			break;
		state->walking =
		    linux_threads_init(&state->walk, state->kernel, &state->leader, &state->seen);
		if (!state->walking)
			row_warn(row, "threads cannot be walked: this kernel's signal_struct has "
				      "no field thread_head");
	}
	if (state->processes.list.broken)
		row_warn(row, "the list of processes is cut short after %llu: a link is broken",
			 (unsigned long long)state->processes.list.count);
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
    .provider = {sizeof(struct threads), threads_open, threads_next, threads_close},
};
