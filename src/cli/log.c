/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The view `kernel_log` as dmesg prints it. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const log_columns[LOG_COLUMN_COUNT] = {"time", "message"};
enum { TIME, MESSAGE };

typedef bool write_text(const char *text, size_t size, void *to);

__attribute__((format(printf, 3, 4))) static void put(write_text *write, void *to,
						      const char *format, ...)
{
	char text[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	write(text, strlen(text), to);
}

/* The second and later lines of a record are indented, so that none looks like a record. */
static void write_message(const struct nunchi_cell *message, write_text *write, void *to)
{
	const char *text = message->text;
	size_t left = message->text_size;

	while (left) {
		const char *newline = memchr(text, '\n', left);
		size_t size = newline ? (size_t)(newline - text) : left;
		char *escaped = cli_escape(text, size);

		write(escaped, strlen(escaped), to);
		free(escaped);
		size += newline != NULL;
		text += size;
		left -= size;
		if (left)
			put(write, to, "\n%15s", "");
	}
}

/* "[    1.234567] text". */
void log_record(const struct nunchi_cell *cells, bool torn, write_text *write, void *to)
{
	if (cells[TIME].kind == NUNCHI_CELL_VALUE)
		put(write, to, "[%12.6f] ", cells[TIME].real);
	else
		put(write, to, "[%12s] ", "?");
	if (cells[MESSAGE].kind == NUNCHI_CELL_VALUE)
		write_message(&cells[MESSAGE], write, to);
	else
		put(write, to, "<%s>", nunchi_absence_string(cells[MESSAGE].absence));
	put(write, to, torn ? " ~\n" : "\n");
}

static struct nunchi_error *print_record(const struct nunchi_cell *cells, bool torn, void *data)
{
	log_record(cells, torn, cli_write, data);
	return NULL;
}

static int log_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct select *select = state;
	const struct nunchi_view *view = NULL;
	int status;

	(void)count;
	if (cli->output != NUNCHI_OUTPUT_TABLE || select->columns_text)
		return show_selected(cli, select, arguments[0], "kernel_log");
	status = view_argument(cli, "kernel_log", &view);
	if (!status)
		status = select_finish(cli, select, view);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	select->query.columns = log_columns;
	select->query.column_count = LOG_COLUMN_COUNT;
	return cli_rows(cli, view, &select->query, print_record, cli);
}

const struct command command_log = {
    .name = "log",
    .arguments = "TARGET",
    .summary = "show the kernel's log, as dmesg does",
    .description =
	"Shows the kernel's log from its ring buffer in memory: one record a line, with the "
	"seconds since boot. With --json, --csv or --columns the result is that of \"nunchi "
	"show TARGET kernel_log\".",
    .examples = "  nunchi log xen:web\n"
		"  nunchi log memory.raw --where level=3\n"
		"  nunchi log memory.raw --json --limit 20\n",
    .options = select_options,
    .option_count = SELECT_OPTION_COUNT,
    .least = 1,
    .most = 1,
    .state_size = sizeof(struct select),
    .option = select_option,
    .run = log_run,
    .clean = select_clean,
};
