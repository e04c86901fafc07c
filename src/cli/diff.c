/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What differs between two guests, view by view. */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Limit of the memory for the rows of one view of one guest. */
#define MOST_BYTES ((size_t)64 << 20)

/* Warnings that are remembered, so that they are printed once; others may come again. */
#define MOST_WARNED 64

/* Views that are compared only if they are named: the table of symbols is as large as all others.
 */
static const char *const on_request[] = {"symbols", "kernel_log"};

static const struct nunchi_column columns[] = {
    {"change", NUNCHI_TYPE_TEXT, "new, gone or changed"},
    {"view", NUNCHI_TYPE_TEXT, "name of the view"},
    {"key", NUNCHI_TYPE_TEXT, "the columns that say which row it is"},
    {"column", NUNCHI_TYPE_TEXT, "the column that changed; for whole rows none"},
    {"before", NUNCHI_TYPE_TEXT, "in the first guest"},
    {"after", NUNCHI_TYPE_TEXT, "in the second guest"},
};

struct row {
	struct nunchi_cell *cells; /* texts point into `text`; owned */
	char *text;                /* owned */
};

/* The rows of a view in one guest, sorted by their keys. */
struct rows {
	struct row *items;
	size_t count, capacity, bytes;
	size_t columns;
	bool too_large;
	struct diff *diff;
	size_t which; /* of the two guests */
};

struct diff {
	bool all;
	struct cli *cli;
	struct targets targets;
	struct nunchi_writer *writer;
	const struct nunchi_view *view;
	uint64_t key;      /* columns by which rows are found again */
	uint64_t compared; /* columns that are compared */
	uint64_t found;    /* differences */
	/* Warnings that were printed, each with the number of its guest before it; owned. */
	char *warned[MOST_WARNED];
	size_t warned_count;
};

/* ---- Rows ------------------------------------------------------------------------------------ */

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free(rows->items[i].cells);
		free(rows->items[i].text);
	}
	free(rows->items);
	*rows = (struct rows){0};
}

static bool is_text(const struct nunchi_cell *cell)
{
	return cell->kind == NUNCHI_CELL_VALUE && cell->type == NUNCHI_TYPE_TEXT;
}

static bool copy_row(struct row *row, const struct nunchi_cell *cells, size_t count, size_t size)
{
	char *to;

	row->cells = calloc(count, sizeof(*row->cells));
	row->text = to = malloc(size + 1);
	if (!row->cells || !row->text) {
		free(row->cells);
		free(row->text);
		return false;
	}
	memcpy(row->cells, cells, count * sizeof(*cells));
	for (size_t i = 0; i < count; i++) {
		if (!is_text(&cells[i]))
			continue;
		memcpy(to, cells[i].text, cells[i].text_size);
		row->cells[i].text = to;
		to += cells[i].text_size;
	}
	return true;
}

static struct nunchi_error *add_row(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct rows *rows = data;
	size_t size = 0;

	(void)torn;
	for (size_t i = 0; i < rows->columns; i++)
		size += is_text(&cells[i]) ? cells[i].text_size : 0;
	rows->bytes += size + rows->columns * sizeof(*cells) + sizeof(struct row);
	if (rows->count == rows->capacity && rows->bytes < MOST_BYTES) {
		size_t capacity = rows->capacity ? rows->capacity * 2 : 256;
		struct row *items = reallocarray(rows->items, capacity, sizeof(*items));

		rows->items = items ? items : rows->items;
		rows->capacity = items ? capacity : rows->capacity;
	}
	if (rows->bytes >= MOST_BYTES || rows->count == rows->capacity ||
	    !copy_row(&rows->items[rows->count], cells, rows->columns, size))
		rows->too_large = true;
	else
		rows->count++;
	return NULL;
}

