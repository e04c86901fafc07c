/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "expression/expression.h"

#include "btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BASE 0xffff888000001000

/*
 *	enum color { RED, BLUE = 5 };
 *	struct node { struct node *next; };
 *	struct thing {				offset
 *		int count;			0
 *		unsigned low:3, mid:9;		4, bits 0 and 3
 *		struct node link;		8
 *		union { long a; struct { char b, c; }; };	16
 *		char name[8];			24
 *		enum color color;		32
 *		short grid[2][3];		36
 *	};					48 bytes
 * One thing is at BASE, another at BASE + 48; each one's link leads to the other's.
 */
static uint8_t memory[96];
static struct type_index *types;

static struct nunchi_error *read_memory(void *data, uint64_t address, size_t size, void *buffer)
{
	(void)data;
	if (address < BASE || address - BASE > sizeof(memory) ||
	    size > sizeof(memory) - (address - BASE))
		return error_create_at(NUNCHI_ERROR_FAULT, address, "nothing is mapped");
	memcpy(buffer, memory + (address - BASE), size);
	return NULL;
}

static struct nunchi_error *find_symbol(void *data, const char *name, uint64_t *ret)
{
	(void)data;
	if (strcmp(name, "thing") != 0)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\"", name);
	*ret = BASE;
	return NULL;
}

static void name_address(void *data, uint64_t address, struct buffer *text)
{
	(void)data;
	if (address == BASE + 56)
		buffer_append_string(text, " <\033thing+0x38>");
}

static struct expression_guest guest = {
    .read = read_memory, .symbol = find_symbol, .name = name_address};

static void fill(uint8_t *thing, int32_t count, uint64_t next, const char *name)
{
	const uint16_t grid[] = {1, 2, 3, 4, 5, (uint16_t)-6};

	memcpy(thing, &count, 4);
	thing[4] = 0xfd; /* low 5, mid 0x13f */
	thing[5] = 0x09;
	memcpy(thing + 8, &next, 8);
	thing[16] = 'x';
	thing[17] = 7;
	memcpy(thing + 24, name, strlen(name));
	thing[32] = 5;
	memcpy(thing + 36, grid, sizeof(grid));
}

static int set_up(void **state)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1), letter = blob_int(&blob, "char", 1, 1);
	uint32_t word = blob_int(&blob, "unsigned int", 4, 0);
	uint32_t length = blob_int(&blob, "long int", 8, 1),
		 half = blob_int(&blob, "short int", 2, 1);
	uint32_t color, node, node_pointer, inner, any, name, row, grid;
	size_t size;
	uint8_t *data;

	(void)state;
	blob_int(&blob, "long unsigned int", 8, 0);
	color = blob_type(&blob, 6, 0, 2, "color", 4);
	blob_pair(&blob, "RED", 0);
	blob_pair(&blob, "BLUE", 5);
	node_pointer = blob_type(&blob, 2, 0, 0, "", color + 2);
	node = blob_type(&blob, 4, 0, 1, "node", 8);
	blob_member(&blob, "next", node_pointer, 0);
	inner = blob_type(&blob, 4, 0, 2, "", 2);
	blob_member(&blob, "b", letter, 0);
	blob_member(&blob, "c", letter, 8);
	any = blob_type(&blob, 5, 0, 2, "", 8);
	blob_member(&blob, "a", length, 0);
	blob_member(&blob, "", inner, 0);
	name = blob_array(&blob, letter, 8);
	row = blob_array(&blob, half, 3);
	grid = blob_array(&blob, row, 2);
	blob_type(&blob, 4, 1, 8, "thing", 48);
	blob_member(&blob, "count", integer, 0);
	blob_member(&blob, "low", word, 3u << 24 | 32);
	blob_member(&blob, "mid", word, 9u << 24 | 35);
	blob_member(&blob, "link", node, 64);
	blob_member(&blob, "", any, 128);
	blob_member(&blob, "name", name, 192);
	blob_member(&blob, "color", color, 256);
	blob_member(&blob, "grid", grid, 288);
	data = blob_finish(&blob, &size);
	assert_null(type_index_from_btf(data, size, free, data, &types));
	guest.types = types;
	fill(memory, -3, BASE + 56, "one\n");
	fill(memory + 48, 9, 0, "two");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	type_index_unref(types);
	return 0;
}

#define THING "(*(struct thing *)&thing)"

static void check(const char *expression, const char *want)
{
	_cleanup_buffer_ struct buffer text;
	struct expression_value value;
	struct nunchi_error *err;

	buffer_init(&text, 0);
	err = expression_evaluate(&guest, expression, &value);
	if (!err)
		err = expression_print(&guest, &value, 1, &text);
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	assert_string_equal(buffer_string(&text), want);
}

static void refuse(const char *expression, enum nunchi_error_code code, const char *part)
{
	_cleanup_buffer_ struct buffer text;
	struct expression_value value;
	_cleanup_error_ struct nunchi_error *err = NULL;

	buffer_init(&text, 0);
	err = expression_evaluate(&guest, expression, &value);
	if (!err)
		err = expression_print(&guest, &value, 1, &text);
	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), part))
		print_error("%s\n", nunchi_error_message(err));
	assert_non_null(strstr(nunchi_error_message(err), part));
	assert_int_equal(nunchi_error_code(err), code);
}

