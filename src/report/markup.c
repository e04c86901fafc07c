/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report/markup.h"

#include "output/escape.h"
#include "output/unit.h"
#include "output/writer.h"

#include <string.h>

/* Texts of more bytes are broken into lines anywhere. */
#define LONG      24
#define VERY_LONG 400

static const char *reference(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	default:
		return "&#39;";
	}
}

void markup_text(struct buffer *out, const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer escaped = {0};
	const char *at, *end;

	escape_text(&escaped, text, size);
	if (escaped.failed)
		out->failed = out->no_memory = true;
	at = buffer_string(&escaped);
	end = at + escaped.size;
	while (at < end && !out->failed) {
		size_t plain = strcspn(at, "<>&\"'");

		buffer_append(out, at, plain);
		at += plain;
		if (at < end)
			buffer_append_string(out, reference(*at++));
	}
}

void markup_string(struct buffer *out, const char *text)
{
	markup_text(out, text, strlen(text));
}

/* How many bytes are shown: a character is not cut apart. */
static size_t shown_size(const char *text, size_t size)
{
	size_t shown = MARKUP_MOST_TEXT;

	if (size <= shown)
		return size;
	for (unsigned i = 0; i < 3 && ((unsigned char)text[shown] & 0xc0) == 0x80; i++)
		shown--;
	return shown;
}

void markup_long_text(struct buffer *out, const char *text, size_t size)
{
	size_t shown = shown_size(text, size);

	markup_text(out, text, shown);
	if (shown < size)
		buffer_printf(out, "<span class=\"cut\"> … and %zu more bytes</span>",
			      size - shown);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* What some numbers mean; the columns of these names have the same numbers in each view. */
static const struct {
	const char *column;
	int64_t value;
	const char *word;
} words[] = {{"family", 1, "UNIX"},     {"family", 2, "IPv4"},    {"family", 10, "IPv6"},
	     {"family", 16, "netlink"}, {"family", 17, "packet"}, {"family", 40, "vsock"},
	     {"on_disk", 0, "deleted"}, {"on_disk", 1, "yes"},    {"on_disk", -1, "no file"}};

static const char *word_of(const struct nunchi_column *column, int64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].value == value && !strcmp(words[i].column, column->name))
			return words[i].word;
	return NULL;
}

static void append_absent(struct buffer *out, enum nunchi_absence why)
{
	const char *reason = nunchi_absence_string(why);

	buffer_printf(out, "<td class=\"absent\" title=\"%s\">–", reason);
	/* A title is neither printed nor shown by a touch. */
	if (why != NUNCHI_ABSENT_NOT_APPLICABLE)
		buffer_printf(out, " %s", reason);
}

static void append_integer(struct buffer *out, const struct nunchi_column *column,
			   const struct nunchi_cell *cell)
{
	const char *word = word_of(column, cell->integer);
	_cleanup_buffer_ struct buffer shown = {0};

	buffer_append_string(out, word ? "<td" : "<td class=\"number\"");
	if (word)
		buffer_append_string(&shown, word);
	if (word || unit_append(&shown, column->unit, cell->integer)) {
		buffer_append_string(out, " data-v=\"");
		writer_append_number(out, cell);
		buffer_append_string(out, "\">");
		buffer_append(out, buffer_string(&shown), shown.size);
		out->failed = out->failed || shown.failed;
	} else {
		buffer_append_char(out, '>');
		writer_append_number(out, cell);
	}
}

/* A very long text is in a box of its own, in which it is scrolled. */
static void append_text(struct buffer *out, const char *text, size_t size)
{
	buffer_append_string(out, size > LONG ? "<td class=\"long\">" : "<td>");
	buffer_append_string(out, size > VERY_LONG ? "<div class=\"tall\">" : "");
	markup_long_text(out, text, size);
	buffer_append_string(out, size > VERY_LONG ? "</div>" : "");
}

void markup_cell(struct buffer *out, const struct nunchi_column *column,
		 const struct nunchi_cell *cell)
{
	enum nunchi_absence why;

	if (writer_is_absent(cell, &why)) {
		append_absent(out, why);
	} else if (cell->type == NUNCHI_TYPE_TEXT) {
		append_text(out, cell->text, cell->text_size);
	} else if (cell->type == NUNCHI_TYPE_INTEGER) {
		append_integer(out, column, cell);
	} else {
		buffer_append_string(out, "<td class=\"number\">");
		writer_append_number(out, cell);
	}
	buffer_append_string(out, "</td>");
}
