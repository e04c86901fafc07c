/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The same structs from DWARF of several versions, from BTF and from a symbol table: all have to
 * agree with the compiler that built this test. The programs with DWARF are the arguments.
 */
#include "core/buffer.h"
#include "symbols/type_index.h"

#include "btf_blob.h"
#include "config.h"
#include "fixtures/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static char **programs;
static int program_count;

#define OUTER(field)                                                                               \
	{                                                                                          \
		"fixture_outer." #field, offsetof(struct fixture_outer, field),                    \
		    sizeof(((struct fixture_outer *)0)->field)                                     \
	}

/* Bit fields of the first long words of an otherwise empty struct. */
static struct fixture_outer bits;

static const struct {
	const char *path;
	uint64_t offset, size;
} plain_fields[] = {
    OUTER(state),
    OUTER(comm),
    OUTER(inner),
    OUTER(deep),
    OUTER(bytes),
    OUTER(bytes[3]),
    OUTER(word),
    OUTER(mem),
    OUTER(mem[1]),
    OUTER(mem[1].size),
    {"fixture_outer.mem[FIXTURE_DATA].size", offsetof(struct fixture_outer, mem[1].size), 4},
    OUTER(opaque),
    OUTER(unknown),
    OUTER(call),
    OUTER(color),
    OUTER(matrix),
    OUTER(matrix[1]),
    OUTER(matrix[1][2]),
    OUTER(list.prev),
    OUTER(count.counter),
    OUTER(flag),
    OUTER(real),
    {"fixture_outer.tail", offsetof(struct fixture_outer, tail), 0},
    {"struct fixture_outer.tail[7]", offsetof(struct fixture_outer, tail) + 7, 1},
    {"fixture_list.prev", sizeof(void *), sizeof(void *)},
    {"fixture_outer", 0, sizeof(struct fixture_outer)},
    {"fixture_memory.size", offsetof(struct fixture_memory, size), 4},
};

static struct type_field resolve(const struct type_index *index, const char *path)
{
	struct type_field field = {0};
	struct nunchi_error *err = type_index_resolve(index, path, &field);

	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	return field;
}

/* Reads a bit field as a user of the index would, and compares with what the compiler stored. */
static void check_bits(const struct type_index *index, const char *path, uint64_t value,
		       bool is_signed)
{
	struct type_field field = resolve(index, path);
	uint64_t load = 0;

	assert_in_range(field.size, 1, 8);
	assert_true(field.offset + field.size <= sizeof(bits));
	assert_int_equal(field.offset % field.size, 0);
	memcpy(&load, (const char *)&bits + field.offset, field.size);
	load >>= field.bit_shift;
	if (field.bit_size < 64)
		load &= (1ULL << field.bit_size) - 1;
	assert_int_equal(load, value);
	assert_int_equal(field.is_signed, is_signed);
}

static void check_fields(const struct type_index *index)
{
	int64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(plain_fields); i++) {
		struct type_field field = resolve(index, plain_fields[i].path);

		if (field.offset != plain_fields[i].offset || field.size != plain_fields[i].size)
			print_error("%s: offset %d size %d\n", plain_fields[i].path,
				    (int)field.offset, (int)field.size);
		assert_int_equal(field.offset, plain_fields[i].offset);
		assert_int_equal(field.size, plain_fields[i].size);
		assert_int_equal(field.bit_size, 0);
	}
	assert_int_equal(resolve(index, "fixture_outer.comm").elements, 16);
	assert_int_equal(resolve(index, "fixture_outer.matrix").elements, 6);
	assert_int_equal(resolve(index, "fixture_outer.tail").elements, 0);
	assert_true(resolve(index, "fixture_outer.state").is_signed);
	assert_true(resolve(index, "fixture_outer.color").is_signed);
	assert_false(resolve(index, "fixture_outer.word").is_signed);
	bits.in_use = 1;
	bits.level = 0x15;
	bits.delta = -3;
	bits.wide = 0x8123456789ULL;
	check_bits(index, "fixture_outer.in_use", 1, false);
	check_bits(index, "fixture_outer.level", 0x15, false);
	check_bits(index, "fixture_outer.delta", (uint64_t)-3 & 0x7f, true);
	check_bits(index, "fixture_outer.wide", 0x8123456789ULL, false);
	assert_true(type_index_enum_value(index, "FIXTURE_NEGATIVE", &value));
	assert_int_equal(value, FIXTURE_NEGATIVE);
	assert_true(type_index_enum_value(index, "FIXTURE_GREEN", &value));
	assert_int_equal(value, FIXTURE_GREEN);
	assert_true(type_index_enum_value(index, "FIXTURE_LARGE", &value));
	assert_int_equal(value, (int64_t)FIXTURE_LARGE);
	assert_int_equal(type_index_word_size(index), sizeof(long));
}

