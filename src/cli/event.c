/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Text that stands for itself, without quotes. */
static bool is_plain(const char *text)
{
	return *text && !text[strcspn(text, " \"\\=<>|")];
}

static void print_text(struct cli *cli, const struct nunchi_cell *cell)
{
	char *text = cli_escape(cell->text, cell->text_size);

	if (is_plain(text)) {
		cli_write(text, strlen(text), cli);
	} else {
		cli_write("\"", 1, cli);
		for (const char *at = text; *at; at++)
			cli_printf(cli, *at == '"' ? "\\%c" : "%c", *at);
		cli_write("\"", 1, cli);
	}
	free(text);
}

static void print_cell(struct cli *cli, const struct nunchi_column *column,
		       const struct nunchi_cell *cell)
{
	if (cell->kind != NUNCHI_CELL_VALUE) {
		cli_printf(cli, "<%s>", nunchi_absence_string(cell->absence));
		return;
	}
	switch (column->type) {
	case NUNCHI_TYPE_INTEGER:
		cli_printf(cli, column->unit == NUNCHI_UNIT_OCTAL ? "0%" PRIo64 : "%" PRId64,
			   cell->integer);
		return;
	case NUNCHI_TYPE_REAL:
		cli_printf(cli, "%.6f", cell->real);
		return;
	case NUNCHI_TYPE_ADDRESS:
		cli_printf(cli, "0x%" PRIx64, cell->address);
		return;
	case NUNCHI_TYPE_TEXT:
		break;
	}
	print_text(cli, cell);
}

/* The time of day, to the microsecond. */
static void print_time(struct cli *cli, const struct nunchi_cell *cell)
{
	time_t second = (time_t)cell->real;
	struct tm day;
	char text[16];

	localtime_r(&second, &day);
	strftime(text, sizeof(text), "%H:%M:%S", &day);
	cli_printf(cli, "%s.%06d", text, (int)((cell->real - (double)second) * 1e6));
}

/* The columns that stand at the start of a line, in this order, where they were asked for. */
static const char *const leading[] = {"time", "pid", "name"};

static size_t find_column(const struct nunchi_column *const *columns, size_t count,
			  const char *name)
{
	size_t i = 0;

	while (i < count && strcmp(columns[i]->name, name) != 0)
		i++;
	return i;
}

static bool is_leading(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(leading); i++) {
		if (!strcmp(leading[i], name))
			return true;
	}
	return false;
}

static void print_leading(struct cli *cli, const struct nunchi_column *const *columns, size_t count,
			  const struct nunchi_cell *cells)
{
	size_t at = find_column(columns, count, "time");
	char *name;

	if (at < count && cells[at].kind == NUNCHI_CELL_VALUE) {
		print_time(cli, &cells[at]);
		cli_write(" ", 1, cli);
	}
	at = find_column(columns, count, "pid");
	if (at < count && cells[at].kind == NUNCHI_CELL_VALUE)
		cli_printf(cli, "%6" PRId64 " ", cells[at].integer);
	else if (at < count)
		cli_printf(cli, "%6s ", "?");
	at = find_column(columns, count, "name");
	if (at == count)
		return;
	name = cells[at].kind == NUNCHI_CELL_VALUE ? cli_escape(cells[at].text, cells[at].text_size)
						   : strdup("?");
	cli_printf(cli, "%-15s ", name ? name : "");
	free(name);
}

void event_print(struct cli *cli, const struct nunchi_view *probe,
		 const struct nunchi_column *const *columns, size_t count,
		 const struct nunchi_cell *cells, size_t first)
{
	print_leading(cli, columns, count, cells);
	cli_printf(cli, cli->color ? "\033[1m%s\033[0m" : "%s", probe->name);
	for (size_t i = first; i < count; i++) {
		if (is_leading(columns[i]->name) ||
		    (cells[i].kind != NUNCHI_CELL_VALUE &&
		     cells[i].absence == NUNCHI_ABSENT_NOT_APPLICABLE))
			continue;
		cli_printf(cli, " %s=", columns[i]->name);
		print_cell(cli, columns[i], &cells[i]);
	}
	cli_write("\n", 1, cli);
}
