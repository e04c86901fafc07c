/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/paste.h"

#include "core/digit.h"
#include "doctor/story/log_line.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A mailer breaks lines between these columns. */
#define WRAP_FROM 55
#define WRAP_AT   71
#define WRAP_TO   110
/* A text is told by so much of its beginning. */
#define MOST_START 65536

/* ---- What it is ---- */

static bool has(const char *text, size_t size, const char *what)
{
	return memmem(text, size, what, strlen(what));
}

static enum paste_encoding encoding_of(const unsigned char *text, size_t size)
{
	size_t even = 0, odd = 0, pairs = size < 256 ? size / 2 : 128;

	if (size >= 2 && text[0] == 0xff && text[1] == 0xfe)
		return PASTE_UTF16LE;
	if (size >= 2 && text[0] == 0xfe && text[1] == 0xff)
		return PASTE_UTF16BE;
	/* Without its mark: letters of ASCII have a zero at one side. */
	for (size_t i = 0; i < pairs; i++) {
		even += !text[2 * i] && text[2 * i + 1];
		odd += text[2 * i] && !text[2 * i + 1];
	}
	if (pairs >= 8 && odd * 10 > pairs * 8)
		return PASTE_UTF16LE;
	return pairs >= 8 && even * 10 > pairs * 8 ? PASTE_UTF16BE : PASTE_UTF8;
}

void paste_begin(struct paste *paste, const char *text, size_t size)
{
	static const char *const pages[] = {"<html", "<HTML", "<!doctype", "<!DOCTYPE", NULL};
	static const char *const tags[] = {"<pre",    "</p>",    "<br", "</div>",
					   "</code>", "</span>", NULL};
	size_t odd = 0, seen = 0;

	size = size < MOST_START ? size : MOST_START;
	*paste = (struct paste){.encoding = encoding_of((const unsigned char *)text, size)};
	if (paste->encoding != PASTE_UTF8)
		return;
	for (size_t i = 0; i < size; i++)
		odd += (unsigned char)text[i] < ' ' &&
		       !(text[i] && strchr("\t\n\r\a\b\f\x1b", text[i]));
	paste->binary = odd * 16 > size;
	for (size_t i = 0; pages[i]; i++)
		paste->html = paste->html || has(text, size, pages[i]);
	for (size_t i = 0; tags[i]; i++)
		seen += has(text, size, tags[i]);
	paste->html = paste->html || seen >= 2;
	paste->quoted_printable = has(text, size, "quoted-printable");
}

/* ---- Encodings ---- */

