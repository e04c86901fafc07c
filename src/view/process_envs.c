/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/environment.h"
#include "guest/linux/mm.h"
#include "view/task_cells.h"

#include <time.h>

#define MAX_TRIES   5
#define GAP_WAIT_NS 5000000

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(key, TEXT, "name of the variable: what stands before the first =")                       \
	X(value, TEXT, "value of the variable")                                                    \
	X(position, INTEGER, "place in the environment, from 0; absent behind a missing part")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct envs {
	struct linux_kernel *kernel;
	struct linux_tasks tasks;
	struct linux_environment environment;
	int64_t pid;
	bool torn;
	struct object task, mm;
};

static struct nunchi_error *envs_open(void *data, struct guest_kernel *guest,
				      const struct view_request *request)
{
	struct envs *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	const struct layout *layout = &kernel->layout;
	struct nunchi_error *err;

	err = linux_tasks_init(&state->tasks, kernel, request->numbers[COLUMN_pid]);
	if (err)
		return err;
	if (!layout->task_mm.present || !layout->mm_pgd.present || !layout->mm_env_start.present ||
	    !layout->mm_env_end.present) {
		linux_tasks_deinit(&state->tasks);
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "environments cannot be read: this kernel's types lack "
				    "task_struct.mm or a field of mm_struct");
	}
	state->kernel = kernel;
	linux_environment_init(&state->environment);
	return NULL;
}

/*
 * Reads the environment of the process at hand. On a running guest it must come out the same twice,
 * while the process keeps its memory; a page that is missing is given time to come.
 */
static void read_environment(struct envs *state)
{
	static const struct timespec wait = {.tv_nsec = GAP_WAIT_NS};
	struct linux_kernel *kernel = state->kernel;
	const struct field *field = &kernel->layout.task_mm;
	uint64_t mm = object_u64(&state->task, field);
	uint64_t before = 0;
	bool gap = false;

	linux_environment_clear(&state->environment);
	state->torn = false;
	for (int tries = 0; mm && tries < MAX_TRIES; tries++) {
		uint64_t now;

		if (gap)
			nanosleep(&wait, NULL);
		linux_environment_clear(&state->environment);
		if (linux_read_object(kernel, LAYOUT_mm, mm, &state->mm) != MEMORY_OK)
			return;
		linux_environment_read(&state->environment, kernel, &state->mm);
		if (!kernel->guest.live)
			return;
		if (!linux_task_keeps(kernel, &state->task, field)) {
			linux_environment_clear(&state->environment);
			return;
		}
		now = linux_environment_digest(&state->environment);
		gap = linux_environment_has_gap(&state->environment);
		state->torn = !tries || now != before;
		if (!state->torn && !gap)
			return;
		before = now;
	}
}

static void fill(struct envs *state, const struct linux_variable *variable, struct view_row *row)
{
	row_reset(row);
	row_integer(row, COLUMN_pid, state->pid);
	if (variable->has_position)
		row_integer(row, COLUMN_position, (int64_t)variable->position);
	else
		row_absent(row, COLUMN_position, variable->why_no_position);
	if (variable->has_key)
		row_text(row, COLUMN_key, variable->key, variable->key_size);
	else
		row_absent(row, COLUMN_key, variable->why);
	if (variable->has_value)
		row_text(row, COLUMN_value, variable->value, variable->value_size);
	else
		row_absent(row, COLUMN_value, variable->why);
	if (state->torn)
		row_torn(row);
}

static struct nunchi_error *envs_next(void *data, struct view_row *row)
{
	struct envs *state = data;
	struct linux_variable variable;

	while (!linux_environment_next(&state->environment, &variable)) {
		if (!linux_tasks_next(&state->tasks, &state->task)) {
			task_list_ended(row, &state->tasks);
			return &error_stop;
		}
		state->pid = object_s64(&state->task, &state->kernel->layout.task_pid);
		read_environment(state);
		if (state->environment.unmapped)
			row_warn(row,
				 "process %lld has unmapped the memory that held its environment",
				 (long long)state->pid);
	}
	fill(state, &variable, row);
	return NULL;
}

static void envs_close(void *data)
{
	struct envs *state = data;

	linux_tasks_deinit(&state->tasks);
	linux_environment_deinit(&state->environment);
	object_deinit(&state->task);
	object_deinit(&state->mm);
}

const struct view view_process_envs = {
    .schema = {"process_envs", "environment of all processes, as it is in their memory now",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux, sizeof(struct envs), envs_open, envs_next, envs_close}},
};
