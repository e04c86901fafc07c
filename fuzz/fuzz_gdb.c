/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile stub may send: packets in pieces, and each packet as each kind of reply. A packet
 * is the first document of a target description too, and the one after it is what it includes and
 * the answer to "g".
 */
#include "target/qemu/gdb_packet.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

struct next {
	struct gdb_layout *layout;
	const char *text;
	size_t size;
};

static bool include(const char *name, void *data)
{
	const struct next *next = data;

	check(strlen(name) > 0 && strlen(name) < 64);
	return gdb_layout_add(next->layout, next->text, next->size, include, data);
}

static void take_layout(const char *text, size_t size, const char *other, size_t other_size)
{
	struct gdb_layout layout = {0};
	struct next next = {&layout, other, other_size};
	struct x86_registers registers;

	if (!gdb_layout_add(&layout, text, size, include, &next))
		return;
	for (size_t i = 0; i < GDB_REGISTER_COUNT; i++)
		check(layout.registers[i].offset + layout.registers[i].size <= layout.bytes);
	if (gdb_layout_read(&layout, other, other_size, &registers))
		check(gdb_layout_is_useful(&layout) && registers.has_rip);
}

static void take_reply(const char *text, size_t size)
{
	uint32_t threads[8];
	struct gdb_features features;
	struct gdb_stop stop;
	const char *chunk;
	uint64_t value;
	size_t length;
	bool last;

	if (gdb_parse_stop(text, size, &stop))
		check(gdb_reply(text, size) == GDB_REPLY_STOP);
	gdb_parse_features(text, size, &features);
	if (gdb_parse_chunk(text, size, &chunk, &length, &last))
		check(chunk + length == text + size);
	check(gdb_parse_threads(text, size, threads, 8, &last) <= 8);
	gdb_parse_value(text, size, &value);
}

/* A packet that is written is read again as it was. */
static void write_again(const char *text, size_t size)
{
	static struct gdb_parser parser;
	_cleanup_buffer_ struct buffer out = {0};
	enum gdb_piece piece;

	buffer_init(&out, 0);
	check(gdb_write_packet(&out, text, size));
	parser.state = GDB_OUTSIDE;
	check(gdb_parse(&parser, out.data, out.size, &piece) == out.size && piece == GDB_PACKET);
	check(parser.size == size && !memcmp(parser.data, text, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gdb_parser parser;
	static char before[GDB_PACKET_MAX];
	const char *text = (const char *)data;
	size_t before_size = 0, at = 0;

	parser.state = GDB_OUTSIDE;
	while (at < size) {
		size_t piece_size = 1 + data[at] % 61;
		enum gdb_piece piece;

		if (piece_size > size - at)
			piece_size = size - at;
		at += gdb_parse(&parser, text + at, piece_size, &piece);
		if (piece != GDB_PACKET)
			continue;
		check(parser.size <= sizeof(parser.data));
		take_reply(parser.data, parser.size);
		take_layout(before, before_size, parser.data, parser.size);
		write_again(parser.data, parser.size);
		memcpy(before, parser.data, parser.size);
		before_size = parser.size;
	}
	/* Without the frame, which a fuzzer seldom gets right. */
	take_reply(text, size);
	take_layout(text, size, text, size);
	return 0;
}
