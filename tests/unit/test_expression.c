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
 *	struct said { const char *text; };
 *	struct node counter;			a variable, at 8 of the first thing
 * CPU 1 has its variables 48 bytes further on. One thing is at BASE, another at BASE + 48; each
 *one's link leads to the other's.
 */
static uint8_t memory[2 * 4096];
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
	if (strcmp(name, "thing") != 0 && strcmp(name, "counter") != 0)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\"", name);
	*ret = *name == 't' ? BASE : BASE + 8;
	return NULL;
}

static struct nunchi_error *find_task(void *data, uint64_t pid, uint64_t *ret)
{
	(void)data;
	if (pid != 7)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no process %d", (int)pid);
	*ret = BASE + 48;
	return NULL;
}

static struct nunchi_error *find_per_cpu(void *data, uint64_t variable, uint64_t cpu, uint64_t *ret)
{
	(void)data;
	if (cpu > 1)
		return error_create(NUNCHI_ERROR_NOT_FOUND, "there is no CPU %d", (int)cpu);
	*ret = variable + cpu * 48;
	return NULL;
}

static void name_address(void *data, uint64_t address, struct buffer *text)
{
	(void)data;
	if (address == BASE + 56)
		buffer_append_string(text, " <\033thing+0x38>");
}

/* The lists of these tests: the links of both things, none, the second and then a loop; a tree. */
static struct nunchi_error *find_elements(void *data, enum expression_container kind, uint64_t head,
					  bool (*give)(uint64_t element, void *give_data),
					  void *give_data)
{
	(void)data;
	assert_int_equal(head, kind == EXPRESSION_XARRAY ? BASE + 4 : BASE);
	if (kind == EXPRESSION_LIST && give(BASE + 8, give_data))
		give(BASE + 56, give_data);
	else if (kind == EXPRESSION_XARRAY && give(BASE, give_data))
		give(BASE + 48, give_data);
	else if (kind == EXPRESSION_RBTREE && give(BASE + 56, give_data))
		return error_create(NUNCHI_ERROR_DATA, "a loop");
	return NULL;
}

static struct expression_guest guest = {.read = read_memory,
					.symbol = find_symbol,
					.name = name_address,
					.task = find_task,
					.per_cpu = find_per_cpu,
					.container = find_elements};

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
	uint32_t color, node, node_pointer, inner, any, name, row, grid, text;
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
	text = blob_type(&blob, 2, 0, 0, "", blob_type(&blob, 10, 0, 0, "", letter));
	blob_type(&blob, 4, 0, 1, "said", 8);
	blob_member(&blob, "text", text, 0);
	blob_type(&blob, 4, 0, 1, "task_struct", 4);
	blob_member(&blob, "pid", integer, 0);
	blob_type(&blob, 4, 0, 1, "list_head", 8);
	blob_member(&blob, "next", node_pointer, 0);
	blob_type(&blob, 4, 0, 1, "hlist_head", 8);
	blob_member(&blob, "first", node_pointer, 0);
	blob_type(&blob, 4, 0, 1, "hlist_node", 8);
	blob_member(&blob, "next", node_pointer, 0);
	blob_type(&blob, 4, 0, 1, "rb_root", 8);
	blob_member(&blob, "rb_node", node_pointer, 0);
	blob_type(&blob, 4, 0, 2, "xarray", 12);
	blob_member(&blob, "xa_lock", integer, 0);
	blob_member(&blob, "xa_head", node_pointer, 32);
	blob_type(&blob, 14, 0, 0, "counter", node);
	blob_word(&blob, 1);
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

struct shown {
	struct buffer text;
	unsigned depth, rows, limit;
};

static struct nunchi_error *show(const struct expression_value *value,
				 const struct nunchi_error *why, void *data)
{
	struct shown *shown = data;

	if (!value)
		buffer_printf(&shown->text, "<%s>", nunchi_error_message(why));
	else {
		struct nunchi_error *err =
		    expression_print(&guest, value, shown->depth, &shown->text);

		if (err)
			return err;
	}
	buffer_append_string(&shown->text, shown->limit ? ";" : "");
	return ++shown->rows == shown->limit ? &error_stop : NULL;
}

