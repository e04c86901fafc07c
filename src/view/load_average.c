/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cpu_time.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(period, TEXT, "time over which the average is taken: 1m, 5m or 15m")                     \
	X(average, REAL, "tasks that ran or waited for a CPU or device, on average")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

static const char *const periods[LINUX_LOADS] = {"1m", "5m", "15m"};

struct load_average {
	struct linux_kernel *kernel;
	double loads[LINUX_LOADS];
	enum read_result result;
	unsigned next;
};

static struct nunchi_error *load_average_open(void *data, struct guest_kernel *guest,
					      const struct view_request *request)
{
	struct load_average *state = data;

	(void)request;
	state->kernel = linux_kernel_of(guest);
	state->result = linux_load_average(state->kernel, state->loads);
	return NULL;
}

static struct nunchi_error *load_average_next(void *data, struct view_row *row)
{
	struct load_average *state = data;
	unsigned i = state->next++;

	if (i >= LINUX_LOADS)
		return &error_stop;
	row_string(row, COLUMN_period, periods[i]);
	if (state->result == READ_OK)
		row_real(row, COLUMN_average, state->loads[i]);
	else
		row_unread(row, COLUMN_average, state->result);
	return NULL;
}

const struct view view_load_average = {
    .schema = {"load_average", "load averages of the guest", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_period), .changing = VIEW_COLUMN_BIT(COLUMN_average)},
    .providers = {{&guest_linux, sizeof(struct load_average), load_average_open, load_average_next,
		   NULL}},
};
