/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any statements over a guest whose memory is arbitrary. The input up to its first byte 0 is their
 * text, the rest is memory, over and over. What does not end is cancelled.
 */
#include "api/guest.h"
#include "input_guest.h"

#include <nunchi/sql.h>

#include <signal.h>
#include <sys/time.h>

#define MAX_ROWS   100
#define MAX_US     100000
#define MAX_MEMORY ((uint64_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nunchi_sql *current;

static void on_alarm(int number)
{
	(void)number;
	if (current)
		nunchi_sql_cancel(current);
}

/* Whether a statement ends is nothing that the fuzzer has to find out. */
static void set_alarm(suseconds_t us)
{
	const struct itimerval timer = {.it_value = {.tv_usec = us}};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* What a statement gives has to be in memory that may be read. */
static void use_cells(const struct nunchi_statement *statement, const struct nunchi_cell *cells)
{
	size_t count, zeros = 0;

	nunchi_statement_columns(statement, &count);
	for (size_t i = 0; i < count; i++) {
		if (cells[i].kind != NUNCHI_CELL_VALUE || cells[i].type != NUNCHI_TYPE_TEXT)
			continue;
		for (size_t j = 0; j < cells[i].text_size; j++)
			zeros += !cells[i].text[j];
	}
	if (zeros == SIZE_MAX)
		__builtin_trap();
}

static struct nunchi_error *run_statements(const char *text)
{
	while (*text) {
		struct nunchi_statement *statement = NULL;
		struct nunchi_error *err = nunchi_sql_prepare(current, text, &statement, &text);
		const struct nunchi_cell *cells;

		if (err)
			return err;
		for (unsigned row = 0; statement && !err && row < MAX_ROWS; row++) {
			err = nunchi_statement_next(statement, &cells);
			if (!err)
				use_cells(statement, cells);
		}
		nunchi_statement_close(statement);
		nunchi_error_destroy(err);
	}
	return NULL;
}

static void run_on(struct input_guest *input, const char *text)
{
	const struct nunchi_sql_options options = {.size = sizeof(options),
						   .max_bytes = MAX_MEMORY};
	struct nunchi_context *context;
	struct nunchi_guest guest = {.target = &input->target, .kernel = &input->kernel.guest};
	struct nunchi_sql *sql = NULL;
	struct nunchi_error *err;

	input->target.name = (char *)"input";
	if (nunchi_context_create(0, &context))
		__builtin_trap();
	guest.context = context;
	guest.cancel.parent = &context->cancel;
	guest.session.guest = &guest;
	err = nunchi_sql_create(context, &options, &sql);
	if (!err)
		err = nunchi_sql_add(sql, "main", &guest);
	current = sql;
	if (!err) {
		set_alarm(MAX_US);
		err = run_statements(text);
		set_alarm(0);
	}
	current = NULL;
	nunchi_error_destroy(err);
	nunchi_sql_destroy(sql);
	nunchi_context_destroy(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t end = strnlen((const char *)data, size);
	struct input_guest guest;
	char *text;

	/* A memory of some size. */
	if (size < end + 9)
		return 0;
	text = strndup((const char *)data, end);
	if (!text)
		return 0;
	input_guest_init(&guest, &(struct input){.data = data + end + 1, .size = size - end - 1},
			 NULL, 0);
	run_on(&guest, text);
	input_guest_deinit(&guest);
	free(text);
	return 0;
}
