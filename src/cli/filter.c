/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --columns, --where and --limit of rows that the command makes itself. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t column_number(const struct nunchi_view *view, const char *name)
{
	size_t i = 0;

	while (i + 1 < view->column_count && strcmp(view->columns[i].name, name) != 0)
		i++;
	return i;
}

/* A number as --where has it: decimal or 0x…, also below zero. */
static bool parse_value(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = text[0] == '-' ? strtoll(text, &end, 0) : (int64_t)strtoull(text, &end, 0);
	return !errno && end != text && !*end;
}

int filter_check(struct cli *cli, const struct nunchi_view *view, const struct select *select)
{
	const struct nunchi_query *query = &select->query;
	int64_t number;

	for (size_t i = 0; i < query->constraint_count; i++) {
		const struct nunchi_constraint *where = &query->constraints[i];
		const size_t n = column_number(view, where->column);
		bool good;

		if (view->columns[n].type == NUNCHI_TYPE_TEXT)
			continue;
		good = where->op != NUNCHI_PREFIX;
		if (good && where->op != NUNCHI_IN)
			good = parse_value(where->value, &number);
		for (size_t j = 0; j < where->value_count && good; j++)
			good = parse_value(where->values[j], &number);
		if (!good)
			return cli_misuse(cli, NULL, "the column %s holds numbers", where->column);
	}
	return CLI_DONE;
}

int filter_open(struct cli *cli, struct filter *filter, const struct nunchi_view *view,
		const struct select *select)
{
	const struct nunchi_column *columns[FILTER_MOST_COLUMNS];
	const struct nunchi_query *query = &select->query;

	filter->view = view;
	filter->select = select;
	filter->chosen_count = query->column_count ? query->column_count : view->column_count;
	if (filter->chosen_count > FILTER_MOST_COLUMNS)
		return cli_misuse(cli, NULL, "at most %d columns", FILTER_MOST_COLUMNS);
	for (size_t i = 0; i < filter->chosen_count; i++) {
		filter->chosen[i] =
		    query->column_count ? column_number(view, query->columns[i]) : i;
		columns[i] = &view->columns[filter->chosen[i]];
	}
	return cli_fail(cli, cli_writer(cli, columns, filter->chosen_count, true,
					"--wide shows all, --columns A,B,… some", &filter->writer));
}

static int compare_text(const struct nunchi_cell *cell, const char *value)
{
	const size_t size = strlen(value);
	const size_t least = size < cell->text_size ? size : cell->text_size;
	const int order = least ? memcmp(cell->text, value, least) : 0;

	if (order)
		return order;
	return cell->text_size < size ? -1 : cell->text_size > size;
}

static int compare(const struct nunchi_cell *cell, const char *value)
{
	int64_t number = 0;

	if (cell->type == NUNCHI_TYPE_TEXT)
		return compare_text(cell, value);
	parse_value(value, &number);
	if (cell->type == NUNCHI_TYPE_ADDRESS)
		return cell->address < (uint64_t)number ? -1 : cell->address > (uint64_t)number;
	return cell->integer < number ? -1 : cell->integer > number;
}

static bool meets(const struct nunchi_cell *cell, const struct nunchi_constraint *where)
{
	if (cell->kind != NUNCHI_CELL_VALUE)
		return false;
	switch (where->op) {
	case NUNCHI_EQUAL:
		return !compare(cell, where->value);
	case NUNCHI_LESS:
		return compare(cell, where->value) < 0;
	case NUNCHI_LESS_EQUAL:
		return compare(cell, where->value) <= 0;
	case NUNCHI_GREATER:
		return compare(cell, where->value) > 0;
	case NUNCHI_GREATER_EQUAL:
		return compare(cell, where->value) >= 0;
	case NUNCHI_PREFIX:
		return cell->text_size >= strlen(where->value) &&
		       !memcmp(cell->text, where->value, strlen(where->value));
	case NUNCHI_IN:
		for (size_t i = 0; i < where->value_count; i++)
			if (!compare(cell, where->values[i]))
				return true;
		break;
	}
	return false;
}

struct nunchi_error *filter_row(struct filter *filter, const struct nunchi_cell *cells)
{
	const struct nunchi_query *query = &filter->select->query;
	struct nunchi_cell chosen[FILTER_MOST_COLUMNS];

	for (size_t i = 0; i < query->constraint_count; i++) {
		const struct nunchi_constraint *where = &query->constraints[i];

		if (!meets(&cells[column_number(filter->view, where->column)], where))
			return NULL;
	}
	for (size_t i = 0; i < filter->chosen_count; i++)
		chosen[i] = cells[filter->chosen[i]];
	filter->given++;
	return nunchi_writer_row(filter->writer, chosen, false);
}

bool filter_is_full(const struct filter *filter)
{
	return filter->select->query.limit && filter->given >= filter->select->query.limit;
}

int filter_close(struct cli *cli, struct filter *filter, int status)
{
	int finished = CLI_DONE;

	if (filter->writer)
		finished = cli_fail(cli, nunchi_writer_finish(filter->writer));
	nunchi_writer_destroy(filter->writer);
	filter->writer = NULL;
	return status ? status : finished;
}
