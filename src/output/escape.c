/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output/escape.h"

#include "output/unicode.h"

#include <stdio.h>
#include <string.h>

#include <nunchi/nunchi.h>

/* A 64-bit word with each byte set to the value. */
#define EACH(value) ((value) * (UINT64_MAX / UINT8_MAX))

/* Whether any byte of the word is below the limit, which is at most 0x80. */
static bool has_below(uint64_t word, uint64_t limit)
{
	return (word - EACH(limit)) & ~word & EACH(0x80);
}

/* How many bytes at the start are ASCII that needs no escape, neither in text nor in JSON. */
static size_t plain_run(const char *text, size_t size)
{
	size_t i = 0;

	for (uint64_t word; size - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, text + i, sizeof(word));
		if (word & EACH(0x80) || has_below(word, 0x20) || has_below(word ^ EACH(0x7f), 1) ||
		    has_below(word ^ EACH('\\'), 1) || has_below(word ^ EACH('"'), 1))
			break;
	}
	while (i < size && text[i] >= 0x20 && text[i] < 0x7f && text[i] != '\\' && text[i] != '"')
		i++;
	return i;
}

static void escape_text_one(struct buffer *out, uint32_t c)
{
	switch (c) {
	case '\\':
		buffer_append_string(out, "\\\\");
		break;
	case '\n':
		buffer_append_string(out, "\\n");
		break;
	case '\t':
		buffer_append_string(out, "\\t");
		break;
	case '\r':
		buffer_append_string(out, "\\r");
		break;
	default:
		buffer_printf(out, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
	}
}

/* One character, or as many as need no escape, `most` of these; gives their size. */
static size_t escape_next(struct buffer *out, const char *text, size_t size, size_t most)
{
	size_t length = plain_run(text, size < most ? size : most);
	uint32_t c;

	if (length) {
		buffer_append(out, text, length);
	} else if (!(length = unicode_decode(text, size, &c))) {
		buffer_printf(out, "\\x%02x", (unsigned char)text[0]);
		length = 1;
	} else if (c == '\\' || unicode_is_hidden(c)) {
		escape_text_one(out, c);
	} else {
		buffer_append(out, text, length);
	}
	return length;
}

void escape_text(struct buffer *out, const char *text, size_t size)
{
	while (size && !out->failed) {
		size_t length = escape_next(out, text, size, size);

		text += length;
		size -= length;
	}
}

void escape_cell(struct buffer *out, const char *text, size_t size)
{
	if ((size && text[0] == '<') || (size == 1 && text[0] == '-'))
		buffer_append_char(out, '\\');
	escape_text(out, text, size);
}

static void escape_json_one(struct buffer *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		buffer_printf(out, "\\%c", (int)c);
	else if (c == '\n')
		buffer_append_string(out, "\\n");
	else if (c == '\t')
		buffer_append_string(out, "\\t");
	else if (c == '\r')
		buffer_append_string(out, "\\r");
	else if (c < 0x10000)
		buffer_printf(out, "\\u%04x", (unsigned)c);
	else
		buffer_printf(out, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (c >> 10)),
			      (unsigned)(0xdc00 + (c & 0x3ff)));
}

void escape_json(struct buffer *out, const char *text, size_t size)
{
	buffer_append_char(out, '"');
	while (size && !out->failed) {
		size_t length = plain_run(text, size);
		uint32_t c;

		if (length) {
			buffer_append(out, text, length);
		} else if (!(length = unicode_decode(text, size, &c))) {
			buffer_append_string(out, "\\ufffd");
			length = 1;
		} else if (c == '"' || c == '\\' || unicode_is_hidden(c)) {
			escape_json_one(out, c);
		} else {
			buffer_append(out, text, length);
		}
		text += length;
		size -= length;
	}
	buffer_append_char(out, '"');
}

/* The size of the escape at the start, one that escape_text() made: \c, \xNN or \u{…}. */
static size_t escape_size(const char *escaped, size_t size)
{
	size_t length = 2;

	if (size > 2 && escaped[1] == 'x')
		length = 4;
	else if (size > 2 && escaped[1] == 'u')
		while (length < size && escaped[length - 1] != '}')
			length++;
	return length < size ? length : size;
}

size_t escape_step(const char *escaped, size_t size, size_t *ret_width)
{
	uint32_t c;
	size_t length = unicode_decode(escaped, size, &c);
	size_t next;

	if (!length)
		c = '?', length = 1;
	if (c == '\\') {
		length = escape_size(escaped, size);
		*ret_width = length;
	} else {
		*ret_width = unicode_width(c);
	}
	while ((next = unicode_decode(escaped + length, size - length, &c)) && !unicode_width(c))
		length += next;
	return length;
}

size_t escape_width(const char *escaped, size_t size)
{
	size_t total = 0;

	while (size) {
		size_t length = plain_run(escaped, size);
		size_t width = length;

		if (!length)
			length = escape_step(escaped, size, &width);
		total += width;
		escaped += length;
		size -= length;
	}
	return total;
}

size_t nunchi_escape(const char *text, size_t size, char *ret, size_t capacity)
{
	size_t all = 0, kept = 0, length, step, width;
	bool full = false;

	/* By pieces, each in storage of its own: this cannot fail. */
	for (; size; text += length, size -= length) {
		char storage[64];
		struct buffer piece = {
		    .data = storage, .capacity = sizeof(storage), .limit = sizeof(storage) - 1};

		length = escape_next(&piece, text, size, sizeof(storage) / 2);
		for (size_t at = 0; at < piece.size && !full; at += step) {
			step = escape_step(storage + at, piece.size - at, &width);
			full = kept + step >= capacity;
			if (!full) {
				memcpy(ret + kept, storage + at, step);
				kept += step;
			}
		}
		all += piece.size;
	}
	if (capacity)
		ret[kept] = '\0';
	return all;
}