static struct nunchi_error *evaluate(const char *expression, struct shown *shown)
{
	buffer_init(&shown->text, 0);
	return expression_evaluate(&guest, expression, show, shown);
}

static void check_shown(const char *expression, const char *want, struct shown shown)
{
	struct nunchi_error *err = evaluate(expression, &shown);

	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	assert_string_equal(buffer_string(&shown.text), want);
	buffer_deinit(&shown.text);
}

static void check(const char *expression, const char *want)
{
	check_shown(expression, want, (struct shown){.depth = 1});
}

/* The rows of each(), with a semicolon after each. */
static void check_rows(const char *expression, const char *want)
{
	check_shown(expression, want, (struct shown){.depth = 1, .limit = 100});
}

static void refuse(const char *expression, enum nunchi_error_code code, const char *part)
{
	struct shown shown = {.depth = 1};
	_cleanup_error_ struct nunchi_error *err = evaluate(expression, &shown);

	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), part))
		print_error("%s\n", nunchi_error_message(err));
	assert_non_null(strstr(nunchi_error_message(err), part));
	assert_int_equal(nunchi_error_code(err), code);
	buffer_deinit(&shown.text);
}

static void test_numbers(void **state)
{
	(void)state;
	check("1 + 2 * 3", "7");
	check("010 + 0 + 00", "8");
	check("0777 == 0x1ff", "1");
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

static void test_choices(void **state)
{
	(void)state;
	check("1 && 2", "1");
	check("0 || 0", "0");
	check("0 || 3", "1");
	check("1 || 0 && 0", "1");
	check("2 == 2 && 3 | 4", "1");
	check("1 ? 2 : 3", "2");
	check("0 ? 2 : 0 ? 3 : 4", "4");
	check("1 ? 0 ? 5 : 6 : 7", "6");
	/* What is not chosen has no effect, */
	check("0 && *(int *)16", "0");
	check("1 || *(int *)16 / 0", "1");
	check("1 || " THING ".grid[9][9]", "1");
	check("0 && task(9)", "0");
	check("1 ? 1 : ((struct thing *)0)->link.next->next", "1");
	check("((struct thing *)0) ? ((struct thing *)0)->count : -1", "-1");
	check("sizeof(((struct thing *)0)->link.next->next)", "8");
	check("(1 ? " THING " : " THING ").name", "\"one\\n\"");
	/* but is checked. */
	refuse("0 && " THING ".nome", NUNCHI_ERROR_NOT_FOUND, "no member");
	refuse("0 && nothing", NUNCHI_ERROR_NOT_FOUND, "no symbol");
	refuse("1 ? 2", NUNCHI_ERROR_ARGUMENT, "character 6: : is missing");
	refuse("1 &&", NUNCHI_ERROR_ARGUMENT, "character 5");
	refuse("0 ? 1 : *(int *)16", NUNCHI_ERROR_FAULT, "nothing is mapped");
}

static void test_text(void **state)
{
	const uint64_t at = BASE + 24, outside = 16;

	(void)state;
	check("string(" THING ".name)", "\"one\\n\"");
	check("string(0xffff888000001018 + 1)", "\"ne\\n\"");
	check("(char *)0xffff888000001018", "0xffff888000001018 \"one\\n\"");
	check("(char **)0xffff888000001018", "0xffff888000001018");
	check("(char *)16", "0x10 <unreadable>");
	check("(char *)0", "NULL");
	memcpy(memory + 64, &at, 8);
	check("*(struct said *)0xffff888000001040",
	      "{\n  text = 0xffff888000001018 \"one\\n\",\n}");
	memcpy(memory + 64, &outside, 8);
	check("*(struct said *)0xffff888000001040", "{\n  text = 0x10 <unreadable>,\n}");
	refuse("string(16)", NUNCHI_ERROR_FAULT, "nothing is mapped");
	refuse("string(0)", NUNCHI_ERROR_FAULT, "NULL");
	memset(memory + 64, 0, 8);
}

static struct nunchi_error *take_kind(const struct expression_value *value,
				      const struct nunchi_error *why, void *data)
{
	struct shown *shown = data;
	enum expression_kind kind;
	uint64_t number;
	struct nunchi_error *err = expression_plain(&guest, value, &kind, &number, &shown->text);

	(void)why;
	if (!err)
		buffer_printf(&shown->text, "|%d|%d", (int)kind, (int)number);
	return err;
}

static void check_plain(const char *expression, const char *want)
{
	struct shown shown = {0};

	buffer_init(&shown.text, 0);
	assert_null(expression_evaluate(&guest, expression, take_kind, &shown));
	assert_string_equal(buffer_string(&shown.text), want);
	buffer_deinit(&shown.text);
}

static void test_plain(void **state)
{
	(void)state;
	check_plain(THING ".count", "|1|-3");
	check_plain(THING ".low", "|2|5");
	check_plain(THING ".color", "|1|5");
	check_plain("1 - 2", "|1|-1");
	check_plain("(struct thing *)16", "|2|16");
	check_plain(THING, "|0|0");
	check_plain(THING ".grid", "|0|0");
	check_plain(THING ".name", "one\n|3|0");
	check_plain("(char **)16", "|2|16");
	check_plain("(char *)16", "|4|16");
	check_plain("(char *)0", "|4|0");
	check_plain("(char *)0xffff888000001048", "two|3|4168");
	check_plain("string(0xffff888000001048)", "two|3|4168");
}

/* A text is shown up to its limit, or up to memory that cannot be read. */
static void test_long_text(void **state)
{
	_cleanup_buffer_ struct buffer text;
	char want[5000] = "\"";

	(void)state;
	/* It goes on into the next page, */
	memset(memory + 4000, 'x', 150);
	memset(want + 1, 'x', 150);
	want[151] = '"';
	check("string(0xffff888000001000 + 4000)", want);
	/* is longer than what is shown of it, */
	memset(memory + 200, 'x', 7800);
	memset(want + 1, 'x', 4096);
	memcpy(want + 4097, "\"…", sizeof("\"…"));
	check("string(0xffff888000001000 + 200)", want);
	buffer_init(&text, 0);
	buffer_printf(&text, "0xffff8880000010c8 \"%.*s\"…", 200, want + 1);
	check("(char *)(0xffff888000001000 + 200)", buffer_string(&text));
	/* or ends where memory does. */
	memset(memory + 8000, 'x', 192);
	memcpy(want + 193, "\"<unreadable>", sizeof("\"<unreadable>"));
	check("string(0xffff888000001000 + 8000)", want);
	memset(memory + 200, 0, sizeof(memory) - 200);
}

static void test_tasks_and_cpus(void **state)
{
	(void)state;
	check("task(7)->pid", "9");
	check("task(3 + 4).pid", "9");
	check("counter.next", "0xffff888000001038 <\\x1bthing+0x38>");
	check("per_cpu(counter, 0).next", "0xffff888000001038 <\\x1bthing+0x38>");
	check("per_cpu(counter, 1).next", "NULL");
	check("per_cpu_ptr(&counter, 1)", "0xffff888000001038 <\\x1bthing+0x38>");
	check("per_cpu_ptr(&counter, 1)->next", "NULL");
	refuse("task(8)", NUNCHI_ERROR_FAULT, "character 6: no process 8");
	refuse("task 8", NUNCHI_ERROR_NOT_FOUND, "no symbol");
	refuse("per_cpu(counter, 2)", NUNCHI_ERROR_NOT_FOUND, "character 9: there is no CPU 2");
	refuse("per_cpu(counter)", NUNCHI_ERROR_ARGUMENT, ", is missing: per_cpu(VARIABLE, CPU)");
	refuse("per_cpu(1, 0)", NUNCHI_ERROR_ARGUMENT, "not a variable");
}

static void check_position(const char *expression, size_t want, const char *hint)
{
	struct shown shown = {.depth = 1};
	_cleanup_error_ struct nunchi_error *err = evaluate(expression, &shown);
	size_t position;

	assert_non_null(err);
	assert_true(nunchi_error_position(err, &position));
	assert_int_equal(position, want);
	if (hint)
		assert_string_equal(nunchi_error_hint(err), hint);
	buffer_deinit(&shown.text);
}

static void test_positions(void **state)
{
	_cleanup_error_ struct nunchi_error *err = error_create(NUNCHI_ERROR_DATA, "x");
	size_t position;

	(void)state;
	check_position("1 + nothing", 4, NULL);
	check_position(THING ".nome", 26, "did you mean \"name\"?");
	check_position(THING ".lnik.next", 26, "did you mean \"link\"?");
	check_position(THING ".zzzzzz", 26,
		       "nunchi type TARGET \"struct thing\" lists its members");
	assert_false(nunchi_error_position(err, &position));
}

static void test_depth(void **state)
{
	(void)state;
	check_shown(THING,
		    "{\n  count = -3,\n  low = 5,\n  mid = 319,\n  link = {…},\n  {…},\n"
		    "  name = \"one\\n\",\n  color = BLUE,\n"
		    "  grid = {{1, 2, 3}, {4, 5, -6}},\n}",
		    (struct shown){.depth = 0});
}

static void test_each(void **state)
{
	(void)state;
	/* The type of the element, and its member. */
	check_rows("each(*(struct list_head *)&thing, thing.link).name", "\"one\\n\";\"two\";");
	check_rows("each((struct list_head *)&thing, struct thing, link).count", "-3;9;");
	check_rows("each(*(struct list_head *)&thing, struct thing.link).count * 2", "-6;18;");
	check_rows("1 + each((struct list_head *)&thing, struct thing.link).count", "-2;10;");
	check_rows("&each((struct list_head *)&thing)",
		   "0xffff888000001008;0xffff888000001038 <\\x1bthing+0x38>;");
	check_rows("each((struct xarray *)&thing, struct thing).count", "-3;9;");
	check_rows("each((struct xarray *)&thing, thing).grid[0][0]", "1;1;");
	check_rows("each(" THING ".grid)[1]", "2;5;");
	check_rows("each(each(" THING ".grid))", "1;2;3;4;5;-6;");
	check_rows("each(" THING ".grid[0]) * each(" THING ".grid[1])",
		   "4;5;-6;8;10;-12;12;15;-18;");
	check_rows("each(*(struct hlist_head *)&thing)", "");
	check_rows("each(each((struct list_head *)&thing, struct thing.link).grid)[2]",
		   "3;-6;3;-6;");
	/* Not evaluated, it is one. */
	check_rows("0 && each((struct list_head *)&thing, struct thing.link).count", "0;");
	check_rows("sizeof(each((struct list_head *)&thing, struct thing.link))", "48;");
	/* Its end. */
	check_shown("each(" THING ".grid[0])", "1;2;", (struct shown){.depth = 1, .limit = 2});
}

/* What cannot be read of one element leaves the others. */
static void test_each_missing(void **state)
{
	struct shown shown = {.depth = 1, .limit = 100};
	_cleanup_error_ struct nunchi_error *err = NULL;

	(void)state;
	check_rows("each((struct list_head *)&thing, thing.link).link.next->next",
		   "NULL;<\"each((struct list_head *)&thing, thing.link).link.next->next\": "
		   "character 1: the pointer is NULL>;");
	/* A list that is broken fails after its elements. */
	err = evaluate("each((struct rb_root *)&thing, struct thing.link).count", &shown);
	assert_string_equal(buffer_string(&shown.text), "9;");
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_DATA);
	assert_non_null(strstr(nunchi_error_message(err), "character 6: a loop"));
	buffer_deinit(&shown.text);
	refuse("each((struct list_head *)0)", NUNCHI_ERROR_FAULT, "NULL");
	refuse("each(" THING ")", NUNCHI_ERROR_ARGUMENT, "not a list, tree or array");
	refuse("each(" THING ".grid, struct thing)", NUNCHI_ERROR_ARGUMENT, "have their type");
	refuse("each((struct list_head *)&thing, thing.lnik)", NUNCHI_ERROR_NOT_FOUND, "no member");
	refuse("each((struct list_head *)&thing, 1)", NUNCHI_ERROR_ARGUMENT, "a type is missing");
	refuse("each((struct list_head *)&thing, thing.link", NUNCHI_ERROR_ARGUMENT,
	       ") is missing");
	refuse("each((struct list_head *)&thing, thing.link).nome", NUNCHI_ERROR_NOT_FOUND,
	       "no member");
	refuse("each(thing.grid)", NUNCHI_ERROR_ARGUMENT, "its type is not known");
#define GRID "each(" THING ".grid)[0]"
	refuse(GRID "+" GRID "+" GRID "+" GRID "+" GRID, NUNCHI_ERROR_UNSUPPORTED, "at most 4");
}

