/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

const struct cli_option select_options[SELECT_OPTION_COUNT] = {
    {"columns", OPTION_COLUMNS, "A,B,…", "only these columns, in this order"},
    {"where", OPTION_WHERE, "COLUMN=VALUE",
     "only rows whose column equals the value; may be repeated, all must hold"},
    {"limit", OPTION_LIMIT, "N", "at most N rows"},
};

static int add_where(struct cli *cli, struct select *select, const char *value)
{
	size_t i = select->query.constraint_count;
	const char *equals = strchr(value, '=');
	char *copy;

	if (!equals || equals == value)
		return cli_misuse(cli, NULL, "--where takes COLUMN=VALUE, not \"%s\"", value);
	if (i == SELECT_MOST_WHERE)
		return cli_misuse(cli, NULL, "at most %d --where", SELECT_MOST_WHERE);
	copy = strdup(value);
	if (!copy)
		return cli_fail_with(cli, "out of memory");
	copy[equals - value] = '\0';
	select->where_split[i] = copy;
	select->where[i].column = copy;
	select->where[i].value = copy + (equals - value) + 1;
	select->query.constraint_count = i + 1;
	return CLI_DONE;
}

int select_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct select *select = state;

	if (letter == OPTION_WHERE)
		return add_where(cli, select, value);
	if (letter == OPTION_COLUMNS)
		select->columns_text = value;
	else if (!parse_number(value, &select->query.limit) || !select->query.limit)
		return cli_misuse(cli, NULL, "--limit takes a number above 0, not \"%s\"", value);
	return CLI_DONE;
}

static const char *column_name(size_t i, const void *view_pointer)
{
	const struct nunchi_view *view = view_pointer;

	return i < view->column_count ? view->columns[i].name : NULL;
}

static int check_column(struct cli *cli, const struct nunchi_view *view, const char *name)
{
	for (size_t i = 0; i < view->column_count; i++)
		if (!strcmp(view->columns[i].name, name))
			return CLI_DONE;
	return cli_misuse(cli, suggest(name, column_name, view), "view %s has no column \"%s\"",
			  view->name, name);
}

int select_finish(struct cli *cli, struct select *select, const struct nunchi_view *view)
{
	char *rest;
	int status;

	for (size_t i = 0; i < select->query.constraint_count; i++) {
		status = check_column(cli, view, select->where[i].column);
		if (status)
			return status;
	}
	select->query.size = sizeof(select->query);
	select->query.constraints = select->where;
	if (!select->columns_text)
		return CLI_DONE;
	rest = select->columns_split = strdup(select->columns_text);
	if (!rest)
		return cli_fail_with(cli, "out of memory");
	while (rest) {
		const char *name = strsep(&rest, ",");

		if (select->query.column_count == SELECT_MOST_COLUMNS)
			return cli_misuse(cli, NULL, "at most %d columns", SELECT_MOST_COLUMNS);
		status = check_column(cli, view, name);
		if (status)
			return status;
		select->columns[select->query.column_count++] = name;
	}
	select->query.columns = select->columns;
	return CLI_DONE;
}

void select_clean(void *state)
{
	struct select *select = state;

	free(select->columns_split);
	for (size_t i = 0; i < select->query.constraint_count; i++)
		free(select->where_split[i]);
}