static void check_spelling(const struct type_index *index, const char *path, const char *expected)
{
	char spelling[128];

	type_index_spell(index, resolve(index, path).type, spelling, sizeof(spelling));
	assert_string_equal(spelling, expected);
}

static void check_program(const char *path)
{
	struct type_index *index = NULL;
	struct type_field field;
	struct type type;
	type_id id;

	struct nunchi_error *err = type_index_from_file(path, &index);

#ifndef HAVE_LIBDW
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	assert_non_null(strstr(nunchi_error_message(err), "libdw"));
	nunchi_error_destroy(err);
	skip();
#endif
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	assert_non_null(strstr(type_index_description(index), "DWARF"));
	check_fields(index);
	check_spelling(index, "fixture_outer.state",
		       type_index_find(index, "long int", &id) ? "volatile long int" /* gcc */
							       : "volatile long" /* clang */);
	check_spelling(index, "fixture_outer.opaque", "const struct fixture_opaque *");
	check_spelling(index, "fixture_outer.unknown", "struct fixture_unknown *");
	check_spelling(index, "fixture_outer.call",
		       "int (*)(struct fixture_outer *, const char *, ...)");
	check_spelling(index, "fixture_outer.mem", "struct fixture_memory[2]");
	check_spelling(index, "fixture_outer.count", "fixture_atomic");
	check_spelling(index, "fixture_outer.color", "enum fixture_color");
	check_spelling(index, "fixture_outer.matrix", "int[2][3]");
	check_spelling(index, "fixture_memory.size", "fixture_u32");

	assert_int_equal(resolve(index, "fixture_empty.none").elements, 0);
	assert_int_equal(resolve(index, "fixture_empty.one").offset, 0);

	/* Defined in the other unit; the pointer declared here leads to it. */
	assert_int_equal(resolve(index, "fixture_opaque.list").offset, 8);
	assert_true(type_index_get(index, resolve(index, "fixture_outer.opaque").type, &type));
	assert_int_equal(type.kind, TYPE_POINTER);
	assert_true(type_index_find(index, "struct fixture_opaque", &id));
	assert_int_equal(type_index_strip(index, type.target), id);
	/* Defined nowhere. */
	assert_true(type_index_find(index, "struct fixture_unknown", &id));
	assert_true(type_index_get(index, id, &type));
	assert_int_equal(type.kind, TYPE_FORWARD);
	err = type_index_resolve(index, "fixture_unknown.x", &field);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NOT_FOUND);
	nunchi_error_destroy(err);
	type_index_unref(index);
}

static void test_dwarf(void **state)
{
	(void)state;
	assert_true(program_count > 0);
	for (int i = 0; i < program_count; i++)
		check_program(programs[i]);
}

