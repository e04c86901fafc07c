/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets of the gdb remote protocol, for both of its sides: finds and decodes them, writes them,
 * and the numbers in them. Pure functions. Source: the appendix "gdb Remote Serial Protocol" of the
 * manual of gdb.
 */
#ifndef NUNCHI_REMOTE_PACKET_H
#define NUNCHI_REMOTE_PACKET_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes of a packet that is decoded. QEMU's have 4096 at most. */
#define GDB_PACKET_MAX 16384

/* ---- Framing --------------------------------------------------------------------------------- */

enum gdb_piece {
	GDB_MORE,         /* all bytes are used, and nothing is complete */
	GDB_ACK,          /* "+" */
	GDB_NAK,          /* "-" */
	GDB_PACKET,       /* data and size of the parser are the packet */
	GDB_NOTIFICATION, /* the same, of a packet that is not to be acknowledged ("%") */
	GDB_CORRUPT,      /* a packet with a wrong checksum, or one that is too large */
};

enum gdb_parser_state {
	GDB_OUTSIDE,
	GDB_BODY,
	GDB_ESCAPE,
	GDB_REPEAT,
	GDB_SUM_HIGH,
	GDB_SUM_LOW,
};

/* Zeroed storage is a parser at the start. */
struct gdb_parser {
	enum gdb_parser_state state;
	bool notification, too_large, bad_sum;
	uint8_t sum, given;
	size_t size;
	char data[GDB_PACKET_MAX];
};

/*
 * Goes over bytes up to the end of the next piece, and returns how many it used. Bytes between
 * packets that mean nothing are passed over. A packet that begins within another one ends that.
 */
size_t gdb_parse(struct gdb_parser *parser, const char *bytes, size_t size, enum gdb_piece *ret);

/* Appends a packet with this text. False if memory is short. */
bool gdb_write_packet(struct buffer *out, const char *text, size_t size);

/* ---- Numbers --------------------------------------------------------------------------------- */

/* A hexadecimal number at the start of the text. Returns its length, 0 if there is none. */
size_t gdb_parse_hex(const char *text, size_t size, uint64_t *ret);
/* A value in the guest's byte order, of `size` (4 or 8) bytes. */
bool gdb_parse_value(const char *hex, size_t size, uint64_t *ret);
/* Appends it. */
bool gdb_write_value(struct buffer *out, uint64_t value, unsigned size);

#endif
