/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/limits.h"
#include "guest/linux/mm.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(pid, INTEGER, "process id, in the first pid namespace")                                  \
	X(resource, TEXT, "what is limited: cpu, fsize, nofile …, as prlimit names it")            \
	X(soft, INTEGER, "the limit that is enforced; -1: unlimited")                              \
	X(hard, INTEGER, "up to which the process may raise it; -1: unlimited")                    \
	X(units, TEXT, "bytes, seconds, files …")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct rlimits {
	struct process_walk processes;
	unsigned next; /* limit of the current process */
};

static struct nunchi_error *rlimits_open(void *data, struct guest_kernel *guest,
					 const struct view_request *request)
{
	struct rlimits *state = data;

	state->next = LINUX_LIMITS;
	return process_walk_open(&state->processes, guest, request->numbers[COLUMN_pid],
				 linux_limits_check);
}

static bool fill(void *data, struct view_row *row)
{
	struct rlimits *state = data;
	struct process_walk *processes = &state->processes;
	struct linux_kernel *kernel = processes->kernel;
	struct linux_limit limit;

	linux_limit_read(kernel, &processes->task, state->next, &limit);
	row_integer(row, COLUMN_pid, processes->pid);
	row_string(row, COLUMN_resource, limit.resource);
	row_read_integer(row, COLUMN_soft, limit.soft_result, limit.soft);
	row_read_integer(row, COLUMN_hard, limit.hard_result, limit.hard);
	if (limit.units)
		row_string(row, COLUMN_units, limit.units);
	else
		row_unread(row, COLUMN_units, READ_NONE);
	/* If the process has ended meanwhile, its limits may be those of another one. */
	return !kernel->guest.live ||
	       linux_task_keeps(kernel, &processes->task, &kernel->layout.task_signal);
}

static struct nunchi_error *rlimits_next(void *data, struct view_row *row)
{
	struct rlimits *state = data;
	struct process_walk *processes = &state->processes;

	for (;;) {
		for (; state->next < LINUX_LIMITS; state->next++) {
			if (row_settle(row, &processes->kernel->guest, UINT64_MAX, fill, state)) {
				state->next++;
				return NULL;
			}
		}
		if (!process_walk_next(processes, row))
			return &error_stop;
		state->next = 0;
	}
}

static void rlimits_close(void *data)
{
	struct rlimits *state = data;

	process_walk_close(&state->processes);
}

const struct view view_process_rlimits = {
    .schema = {"process_rlimits", "resource limits of processes", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_resource)},
    .providers = {{&guest_linux, sizeof(struct rlimits), rlimits_open, rlimits_next,
		   rlimits_close}},
};
