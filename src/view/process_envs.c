/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/environment.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id")                                                              \
	X(key, TEXT, "name of the variable: what stands before the first =")                       \
	X(value, TEXT, "value of the variable")                                                    \
	X(position, INTEGER, "place in the environment, from 0; absent behind a missing part")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct envs {
	struct process_walk processes;
	struct linux_environment environment;
	struct object mm;
};

static struct nunchi_error *envs_open(void *data, struct guest_kernel *guest,
				      const struct view_request *request)
{
	struct envs *state = data;

	linux_environment_init(&state->environment);
	return process_walk_open(&state->processes, guest, request->numbers[COLUMN_pid],
				 linux_environment_check);
}

static void fill(struct envs *state, const struct linux_variable *variable, struct view_row *row)
{
	row_reset(row);
	row_integer(row, COLUMN_pid, state->processes.pid);
	row_read_integer(row, COLUMN_position,
			 variable->has_position ? READ_OK : variable->why_no_position,
			 (int64_t)variable->position);
	if (variable->has_key)
		row_text(row, COLUMN_key, variable->key, variable->key_size);
	else
		row_unread(row, COLUMN_key, variable->why);
	if (variable->has_value)
		row_text(row, COLUMN_value, variable->value, variable->value_size);
	else
		row_unread(row, COLUMN_value, variable->why);
	if (state->environment.torn)
		row_torn(row);
}

static struct nunchi_error *envs_next(void *data, struct view_row *row)
{
	struct envs *state = data;
	struct process_walk *processes = &state->processes;
	struct linux_variable variable;

	while (!linux_environment_next(&state->environment, &variable)) {
		enum read_result result;

		if (!process_walk_next(processes, row))
			return &error_stop;
		result = linux_environment_of(&state->environment, processes->kernel,
					      &processes->task, &state->mm);
		process_walk_warn_of_first(processes, row, result, "its environment cannot be read",
					   "its environment is");
		if (state->environment.unmapped)
			row_warn(row,
				 "process %lld has unmapped the memory that held its environment",
				 (long long)processes->pid);
	}
	fill(state, &variable, row);
	return NULL;
}

static void envs_close(void *data)
{
	struct envs *state = data;

	process_walk_close(&state->processes);
	linux_environment_deinit(&state->environment);
	object_deinit(&state->mm);
}

const struct view view_process_envs = {
    .schema = {"process_envs", "environment of all processes, as it is in their memory now",
	       columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_key),
	       .changing = VIEW_COLUMN_BIT(COLUMN_position)},
    .providers = {{&guest_linux, sizeof(struct envs), envs_open, envs_next, envs_close}},
};
