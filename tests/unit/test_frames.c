/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ORC as .debug_frame: each kind of entry, and what a hostile table may hold. */
#include "core/bytes.h"
#include "export/export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PLACES UINT64_C(0xffffffff82000000)
#define CODE   UINT64_C(0xffffffff81000000)
#define CIE    48

/* An entry: CFA is the register and the offset; where rbp is saved. */
struct entry {
	uint32_t at; /* from CODE on */
	int16_t sp_offset, bp_offset;
	unsigned sp_reg, bp_reg, type;
};

enum { UNDEFINED, PREV_SP, DX, DI, BP, SP, R10, R13, BP_INDIRECT, SP_INDIRECT };

static void convert_into(const struct entry *entries, size_t count, unsigned type_bits,
			 const struct cancel *cancel, struct buffer *out)
{
	uint8_t places[64 * 4], table[64 * 6];
	struct export_orc orc = {places, table, PLACES, count, CODE + 0x100000, type_bits, cancel};

	assert_true(count <= 64);
	for (size_t i = 0; i < count; i++) {
		store_le32(places + i * 4, (uint32_t)(CODE + entries[i].at - (PLACES + i * 4)));
		store_le16(table + i * 6, (uint16_t)entries[i].sp_offset);
		store_le16(table + i * 6 + 2, (uint16_t)entries[i].bp_offset);
		store_le16(
		    table + i * 6 + 4,
		    (uint16_t)(entries[i].sp_reg | entries[i].bp_reg << 4 | entries[i].type << 8));
	}
	export_frames_convert(&orc, out);
}

static void convert(const struct entry *entries, size_t count, unsigned type_bits,
		    struct buffer *out)
{
	buffer_init(out, 0);
	convert_into(entries, count, type_bits, NULL, out);
	assert_false(out->failed);
}

/* FDE number n: its range, and its instructions without the padding, of which there must be some.
 */
static void has_fde(const struct buffer *out, unsigned n, uint64_t start, uint64_t size,
		    const char *code, size_t code_size)
{
	const uint8_t *at = (const uint8_t *)out->data;

	/* The CIE is what all begin with: its id, version 1, counted in 1 and -8, of register 16.
	 */
	assert_memory_equal(at + 4, "\xff\xff\xff\xff\1\0\1\x78\x10\x0c\7\10\x11\x10\1", 15);
	for (unsigned i = 0; i <= n; i++)
		at += 4 + load_le32(at);
	assert_true((const char *)at < out->data + out->size);
	assert_int_equal(load_le32(at + 4), 0);
	assert_int_equal(load_le64(at + 8), start);
	assert_int_equal(load_le64(at + 16), size);
	assert_true(load_le32(at) + 4 >= 24 + code_size);
	assert_memory_equal(at + 24, code, code_size);
	for (uint32_t i = 24 + (uint32_t)code_size; i < load_le32(at) + 4; i++)
		assert_int_equal(at[i], 0);
}

/* A function that pushes rbp, makes it the frame pointer, and one that has none. */
static void test_calls(void **state)
{
	static const struct entry entries[] = {
	    {0, 8, 0, SP, UNDEFINED, 0},      {1, 16, -16, SP, PREV_SP, 0},
	    {4, 16, -16, BP, PREV_SP, 0},     {0x80, 8, 0, SP, UNDEFINED, 0},
	    {0x1000, 8, 0, SP, UNDEFINED, 0}, {0x1100, 0x4008, 0, SP, UNDEFINED, 0},
	    {0x11200, -8, -24, R10, BP, 0}};
	struct buffer out;

	(void)state;
	convert(entries, ARRAY_SIZE(entries), 2, &out);
	has_fde(&out, 0, CODE, 0x80,
		"\x41\x0c\7\x10\x11\6\2"
		"\x43\x0c\6\x10\x11\6\2",
		14);
	has_fde(&out, 1, CODE + 0x80, 0xf80, "", 0);
	has_fde(&out, 2, CODE + 0x1000, 0xff000,
		"\3\0\1\x0c\7\x88\x80\1\10\6"
		"\4\0\1\1\0\x12\x0a\1\x10\6\2\x76\x68",
		23);
	buffer_deinit(&out);
}

/* Linux 7.2 has other numbers for rsp and CFA. */
static void test_new_numbers(void **state)
{
	static const struct entry entries[] = {{0, 8, 0, 3, 0, 2},
					       {1, 16, -16, 3, 8, 2},
					       {4, 16, -16, BP, 8, 2},
					       {5, 16, -16, 5, 0, 2}};
	struct buffer out;

	(void)state;
	convert(entries, ARRAY_SIZE(entries), 3, &out);
	has_fde(&out, 0, CODE, 5,
		"\x41\x0c\7\x10\x11\6\2"
		"\x43\x0c\6\x10\x11\6\2",
		14);
	has_fde(&out, 1, CODE + 5, 0xffffb, "\7\x10", 2);
	buffer_deinit(&out);
}

