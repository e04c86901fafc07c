/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index.h"

#include "btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct type_index *index_;

/*
 *	enum slot { SLOT_TEXT, SLOT_DATA = 2, SLOT_NONE = -1 };
 *	struct range { void *base; const u32 size; };
 *	struct outer {				offset
 *		int first;			0
 *		union {				8
 *			struct {
 *				long deep;	8
 *				struct range in;	16
 *			};
 *			char raw[24];		8
 *		};
 *		volatile ranges mem;		32	range[3], by a typedef
 *		short grid[4][5];		80
 *		unsigned low:3, mid:9;		120, bits 0 and 3
 *		struct later *pointer;		128
 *		struct later inside;		136	only declared
 *		u32 tail[];			136
 *	};					136 bytes
 */
static int make_index(void **state)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1),
		 word = blob_int(&blob, "unsigned int", 4, 0);
	uint32_t length = blob_int(&blob, "long int", 8, 1),
		 half = blob_int(&blob, "short int", 2, 1);
	uint32_t letter = blob_int(&blob, "char", 1, 1),
		 u32 = blob_type(&blob, 8, 0, 0, "u32", word);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", 0),
		 constant = blob_type(&blob, 10, 0, 0, "", u32);
	uint32_t range, inner, raw, any, three, ranges, mem, row, grid, later, later_pointer, tail;
	size_t size;
	uint8_t *data;

	(void)state;
	blob_type(&blob, 6, 1, 3, "slot", 4);
	blob_pair(&blob, "SLOT_TEXT", 0);
	blob_pair(&blob, "SLOT_DATA", 2);
	blob_pair(&blob, "SLOT_NONE", (uint32_t)-1);
	range = blob_type(&blob, 4, 0, 2, "range", 16);
	blob_member(&blob, "base", pointer, 0);
	blob_member(&blob, "size", constant, 64);
	inner = blob_type(&blob, 4, 0, 2, "", 24);
	blob_member(&blob, "deep", length, 0);
	blob_member(&blob, "in", range, 64);
	raw = blob_array(&blob, letter, 24);
	any = blob_type(&blob, 5, 0, 2, "", 24);
	blob_member(&blob, "", inner, 0);
	blob_member(&blob, "raw", raw, 0);
	three = blob_array(&blob, range, 3);
	ranges = blob_type(&blob, 8, 0, 0, "ranges", three);
	mem = blob_type(&blob, 9, 0, 0, "", ranges);
	row = blob_array(&blob, half, 5);
	grid = blob_array(&blob, row, 4);
	later = blob_type(&blob, 7, 0, 0, "later", 0);
	later_pointer = blob_type(&blob, 2, 0, 0, "", later);
	tail = blob_array(&blob, u32, 0);
	blob_type(&blob, 4, 1, 9, "outer", 136);
	blob_member(&blob, "first", integer, 0);
	blob_member(&blob, "", any, 64);
	blob_member(&blob, "mem", mem, 256);
	blob_member(&blob, "grid", grid, 640);
	blob_member(&blob, "low", word, 3u << 24 | 960);
	blob_member(&blob, "mid", word, 9u << 24 | 963);
	blob_member(&blob, "pointer", later_pointer, 1024);
	blob_member(&blob, "inside", later, 1088);
	blob_member(&blob, "tail", tail, 1088);
	/* Three packed bytes: a load of four would leave the struct. */
	blob_type(&blob, 4, 1, 2, "packed", 3);
	blob_member(&blob, "lead", letter, 1u << 24);
	blob_member(&blob, "rest", word, 20u << 24 | 2);
	/* 64 bits that no single load covers. */
	blob_type(&blob, 4, 1, 1, "torn", 16);
	blob_member(&blob, "wide", length, 64u << 24 | 4);
	blob_type(&blob, 4, 0, 1, "crooked", 8);
	blob_member(&blob, "odd", integer, 3);
	blob_type(&blob, 8, 0, 0, "vector", three);
	data = blob_finish(&blob, &size);
	assert_null(type_index_from_btf(data, size, free, data, &index_));
	return 0;
}

static int drop_index(void **state)
{
	(void)state;
	type_index_unref(index_);
	return 0;
}

static struct type_field resolve(const char *path)
{
	struct type_field field = {0};
	_cleanup_error_ struct nunchi_error *err = type_index_resolve(index_, path, &field);

	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	return field;
}

static void check(const char *path, uint64_t offset, uint64_t size, uint32_t elements)
{
	struct type_field field = resolve(path);

	if (field.offset != offset || field.size != size || field.elements != elements)
		print_error("%s\n", path);
	assert_int_equal(field.offset, offset);
	assert_int_equal(field.size, size);
	assert_int_equal(field.elements, elements);
	assert_int_equal(field.bit_size, 0);
	assert_int_equal(field.bit_shift, 0);
}

static void test_resolves(void **state)
{
	(void)state;
	check("outer", 0, 136, 1);
	check("struct outer", 0, 136, 1);
	check("outer.first", 0, 4, 1);
	check("struct outer.first", 0, 4, 1);
	check("outer.deep", 8, 8, 1);
	check("outer.in", 16, 16, 1);
	check("outer.in.size", 24, 4, 1);
	check("outer.raw", 8, 24, 24);
	check("outer.raw[23]", 31, 1, 1);
	check("outer.mem", 32, 48, 3);
	check("outer.mem[0].size", 40, 4, 1);
	check("outer.mem[SLOT_TEXT].base", 32, 8, 1);
	check("outer.mem[SLOT_DATA].base", 64, 8, 1);
	check("outer.mem[2].size", 72, 4, 1);
	check("outer.grid", 80, 40, 20);
	check("outer.grid[1]", 90, 10, 5);
	check("outer.grid[3][4]", 118, 2, 1);
	check("outer.pointer", 128, 8, 1);
	check("outer.tail", 136, 0, 0);
	check("outer.tail[5]", 156, 4, 1);
	check("ranges[1].size", 24, 4, 1);
	check("vector[2]", 32, 16, 1);
	check("int", 0, 4, 1);
	assert_true(resolve("outer.first").is_signed);
	assert_true(resolve("outer.grid").is_signed);
	assert_false(resolve("outer.in.size").is_signed);
	assert_true(resolve("enum slot").is_signed);
}

