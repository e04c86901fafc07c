/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One value a line, as "name = value", with the names right-aligned and a blank line between rows.
 */
#include "output/escape.h"
#include "output/writer.h"

#include <string.h>

/* The width of a name on the screen is kept with its column, that of the widest one counts. */
static void line_begin(struct nunchi_writer *writer)
{
	for (size_t i = 0; i < writer->column_count; i++) {
		_cleanup_buffer_ struct buffer name;

		buffer_init(&name, 0);
		escape_text(&name, writer->columns[i].name, strlen(writer->columns[i].name));
		writer->columns[i].width = escape_width(buffer_string(&name), name.size);
		if (writer->columns[i].width > writer->shown)
			writer->shown = writer->columns[i].width;
		writer->out.failed = writer->out.failed || name.failed;
	}
}

static struct nunchi_error *line_row(struct nunchi_writer *writer, const struct nunchi_cell *cells,
				     bool torn)
{
	struct buffer *out = &writer->out;

	if (writer->laid_out)
		buffer_append_char(out, '\n');
	writer->laid_out = true;
	for (size_t i = 0; i < writer->column_count; i++) {
		const struct writer_column *column = &writer->columns[i];

		for (size_t blank = column->width; blank < writer->shown; blank++)
			buffer_append_char(out, ' ');
		escape_text(out, column->name, strlen(column->name));
		buffer_append_string(out, " = ");
		writer_append_for_people(out, column, &cells[i]);
		buffer_append_char(out, '\n');
	}
	if (torn)
		buffer_append_string(out, "torn = 1\n");
	return writer_flush(writer);
}

const struct writer_ops writer_line = {
    .begin = line_begin,
    .row = line_row,
    .finish = writer_flush,
};