static int compare_cells(const struct nunchi_cell *a, const struct nunchi_cell *b)
{
	size_t size;
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind != NUNCHI_CELL_VALUE)
		return 0;
	switch (a->type) {
	case NUNCHI_TYPE_INTEGER:
		return a->integer < b->integer ? -1 : a->integer > b->integer;
	case NUNCHI_TYPE_ADDRESS:
		return a->address < b->address ? -1 : a->address > b->address;
	case NUNCHI_TYPE_REAL:
		return a->real < b->real ? -1 : a->real > b->real;
	case NUNCHI_TYPE_TEXT:
		break;
	}
	size = a->text_size < b->text_size ? a->text_size : b->text_size;
	order = size ? memcmp(a->text, b->text, size) : 0;
	return order ? order : (a->text_size > b->text_size) - (a->text_size < b->text_size);
}

static int compare_keys(const void *a_pointer, const void *b_pointer, void *data)
{
	const struct row *a = a_pointer, *b = b_pointer;
	const struct diff *diff = data;

	for (size_t i = 0; i < diff->view->column_count; i++) {
		int order = diff->key >> i & 1 ? compare_cells(&a->cells[i], &b->cells[i]) : 0;

		if (order)
			return order;
	}
	return 0;
}

/* ---- What differs ---------------------------------------------------------------------------- */

/* The value as text, to be freed; NULL if memory is short. */
static char *value_of(const struct nunchi_view *view, size_t column, const struct nunchi_cell *cell)
{
	char *text = NULL;
	int size = 0;

	if (cell->kind != NUNCHI_CELL_VALUE)
		return strdup(nunchi_absence_string(cell->absence));
	switch (cell->type) {
	case NUNCHI_TYPE_INTEGER:
		size = asprintf(&text,
				view->columns[column].unit == NUNCHI_UNIT_OCTAL ? "0%" PRIo64
										: "%" PRId64,
				cell->integer);
		break;
	case NUNCHI_TYPE_ADDRESS:
		size = asprintf(&text, "0x%" PRIx64, cell->address);
		break;
	case NUNCHI_TYPE_REAL:
		size = asprintf(&text, "%.6f", cell->real);
		break;
	case NUNCHI_TYPE_TEXT:
		/* The writer escapes it; a text never goes on behind a NUL here. */
		return strndup(cell->text, cell->text_size);
	}
	return size < 0 ? NULL : text;
}

/* "pid=7 name=init": the columns of a mask that have a value; to be freed. */
static char *row_text(const struct nunchi_view *view, uint64_t mask, const struct row *row)
{
	char *text = strdup("");

	for (size_t i = 0; i < view->column_count && text; i++) {
		char *value, *longer = NULL;

		if (!(mask >> i & 1) || row->cells[i].kind != NUNCHI_CELL_VALUE)
			continue;
		value = value_of(view, i, &row->cells[i]);
		if (asprintf(&longer, "%s%s%s=%s", text, *text ? " " : "", view->columns[i].name,
			     value ? value : "") < 0)
			longer = NULL;
		free(value);
		free(text);
		text = longer;
	}
	return text;
}

static struct nunchi_error *write_change(struct diff *diff, const char *change,
					 const struct row *row, const char *column, char *before,
					 char *after)
{
	char *key = row_text(diff->view, diff->key, row);
	struct nunchi_cell cells[] = {
	    cell_text(change), cell_text(diff->view->name), cell_text(key && *key ? key : NULL),
	    cell_text(column), cell_text(before),           cell_text(after)};
	struct nunchi_error *err = nunchi_writer_row(diff->writer, cells, false);

	diff->found++;
	free(key);
	free(before);
	free(after);
	return err;
}

/* A worker's name goes on with what it does ("+") or did last ("-"). */
static bool is_same_worker(const struct nunchi_cell *a, const struct nunchi_cell *b)
{
	static const char prefix[] = "kworker/";
	size_t size = strlen(prefix);

	if (!is_text(a) || !is_text(b) || a->text_size < size || b->text_size < size ||
	    memcmp(a->text, prefix, size) || memcmp(b->text, prefix, size))
		return false;
	for (size_t i = size;; i++) {
		bool a_ends = i == a->text_size || strchr("+-", a->text[i]);
		bool b_ends = i == b->text_size || strchr("+-", b->text[i]);

		if (a_ends || b_ends)
			return a_ends && b_ends;
		if (a->text[i] != b->text[i])
			return false;
	}
}