/* An interrupted program: all registers are in a struct pt_regs, or the last five of it. */
static void test_registers(void **state)
{
	static const struct entry old[] = {{0, 0, 0, SP, UNDEFINED, 1},
					   {0x10, 8, 0, SP, UNDEFINED, 2}};
	static const struct entry new[] = {{0, 0, 0, SP, UNDEFINED, 3},
					   {0x10, 8, 0, SP, UNDEFINED, 4}};
	struct buffer out;

	(void)state;
	for (unsigned bits = 2; bits <= 3; bits++) {
		convert(bits == 2 ? old : new, 2, bits, &out);
		has_fde(&out, 0, CODE, 0x10,
			"\x0c\7\0\x11\x0f\0\x11\x0e\x7f\x11\x0d\x7e\x11\x0c\x7d\x11\6\x7c"
			"\x11\3\x7b\x11\x0b\x7a\x11\x0a\x79\x11\x09\x78\x11\x08\x77\x11\0\x76"
			"\x11\2\x75\x11\1\x74\x11\4\x73\x11\5\x72\x11\x10\x70\x11\7\x6d",
			54);
		has_fde(&out, 1, CODE + 0x10, 0xffff0, "\x0c\7\10\x11\x10\0\x11\7\x7d\10\6", 11);
		buffer_deinit(&out);
	}
}

/* Where nothing is known there is no caller. */
static void test_ends(void **state)
{
	static const struct {
		struct entry entry;
		unsigned bits;
	} rows[] = {
	    {{0, 0, 0, UNDEFINED, UNDEFINED, 0}, 2}, {{0, 8, 0, SP, UNDEFINED, 3}, 2},
	    {{0, 8, 0, SP, UNDEFINED, 0}, 3},        {{0, 8, 0, SP, UNDEFINED, 1}, 3},
	    {{0, 8, 0, SP, UNDEFINED, 7}, 3},        {{0, 8, 0, SP_INDIRECT, UNDEFINED, 0}, 2},
	    {{0, 8, 0, 15, UNDEFINED, 0}, 2},        {{0, 9, 0, SP, UNDEFINED, 0}, 2},
	    {{0, 8, -7, SP, PREV_SP, 0}, 2},
	};
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		convert(&rows[i].entry, 1, rows[i].bits, &out);
		has_fde(&out, 0, CODE, 0x100000, "\7\x10", 2);
		buffer_deinit(&out);
	}
}

static void test_disorder(void **state)
{
	static const struct entry entries[] = {{0x10, 8, 0, SP, UNDEFINED, 0},
					       {0, 16, 0, SP, UNDEFINED, 0},
					       {0x10, 16, 0, SP, UNDEFINED, 0},
					       {0x20, 16, 0, SP, UNDEFINED, 0},
					       {0x200000, 24, 0, SP, UNDEFINED, 0}};
	struct buffer out;

	(void)state;
	convert(entries, ARRAY_SIZE(entries), 2, &out);
	has_fde(&out, 0, CODE + 0x10, 0xffff0, "\x50\x0c\7\x10\10\6", 6);
	assert_int_equal(out.size, CIE + 32);
	buffer_deinit(&out);
}

/* Wherever the buffer gets full, the conversion ends. */
static void test_full(void **state)
{
	static const struct entry entries[] = {{0, 8, 0, SP, UNDEFINED, 0},
					       {0x10, 16, -16, SP, PREV_SP, 0},
					       {0x20, 0, 0, SP, UNDEFINED, 1},
					       {0x30, 8, 0, UNDEFINED, UNDEFINED, 0}};
	struct buffer out;
	size_t whole;

	(void)state;
	convert(entries, ARRAY_SIZE(entries), 2, &out);
	whole = out.size;
	buffer_deinit(&out);
	/* One that does not end is killed. */
	alarm(30);
	for (size_t limit = 1; limit < whole; limit++) {
		buffer_init(&out, limit);
		convert_into(entries, ARRAY_SIZE(entries), 2, NULL, &out);
		assert_true(out.failed);
		buffer_deinit(&out);
	}
	alarm(0);
}

static void test_cancelled(void **state)
{
	static const struct entry entries[] = {{0, 8, 0, SP, UNDEFINED, 0},
					       {0x10, 16, -16, SP, PREV_SP, 0}};
	struct cancel cancel = {.parent = NULL};
	struct buffer out;

	(void)state;
	cancel_request(&cancel);
	buffer_init(&out, 0);
	convert_into(entries, ARRAY_SIZE(entries), 2, &cancel, &out);
	assert_int_equal(out.size, CIE);
	buffer_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),     cmocka_unit_test(test_new_numbers),
	    cmocka_unit_test(test_registers), cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_disorder),  cmocka_unit_test(test_full),
	    cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