static void put_utf8(struct buffer *out, uint32_t c)
{
	if (c < 0x80) {
		buffer_append_char(out, (char)c);
	} else if (c < 0x800) {
		buffer_append_char(out, (char)(0xc0 | c >> 6));
		buffer_append_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buffer_append_char(out, (char)(0xe0 | c >> 12));
		buffer_append_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buffer_append_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buffer_append_char(out, (char)(0xf0 | c >> 18));
		buffer_append_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buffer_append_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buffer_append_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

void paste_decode(const struct paste *paste, const char *text, size_t size, struct buffer *out,
		  size_t *ret_used)
{
	const unsigned char *bytes = (const unsigned char *)text;
	unsigned high = paste->encoding == PASTE_UTF16LE, low = !high;

	for (size_t i = 0; i + 1 < size; i += 2) {
		uint32_t c = (uint32_t)bytes[i + high] << 8 | bytes[i + low];

		/* The mark of the order; halves of letters beyond 16 bits are in no log's message.
		 */
		if (c == 0xfeff)
			continue;
		put_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
	}
	*ret_used = size & ~(size_t)1;
}

/* ---- HTML ---- */

static const struct {
	const char *name, *text;
} entities[] = {{"&lt;", "<"},  {"&gt;", ">"},   {"&amp;", "&"},  {"&quot;", "\""},
		{"&#39;", "'"}, {"&#x27;", "'"}, {"&nbsp;", " "}, {"&apos;", "'"},
		{"&#62;", ">"}, {"&#60;", "<"},  {"&#34;", "\""}};

/* The letters of an entity at the text's beginning; its length, or 0. */
static size_t entity(const char *text, size_t size, struct buffer *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(entities); i++) {
		size_t length = strlen(entities[i].name);

		if (size < length || memcmp(text, entities[i].name, length) != 0)
			continue;
		buffer_append_string(out, entities[i].text);
		return length;
	}
	return 0;
}

static bool ends_block(const char *tag, size_t size)
{
	static const char *const blocks[] = {"<br", "</p", "</div", "</li", "</tr", "</pre", NULL};

	for (size_t i = 0; blocks[i]; i++)
		if (size >= strlen(blocks[i]) && !strncasecmp(tag, blocks[i], strlen(blocks[i])))
			return true;
	return false;
}

/* One line without its tags; one that ends a block in the middle of the line breaks it. */
static void strip_html(const char *text, size_t size, struct buffer *out)
{
	/* Once no tag ends behind here, none does later. */
	bool open = true;

	for (size_t i = 0; i < size;) {
		const char *end = NULL;
		size_t length;

		if (text[i] == '<' && open && i + 1 < size &&
		    (isalpha((unsigned char)text[i + 1]) || text[i + 1] == '/' ||
		     text[i + 1] == '!')) {
			end = memchr(text + i, '>', size - i);
			open = end;
		}
		if (end) {
			length = (size_t)(end - text) + 1 - i;
			if (ends_block(text + i, length) && i + length < size)
				buffer_append_char(out, '\n');
			i += length;
			continue;
		}
		length = text[i] == '&' ? entity(text + i, size - i, out) : 0;
		if (!length) {
			buffer_append_char(out, text[i]);
			length = 1;
		}
		i += length;
	}
}

/* ---- What stands before a line ---- */

/* Whether a line of a log begins here: so that a number or a dash before it is nobody's text. */
static bool begins_log(const char *text, size_t size)
{
	static const char *const months = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (size >= 6 && !memcmp(text, "(XEN) ", 6))
		return true;
	if (size >= 8 && text[0] == '[')
		return text[1] == ' ' || isdigit((unsigned char)text[1]);
	if (size >= 8 && text[0] == '<')
		return isdigit((unsigned char)text[1]);
	if (size < 16 || text[3] != ' ')
		return false;
	for (size_t i = 0; months[i]; i += 3)
		if (!memcmp(text, months + i, 3))
			return true;
	return false;
}

/* "12: ", "12) ", "- ", "* ", "1. ", "`" before a line of a log; else what quotes a mail. */
static size_t before(const char *text, size_t size)
{
	size_t at = 0, quoted = 0;

	if (!size || *text == '[' || *text == '(' || isalpha((unsigned char)*text))
		return 0;
	while (at < size && (text[at] == ' ' || text[at] == '\t' || text[at] == '>')) {
		quoted = text[at] == '>' ? at + 1 : quoted;
		at++;
	}
	if (quoted && quoted < size && text[quoted] == ' ')
		quoted++;
	if (at < size && strchr("-*+|`", text[at]) && text[at]) {
		while (at < size && text[at] && strchr(" \t-*+|`", text[at]))
			at++;
	} else {
		size_t digits = at;

		while (digits < size && digits - at < 7 && isdigit((unsigned char)text[digits]))
			digits++;
		if (digits > at) {
			while (digits < size && text[digits] && strchr(":.)| \t", text[digits]))
				digits++;
			at = digits;
		}
	}
	return begins_log(text + at, size - at) ? at : quoted;
}

/* ---- Lines that go on ---- */

/* Whether the line, which no log's writer wrote, is the rest of the one that ends in out. */
static bool goes_on(const struct paste *paste, const char *text, size_t size)
{
	const char *blank = memchr(text, ' ', size);
	size_t word = blank ? (size_t)(blank - text) : size;

	if (paste->last < WRAP_FROM || paste->last > WRAP_TO || !size)
		return false;
	if (begins_log(text, size))
		return false;
	if (!isalnum((unsigned char)text[0]) && text[0] != '(' && text[0] != '\'' && text[0] != '*')
		return false;
	return paste->last + 1 + word > WRAP_AT && size <= WRAP_TO &&
	       log_line_writer(text, size) == LOG_NOBODY && !log_line_host(text, size);
}

/* ---- Bytes as JSON has them ---- */

/* "MESSAGE":[91,100,…] as text, in place of the numbers. */
static bool spell_bytes(const char *text, size_t size, struct buffer *out)
{
	static const char *const marks[] = {"\"MESSAGE\":[", "\"MESSAGE\" : ["};
	const char *at = NULL, *end = text + size;

	for (size_t i = 0; i < ARRAY_SIZE(marks) && !at; i++) {
		at = memmem(text, size, marks[i], strlen(marks[i]));
		at = at ? at + strlen(marks[i]) : NULL;
	}
	if (!at)
		return false;
	buffer_append(out, text, (size_t)(at - 1 - text));
	buffer_append_char(out, '"');
	while (at < end && *at != ']') {
		unsigned value = 0;

		while (at < end && isdigit((unsigned char)*at) && value < 256)
			value = value * 10 + (unsigned)(*at++ - '0');
		if (value >= ' ' && value < 256)
			buffer_append_char(out, (char)value);
		while (at < end && *at != ']' && !isdigit((unsigned char)*at))
			at++;
	}
	buffer_append_char(out, '"');
	if (at < end)
		buffer_append(out, at + 1, (size_t)(end - at - 1));
	return true;
}

/*
 * The same over many lines, as journalctl -o json-pretty has it: "MESSAGE" : [, a byte a line, ].
 * The message stands in the line of its end, and the lines before it are empty. True if the line
 * was taken.
 */
static bool spell_line(struct paste *paste, const char *text, size_t size, struct buffer *out)
{
	const char *mark = memmem(text, size, "\"MESSAGE\"", strlen("\"MESSAGE\"")),
		   *end = text + size;
	unsigned value = 0;

	if (!paste->spells) {
		paste->spells = mark && size && end[-1] == '[';
		paste->spelled_size = 0;
		if (paste->spells)
			buffer_append_char(out, '\n');
		return paste->spells;
	}
	while (text < end && (isspace((unsigned char)*text) || *text == ','))
		text++;
	if (text < end && *text == ']') {
		paste->spells = false;
		buffer_append_string(out, "\"MESSAGE\" : \"");
		buffer_append(out, paste->spelled, paste->spelled_size);
		buffer_append_string(out, "\",\n");
		return true;
	}
	if (text < end && !isdigit((unsigned char)*text)) {
		/* No array of bytes after all. */
		paste->spells = false;
		return false;
	}
	while (text < end && isdigit((unsigned char)*text) && value < 256)
		value = value * 10 + (unsigned)(*text++ - '0');
	if (value >= ' ' && value < 256 && paste->spelled_size < PASTE_SPELLED)
		paste->spelled[paste->spelled_size++] = (char)value;
	buffer_append_char(out, '\n');
	return true;
}

/* "=3D" and so on; true if the line ends in "=", so that the next one goes on with it. */
static bool unquote_printable(const char *text, size_t size, struct buffer *out)
{
	bool soft = size && text[size - 1] == '=';

	size -= soft;
	for (size_t i = 0; i < size; i++) {
		unsigned high, low;

		if (text[i] != '=' || i + 2 >= size || (high = digit_value(text[i + 1])) > 15 ||
		    (low = digit_value(text[i + 2])) > 15) {
			buffer_append_char(out, text[i]);
			continue;
		}
		buffer_append_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return soft;
}

/* A line "key:" of YAML, whose value stands quoted in the next. */
static bool is_key(const char *text, size_t size)
{
	return size >= 3 && size <= 32 && text[size - 1] == ':' && !memchr(text, '\'', size);
}

/* ---- ---- */

static void one_line(struct paste *paste, const char *text, size_t size, struct buffer *out)
{
	size_t skip = before(text, size), start = out->size;

	if (spell_line(paste, text, size, out)) {
		paste->last = 0;
		paste->key = false;
		return;
	}
	text += skip;
	size -= skip;
	if (paste->key && size > 3 && !memcmp(text, "  ", 2)) {
		while (size && *text == ' ') {
			text++;
			size--;
		}
		paste->last = 0;
	}
	if ((paste->key && size > 2 && *text == '\'') ||
	    (paste->last && out->size && goes_on(paste, text, size))) {
		out->data[out->size - 1] = ' ';
		buffer_append(out, text, size);
		/* The line that went away. */
		buffer_append(out, "\n\n", 2);
		paste->last = 0;
		paste->key = false;
		return;
	}
	paste->key = is_key(text, size);
	if (!(size && *text == '{' && spell_bytes(text, size, out)))
		buffer_append(out, text, size);
	buffer_append_char(out, '\n');
	size = out->size - start - 1;
	paste->last = size >= WRAP_FROM && size <= WRAP_TO &&
			      (begins_log(text, size) ||
			       log_line_writer(out->data + start, size) != LOG_NOBODY)
			  ? size
			  : 0;
}

/* The same of a line that may hold others: those of a page, or the pieces of a mail. */
static void page_line(struct paste *paste, const char *text, size_t size, struct buffer *out)
{
	_cleanup_buffer_ struct buffer plain;
	const char *at, *end;

	buffer_init(&plain, 0);
	strip_html(text, size, &plain);
	if (plain.failed) {
		out->failed = true;
		return;
	}
	at = buffer_string(&plain);
	end = at + plain.size;
	do {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		stop = stop ? stop : end;
		one_line(paste, at, (size_t)(stop - at), out);
		at = stop + 1;
	} while (at < end);
}

void paste_lines(struct paste *paste, const char *text, size_t size, struct buffer *out)
{
	const char *end = text + size;
	_cleanup_buffer_ struct buffer mail;
	size_t owed = 0;

	buffer_init(&mail, 0);
	paste->last = 0;
	paste->key = false;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length;

		stop = stop ? stop : end;
		length = (size_t)(stop - text);
		length -= length && text[length - 1] == '\r';
		if (paste->html) {
			page_line(paste, text, length, out);
		} else if (paste->quoted_printable) {
			if (unquote_printable(text, length, &mail) && stop < end) {
				owed++;
			} else {
				one_line(paste, buffer_string(&mail), mail.size, out);
				for (; owed; owed--)
					buffer_append_char(out, '\n');
				mail.size = 0;
			}
		} else {
			one_line(paste, text, length, out);
		}
		text = stop + 1;
	}
	out->failed = out->failed || mail.failed;
}