static void check_bits(const char *path, uint64_t offset, uint64_t size, uint32_t shift,
		       uint32_t bits)
{
	struct type_field field = resolve(path);

	assert_int_equal(field.offset, offset);
	assert_int_equal(field.size, size);
	assert_int_equal(field.bit_shift, shift);
	assert_int_equal(field.bit_size, bits);
	assert_int_equal(field.elements, 1);
}

static void test_bit_fields(void **state)
{
	(void)state;
	check_bits("outer.low", 120, 1, 0, 3);
	check_bits("outer.mid", 120, 2, 3, 9);
	check_bits("packed.lead", 0, 1, 0, 1);
	check_bits("packed.rest", 0, 3, 2, 20);
}

static void check_fails(const char *path, enum nunchi_error_code code, const char *text)
{
	struct type_field field = {.offset = 77};
	_cleanup_error_ struct nunchi_error *err = type_index_resolve(index_, path, &field);

	if (!err || !strstr(nunchi_error_message(err), text))
		print_error("%s: %s\n", path, err ? nunchi_error_message(err) : "no error");
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), code);
	assert_non_null(strstr(nunchi_error_message(err), text));
	assert_int_equal(field.offset, 77);
}

static void test_names_what_is_missing(void **state)
{
	(void)state;
	check_fails("outre.first", NUNCHI_ERROR_NOT_FOUND, "no type \"outre\"");
	check_fails("union outer", NUNCHI_ERROR_NOT_FOUND, "no type \"union outer\"");
	check_fails("outer.frist", NUNCHI_ERROR_NOT_FOUND, "\"outer\" has no member \"frist\"");
	check_fails("outer.in.basis.x", NUNCHI_ERROR_NOT_FOUND,
		    "\"outer.in\" has no member \"basis\"");
	check_fails("outer.firs", NUNCHI_ERROR_NOT_FOUND, "no member \"firs\"");
	check_fails("outer.firstly", NUNCHI_ERROR_NOT_FOUND, "no member \"firstly\"");
	check_fails("outer.first.x", NUNCHI_ERROR_NOT_FOUND, "\"outer.first\" is not a struct");
	check_fails("outer.pointer.x", NUNCHI_ERROR_NOT_FOUND, "a pointer");
	check_fails("outer.pointer[0]", NUNCHI_ERROR_NOT_FOUND, "is not an array");
	check_fails("outer.inside.x", NUNCHI_ERROR_NOT_FOUND, "only declared");
	check_fails("outer.inside", NUNCHI_ERROR_NOT_FOUND, "no size");
	check_fails("outer.mem.base", NUNCHI_ERROR_NOT_FOUND, "needs an index");
	check_fails("outer.mem[3].base", NUNCHI_ERROR_NOT_FOUND,
		    "has 3 elements, so there is no element 3");
	check_fails("outer.mem[SLOT_NONE]", NUNCHI_ERROR_NOT_FOUND, "no element -1");
	check_fails("outer.tail[SLOT_NONE]", NUNCHI_ERROR_NOT_FOUND, "no element -1");
	check_fails("outer.mem[SLOT_LOST]", NUNCHI_ERROR_NOT_FOUND, "no enumerator \"SLOT_LOST\"");
	check_fails("outer.first[0]", NUNCHI_ERROR_NOT_FOUND, "\"outer.first\" is not an array");
	check_fails("outer.low.x", NUNCHI_ERROR_NOT_FOUND, "not a struct");
	check_fails("outer.tail[4294967295].x", NUNCHI_ERROR_NOT_FOUND, "not a struct");
	check_fails("torn.wide", NUNCHI_ERROR_UNSUPPORTED, "64 bits at bit 4");
	check_fails("crooked.odd", NUNCHI_ERROR_DATA, "inside of a byte");
}

static void test_refuses_what_is_no_path(void **state)
{
	static const char *const bad[] = {
	    "",
	    ".",
	    ".first",
	    "outer.",
	    "outer..first",
	    "outer.mem[",
	    "outer.mem[]",
	    "outer.mem[1",
	    "outer.mem[1.x",
	    "outer.mem[1]base",
	    "outer.mem[-1]",
	    "outer.mem[1x]",
	    "outer.mem[0x1]",
	    "outer.mem[99999999999]",
	    "outer.first ",
	    "outer.first->x",
	    "outer.mem[1]]",
	    "[0]",
	    "outer.mem[ 1]",
	};
	static char deep[8192];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_fails(bad[i], NUNCHI_ERROR_ARGUMENT, "path");
	memset(deep, 'a', sizeof(deep) - 1);
	check_fails(deep, NUNCHI_ERROR_ARGUMENT, "too long");
	memcpy(deep, "outer.mem[", 10);
	check_fails(deep, NUNCHI_ERROR_ARGUMENT, "index");
	memcpy(deep, "outer.first", 11);
	check_fails(deep, NUNCHI_ERROR_NOT_FOUND, "has no member");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resolves),
	    cmocka_unit_test(test_bit_fields),
	    cmocka_unit_test(test_names_what_is_missing),
	    cmocka_unit_test(test_refuses_what_is_no_path),
	};

	return cmocka_run_group_tests(tests, make_index, drop_index);
}
