/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An aligned table. Rows are held back until the widths of the columns are known. On a terminal, so
 * many columns are shown, from the left, as fit with a readable part of their texts; the widest
 * texts are shortened until a row fits; last lines name the columns left out. Elsewhere (width 0)
 * nothing is shortened or left out.
 */
#include "output/escape.h"
#include "output/unit.h"
#include "output/writer.h"

#include <string.h>

#define MAX_HELD_ROWS  1000
#define MAX_HELD_BYTES ((size_t)4 << 20)
/*
 * Columns are left out rather than have a text column shown with less than READABLE_TEXT columns,
 * or a third of a narrow terminal. No text column is made narrower than LEAST_TEXT or its header.
 */
#define LEAST_TEXT    8
#define READABLE_TEXT 20
/* Without a terminal's width a longer text exceeds its column instead of widening it for all rows.
 */
#define MOST_PADDING 80
#define BETWEEN      2
#define TORN_MARK    " ~"

static size_t size_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void table_begin(struct nunchi_writer *writer)
{
	for (size_t i = 0; i < writer->column_count; i++) {
		_cleanup_buffer_ struct buffer name;

		buffer_init(&name, 0);
		escape_text(&name, writer->columns[i].name, strlen(writer->columns[i].name));
		writer->columns[i].width = escape_width(buffer_string(&name), name.size);
		writer->out.failed = writer->out.failed || name.failed;
	}
}

/* Sets each column's width to that of its widest held cell or its header. */
static void natural_widths(struct nunchi_writer *writer)
{
	size_t most = writer->options.width ? writer->options.width : MOST_PADDING;

	for (size_t row = 0; row < writer->row_count; row++) {
		for (size_t i = 0; i < writer->column_count; i++) {
			size_t width = writer->cells[row * writer->column_count + i].width;

			if (writer->columns[i].is_text && width > most)
				width = most;
			writer->columns[i].width = size_max(writer->columns[i].width, width);
		}
	}
}

/* The least width of a column whose texts keep at least `text` columns of the screen. */
static size_t narrowed(const struct writer_column *column, size_t text)
{
	size_t least = size_max(text, strlen(column->name));

	return column->is_text && least < column->width ? least : column->width;
}

/* Narrows the widest text columns until the first `shown` columns fit. */
static void shorten_texts(struct nunchi_writer *writer, size_t total, size_t room)
{
	while (total > room) {
		struct writer_column *widest = NULL;

		for (size_t i = 0; i < writer->shown; i++) {
			struct writer_column *column = &writer->columns[i];

			if (column->width > narrowed(column, LEAST_TEXT) &&
			    (!widest || column->width > widest->width))
				widest = column;
		}
		if (!widest)
			return;
		widest->width--;
		total--;
	}
}

static void lay_out(struct nunchi_writer *writer)
{
	size_t room = writer->options.width;
	size_t readable = size_max(LEAST_TEXT, room / 3 < READABLE_TEXT ? room / 3 : READABLE_TEXT);
	size_t least = 0, total = 0;

	natural_widths(writer);
	writer->laid_out = true;
	writer->shown = writer->column_count;
	if (!room)
		return;
	if (!writer->options.never_torn && room > strlen(TORN_MARK))
		room -= strlen(TORN_MARK);
	for (size_t i = 0; i < writer->column_count; i++) {
		size_t between = i ? BETWEEN : 0;

		least += between + narrowed(&writer->columns[i], readable);
		if (i && least > room) {
			writer->shown = i;
			break;
		}
		total += between + writer->columns[i].width;
	}
	shorten_texts(writer, total, room);
}

/* Appends as much of the text as fits in `width` columns with "…" behind it; returns the width
 * used. */
static size_t append_shortened(struct buffer *out, const char *text, size_t size, size_t width)
{
	size_t used = 0;

	if (!width)
		return 0;
	while (size) {
		size_t step_width;
		size_t step = escape_step(text, size, &step_width);

		if (used + step_width > width - 1)
			break;
		buffer_append(out, text, step);
		text += step;
		size -= step;
		used += step_width;
	}
	buffer_append_string(out, "…");
	return used + 1;
}

static void append_spaces(struct buffer *out, size_t count)
{
	char *to = buffer_reserve(out, count);

	if (!to)
		return;
	memset(to, ' ', count);
	to[count] = '\0';
	out->size += count;
}

static void append_field(struct nunchi_writer *writer, size_t i, const char *text, size_t size,
			 size_t width)
{
	const struct writer_column *column = &writer->columns[i];
	bool cut = column->is_text && writer->options.width && width > column->width;
	size_t pad = column->width > width ? column->width - width : 0;
	struct buffer *out = &writer->out;

	if (i)
		append_spaces(out, BETWEEN);
	if (!column->is_text)
		append_spaces(out, pad);
	if (cut)
		pad = column->width - append_shortened(out, text, size, column->width);
	else
		buffer_append(out, text, size);
	if (column->is_text && i + 1 < writer->shown)
		append_spaces(out, pad);
}

static void append_header(struct nunchi_writer *writer)
{
	struct buffer *out = &writer->out;

	if (writer->options.color)
		buffer_append_string(out, "\033[1m");
	for (size_t i = 0; i < writer->shown; i++) {
		_cleanup_buffer_ struct buffer name;

		buffer_init(&name, 0);
		escape_text(&name, writer->columns[i].name, strlen(writer->columns[i].name));
		append_field(writer, i, buffer_string(&name), name.size,
			     escape_width(buffer_string(&name), name.size));
		out->failed = out->failed || name.failed;
	}
	if (writer->options.color)
		buffer_append_string(out, "\033[0m");
	buffer_append_char(out, '\n');
}