/* A struct of two pages, one of which cannot be read. */
static void test_missing_page(void **state)
{
	(void)state;
	check("*(struct thing *)(0xffff888000001000 + 8192 - 26)",
	      "{\n  count = 0,\n  low = 0,\n  mid = 0,\n  link = {\n    next = NULL,\n  },\n"
	      "  {\n    a = 0,\n    {…},\n  },\n  name = <nothing is mapped>,\n"
	      "  color = <nothing is mapped>,\n"
	      "  grid = {{<nothing is mapped>, <nothing is mapped>, <nothing is mapped>}, "
	      "{<nothing is mapped>, <nothing is mapped>, <nothing is mapped>}},\n}");
	check("*(struct thing *)(0xffff888000001000 - 5)",
	      "{\n  count = <nothing is mapped>,\n  low = <nothing is mapped>,\n"
	      "  mid = <nothing is mapped>,\n  link = {\n    next = 0x1038000009fdff,\n  },\n"
	      "  {\n    a = 2103365736103936,\n    {…},\n  },\n  name = \"\",\n  color = 10,\n"
	      "  grid = {{1280, 0, 256}, {512, 768, 1024}},\n}");
	refuse("*(struct thing *)(0xffff888000001000 + 8192)", NUNCHI_ERROR_FAULT,
	       "nothing is mapped");
	refuse("*(struct thing *)(0xffff888000001000 + 3 * 4096 - 8)", NUNCHI_ERROR_FAULT,
	       "nothing is mapped");
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
	refuse("08", NUNCHI_ERROR_ARGUMENT, "character 2: a number that begins with 0 is octal");
	refuse("1 = 1", NUNCHI_ERROR_ARGUMENT, "character 3: nothing is assigned to");
	refuse("strlen(1)", NUNCHI_ERROR_ARGUMENT, "character 7: functions of the guest");
	refuse("thing (1)", NUNCHI_ERROR_ARGUMENT, "there is no thing() here");
	refuse("string(thing)", NUNCHI_ERROR_ARGUMENT, "character 8: its type is not known");
	refuse("thing + 1", NUNCHI_ERROR_ARGUMENT, "character 1: its type is not known");
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
	    cmocka_unit_test(test_numbers),      cmocka_unit_test(test_members),
	    cmocka_unit_test(test_choices),      cmocka_unit_test(test_text),
	    cmocka_unit_test(test_long_text),    cmocka_unit_test(test_tasks_and_cpus),
	    cmocka_unit_test(test_positions),    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_each),         cmocka_unit_test(test_each_missing),
	    cmocka_unit_test(test_missing_page), cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
