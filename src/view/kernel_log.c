/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/printk.h"
#include "view/view.h"

#include <stdio.h>

#define COLUMNS(X)                                                                                 \
	X(seq, INTEGER, "number of the record since boot")                                         \
	X(time, REAL, "seconds since boot")                                                        \
	X(facility, INTEGER, "syslog facility; 0 is the kernel")                                   \
	X(level, INTEGER, "0 emergency to 7 debug")                                                \
	X(caller, TEXT, "T and a thread id, or C and a CPU, where the kernel notes it")            \
	X(message, TEXT, "the text, which may have several lines")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct kernel_log {
	struct linux_log log;
	struct buffer text;
};

static struct nunchi_error *kernel_log_open(void *data, struct guest_kernel *guest,
					    const struct view_request *request)
{
	struct kernel_log *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
	struct nunchi_error *err = linux_log_init(&state->log, kernel);

	(void)request;
	if (!err)
		buffer_init(&state->text, 0);
	return err;
}

static void put_caller(struct view_row *row, const struct linux_log_record *record)
{
	char text[32];

	if (!record->has_caller) {
		row_absent(row, COLUMN_caller, NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
	/* As print_caller() of kernel/printk/printk.c. */
	snprintf(text, sizeof(text), "%c%u", record->caller & 0x80000000 ? 'C' : 'T',
		 (unsigned)(record->caller & 0x7fffffff));
	row_string(row, COLUMN_caller, text);
}

/* Warns of records that are missing. */
static void warn(const struct linux_log *log, struct view_row *row)
{
	if (log->unread)
		row_warn(row, "%llu records of the log cannot be read: %s",
			 (unsigned long long)log->unread, read_result_string(log->why_unread));
	if (log->broken)
		row_warn(row, "the newer records of the log cannot be found: %s",
			 read_result_string(log->broken));
}

static struct nunchi_error *kernel_log_next(void *data, struct view_row *row)
{
	struct kernel_log *state = data;
	struct linux_log_record record;

	if (!linux_log_next(&state->log, &record, &state->text)) {
		warn(&state->log, row);
		return &error_stop;
	}
	row_integer(row, COLUMN_seq, (int64_t)record.seq);
	row_real(row, COLUMN_time, (double)record.time_ns / 1e9);
	row_integer(row, COLUMN_facility, record.facility);
	row_integer(row, COLUMN_level, record.level);
	put_caller(row, &record);
	row_read_text(row, COLUMN_message, record.text_fault, &state->text);
	return NULL;
}

static void kernel_log_close(void *data)
{
	struct kernel_log *state = data;

	linux_log_deinit(&state->log);
	buffer_deinit(&state->text);
}

const struct view view_kernel_log = {
    .schema = {"kernel_log", "the kernel's log (dmesg), from its ring buffer", columns,
	       ARRAY_SIZE(columns), .key = VIEW_COLUMN_BIT(COLUMN_seq)},
    .providers = {{&guest_linux, sizeof(struct kernel_log), kernel_log_open, kernel_log_next,
		   kernel_log_close}},
};
