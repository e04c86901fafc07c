/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/selection.h"

#include <string.h>

static bool column_by_name(const struct nunchi_view *schema, const char *name, unsigned *ret)
{
	for (size_t i = 0; i < schema->column_count; i++) {
		if (!strcmp(schema->columns[i].name, name)) {
			*ret = (unsigned)i;
			return true;
		}
	}
	return false;
}

static struct nunchi_error *no_such_column(const struct selection *selection, const char *name)
{
	return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "the %s %s has no column \"%s\"",
				       selection->what, selection->schema->name, name),
			  "nunchi %ss %s lists its columns", selection->what,
			  selection->schema->name);
}

static struct nunchi_error *take_columns(struct selection *selection,
					 const struct nunchi_query *query)
{
	const struct nunchi_view *schema = selection->schema;

	if (!query || !query->columns) {
		for (size_t i = 0; i < schema->column_count; i++)
			selection->column_index[selection->column_count++] = (unsigned)i;
	} else {
		if (query->column_count > VIEW_MAX_COLUMNS)
			return error_create(NUNCHI_ERROR_ARGUMENT, "more than %d columns",
					    VIEW_MAX_COLUMNS);
		for (size_t i = 0; i < query->column_count; i++) {
			if (!column_by_name(schema, query->columns[i],
					    &selection->column_index[selection->column_count]))
				return no_such_column(selection, query->columns[i]);
			selection->column_count++;
		}
	}
	for (size_t i = 0; i < selection->column_count; i++) {
		unsigned index = selection->column_index[i];

		selection->request.columns |= (uint64_t)1 << index;
		selection->columns[i] = &schema->columns[index];
	}
	return NULL;
}

/* Copies the values of a constraint, converted to the column's type, in ascending order. */
static struct nunchi_error *take_values(struct selection *selection,
					const struct nunchi_constraint *from,
					struct view_constraint *ret)
{
	const struct nunchi_column *column = &selection->schema->columns[ret->column];
	bool in = from->op == NUNCHI_IN;
	size_t count = in ? from->value_count : 1;
	struct nunchi_cell *cells = calloc(count + 1, sizeof(*cells));

	ret->values = cells;
	if (!cells)
		return &error_nomem;
	for (size_t i = 0; i < count; i++) {
		const char *value = in ? from->values[i] : from->value;
		struct nunchi_error *err;

		if (!value)
			return error_create(NUNCHI_ERROR_ARGUMENT,
					    "a constraint on column %s has no value", column->name);
		err = row_parse_cell(column, value, &cells[i]);
		if (err)
			return error_hint(err,
					  "give the number, as --json prints it; nunchi %ss %s "
					  "says what it means",
					  selection->what, selection->schema->name);
		if (column->type != NUNCHI_TYPE_TEXT)
			continue;
		cells[i].text = strdup(value);
		if (!cells[i].text)
			return &error_nomem;
		ret->count = i + 1;
	}
	ret->count = count;
	qsort(cells, count, sizeof(*cells), row_compare_cells);
	return NULL;
}

static struct nunchi_error *take_constraint(struct selection *selection,
					    const struct nunchi_constraint *from)
{
	struct view_constraint *constraint =
	    &selection->constraints[selection->request.constraint_count];
	const struct nunchi_column *column;
	unsigned index;

	if (!column_by_name(selection->schema, from->column, &index))
		return no_such_column(selection, from->column);
	column = &selection->schema->columns[index];
	if ((unsigned)from->op > NUNCHI_PREFIX)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a constraint on column %s has the unknown operator %d",
				    column->name, (int)from->op);
	if (from->op == NUNCHI_PREFIX && column->type != NUNCHI_TYPE_TEXT)
		return error_create(
		    NUNCHI_ERROR_ARGUMENT,
		    "column %s is not a text, so it cannot be compared with a prefix",
		    column->name);
	*constraint = (struct view_constraint){.column = index, .op = from->op};
	selection->request.constraint_count++;
	selection->request.columns |= (uint64_t)1 << index;
	return take_values(selection, from, constraint);
}