static struct blob outer_blob(void)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1),
		 word = blob_int(&blob, "unsigned int", 4, 0);
	uint32_t length = blob_int(&blob, "long int", sizeof(long), 1);
	uint32_t wide = blob_int(&blob, "long long unsigned int", 8, 0);
	uint32_t letter = blob_int(&blob, "char", 1, 1), truth = blob_int(&blob, "_Bool", 1, 0);
	uint32_t half = blob_int(&blob, "short int", 2, 1);
	uint32_t real = blob_type(&blob, 16, 0, 0, "double", 8);
	uint32_t u32 = blob_type(&blob, 8, 0, 0, "fixture_u32", word);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", 0);
	uint32_t list, memory, atomic, color, deep, inner, any, mem, row, matrix, comm, bytes, tail;
	uint32_t outer;

	list = blob_type(&blob, 4, 0, 2, "fixture_list", sizeof(struct fixture_list));
	blob_member(&blob, "next", pointer, 0);
	blob_member(&blob, "prev", pointer, sizeof(void *) * 8);
	memory = blob_type(&blob, 4, 0, 2, "fixture_memory", sizeof(struct fixture_memory));
	blob_member(&blob, "base", pointer, 0);
	blob_member(&blob, "size", u32, sizeof(void *) * 8);
	atomic = blob_type(&blob, 4, 0, 1, "", 4);
	blob_member(&blob, "counter", integer, 0);
	atomic = blob_type(&blob, 8, 0, 0, "fixture_atomic", atomic);
	color = blob_type(&blob, 6, 1, 3, "fixture_color", 4);
	blob_pair(&blob, "FIXTURE_RED", 0);
	blob_pair(&blob, "FIXTURE_GREEN", 5);
	blob_pair(&blob, "FIXTURE_NEGATIVE", (uint32_t)-3);
	blob_type(&blob, 6, 0, 3, "fixture_index", 4);
	blob_pair(&blob, "FIXTURE_TEXT", 0);
	blob_pair(&blob, "FIXTURE_DATA", 1);
	blob_pair(&blob, "FIXTURE_INDEXES", 2);
	blob_type(&blob, 19, 0, 1, "fixture_large", 8);
	blob_pair(&blob, "FIXTURE_LARGE", 0x23456789);
	blob_word(&blob, 0xf1);
	bytes = blob_array(&blob, letter, 6);
	deep = blob_type(&blob, 5, 0, 2, "", 6);
	blob_member(&blob, "deep", half, 0);
	blob_member(&blob, "bytes", bytes, 0);
	inner = blob_type(&blob, 4, 0, 2, "", 12);
	blob_member(&blob, "inner", integer, 0);
	blob_member(&blob, "", deep, 32);
	any = blob_type(&blob, 5, 0, 2, "", 12);
	blob_member(&blob, "", inner, 0);
	blob_member(&blob, "word", u32, 0);
	mem = blob_array(&blob, memory, 2);
	row = blob_array(&blob, integer, 3);
	matrix = blob_array(&blob, row, 2);
	comm = blob_array(&blob, letter, 16);
	tail = blob_array(&blob, letter, 0);
	outer = blob_type(&blob, 9, 0, 0, "", length); /* volatile */
#define PLACE(field) (uint32_t) offsetof(struct fixture_outer, field) * 8
	blob_type(&blob, 4, 1, 18, "fixture_outer", sizeof(struct fixture_outer));
	blob_member(&blob, "state", outer, PLACE(state));
	blob_member(&blob, "comm", comm, PLACE(comm));
	blob_member(&blob, "in_use", word, 1u << 24 | 192);
	blob_member(&blob, "level", word, 5u << 24 | 193);
	blob_member(&blob, "delta", integer, 7u << 24 | 198);
	blob_member(&blob, "wide", wide, 40u << 24 | 205);
	blob_member(&blob, "", any, PLACE(inner));
	blob_member(&blob, "mem", mem, PLACE(mem));
	blob_member(&blob, "opaque", pointer, PLACE(opaque));
	blob_member(&blob, "unknown", pointer, PLACE(unknown));
	blob_member(&blob, "call", pointer, PLACE(call));
	blob_member(&blob, "color", color, PLACE(color));
	blob_member(&blob, "matrix", matrix, PLACE(matrix));
	blob_member(&blob, "list", list, PLACE(list));
	blob_member(&blob, "count", atomic, PLACE(count));
	blob_member(&blob, "flag", truth, PLACE(flag));
	blob_member(&blob, "real", real, PLACE(real));
	blob_member(&blob, "tail", tail, PLACE(tail));
	return blob;
}