static struct nunchi_error *write_held(struct nunchi_writer *writer)
{
	struct nunchi_error *err = NULL;

	if (!writer->laid_out) {
		lay_out(writer);
		append_header(writer);
	}
	for (size_t row = 0; row < writer->row_count && !err; row++) {
		const struct writer_cell *cells = &writer->cells[row * writer->column_count];

		for (size_t i = 0; i < writer->shown; i++)
			append_field(writer, i, buffer_string(&writer->held) + cells[i].offset,
				     cells[i].size, cells[i].width);
		buffer_append_string(&writer->out, writer->torn[row] ? TORN_MARK "\n" : "\n");
		if (writer->out.size >= 65536)
			err = writer_flush(writer);
	}
	writer->row_count = 0;
	buffer_clear(&writer->held);
	return err ? err : writer_flush(writer);
}

/* Room for a row more. */
static bool grow(struct nunchi_writer *writer)
{
	size_t capacity = writer->row_capacity ? writer->row_capacity * 2 : 64;
	struct writer_cell *cells;
	bool *torn;

	if (writer->row_count < writer->row_capacity)
		return true;
	cells = reallocarray(writer->cells, capacity * writer->column_count, sizeof(*cells));
	if (!cells)
		return false;
	writer->cells = cells;
	torn = reallocarray(writer->torn, capacity, sizeof(*torn));
	if (!torn)
		return false;
	writer->torn = torn;
	writer->row_capacity = capacity;
	return true;
}

/* Escapes a text that ends like the mark of a torn row. */
static void guard_mark(struct buffer *held, size_t start)
{
	size_t length = strlen(TORN_MARK);

	if (held->failed || held->size - start < length ||
	    memcmp(held->data + held->size - length, TORN_MARK, length))
		return;
	held->size--;
	buffer_append_string(held, "\\~");
}

void writer_append_for_people(struct buffer *out, const struct writer_column *column,
			      const struct nunchi_cell *cell)
{
	if (cell->kind != NUNCHI_CELL_VALUE || cell->type != NUNCHI_TYPE_INTEGER ||
	    !unit_append(out, column->unit, cell->integer))
		writer_append_cell(out, cell);
}

static struct nunchi_error *table_row(struct nunchi_writer *writer, const struct nunchi_cell *cells,
				      bool torn)
{
	struct buffer *held = &writer->held;
	struct writer_cell *row;

	if (!grow(writer))
		return &error_nomem;
	row = &writer->cells[writer->row_count * writer->column_count];
	for (size_t i = 0; i < writer->column_count; i++) {
		size_t start = held->size;

		writer_append_for_people(held, &writer->columns[i], &cells[i]);
		guard_mark(held, start);
		if (held->failed)
			return &error_nomem;
		row[i].offset = start;
		row[i].size = held->size - start;
		row[i].width = escape_width(buffer_string(held) + start, row[i].size);
	}
	writer->torn[writer->row_count++] = torn;
	if (writer->laid_out || writer->row_count >= MAX_HELD_ROWS || held->size >= MAX_HELD_BYTES)
		return write_held(writer);
	return NULL;
}

/* Appends words separated by a space or, where a word does not fit in the line, a newline. */
static void append_wrapped(struct nunchi_writer *writer, size_t *column, const char *text)
{
	while (*text) {
		size_t size = strcspn(text, " ");
		size_t width = escape_width(text, size);

		if (*column && *column + 1 + width > writer->options.width) {
			buffer_append_char(&writer->out, '\n');
			*column = 0;
		} else if (*column) {
			buffer_append_char(&writer->out, ' ');
			(*column)++;
		}
		buffer_append(&writer->out, text, size);
		*column += width;
		text += size;
		text += strspn(text, " ");
	}
}

/* "left out: uid, gid (--wide shows all)", broken into lines. */
static void append_left_out(struct nunchi_writer *writer)
{
	const char *hint = writer->options.left_out_hint;
	_cleanup_buffer_ struct buffer text;
	size_t column = 0;

	buffer_init(&text, 0);
	buffer_append_string(&text, "left out:");
	for (size_t i = writer->shown; i < writer->column_count; i++) {
		buffer_append_string(&text, i == writer->shown ? " " : ", ");
		escape_text(&text, writer->columns[i].name, strlen(writer->columns[i].name));
	}
	if (hint)
		buffer_printf(&text, " (%s)", hint);
	if (text.failed)
		writer->out.failed = true;
	append_wrapped(writer, &column, buffer_string(&text));
	buffer_append_char(&writer->out, '\n');
}

static struct nunchi_error *table_finish(struct nunchi_writer *writer)
{
	struct nunchi_error *err = write_held(writer);

	if (err)
		return err;
	if (writer->any_torn)
		buffer_append_string(&writer->out,
				     "~ the guest changed this row while it was read\n");
	if (writer->shown < writer->column_count)
		append_left_out(writer);
	return writer_flush(writer);
}

const struct writer_ops writer_table = {
    .begin = table_begin,
    .row = table_row,
    .finish = table_finish,
};
