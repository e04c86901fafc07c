/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

static const struct nunchi_column view_list_columns[] = {
    {"view", NUNCHI_TYPE_TEXT, "name of the view"},
    {"description", NUNCHI_TYPE_TEXT, "what its rows are"},
};

static const struct nunchi_column probe_list_columns[] = {
    {"probe", NUNCHI_TYPE_TEXT, "name of the probe"},
    {"description", NUNCHI_TYPE_TEXT, "what its rows are"},
};

static const struct nunchi_column schema_columns[] = {
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

static struct nunchi_error *write_list(struct nunchi_writer *writer,
				       const struct nunchi_view *const *views, size_t count)
{
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

/* Lists the views or probes, or the columns of one. */
static int list_run(struct cli *cli, const struct nunchi_column *columns, size_t column_count,
		    const struct nunchi_view *const *views, size_t count,
		    const struct nunchi_view *one)
{
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	if (one) {
		columns = schema_columns;
		column_count = ARRAY_SIZE(schema_columns);
	}
	err = cli_list_writer(cli, columns, column_count, &writer);
	if (!err)
		err = one ? write_columns(writer, one) : write_list(writer, views, count);
	nunchi_writer_destroy(writer);
	return cli_fail(cli, err);
}

static int views_run(struct cli *cli, void *state, char **arguments, int given)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);
	const struct nunchi_view *view = NULL;
	int status = given ? view_argument(cli, arguments[0], &view) : CLI_DONE;

	(void)state;
	return status ? status
		      : list_run(cli, view_list_columns, ARRAY_SIZE(view_list_columns), views,
				 count, view);
}

static const char *probe_name(size_t i, const void *data)
{
	size_t count;
	const struct nunchi_view *const *probes = nunchi_probes(&count);

	(void)data;
	return i < count ? probes[i]->name : NULL;
}

int probe_check(struct cli *cli, const char *name)
{
	if (nunchi_probe_find(name) || strchr(name, ':'))
		return CLI_DONE;
	return cli_misuse(cli, suggest(name, probe_name, NULL),
			  "there is no probe \"%s\"; \"nunchi probes\" lists them", name);
}

static int probes_run(struct cli *cli, void *state, char **arguments, int given)
{
	size_t count;
	const struct nunchi_view *const *probes = nunchi_probes(&count);
	const struct nunchi_view *probe = given ? nunchi_probe_find(arguments[0]) : NULL;
	int status = given ? probe_check(cli, arguments[0]) : CLI_DONE;

	(void)state;
	if (!status && given && !probe)
		status = cli_misuse(cli, NULL, "the columns of \"%s\" depend on the guest's kernel",
				    arguments[0]);
	return status ? status
		      : list_run(cli, probe_list_columns, ARRAY_SIZE(probe_list_columns), probes,
				 count, probe);
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

const struct command command_probes = {
    .name = "probes",
    .arguments = "[PROBE]",
    .summary = "list the probes, or the columns of one probe",
    .description =
	"Lists what \"nunchi trace\" can watch, or the columns of one probe with type, meaning and "
	"unit. Columns that osquery has in process_events, process_file_events or socket_events "
	"bear "
	"its names.",
    .examples = "  nunchi probes\n"
		"  nunchi probes exec\n",
    .most = 1,
    .run = probes_run,
};
