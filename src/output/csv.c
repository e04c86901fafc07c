/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comma-separated values: RFC 4180, except that lines end in a newline without carriage return. */
#include "output/escape.h"
#include "output/writer.h"

#include <string.h>

/* Quotes the field that begins at `start` in out, if it has a comma or a quote in it. */
static void quote_field(struct buffer *out, size_t start)
{
	_cleanup_free_ char *field = NULL;
	size_t size = out->size - start;

	if (out->failed || !size)
		return;
	if (!memchr(out->data + start, ',', size) && !memchr(out->data + start, '"', size))
		return;
	field = malloc(size);
	if (!field) {
		out->failed = true;
		return;
	}
	memcpy(field, out->data + start, size);
	out->size = start;
	buffer_append_char(out, '"');
	for (size_t i = 0; i < size; i++) {
		if (field[i] == '"')
			buffer_append_char(out, '"');
		buffer_append_char(out, field[i]);
	}
	buffer_append_char(out, '"');
}

static void csv_begin(struct nunchi_writer *writer)
{
	struct buffer *out = &writer->out;

	for (size_t i = 0; i < writer->column_count; i++) {
		size_t start;

		if (i)
			buffer_append_char(out, ',');
		start = out->size;
		escape_text(out, writer->columns[i].name, strlen(writer->columns[i].name));
		quote_field(out, start);
	}
	buffer_append_string(out, writer->options.never_torn ? "\n" : ",torn\n");
}

static struct nunchi_error *csv_row(struct nunchi_writer *writer, const struct nunchi_cell *cells,
				    bool torn)
{
	struct buffer *out = &writer->out;

	for (size_t i = 0; i < writer->column_count; i++) {
		size_t start;

		if (i)
			buffer_append_char(out, ',');
		start = out->size;
		writer_append_cell(out, &cells[i]);
		quote_field(out, start);
	}
	if (!writer->options.never_torn)
		buffer_append_string(out, torn ? ",1" : ",0");
	buffer_append_char(out, '\n');
	return writer_flush(writer);
}

const struct writer_ops writer_csv = {
    .begin = csv_begin,
    .row = csv_row,
    .finish = writer_flush,
};