static void test_btf_agrees(void **state)
{
	struct blob blob = outer_blob();
	struct type_index *index = NULL;
	size_t size;
	uint8_t *data = blob_finish(&blob, &size);

	(void)state;
	assert_null(type_index_from_btf(data, size, free, data, &index));
	check_fields(index);
	type_index_unref(index);
}

/* Appends with ' for ". */
static void __attribute__((format(printf, 2, 3))) add(struct buffer *text, const char *format, ...)
{
	size_t start = text->size;
	va_list args;

	va_start(args, format);
	assert_true(buffer_vprintf(text, format, args));
	va_end(args);
	for (size_t i = start; i < text->size; i++) {
		if (text->data[i] == '\'')
			text->data[i] = '"';
	}
}

static void add_base(struct buffer *text, const char *name, size_t size, bool is_signed,
		     const char *kind)
{
	add(text, "'%s':{'size':%zu,'signed':%s,'kind':'%s','endian':'little'},", name, size,
	    is_signed ? "true" : "false", kind);
}

static void add_bases(struct buffer *text)
{
	add(text, "'base_types':{");
	add_base(text, "int", 4, true, "int");
	add_base(text, "unsigned int", 4, false, "int");
	add_base(text, "long int", sizeof(long), true, "int");
	add_base(text, "long long unsigned int", 8, false, "int");
	add_base(text, "short int", 2, true, "int");
	add_base(text, "char", 1, true, "char");
	add_base(text, "_Bool", 1, false, "bool");
	add_base(text, "double", 8, true, "float");
	add_base(text, "pointer", sizeof(void *), false, "int");
	add(text, "'void':{'size':0,'signed':false,'kind':'void','endian':'little'}},");
}

static void add_enums(struct buffer *text)
{
	add(text, "'enums':{'fixture_color':{'size':4,'base':'int','constants':{'FIXTURE_RED':0,"
		  "'FIXTURE_NEGATIVE':-3,'FIXTURE_GREEN':5}},");
	add(text, "'fixture_index':{'size':4,'base':'void','constants':{'FIXTURE_TEXT':0,"
		  "'FIXTURE_DATA':1,'FIXTURE_INDEXES':2}},");
	add(text, "'fixture_large':{'size':8,'base':'void','constants':{'FIXTURE_LARGE':%lld}}},",
	    (long long)FIXTURE_LARGE);
}

static void add_struct(struct buffer *text, const char *name, const char *kind, size_t size)
{
	add(text, "'%s':{'size':%zu,'kind':'%s','fields':{", name, size, kind);
}

static void add_field(struct buffer *text, const char *name, size_t offset, const char *type)
{
	add(text, "'%s':{'offset':%zu,%s'type':%s},", name, offset,
	    strncmp(name, "unnamed_", 8) ? "" : "'anonymous':true,", type);
}

static void end_struct(struct buffer *text)
{
	text->size--; /* the comma */
	add(text, "}},");
}

#define POINTER     "{'kind':'pointer','subtype':{'kind':'base','name':'void'}}"
#define INT         "{'kind':'base','name':'int'}"
#define UINT        "{'kind':'base','name':'unsigned int'}"
#define CHAR        "{'kind':'base','name':'char'}"
#define ARRAY(type) "'subtype':" type "}"
#define BITS(type)  "'type':{'kind':'base','name':'" type "'}}"

static void add_small_structs(struct buffer *text)
{
	add_struct(text, "fixture_list", "struct", sizeof(struct fixture_list));
	add_field(text, "prev", sizeof(void *), POINTER);
	add_field(text, "next", 0, POINTER);
	end_struct(text);
	add_struct(text, "fixture_memory", "struct", sizeof(struct fixture_memory));
	add_field(text, "size", sizeof(void *), UINT);
	add_field(text, "base", 0, POINTER);
	end_struct(text);
	add_struct(text, "unnamed_01", "struct", 4);
	add_field(text, "counter", 0, INT);
	end_struct(text);
	add_struct(text, "unnamed_02", "union", 6);
	add_field(text, "bytes", 0, "{'kind':'array','count':6," ARRAY(CHAR));
	add_field(text, "deep", 0, "{'kind':'base','name':'short int'}");
	end_struct(text);
	add_struct(text, "unnamed_03", "struct", 12);
	add_field(text, "unnamed_field_4", 4, "{'kind':'union','name':'unnamed_02'}");
	add_field(text, "inner", 0, INT);
	end_struct(text);
	add_struct(text, "unnamed_04", "union", 12);
	add_field(text, "unnamed_field_0", 0, "{'kind':'struct','name':'unnamed_03'}");
	add_field(text, "word", 0, UINT);
	end_struct(text);
}