/* A value that one of the guests cannot tell, for want of a page, is no difference. */
static bool differ(const struct nunchi_cell *a, const struct nunchi_cell *b)
{
	const struct nunchi_cell *absent = a->kind != NUNCHI_CELL_VALUE ? a : b;

	if (absent->kind != NUNCHI_CELL_VALUE && absent->absence != NUNCHI_ABSENT_NOT_APPLICABLE)
		return false;
	return compare_cells(a, b) && !is_same_worker(a, b);
}

static struct nunchi_error *compare_rows(struct diff *diff, const struct row *before,
					 const struct row *after)
{
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < diff->view->column_count && !err; i++)
		if (diff->compared >> i & 1 && differ(&before->cells[i], &after->cells[i]))
			err = write_change(diff, "changed", before, diff->view->columns[i].name,
					   value_of(diff->view, i, &before->cells[i]),
					   value_of(diff->view, i, &after->cells[i]));
	return err;
}

static struct nunchi_error *merge(struct diff *diff, const struct rows *before,
				  const struct rows *after)
{
	struct nunchi_error *err = NULL;
	size_t i = 0, j = 0;

	while (!err && (i < before->count || j < after->count)) {
		int order = i == before->count ? 1
			    : j == after->count
				? -1
				: compare_keys(&before->items[i], &after->items[j], diff);

		if (!order) {
			err = compare_rows(diff, &before->items[i++], &after->items[j++]);
		} else if (order < 0) {
			err = write_change(diff, "gone", &before->items[i], NULL,
					   row_text(diff->view, diff->compared, &before->items[i]),
					   NULL);
			i++;
		} else {
			err = write_change(diff, "new", &after->items[j], NULL, NULL,
					   row_text(diff->view, diff->compared, &after->items[j]));
			j++;
		}
	}
	return err;
}

/* ---- The command ----------------------------------------------------------------------------- */

/* Several views read the same of a guest, and warn of the same. */
static void warn(struct cli *cli, const char *text, void *data)
{
	const struct rows *rows = data;
	struct diff *diff = rows->diff;
	char *known, *shown;

	if (asprintf(&known, "%zu %s", rows->which, text) < 0) {
		cli_warn(cli, text);
		return;
	}
	for (size_t i = 0; i < diff->warned_count; i++)
		if (!strcmp(diff->warned[i], known)) {
			free(known);
			return;
		}
	if (diff->warned_count < MOST_WARNED)
		diff->warned[diff->warned_count++] = known;
	else
		free(known);
	if (asprintf(&shown, "%s: %s", diff->view->name, text) < 0)
		shown = NULL;
	cli_warn(cli, shown ? shown : text);
	free(shown);
}

static int read_rows(struct diff *diff, size_t which, struct rows *ret)
{
	struct cli *cli = diff->cli;
	struct nunchi_guest *guest = cli->guest;
	const char *target = cli->target;
	struct nunchi_query query = {.size = sizeof(query)};
	int status;

	*ret = (struct rows){.columns = diff->view->column_count, .diff = diff, .which = which};
	cli->guest = diff->targets.guests[which];
	cli->target = diff->targets.words[which];
	status = cli_rows_warned(cli, diff->view, &query, add_row, warn, ret);
	if (!status && ret->too_large)
		status = cli_fail_with(cli, "the view %s has more rows than are compared (64 MiB)",
				       diff->view->name);
	cli->guest = guest;
	cli->target = target;
	return status;
}

static void sort(struct diff *diff, struct rows *rows)
{
	if (rows->count)
		qsort_r(rows->items, rows->count, sizeof(*rows->items), compare_keys, diff);
}

