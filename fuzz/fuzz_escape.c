/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Output of hostile text. The first byte chooses the table's width, the rest is the text. Checked:
 * what comes out is UTF-8 without hidden characters on the lines expected, the escapes lead back to
 * the very bytes, JSON parses to them, and no line of a table is wider than the terminal.
 */
#include "core/buffer.h"
#include "core/error.h"
#include "output/escape.h"
#include "output/unicode.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Two texts of least width, what stands between them, and a mark. */
#define NARROW 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool collect(const char *data, size_t size, void *buffer)
{
	return buffer_append(buffer, data, size);
}

/* Counts lines; anything else that is hidden must not be there. */
static size_t check_shown(const struct buffer *out)
{
	size_t lines = 0, step;
	uint32_t c;

	for (size_t at = 0; at < out->size; at += step) {
		step = unicode_decode(out->data + at, out->size - at, &c);
		require(step);
		require(c == '\n' || !unicode_is_hidden(c));
		lines += c == '\n';
	}
	return lines;
}

static void append_utf8(struct buffer *out, uint32_t c)
{
	if (c < 0x80) {
		buffer_append_char(out, (char)c);
		return;
	}
	if (c >= 0x10000) {
		buffer_append_char(out, (char)(0xf0 | c >> 18));
		buffer_append_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
	} else if (c >= 0x800) {
		buffer_append_char(out, (char)(0xe0 | c >> 12));
	}
	buffer_append_char(out, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
	buffer_append_char(out, (char)(0x80 | (c & 0x3f)));
}

/* Undoes escape_text(). */
static void unescape(struct buffer *out, const char *text)
{
	unsigned c;
	int used;

	for (; *text; text++) {
		if (*text != '\\') {
			buffer_append_char(out, *text);
			continue;
		}
		text++;
		if (*text == 'n' || *text == 't' || *text == 'r') {
			buffer_append_char(out, *text == 'n' ? '\n' : *text == 't' ? '\t' : '\r');
		} else if (*text == 'x') {
			require(sscanf(text, "x%2x%n", &c, &used) == 1 && used == 3);
			buffer_append_char(out, (char)c);
			text += used - 1;
		} else if (*text == 'u') {
			used = 0;
			require(sscanf(text, "u{%x}%n", &c, &used) == 1 && used);
			append_utf8(out, c);
			text += used - 1;
		} else {
			require(*text == '\\');
			buffer_append_char(out, '\\');
		}
	}
}

static void check_text(const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer out, back;
	char small[16];
	size_t width = 0, step, step_width;

	buffer_init(&out, 0);
	buffer_init(&back, 0);
	escape_text(&out, text, size);
	require(!check_shown(&out));
	unescape(&back, buffer_string(&out));
	require(back.size == size && (!size || !memcmp(back.data, text, size)));
	for (size_t at = 0; at < out.size; at += step) {
		step = escape_step(out.data + at, out.size - at, &step_width);
		require(step && step <= out.size - at);
		width += step_width;
	}
	require(width == escape_width(buffer_string(&out), out.size));
	require(nunchi_escape(text, size, small, sizeof(small)) == out.size);
	require(!memcmp(small, buffer_string(&out), strlen(small)));
}

static void check_json(const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer out;
	json_t *value;

	buffer_init(&out, 0);
	escape_json(&out, text, size);
	require(!check_shown(&out));
	value = json_loadb(out.data, out.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	require(value);
	if (unicode_is_valid(text, size)) {
		require(json_string_length(value) == size);
		require(!memcmp(json_string_value(value), text, size));
	}
	json_decref(value);
}

/*
 * How many lines of a table, behind the header and the row, say that the column b was left out.
 * They say nothing else, and are broken at the space alone.
 */
static size_t check_left_out(const struct buffer *out)
{
	static const char note[] = "left out: b\n";
	const char *text = strchr(strchr(out->data, '\n') + 1, '\n') + 1;
	size_t lines = 0;

	if (!*text)
		return 0;
	require(strlen(text) == strlen(note));
	for (size_t i = 0; note[i]; i++) {
		require(text[i] == note[i] || (note[i] == ' ' && text[i] == '\n'));
		lines += text[i] == '\n';
	}
	return lines;
}

static void check_form(enum nunchi_output output, unsigned width, const char *text, size_t size)
{
	static const struct nunchi_column columns[] = {{"a", NUNCHI_TYPE_TEXT, ""},
						       {"b", NUNCHI_TYPE_TEXT, ""}};
	const struct nunchi_column *const both[] = {&columns[0], &columns[1]};
	struct nunchi_writer_options options = {
	    .size = sizeof(options), .output = output, .width = width};
	struct nunchi_cell cell = {
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_TEXT, .text = text, .text_size = size};
	struct nunchi_cell cells[] = {cell, cell};
	struct nunchi_writer *writer = NULL;
	_cleanup_buffer_ struct buffer out;
	size_t lines;

	buffer_init(&out, 0);
	require(!nunchi_writer_create(&options, both, 2, collect, &out, &writer));
	require(!nunchi_writer_row(writer, cells, false));
	require(!nunchi_writer_finish(writer));
	lines = check_shown(&out);
	if (output == NUNCHI_OUTPUT_JSON)
		require(lines == 1);
	else if (output == NUNCHI_OUTPUT_TABLE && width)
		require(lines >= 2 && lines == 2 + check_left_out(&out));
	else
		require(lines == 2);
	for (char *line = out.data, *end; output == NUNCHI_OUTPUT_TABLE && width >= NARROW && *line;
	     line = end + 1) {
		end = strchr(line, '\n');
		require(escape_width(line, (size_t)(end - line)) <= width);
	}
	nunchi_writer_destroy(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (!size)
		return 0;
	size--;
	check_text(text, size);
	check_json(text, size);
	check_form(NUNCHI_OUTPUT_TABLE, data[0], text, size);
	check_form(NUNCHI_OUTPUT_CSV, 0, text, size);
	check_form(NUNCHI_OUTPUT_JSON, 0, text, size);
	return 0;
}
