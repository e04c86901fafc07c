/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "remote/packet.h"

#include "core/digit.h"

#include <string.h>

/* ---- Framing --------------------------------------------------------------------------------- */

static void begin(struct gdb_parser *parser, bool notification)
{
	parser->state = GDB_BODY;
	parser->notification = notification;
	parser->too_large = parser->bad_sum = false;
	parser->sum = 0;
	parser->size = 0;
}

static void put(struct gdb_parser *parser, char c, size_t times)
{
	if (times > sizeof(parser->data) - parser->size) {
		parser->too_large = true;
		return;
	}
	memset(parser->data + parser->size, c, times);
	parser->size += times;
}

/* "X*Y" stands for X and Y - 29 more of it. */
static void repeat(struct gdb_parser *parser, char c)
{
	parser->state = GDB_BODY;
	if (!parser->size || c < ' ' || c > '~')
		parser->bad_sum = true;
	else
		put(parser, parser->data[parser->size - 1], (size_t)(c - ' ') + 3);
}

/* A byte between '$' and '#'. */
static void take_body(struct gdb_parser *parser, char c)
{
	parser->sum = (uint8_t)(parser->sum + (uint8_t)c);
	if (parser->state == GDB_ESCAPE) {
		put(parser, (char)(c ^ 0x20), 1);
		parser->state = GDB_BODY;
	} else if (parser->state == GDB_REPEAT) {
		repeat(parser, c);
	} else if (c == '}') {
		parser->state = GDB_ESCAPE;
	} else if (c == '*') {
		parser->state = GDB_REPEAT;
	} else {
		put(parser, c, 1);
	}
}

static enum gdb_piece end(struct gdb_parser *parser)
{
	bool good = !parser->bad_sum && !parser->too_large && parser->given == parser->sum;

	parser->state = GDB_OUTSIDE;
	if (parser->notification)
		return good ? GDB_NOTIFICATION : GDB_MORE;
	return good ? GDB_PACKET : GDB_CORRUPT;
}

/* Takes one byte of a checksum; GDB_MORE unless it is the last. */
static enum gdb_piece take_sum(struct gdb_parser *parser, char c)
{
	unsigned digit = digit_value(c);

	parser->bad_sum |= digit > 15;
	parser->given = (uint8_t)(parser->given << 4 | (digit & 15));
	if (parser->state == GDB_SUM_LOW)
		return end(parser);
	parser->state = GDB_SUM_LOW;
	return GDB_MORE;
}

static enum gdb_piece take(struct gdb_parser *parser, char c)
{
	if (c == '$' || (c == '%' && parser->state == GDB_OUTSIDE)) {
		begin(parser, c == '%');
		return GDB_MORE;
	}
	switch (parser->state) {
	case GDB_OUTSIDE:
		if (c == '+')
			return GDB_ACK;
		return c == '-' ? GDB_NAK : GDB_MORE;
	case GDB_BODY:
	case GDB_ESCAPE:
	case GDB_REPEAT:
		if (c != '#') {
			take_body(parser, c);
			return GDB_MORE;
		}
		parser->bad_sum |= parser->state != GDB_BODY;
		parser->state = GDB_SUM_HIGH;
		parser->given = 0;
		return GDB_MORE;
	case GDB_SUM_HIGH:
	case GDB_SUM_LOW:
		break;
	}
	return take_sum(parser, c);
}

size_t gdb_parse(struct gdb_parser *parser, const char *bytes, size_t size, enum gdb_piece *ret)
{
	size_t used = 0;

	*ret = GDB_MORE;
	while (used < size && *ret == GDB_MORE)
		*ret = take(parser, bytes[used++]);
	return used;
}

bool gdb_write_packet(struct buffer *out, const char *text, size_t size)
{
	uint8_t sum = 0;

	buffer_append_char(out, '$');
	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c == '#' || c == '$' || c == '}' || c == '*') {
			buffer_append_char(out, '}');
			sum = (uint8_t)(sum + '}');
			c ^= 0x20;
		}
		buffer_append_char(out, c);
		sum = (uint8_t)(sum + (uint8_t)c);
	}
	buffer_append_char(out, '#');
	buffer_append_unsigned(out, sum, 16, 2);
	return !out->failed;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

size_t gdb_parse_hex(const char *text, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	while (n < size && n < 17 && digit_value(text[n]) < 16)
		value = value << 4 | digit_value(text[n++]);
	if (!n || n > 16)
		return 0;
	*ret = value;
	return n;
}

bool gdb_parse_value(const char *hex, size_t size, uint64_t *ret)
{
	uint64_t value = 0;

	if (size != 8 && size != 16)
		return false;
	for (size_t i = size; i > 0; i -= 2) {
		unsigned high = digit_value(hex[i - 2]), low = digit_value(hex[i - 1]);

		if (high > 15 || low > 15)
			return false;
		value = value << 8 | high << 4 | low;
	}
	*ret = value;
	return true;
}

bool gdb_write_value(struct buffer *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buffer_append_unsigned(out, value >> (8 * i) & 0xff, 16, 2);
	return !out->failed;
}