#define AT(field) offsetof(struct fixture_outer, field)

static void add_outer(struct buffer *text)
{
	add_struct(text, "fixture_outer", "struct", sizeof(struct fixture_outer));
	add_field(text, "tail", AT(tail), "{'kind':'array','count':0," ARRAY(CHAR));
	add_field(text, "real", AT(real), "{'kind':'base','name':'double'}");
	add_field(text, "flag", AT(flag), "{'kind':'base','name':'_Bool'}");
	add_field(text, "count", AT(count), "{'kind':'struct','name':'unnamed_01'}");
	add_field(text, "list", AT(list), "{'kind':'struct','name':'fixture_list'}");
	add_field(text, "matrix", AT(matrix),
		  "{'kind':'array','count':2,'subtype':{'kind':'array','count':3," ARRAY(INT) "}");
	add_field(text, "color", AT(color), "{'kind':'enum','name':'fixture_color'}");
	add_field(text, "call", AT(call), "{'kind':'pointer','subtype':{'kind':'function'}}");
	add_field(text, "unknown", AT(unknown),
		  "{'kind':'pointer','subtype':{'kind':'struct','name':'fixture_unknown'}}");
	add_field(text, "opaque", AT(opaque), POINTER);
	add_field(text, "mem", AT(mem),
		  "{'kind':'array','count':2," ARRAY("{'kind':'struct','name':'fixture_memory'}"));
	add_field(text, "unnamed_field_20", AT(inner), "{'kind':'union','name':'unnamed_04'}");
	add_field(
	    text, "wide", 25,
	    "{'kind':'bitfield','bit_position':5,'bit_length':40," BITS("long long unsigned int"));
	add_field(text, "delta", 24,
		  "{'kind':'bitfield','bit_position':6,'bit_length':7," BITS("int"));
	add_field(text, "level", 24,
		  "{'kind':'bitfield','bit_position':1,'bit_length':5," BITS("unsigned int"));
	add_field(text, "in_use", 24,
		  "{'kind':'bitfield','bit_position':0,'bit_length':1," BITS("unsigned int"));
	add_field(text, "comm", AT(comm), "{'kind':'array','count':16," ARRAY(CHAR));
	add_field(text, "state", AT(state), "{'kind':'base','name':'long int'}");
	end_struct(text);
	text->size--;
}

/* As dwarf2json writes it: fields in no order, typedefs gone. */
static void write_isf(struct buffer *text)
{
	add(text, "{'metadata':{'format':'6.2.0','producer':{'name':'dwarf2json'}},");
	add_bases(text);
	add_enums(text);
	add(text, "'user_types':{");
	add_small_structs(text);
	add_outer(text);
	add(text, "},'symbols':{'odd\\'}]':{'address':18446744073709551615}}}");
}

static void test_isf_agrees(void **state)
{
	char path[] = "/tmp/nunchi-types-XXXXXX";
	struct type_index *index = NULL;
	struct nunchi_error *err;
	_cleanup_buffer_ struct buffer text = {0};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	write_isf(&text);
	assert_int_equal(write(fd, text.data, text.size), text.size);
	close(fd);
	err = type_index_from_file(path, &index);
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	unlink(path);
	assert_null(err);
	check_fields(index);
	check_spelling(index, "fixture_outer.unknown", "struct fixture_unknown *");
	check_spelling(index, "fixture_outer.count", "struct {...}");
	type_index_unref(index);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dwarf),
	    cmocka_unit_test(test_btf_agrees),
	    cmocka_unit_test(test_isf_agrees),
	};

	programs = argv + 1;
	program_count = argc - 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
