/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The view `findings`, as a page for people. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The column in which texts begin, and the width for which they are folded without a terminal. */
#define INDENT    22
#define NO_SCREEN 100

static const char *const wanted[] = {"severity", "check",    "subject", "pid",
				     "address",  "expected", "found",   "meaning"};
enum { SEVERITY, CHECK, SUBJECT, PID, ADDRESS, EXPECTED, FOUND, MEANING };

/* How a severity looks on a terminal that shows colours. */
static const struct {
	const char *name, *color;
} severities[] = {{"ok", "\033[32m"},
		  {"unknown", "\033[35m"},
		  {"note", "\033[36m"},
		  {"warning", "\033[33m"},
		  {"alarm", "\033[1;31m"}};
#define SEVERITIES ARRAY_SIZE(severities)

struct page {
	struct cli *cli;
	struct nunchi_writer *writer; /* NULL: the page is written */
	uint64_t counts[SEVERITIES];
};

static bool is(const struct nunchi_cell *cell, const char *text)
{
	return cell->text_size == strlen(text) && !memcmp(cell->text, text, cell->text_size);
}

static size_t severity_of(const struct nunchi_cell *cell)
{
	size_t i = 0;

	while (i + 1 < SEVERITIES && !is(cell, severities[i].name))
		i++;
	return i;
}

static bool has(const struct nunchi_cell *cell)
{
	return cell->kind == NUNCHI_CELL_VALUE;
}

/* Adds a text of the guest, escaped, behind another text. */
static void add(char **line, const char *before, const struct nunchi_cell *cell)
{
	char *text = cli_escape(cell->text, cell->text_size), *longer;

	if (asprintf(&longer, "%s%s%s", *line, before, text) >= 0) {
		free(*line);
		*line = longer;
	}
	free(text);
}

/* Prints the line from column INDENT on, and frees it. */
static void print_line(struct cli *cli, char *line)
{
	cli_print_folded(cli, line, INDENT, INDENT, cli->width ? (int)cli->width : NO_SCREEN);
	free(line);
}

/* Text of our own as the beginning of a line. */
static char *line_of(struct cli *cli, const char *text)
{
	char *line = strdup(text);

	if (!line)
		cli->write_errno = ENOMEM;
	return line;
}

static void print_sides(struct cli *cli, const struct nunchi_cell *cells)
{
	char *line = has(&cells[FOUND]) ? line_of(cli, "found: ") : NULL;

	if (!line)
		return;
	add(&line, "", &cells[FOUND]);
	if (has(&cells[EXPECTED]))
		add(&line, "; expected: ", &cells[EXPECTED]);
	cli_printf(cli, "%*s", INDENT, "");
	print_line(cli, line);
	if (has(&cells[ADDRESS]))
		cli_printf(cli, "%*sat 0x%" PRIx64 "\n", INDENT, "", cells[ADDRESS].address);
}

static void print_finding(struct page *page, size_t severity, const struct nunchi_cell *cells)
{
	struct cli *cli = page->cli;
	char before[32] = "", *line = line_of(cli, "");

	if (!line)
		return;
	cli_printf(cli, "%s%-8s%s %-12.*s ", cli->color ? severities[severity].color : "",
		   severities[severity].name, cli->color ? "\033[0m" : "",
		   (int)cells[CHECK].text_size, cells[CHECK].text);
	if (has(&cells[SUBJECT]))
		add(&line, "", &cells[SUBJECT]);
	if (has(&cells[PID]))
		snprintf(before, sizeof(before), " (%" PRId64 "): ", cells[PID].integer);
	else if (has(&cells[SUBJECT]))
		snprintf(before, sizeof(before), ": ");
	add(&line, before, &cells[MEANING]);
	print_line(cli, line);
	print_sides(cli, cells);
}

static struct nunchi_error *take_row(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct page *page = data;
	size_t severity = severity_of(&cells[SEVERITY]);

	page->counts[severity]++;
	if (page->writer)
		return nunchi_writer_row(page->writer, cells, torn);
	print_finding(page, severity, cells);
	return NULL;
}