/* Restricts the numbers accepted for an INTEGER column by one more constraint. */
static struct nunchi_error *narrow(struct selection *selection,
				   const struct view_constraint *constraint)
{
	struct number_filter *filter = &selection->numbers[constraint->column];
	int64_t value = constraint->values[0].integer, *values;
	size_t count = 0;

	switch (constraint->op) {
	case NUNCHI_EQUAL:
		number_filter_narrow(filter, value, value);
		return NULL;
	case NUNCHI_LESS:
		if (value > INT64_MIN)
			number_filter_narrow(filter, INT64_MIN, value - 1);
		else
			number_filter_narrow(filter, 1, 0);
		return NULL;
	case NUNCHI_LESS_EQUAL:
		number_filter_narrow(filter, INT64_MIN, value);
		return NULL;
	case NUNCHI_GREATER:
		if (value < INT64_MAX)
			number_filter_narrow(filter, value + 1, INT64_MAX);
		else
			number_filter_narrow(filter, 1, 0);
		return NULL;
	case NUNCHI_GREATER_EQUAL:
		number_filter_narrow(filter, value, INT64_MAX);
		return NULL;
	case NUNCHI_PREFIX:
		return NULL;
	case NUNCHI_IN:
		break;
	}
	values = calloc(constraint->count + 1, sizeof(*values));
	if (!values)
		return &error_nomem;
	for (size_t i = 0; i < constraint->count; i++) {
		value = constraint->values[i].integer;
		if (number_filter_passes(filter, value) && !(count && values[count - 1] == value))
			values[count++] = value;
	}
	free((int64_t *)filter->values);
	filter->values = values;
	filter->count = count;
	return NULL;
}

static struct nunchi_error *take_constraints(struct selection *selection,
					     const struct nunchi_query *query)
{
	struct view_request *request = &selection->request;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < VIEW_MAX_COLUMNS; i++)
		selection->numbers[i] = NUMBER_FILTER_ANY;
	if (!query || !query->constraint_count)
		return NULL;
	selection->constraints = calloc(query->constraint_count, sizeof(*selection->constraints));
	if (!selection->constraints)
		return &error_nomem;
	request->constraints = selection->constraints;
	for (size_t i = 0; i < query->constraint_count && !err; i++) {
		const struct view_constraint *taken = &selection->constraints[i];

		err = take_constraint(selection, &query->constraints[i]);
		if (err || selection->schema->columns[taken->column].type != NUNCHI_TYPE_INTEGER)
			continue;
		err = narrow(selection, taken);
		request->numbers[taken->column] = &selection->numbers[taken->column];
	}
	return err;
}

void selection_deinit(struct selection *selection)
{
	for (size_t i = 0; i < selection->request.constraint_count; i++) {
		struct view_constraint *constraint = &selection->constraints[i];

		for (size_t j = 0; j < constraint->count; j++)
			free((char *)constraint->values[j].text);
		free((struct nunchi_cell *)constraint->values);
	}
	free(selection->constraints);
	for (size_t i = 0; i < VIEW_MAX_COLUMNS; i++)
		free((int64_t *)selection->numbers[i].values);
}

struct nunchi_error *selection_init(struct selection *selection, const char *what,
				    const struct nunchi_view *schema,
				    const struct nunchi_query *query)
{
	struct nunchi_error *err;

	*selection = (struct selection){.what = what, .schema = schema};
	selection->request.limit = query ? query->limit : 0;
	err = take_columns(selection, query);
	return err ? err : take_constraints(selection, query);
}

bool selection_accepts(const struct selection *selection, const struct view_row *row)
{
	for (size_t i = 0; i < selection->request.constraint_count; i++) {
		const struct view_constraint *constraint = &selection->constraints[i];

		if (!row_cell_meets(&row->cells[constraint->column], constraint))
			return false;
	}
	return true;
}
