/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/time.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(days, INTEGER, "whole days since boot")                                                  \
	X(hours, INTEGER, "hours beyond the days")                                                 \
	X(minutes, INTEGER, "minutes beyond the hours")                                            \
	X(seconds, INTEGER, "seconds beyond the minutes")                                          \
	X(total_seconds, SECONDS, "seconds since boot, at the last timer tick")                    \
	X(total_milliseconds, MILLISECONDS, "milliseconds since boot, at the last timer tick")     \
	X(boot_time, UNIX_TIME, "boot, seconds since 1970, by the guest's clock")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct uptime {
	struct linux_kernel *kernel;
	bool done;
};

static struct nunchi_error *uptime_open(void *data, struct guest_kernel *guest,
					const struct view_request *request)
{
	struct uptime *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);

	(void)request;
	state->kernel = kernel;
	return NULL;
}

static struct nunchi_error *uptime_next(void *data, struct view_row *row)
{
	struct uptime *state = data;
	struct linux_clock clock;
	enum read_result result;
	int64_t seconds;

	if (state->done)
		return &error_stop;
	state->done = true;
	result = linux_clock_read(state->kernel, &clock);
	if (result == READ_NO_SYMBOL || result == READ_NO_LAYOUT)
		return error_hint(
		    error_create(
			NUNCHI_ERROR_UNSUPPORTED,
			"the time cannot be read: the %s of the kernel's timekeeper is missing",
			result == READ_NO_SYMBOL ? "address" : "type"),
		    "give the kernel's System.map with --symbols and its types with --types");
	if (result != READ_OK)
		return error_create(NUNCHI_ERROR_FAULT,
				    "the kernel's timekeeper cannot be read: %s",
				    read_result_string(result));
	if (clock.torn)
		row_torn(row);
	seconds = clock.uptime_ns / 1000000000;
	row_integer(row, COLUMN_days, seconds / 86400);
	row_integer(row, COLUMN_hours, seconds / 3600 % 24);
	row_integer(row, COLUMN_minutes, seconds / 60 % 60);
	row_integer(row, COLUMN_seconds, seconds % 60);
	row_integer(row, COLUMN_total_seconds, seconds);
	row_integer(row, COLUMN_total_milliseconds, clock.uptime_ns / 1000000);
	row_integer(row, COLUMN_boot_time, clock.boot_ns / 1000000000);
	return NULL;
}

const struct view view_uptime = {
    .schema = {"uptime", "time since the guest booted", columns, ARRAY_SIZE(columns),
	       .changing = ~(uint64_t)0},
    .providers = {{&guest_linux, sizeof(struct uptime), uptime_open, uptime_next, NULL}},
};