static int open_writer(struct cli *cli, const struct nunchi_view *view, struct page *page)
{
	const struct nunchi_column *columns[ARRAY_SIZE(wanted)];

	if (cli->output == NUNCHI_OUTPUT_TABLE)
		return CLI_DONE;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		for (size_t j = 0; j < view->column_count; j++)
			if (!strcmp(view->columns[j].name, wanted[i]))
				columns[i] = &view->columns[j];
	return cli_fail(cli,
			cli_writer(cli, columns, ARRAY_SIZE(columns), true, "", &page->writer));
}

static void print_counts(const struct page *page)
{
	const char *separator = "";

	cli_write("\n", 1, page->cli);
	for (size_t i = SEVERITIES; i-- > 0;) {
		if (!page->counts[i])
			continue;
		cli_printf(page->cli, "%s%s: %" PRIu64, separator, severities[i].name,
			   page->counts[i]);
		separator = ", ";
	}
	cli_write("\n", 1, page->cli);
}

static int end_page(struct page *page, int status)
{
	if (page->writer && !status)
		status = cli_fail(page->cli, nunchi_writer_finish(page->writer));
	if (status)
		return status;
	if (!page->writer)
		print_counts(page);
	return page->counts[SEVERITIES - 1] || page->counts[SEVERITIES - 2] ? CLI_FOUND : CLI_DONE;
}

static const char *check_name(size_t i, const void *data)
{
	(void)data;
	return nunchi_check_name(i);
}

/* Whether there is a check of that name. */
static int name_argument(struct cli *cli, const char *word)
{
	const char *name;

	for (size_t i = 0; (name = nunchi_check_name(i)); i++)
		if (!strcmp(name, word))
			return CLI_DONE;
	return cli_misuse(cli, suggest(word, check_name, NULL),
			  "there is no check \"%s\"; without names all checks are made", word);
}

static int check_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct nunchi_constraint names = {.column = "check", .op = NUNCHI_IN};
	struct nunchi_query query = {.size = sizeof(query),
				     .columns = wanted,
				     .column_count = ARRAY_SIZE(wanted),
				     .constraints = &names,
				     .constraint_count = count > 1};
	struct page page = {.cli = cli};
	const struct nunchi_view *view = NULL;
	int status = view_argument(cli, "findings", &view);

	(void)state;
	names.values = (const char *const *)arguments + 1;
	names.value_count = (size_t)count - 1;
	for (int i = 1; i < count && !status; i++)
		status = name_argument(cli, arguments[i]);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (!status)
		status = open_writer(cli, view, &page);
	if (!status)
		status = end_page(&page, cli_rows(cli, view, &query, take_row, &page));
	nunchi_writer_destroy(page.writer);
	return status;
}

const struct command command_check = {
    .name = "check",
    .arguments = "TARGET [CHECK…]",
    .summary = "look for hidden processes and modules, and for hooks",
    .description =
	"Compares places in the guest's kernel that must agree, and code and tables with what may "
	"stand there, and shows what differs: processes and modules that are hidden from the "
	"guest's own tools, hooked system calls, interrupts, functions and operations, stolen "
	"credentials. With names of checks, only these are made.\nEach check is ok, with what it "
	"compared; or unknown, with the reason why it could not be made in full; or it has "
	"findings. A note is unusual and has known good reasons; for a warning there is rarely a "
	"good reason; an alarm is what no working kernel does by itself. A running guest is "
	"looked at up to three times, so that what differs for a moment only is no "
	"finding.\nFor scripts: the view findings, by this command with --json or --csv, by "
	"\"nunchi show\" "
	"and by SQL. The exit status is 3 if there is a warning or an alarm.",
    .examples = "  nunchi check xen:web\n"
		"  nunchi check memory.raw processes modules\n"
		"  nunchi check qemu:demo --json\n",
    .words = "Checks",
    .word = nunchi_check_name,
    .options = NULL,
    .least = 1,
    .most = 32,
    .run = check_run,
};