static int diff_view(struct diff *diff, const struct nunchi_view *view)
{
	uint64_t every = UINT64_MAX >> (64 - view->column_count);
	struct rows before = {0}, after = {0};
	int status;

	diff->view = view;
	diff->key = view->key;
	diff->compared = every & ~view->key & (diff->all ? UINT64_MAX : ~view->changing);
	if (!diff->compared && !view->key)
		return CLI_DONE;
	status = read_rows(diff, 0, &before);
	if (!status)
		status = read_rows(diff, 1, &after);
	/* Rows that nothing identifies are new or gone as a whole, unless there is one. */
	if (!view->key && (before.count > 1 || after.count > 1))
		diff->key = diff->compared;
	sort(diff, &before);
	sort(diff, &after);
	if (!status)
		status = cli_fail(diff->cli, merge(diff, &before, &after));
	free_rows(&before);
	free_rows(&after);
	return status;
}

static bool is_compared(const struct nunchi_view *view, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], view->name))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(on_request) && !count; i++)
		if (!strcmp(on_request[i], view->name))
			return false;
	return !count;
}

static int diff_views(struct diff *diff, char **names, int count)
{
	const struct nunchi_view *const *views;
	int status = CLI_DONE;
	size_t view_count;

	views = nunchi_views(&view_count);
	for (size_t i = 0; i < view_count && !status; i++)
		if (is_compared(views[i], names, count))
			status = diff_view(diff, views[i]);
	return status;
}

static int diff_run(struct cli *cli, void *data, char **arguments, int count)
{
	const struct nunchi_view *view;
	struct diff *diff = data;
	int status = CLI_DONE, finished;

	diff->cli = cli;
	diff->targets.count = 2;
	diff->targets.words[0] = arguments[0];
	diff->targets.words[1] = arguments[1];
	for (int i = 2; i < count && !status; i++)
		status = view_argument(cli, arguments[i], &view);
	if (!status)
		status = targets_open(cli, &diff->targets);
	if (status)
		return status;
	status = cli_fail(cli, cli_list_writer(cli, columns, ARRAY_SIZE(columns), &diff->writer));
	if (!status)
		status = diff_views(diff, arguments + 2, count - 2);
	if (!status && !diff->found && cli->output == NUNCHI_OUTPUT_TABLE) {
		cli_printf(cli, "no difference\n");
	} else if (diff->writer) {
		finished = cli_fail(cli, nunchi_writer_finish(diff->writer));
		status = status ? status : finished;
	}
	nunchi_writer_destroy(diff->writer);
	diff->writer = NULL;
	return !status && diff->found ? CLI_FOUND : status;
}

static int diff_option(struct cli *cli, void *data, int letter, const char *value)
{
	struct diff *diff = data;

	(void)cli;
	(void)letter;
	(void)value;
	diff->all = true;
	return CLI_DONE;
}

static void diff_clean(void *data)
{
	struct diff *diff = data;

	targets_close(&diff->targets);
	for (size_t i = 0; i < diff->warned_count; i++)
		free(diff->warned[i]);
}

static const struct cli_option diff_options[] = {
    {"all", OPTION_ALL, NULL, "compare also columns that change all the time, as CPU times"},
};

const struct command command_diff = {
    .name = "diff",
    .arguments = "BEFORE AFTER [VIEW…]",
    .summary = "show what differs between two guests, or two moments of one",
    .description =
	"Compares two targets view by view: rows that are new, gone or changed, which the view's "
	"key finds again (a process by its id, a module by its name), what the checks found among "
	"them. Made for two moments of one guest: a file and the running guest, or two files. "
	"Columns that change all the time (CPU times, sizes, offsets) are left out; so is a value "
	"that one side cannot tell. With names of views only these are compared; symbols and "
	"kernel_log are compared only if they are named.\nThe exit status is 3 if anything "
	"differs.",
    .examples = "  nunchi diff monday.elf xen:web\n"
		"  nunchi diff a.elf b.elf kernel_modules mounts findings\n"
		"  nunchi diff a.elf b.elf --json\n",
    .options = diff_options,
    .option_count = ARRAY_SIZE(diff_options),
    .least = 2,
    .most = 34,
    .state_size = sizeof(struct diff),
    .option = diff_option,
    .run = diff_run,
    .clean = diff_clean,
};
