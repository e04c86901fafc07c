/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

const struct cli_option select_options[SELECT_OPTION_COUNT] = {
    {"columns", OPTION_COLUMNS, "A,B,…", "show only these columns, in this order"},
    {"where", OPTION_WHERE, "CONDITION",
     "show only rows that meet the condition: COLUMN=VALUE, with <, <=, > or >= instead of =, "
     "COLUMN^=PREFIX (the text begins with PREFIX) or \"COLUMN in VALUE,VALUE,…\"; given more than "
     "once, all must hold. Quote it for the shell"},
    {"limit", OPTION_LIMIT, "N", "show at most N rows"},
};

/* The operators as they are written; one that begins like another comes before it. */
static const struct {
	const char *text;
	enum nunchi_operator op;
} operators[] = {
    {"<=", NUNCHI_LESS_EQUAL}, {">=", NUNCHI_GREATER_EQUAL}, {"^=", NUNCHI_PREFIX},
    {"=", NUNCHI_EQUAL},       {"<", NUNCHI_LESS},           {">", NUNCHI_GREATER},
    {" in ", NUNCHI_IN},
};

/* Cuts the list of values, which begins behind IN, at its commas. */
static int split_values(struct cli *cli, struct select *select, char *list)
{
	struct nunchi_constraint *where = &select->where[select->query.constraint_count - 1];
	char **values;
	size_t count = 1;

	for (const char *at = list; *at; at++)
		count += *at == ',';
	values = calloc(count, sizeof(*values));
	if (!values)
		return cli_fail_with(cli, "out of memory");
	where->values = (const char *const *)values;
	while (list)
		values[where->value_count++] = strsep(&list, ",");
	return CLI_DONE;
}

/* Takes a condition: the name of a column, an operator, and the value that it compares with. */
static int add_where(struct cli *cli, struct select *select, const char *value)
{
	size_t i = select->query.constraint_count, name = strcspn(value, "=<>^ "), op = 0;
	char *copy;

	/* The name of a column of "kernel:FUNCTION(EXPRESSION)" may have arrows. */
	while (name && value[name] == '>' && value[name - 1] == '-')
		name += 1 + strcspn(value + name + 1, "=<>^ ");

	while (op < ARRAY_SIZE(operators) &&
	       strncmp(value + name, operators[op].text, strlen(operators[op].text)) != 0)
		op++;
	if (!name || op == ARRAY_SIZE(operators))
		return cli_misuse(
		    cli, NULL, "--where takes a condition such as COLUMN=VALUE, not \"%s\"", value);
	if (value[name - 1] == '!')
		return cli_misuse(cli, NULL,
				  "--where has no operator !=; those there are: =, <, <=, >, >=, "
				  "^= and in");
	if (i == SELECT_MOST_WHERE)
		return cli_misuse(cli, NULL, "at most %d --where", SELECT_MOST_WHERE);
	copy = strdup(value);
	if (!copy)
		return cli_fail_with(cli, "out of memory");
	copy[name] = '\0';
	select->where_split[i] = copy;
	select->where[i].column = copy;
	select->where[i].op = operators[op].op;
	select->where[i].value = copy + name + strlen(operators[op].text);
	select->query.constraint_count = i + 1;
	if (operators[op].op == NUNCHI_IN)
		return split_values(cli, select, (char *)select->where[i].value);
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
	for (size_t i = 0; !view || i < view->column_count; i++)
		if (!view || !strcmp(view->columns[i].name, name))
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
	for (size_t i = 0; i < select->query.constraint_count; i++) {
		free((char **)select->where[i].values);
		free(select->where_split[i]);
	}
}
