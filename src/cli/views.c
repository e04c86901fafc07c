/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

static const struct nunchi_column list_columns[] = {
    {"view", NUNCHI_TYPE_TEXT, "name of the view"},
    {"description", NUNCHI_TYPE_TEXT, "what its rows are"},
};

static const struct nunchi_column view_columns[] = {
    {"column", NUNCHI_TYPE_TEXT, "name of the column"},
    {"type", NUNCHI_TYPE_TEXT, "integer, real, address or text"},
    {"description", NUNCHI_TYPE_TEXT, "what it means, with its unit"},
    {"unit", NUNCHI_TYPE_TEXT, "of the number, which tables show in a form for people"},
};

static const char *type_name(enum nunchi_type type)
{
	switch (type) {
	case NUNCHI_TYPE_INTEGER:
		return "integer";
	case NUNCHI_TYPE_REAL:
		return "real";
	case NUNCHI_TYPE_ADDRESS:
		return "address";
	case NUNCHI_TYPE_TEXT:
		break;
	}
	return "text";
}

/* NULL if the column has none. */
static const char *unit_name(enum nunchi_unit unit)
{
	switch (unit) {
	case NUNCHI_UNIT_BYTES:
		return "bytes";
	case NUNCHI_UNIT_MILLISECONDS:
		return "milliseconds";
	case NUNCHI_UNIT_SECONDS:
		return "seconds";
	case NUNCHI_UNIT_UNIX_TIME:
		return "seconds since 1970";
	case NUNCHI_UNIT_OCTAL:
		return "octal";
	case NUNCHI_UNIT_NONE:
		break;
	}
	return NULL;
}

static struct nunchi_error *write_views(struct nunchi_writer *writer)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	for (size_t i = 0; i < count; i++) {
		struct nunchi_cell cells[] = {cell_text(views[i]->name),
					      cell_text(views[i]->description)};
		struct nunchi_error *err = nunchi_writer_row(writer, cells, false);

		if (err)
			return err;
	}
	return nunchi_writer_finish(writer);
}

static struct nunchi_error *write_columns(struct nunchi_writer *writer,
					  const struct nunchi_view *view)
{
	for (size_t i = 0; i < view->column_count; i++) {
		const struct nunchi_column *column = &view->columns[i];
		struct nunchi_cell cells[] = {
		    cell_text(column->name), cell_text(type_name(column->type)),
		    cell_text(column->description), cell_text(unit_name(column->unit))};
		struct nunchi_error *err = nunchi_writer_row(writer, cells, false);

		if (err)
			return err;
	}
	return nunchi_writer_finish(writer);
}

static int views_run(struct cli *cli, void *state, char **arguments, int count)
{
	const struct nunchi_view *view = NULL;
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;
	int status;

	(void)state;
	if (count) {
		status = view_argument(cli, arguments[0], &view);
		if (status)
			return status;
	}
	err = view ? cli_list_writer(cli, view_columns, ARRAY_SIZE(view_columns), &writer)
		   : cli_list_writer(cli, list_columns, ARRAY_SIZE(list_columns), &writer);
	if (!err)
		err = view ? write_columns(writer, view) : write_views(writer);
	nunchi_writer_destroy(writer);
	return cli_fail(cli, err);
}

const struct command command_views = {
    .name = "views",
    .arguments = "[VIEW]",
    .summary = "list the views, or the columns of one view",
    .description =
	"Lists the views that \"nunchi show\" can show, or the columns of one view with type, "
	"meaning and unit. Views and columns that osquery has too bear its names.",
    .examples = "  nunchi views\n"
		"  nunchi views processes\n"
		"  nunchi views processes --csv\n",
    .most = 1,
    .run = views_run,
};
