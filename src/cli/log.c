/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The view `kernel_log` as dmesg prints it. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char *const wanted[] = {"time", "message"};
enum { TIME, MESSAGE };

/* The second and later lines of a record are indented, so that none looks like a record. */
static void print_message(struct cli *cli, const struct nunchi_cell *message)
{
	const char *text = message->text;
	size_t left = message->text_size;

	while (left) {
		const char *newline = memchr(text, '\n', left);
		size_t size = newline ? (size_t)(newline - text) : left;
		char *escaped = cli_escape(text, size);

		cli_printf(cli, "%s", escaped);
		free(escaped);
		size += newline != NULL;
		text += size;
		left -= size;
		if (left)
			cli_printf(cli, "\n%15s", "");
	}
}

/* "[    1.234567] text". */
static struct nunchi_error *print_record(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct cli *cli = data;

	if (cells[TIME].kind == NUNCHI_CELL_VALUE)
		cli_printf(cli, "[%12.6f] ", cells[TIME].real);
	else
		cli_printf(cli, "[%12s] ", "?");
	if (cells[MESSAGE].kind == NUNCHI_CELL_VALUE)
		print_message(cli, &cells[MESSAGE]);
	else
		cli_printf(cli, "<%s>", nunchi_absence_string(cells[MESSAGE].absence));
	cli_printf(cli, torn ? " ~\n" : "\n");
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
	select->query.columns = wanted;
	select->query.column_count = ARRAY_SIZE(wanted);
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
