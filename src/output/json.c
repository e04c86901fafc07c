/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON lines: one object a row. */
#include "output/escape.h"
#include "output/unicode.h"
#include "output/writer.h"

#include <string.h>

static void json_begin(struct nunchi_writer *writer)
{
	for (size_t i = 0; i < writer->column_count; i++) {
		struct writer_column *column = &writer->columns[i];
		_cleanup_buffer_ struct buffer key;

		buffer_init(&key, 0);
		escape_json(&key, column->name, strlen(column->name));
		buffer_append_char(&key, ':');
		if (key.failed)
			writer->out.failed = true;
		else
			column->key = no_cleanup_ptr(key.data);
	}
}

static void append_value(struct buffer *out, const struct nunchi_cell *cell)
{
	enum nunchi_absence why;

	if (writer_is_absent(cell, &why)) {
		buffer_append_string(out, "null");
	} else if (cell->type == NUNCHI_TYPE_TEXT) {
		escape_json(out, cell->text, cell->text_size);
	} else if (cell->type == NUNCHI_TYPE_ADDRESS) {
		buffer_append_char(out, '"');
		writer_append_number(out, cell);
		buffer_append_char(out, '"');
	} else {
		writer_append_number(out, cell);
	}
}

static void append_absences(struct nunchi_writer *writer, const struct nunchi_cell *cells)
{
	enum nunchi_absence why;
	bool any = false;

	for (size_t i = 0; i < writer->column_count; i++) {
		const char *text;

		if (!writer_is_absent(&cells[i], &why))
			continue;
		buffer_append_string(&writer->out, any ? "," : ",\"absent\":{");
		buffer_append_string(&writer->out, writer->columns[i].key);
		text = nunchi_absence_string(why);
		escape_json(&writer->out, text, strlen(text));
		any = true;
	}
	if (any)
		buffer_append_char(&writer->out, '}');
}

/* Appends "raw": for each text that is not valid UTF-8 its bytes in hexadecimal. */
static void append_raw(struct nunchi_writer *writer, const struct nunchi_cell *cells)
{
	enum nunchi_absence why;
	bool any = false;

	for (size_t i = 0; i < writer->column_count; i++) {
		const struct nunchi_cell *cell = &cells[i];

		if (writer_is_absent(cell, &why) || cell->type != NUNCHI_TYPE_TEXT ||
		    unicode_is_valid(cell->text, cell->text_size))
			continue;
		buffer_append_string(&writer->out, any ? "," : ",\"raw\":{");
		buffer_append_string(&writer->out, writer->columns[i].key);
		buffer_append_char(&writer->out, '"');
		for (size_t j = 0; j < cell->text_size; j++)
			buffer_printf(&writer->out, "%02x", (unsigned char)cell->text[j]);
		buffer_append_char(&writer->out, '"');
		any = true;
	}
	if (any)
		buffer_append_char(&writer->out, '}');
}

static struct nunchi_error *json_row(struct nunchi_writer *writer, const struct nunchi_cell *cells,
				     bool torn)
{
	if (writer->out.failed)
		return &error_nomem;
	for (size_t i = 0; i < writer->column_count; i++) {
		buffer_append_char(&writer->out, i ? ',' : '{');
		buffer_append_string(&writer->out, writer->columns[i].key);
		append_value(&writer->out, &cells[i]);
	}
	append_absences(writer, cells);
	append_raw(writer, cells);
	if (torn)
		buffer_append_string(&writer->out, ",\"torn\":true");
	if (writer->options.remains)
		buffer_append_string(&writer->out, ",\"remains\":true");
	buffer_append_string(&writer->out, "}\n");
	return writer_flush(writer);
}

const struct writer_ops writer_json = {
    .begin = json_begin,
    .row = json_row,
    .finish = writer_flush,
};