static void test_numbers(void **state)
{
	(void)state;
	check("1 + 2 * 3", "7");
	check("(1 + 2) * 3", "9");
	check("10 - 2 - 3", "5");
	check("-7 / 2", "-3");
	check("-7 % 4", "-3");
	check("0xff & 0x0f | 0x30", "63");
	check("1 << 4 ^ 1", "17");
	check("-16 >> 2", "-4");
	check("-1 < 0", "1");
	check("0xffffffffffffffff < 0", "0");
	check("2 >= 2", "1");
	check("1 != 1", "0");
	check("!0 + ~0", "0");
	check("(unsigned int)-1", "4294967295");
	check("(char)511", "-1");
	check("BLUE == 5", "1");
	check("(enum color)5", "BLUE");
	check("-0x7fffffffffffffff - 1 == -9223372036854775807 - 1", "1");
	check("(-9223372036854775807 - 1) / -1", "-9223372036854775808");
}

static void test_members(void **state)
{
	(void)state;
	check(THING ".count", "-3");
	check(THING ".low", "5");
	check(THING ".mid", "319");
	check(THING ".c", "7");
	check(THING ".name", "\"one\\n\"");
	check(THING ".color", "BLUE");
	check(THING ".grid[1][2]", "-6");
	check(THING ".grid", "{{1, 2, 3}, {4, 5, -6}}");
	check("(struct thing *)&thing", "0xffff888000001000");
	check("((struct thing *)&thing)->link.next", "0xffff888000001038 <\\x1bthing+0x38>");
	check("((struct thing *)&thing).count", "-3");
	check("((struct thing *)&thing)[1].name", "\"two\"");
	check("((struct thing *)&thing + 1)->count", "9");
	check("container_of(" THING ".link.next, struct thing, link)->name", "\"two\"");
	check("*&" THING ".count", "-3");
	check("sizeof(struct thing)", "48");
	check("sizeof(" THING ".grid)", "12");
	check("sizeof(long)", "8");
	check("*(unsigned long *)(0xffff888000001000 + 8)", "18446612682070036536");
	check(THING ".link", "{\n  next = 0xffff888000001038 <\\x1bthing+0x38>,\n}");
}

static void test_depth(void **state)
{
	_cleanup_buffer_ struct buffer text;
	struct expression_value value;

	(void)state;
	buffer_init(&text, 0);
	assert_null(expression_evaluate(&guest, THING, &value));
	assert_null(expression_print(&guest, &value, 0, &text));
	assert_string_equal(buffer_string(&text),
			    "{\n  count = -3,\n  low = 5,\n  mid = 319,\n  link = {…},\n  {…},\n"
			    "  name = \"one\\n\",\n  color = BLUE,\n"
			    "  grid = {{1, 2, 3}, {4, 5, -6}},\n}");
}

static void test_errors(void **state)
{
	char deep[300];

	(void)state;
	refuse("", NUNCHI_ERROR_ARGUMENT, "character 1: the expression ends too early");
	refuse("1 +", NUNCHI_ERROR_ARGUMENT, "character 4");
	refuse("1 2", NUNCHI_ERROR_ARGUMENT, "character 3: an operator");
	refuse("(1", NUNCHI_ERROR_ARGUMENT, ") is missing");
	refuse("0x", NUNCHI_ERROR_ARGUMENT, "a digit is missing");
	refuse("12a", NUNCHI_ERROR_ARGUMENT, "character 3");
	refuse("18446744073709551616", NUNCHI_ERROR_ARGUMENT, "more than 64 bits");
	refuse("1 / 0", NUNCHI_ERROR_ARGUMENT, "division by 0");
	refuse("nothing", NUNCHI_ERROR_NOT_FOUND, "character 1: no symbol");
	refuse("thing", NUNCHI_ERROR_ARGUMENT, "its type is not known");
	refuse("(struct thong *)1", NUNCHI_ERROR_NOT_FOUND, "character 2: there is no type");
	refuse(THING ".nome", NUNCHI_ERROR_NOT_FOUND, "character 27: struct thing has no member");
	refuse(THING ".grid[2]", NUNCHI_ERROR_NOT_FOUND, "2 elements, so there is no element 2");
	refuse(THING ".grid[-1]", NUNCHI_ERROR_NOT_FOUND, "no element -1");
	refuse("*1", NUNCHI_ERROR_ARGUMENT, "not a pointer");
	refuse("&1", NUNCHI_ERROR_ARGUMENT, "no address");
	refuse("&" THING ".low", NUNCHI_ERROR_ARGUMENT, "no address");
	refuse(THING " + 1", NUNCHI_ERROR_ARGUMENT, "a number or pointer is needed");
	refuse("(struct thing)1", NUNCHI_ERROR_ARGUMENT, "a cast needs");
	refuse("((struct thing *)0)->count", NUNCHI_ERROR_FAULT, "the pointer is NULL");
	refuse("((struct thing *)16)->count", NUNCHI_ERROR_FAULT, "nothing is mapped");
	refuse("container_of(1)", NUNCHI_ERROR_ARGUMENT, ", is missing");
	memset(deep, '(', sizeof(deep));
	deep[sizeof(deep) - 1] = 0;
	refuse(deep, NUNCHI_ERROR_ARGUMENT, "nested too deeply");
	memset(deep, '-', sizeof(deep) - 1);
	refuse(deep, NUNCHI_ERROR_ARGUMENT, "nested too deeply");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
