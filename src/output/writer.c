/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output/writer.h"

#include "core/options.h"
#include "output/escape.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* For one row: JSON takes up to six bytes for one, and a row may have several texts of megabytes.
 */
#define OUT_LIMIT ((size_t)256 << 20)
/* Of a terminal: more than any has. */
#define MOST_WIDTH 10000

DEFINE_CLEANUP(struct nunchi_writer, nunchi_writer_destroy)

static const struct writer_ops *const forms[] = {
    [NUNCHI_OUTPUT_TABLE] = &writer_table,
    [NUNCHI_OUTPUT_JSON] = &writer_json,
    [NUNCHI_OUTPUT_CSV] = &writer_csv,
    [NUNCHI_OUTPUT_LINE] = &writer_line,
};

struct nunchi_error *writer_flush(struct nunchi_writer *writer)
{
	bool ok;

	if (writer->out.failed)
		return &error_nomem;
	if (!writer->out.size)
		return NULL;
	ok = writer->write(writer->out.data, writer->out.size, writer->data);
	buffer_clear(&writer->out);
	return ok ? NULL : error_create(NUNCHI_ERROR_CANCELLED, "writing the output failed");
}

/* 15 digits, or the 17 that identify every double, with a decimal point in every locale. */
static void append_real(struct buffer *out, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	for (char *p = text; *p;) {
		size_t digits = strspn(p, "0123456789+-e");

		buffer_append(out, p, digits);
		p += digits;
		if (*p)
			buffer_append_char(out, '.');
		p += strcspn(p, "0123456789+-e");
	}
}

void writer_append_number(struct buffer *out, const struct nunchi_cell *cell)
{
	if (cell->type == NUNCHI_TYPE_ADDRESS) {
		buffer_append_string(out, "0x");
		buffer_append_unsigned(out, cell->address, 16, 1);
	} else if (cell->type == NUNCHI_TYPE_REAL) {
		append_real(out, cell->real);
	} else {
		if (cell->integer < 0)
			buffer_append_char(out, '-');
		buffer_append_unsigned(
		    out, cell->integer < 0 ? 0 - (uint64_t)cell->integer : (uint64_t)cell->integer,
		    10, 1);
	}
}

bool writer_is_absent(const struct nunchi_cell *cell, enum nunchi_absence *ret)
{
	if (cell->kind != NUNCHI_CELL_VALUE)
		*ret = cell->absence;
	else if (cell->type == NUNCHI_TYPE_REAL && !isfinite(cell->real))
		*ret = NUNCHI_ABSENT_BAD_DATA;
	else
		return false;
	return true;
}

void writer_append_cell(struct buffer *out, const struct nunchi_cell *cell)
{
	enum nunchi_absence why;

	if (!writer_is_absent(cell, &why)) {
		if (cell->type == NUNCHI_TYPE_TEXT)
			escape_cell(out, cell->text, cell->text_size);
		else
			writer_append_number(out, cell);
	} else if (why == NUNCHI_ABSENT_NOT_APPLICABLE) {
		buffer_append_char(out, '-');
	} else {
		buffer_append_char(out, '<');
		buffer_append_string(out, nunchi_absence_string(why));
		buffer_append_char(out, '>');
	}
}

static struct nunchi_error *copy_columns(struct nunchi_writer *writer,
					 const struct nunchi_column *const *columns, size_t count)
{
	writer->columns = calloc(count, sizeof(*writer->columns));
	if (!writer->columns)
		return &error_nomem;
	writer->column_count = count;
	for (size_t i = 0; i < count; i++) {
		const char *name = columns[i]->name;

		if (!strcmp(name, "torn") || !strcmp(name, "absent") || !strcmp(name, "raw") ||
		    !strcmp(name, "remains"))
			return error_create(NUNCHI_ERROR_ARGUMENT,
					    "a column cannot be called \"%s\": JSON rows use "
					    "that name for marks of their own",
					    name);
		writer->columns[i].name = strdup(name);
		if (!writer->columns[i].name)
			return &error_nomem;
		writer->columns[i].type = columns[i]->type;
		writer->columns[i].unit = columns[i]->unit;
		writer->columns[i].is_text = columns[i]->type == NUNCHI_TYPE_TEXT;
	}
	return NULL;
}

static struct nunchi_error *copy_options(struct nunchi_writer *writer,
					 const struct nunchi_writer_options *options)
{
	struct nunchi_error *err = NULL;

	if (options)
		err = options_take("nunchi_writer_options", options, options->size,
				   offsetof(struct nunchi_writer_options, output), &writer->options,
				   sizeof(writer->options));
	if (err)
		return err;
	if (writer->options.width > MOST_WIDTH)
		writer->options.width = MOST_WIDTH;
	if ((unsigned)writer->options.output >= ARRAY_SIZE(forms))
		return error_create(NUNCHI_ERROR_ARGUMENT, "there is no form of output %d",
				    (int)writer->options.output);
	return NULL;
}

struct nunchi_error *nunchi_writer_create(const struct nunchi_writer_options *options,
					  const struct nunchi_column *const *columns,
					  size_t column_count,
					  bool (*write)(const char *data, size_t size, void *data2),
					  void *data, struct nunchi_writer **ret)
{
	_cleanup_(cleanup_nunchi_writer_destroy_p) struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	if (!write || !column_count || !columns || !ret)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a writer needs columns and somewhere to write");
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return &error_nomem;
	writer->write = write;
	writer->data = data;
	buffer_init(&writer->out, OUT_LIMIT);
	buffer_init(&writer->held, OUT_LIMIT);
	err = copy_options(writer, options);
	if (err)
		return err;
	writer->ops = forms[writer->options.output];
	err = copy_columns(writer, columns, column_count);
	if (err)
		return err;
	writer->ops->begin(writer);
	*ret = no_cleanup_ptr(writer);
	return NULL;
}

struct nunchi_error *nunchi_writer_row(struct nunchi_writer *writer,
				       const struct nunchi_cell *cells, bool torn)
{
	if (!writer || !cells)
		return error_create(NUNCHI_ERROR_ARGUMENT, "the writer or the row is NULL");
	if (writer->finished)
		return error_create(NUNCHI_ERROR_ARGUMENT, "the writer has finished");
	if (torn)
		writer->any_torn = true;
	return writer->ops->row(writer, cells, torn);
}

struct nunchi_error *nunchi_writer_finish(struct nunchi_writer *writer)
{
	if (!writer)
		return error_create(NUNCHI_ERROR_ARGUMENT, "the writer is NULL");
	if (writer->finished)
		return NULL;
	writer->finished = true;
	return writer->ops->finish(writer);
}

void nunchi_writer_destroy(struct nunchi_writer *writer)
{
	if (!writer)
		return;
	for (size_t i = 0; i < writer->column_count; i++) {
		free(writer->columns[i].name);
		free(writer->columns[i].key);
	}
	free(writer->columns);
	free(writer->cells);
	free(writer->torn);
	buffer_deinit(&writer->held);
	buffer_deinit(&writer->out);
	free(writer);
}
