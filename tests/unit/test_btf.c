/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index.h"

#include "btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct type_index *index_of(const uint8_t *data, size_t size)
{
	struct type_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err =
	    type_index_from_btf(data, size, NULL, NULL, &index);

	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	assert_non_null(index);
	return index;
}

/* Takes the blob's bytes along. */
static struct type_index *finish(struct blob *blob)
{
	struct type_index *index = NULL;
	size_t size;
	uint8_t *data = blob_finish(blob, &size);

	assert_null(type_index_from_btf(data, size, free, data, &index));
	return index;
}

static struct type get(const struct type_index *index, type_id id)
{
	struct type type;

	assert_true(type_index_get(index, id, &type));
	return type;
}

static void check_fails(const uint8_t *data, size_t size, enum nunchi_error_code code,
			const char *text)
{
	struct type_index *index = (struct type_index *)&code;
	_cleanup_error_ struct nunchi_error *err =
	    type_index_from_btf(data, size, NULL, NULL, &index);

	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), text))
		print_error("%s\n", nunchi_error_message(err));
	assert_non_null(strstr(nunchi_error_message(err), text));
	assert_int_equal(nunchi_error_code(err), code);
	assert_ptr_equal(index, &code);
}

static void test_every_kind(void **state)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", integer);
	uint32_t array = blob_array(&blob, integer, 7);
	uint32_t structure = blob_type(&blob, 4, 0, 1, "s", 4);
	uint32_t unite, enumeration, forward, alias, is_volatile, is_const, is_restrict, prototype;
	uint32_t function, variable, section, real, tag, type_tag, enum64;
	struct type_index *index;
	struct type_member member;

	(void)state;
	blob_member(&blob, "m", integer, 0);
	unite = blob_type(&blob, 5, 0, 1, "u", 4);
	blob_member(&blob, "n", integer, 0);
	enumeration = blob_type(&blob, 6, 0, 1, "e", 4);
	blob_pair(&blob, "E", 3);
	forward = blob_type(&blob, 7, 1, 0, "f", 0);
	alias = blob_type(&blob, 8, 0, 0, "t", integer);
	is_volatile = blob_type(&blob, 9, 0, 0, "", integer);
	is_const = blob_type(&blob, 10, 0, 0, "", integer);
	is_restrict = blob_type(&blob, 11, 0, 0, "", pointer);
	prototype = blob_type(&blob, 13, 0, 2, "", integer);
	blob_pair(&blob, "a", pointer);
	blob_pair(&blob, "", 0);
	function = blob_type(&blob, 12, 0, 1 /* linkage */, "g", prototype);
	variable = blob_type(&blob, 14, 0, 0, "v", alias);
	blob_word(&blob, 1);
	section = blob_type(&blob, 15, 0, 1, ".data", 8);
	blob_word(&blob, variable);
	blob_word(&blob, 0);
	blob_word(&blob, 4);
	real = blob_type(&blob, 16, 0, 0, "double", 8);
	tag = blob_type(&blob, 17, 0, 0, "kfunc", function);
	blob_word(&blob, UINT32_MAX);
	type_tag = blob_type(&blob, 18, 1, 0, "user", integer);
	enum64 = blob_type(&blob, 19, 0, 1, "w", 8);
	blob_pair(&blob, "W", 1);
	blob_word(&blob, 2);
	index = finish(&blob);

	assert_int_equal(type_index_count(index), enum64 + 1);
	assert_int_equal(get(index, 0).kind, TYPE_VOID);
	assert_int_equal(get(index, integer).kind, TYPE_INT);
	assert_true(get(index, integer).is_signed);
	assert_int_equal(get(index, integer).size, 4);
	assert_string_equal(get(index, integer).name, "int");
	assert_int_equal(get(index, pointer).kind, TYPE_POINTER);
	assert_int_equal(get(index, pointer).target, integer);
	assert_int_equal(get(index, array).kind, TYPE_ARRAY);
	assert_int_equal(get(index, array).count, 7);
	assert_int_equal(get(index, array).target, integer);
	assert_int_equal(get(index, structure).kind, TYPE_STRUCT);
	assert_int_equal(get(index, structure).count, 1);
	assert_int_equal(get(index, unite).kind, TYPE_UNION);
	assert_int_equal(get(index, unite).size, 4);
	assert_int_equal(get(index, enumeration).kind, TYPE_ENUM);
	assert_int_equal(get(index, forward).kind, TYPE_FORWARD);
	assert_int_equal(get(index, alias).kind, TYPE_TYPEDEF);
	assert_int_equal(get(index, alias).target, integer);
	assert_int_equal(get(index, is_volatile).kind, TYPE_QUALIFIER);
	assert_int_equal(get(index, is_const).kind, TYPE_QUALIFIER);
	assert_int_equal(get(index, is_restrict).target, pointer);
	assert_int_equal(get(index, prototype).kind, TYPE_FUNCTION);
	assert_int_equal(get(index, prototype).target, integer);
	assert_int_equal(get(index, function).kind, TYPE_FUNCTION);
	assert_string_equal(get(index, function).name, "g");
	assert_int_equal(get(index, function).count, 2);
	assert_int_equal(get(index, function).target, integer);
	assert_true(type_index_parameter(index, function, 0, &member));
	assert_string_equal(member.name, "a");
	assert_int_equal(member.type, pointer);
	assert_true(type_index_parameter(index, prototype, 1, &member));
	assert_int_equal(member.type, 0);
	assert_false(type_index_parameter(index, function, 2, &member));
	assert_false(type_index_parameter(index, structure, 0, &member));
	assert_int_equal(get(index, variable).kind, TYPE_VARIABLE);
	assert_int_equal(get(index, variable).target, alias);
	assert_int_equal(get(index, section).kind, TYPE_OTHER);
	assert_int_equal(get(index, real).kind, TYPE_FLOAT);
	assert_int_equal(get(index, real).size, 8);
	assert_int_equal(get(index, tag).kind, TYPE_OTHER);
	assert_int_equal(get(index, type_tag).kind, TYPE_QUALIFIER);
	assert_int_equal(get(index, enum64).kind, TYPE_ENUM);
	assert_false(type_index_get(index, enum64 + 1, &(struct type){0}));
	assert_false(type_index_get(index, UINT32_MAX, &(struct type){0}));
	type_index_unref(index);
}

static void check_member(const struct type_index *index, type_id id, uint32_t i, const char *name,
			 uint64_t offset, uint32_t bits)
{
	struct type_member member;

	assert_true(type_index_member(index, id, i, &member));
	assert_string_equal(member.name, name);
	assert_int_equal(member.bit_offset, offset);
	assert_int_equal(member.bit_size, bits);
}

static void test_bit_fields_both_ways(void **state)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "unsigned int", 4, 0);
	uint32_t narrow = blob_type(&blob, 1, 0, 0, "unsigned int", 4);
	uint32_t alias, flagged, older;
	struct type_index *index;

	(void)state;
	blob_word(&blob, 3 | 2 << 16); /* three bits, two further in */
	alias = blob_type(&blob, 8, 0, 0, "three_bits", narrow);
	flagged = blob_type(&blob, 4, 1, 3, "flagged", 8);
	blob_member(&blob, "plain", integer, 0);
	blob_member(&blob, "bits", integer, 5u << 24 | 37);
	blob_member(&blob, "both", narrow, 8);
	older = blob_type(&blob, 4, 0, 3, "older", 16);
	blob_member(&blob, "plain", integer, 0x01000020);
	blob_member(&blob, "bits", narrow, 64);
	blob_member(&blob, "alias", alias, 70);
	index = finish(&blob);
	check_member(index, flagged, 0, "plain", 0, 0);
	check_member(index, flagged, 1, "bits", 37, 5);
	check_member(index, flagged, 2, "both", 10, 3);
	check_member(index, older, 0, "plain", 0x01000020, 0);
	check_member(index, older, 1, "bits", 66, 3);
	check_member(index, older, 2, "alias", 72, 3);
	assert_false(type_index_member(index, older, 3, &(struct type_member){0}));
	assert_false(type_index_member(index, integer, 0, &(struct type_member){0}));
	type_index_unref(index);
}

static int64_t enumerator(const struct type_index *index, type_id id, uint32_t i)
{
	struct type_enumerator enumerator;

	assert_true(type_index_enumerator(index, id, i, &enumerator));
	return enumerator.value;
}

static void test_enums_know_their_sign(void **state)
{
	struct blob blob = {0};
	uint32_t is_unsigned = blob_type(&blob, 6, 0, 1, "u", 4), is_signed, wide;
	struct type_index *index;
	int64_t value;

	(void)state;
	blob_pair(&blob, "U", UINT32_MAX);
	is_signed = blob_type(&blob, 6, 1, 2, "s", 4);
	blob_pair(&blob, "S", UINT32_MAX);
	blob_pair(&blob, "T", 5);
	wide = blob_type(&blob, 19, 0, 1, "w", 8);
	blob_pair(&blob, "W", 2);
	blob_word(&blob, 1);
	index = finish(&blob);
	assert_int_equal(enumerator(index, is_unsigned, 0), UINT32_MAX);
	assert_int_equal(enumerator(index, is_signed, 0), -1);
	assert_int_equal(enumerator(index, is_signed, 1), 5);
	assert_int_equal(enumerator(index, wide, 0), 0x100000002);
	assert_false(get(index, is_unsigned).is_signed);
	assert_true(get(index, is_signed).is_signed);
	assert_false(get(index, wide).is_signed);
	assert_true(type_index_enum_value(index, "U", &value));
	assert_int_equal(value, UINT32_MAX);
	assert_true(type_index_enum_value(index, "S", &value));
	assert_int_equal(value, -1);
	assert_true(type_index_enum_value(index, "W", &value));
	assert_int_equal(value, 0x100000002);
	assert_false(type_index_enum_value(index, "X", &value));
	assert_false(type_index_enum_value(index, "", &value));
	type_index_unref(index);
}

/* Until 6.0 no enum told its sign. */
static void test_enums_of_old_data_are_signed(void **state)
{
	struct blob blob = {0};
	uint32_t id = blob_type(&blob, 6, 0, 1, "e", 4);
	struct type_index *index;
	int64_t value;

	(void)state;
	blob_pair(&blob, "MINUS", (uint32_t)-7);
	index = finish(&blob);
	assert_int_equal(enumerator(index, id, 0), -7);
	assert_true(get(index, id).is_signed);
	assert_true(type_index_enum_value(index, "MINUS", &value));
	assert_int_equal(value, -7);
	type_index_unref(index);
}

/* 7.1: counts of more than 16 bits, and a table that tells how to pass over kinds still unknown. */
static void test_extended_format(void **state)
{
	static const uint8_t layout[] = {8, 6, 0, 0};
	struct blob blob = {0};
	uint32_t many = blob_type(&blob, 4, 0, 70000, "many", 280000), unknown, after;
	struct type_index *index;
	size_t size;
	uint8_t *data;

	(void)state;
	for (uint32_t i = 0; i < 70000; i++)
		blob_member(&blob, i == 69999 ? "last" : "", 0, i * 32);
	unknown = blob_type(&blob, 20, 0, 2, "newer", 0);
	for (int i = 0; i < 5; i++)
		blob_word(&blob, 0xdeadbeef);
	after = blob_int(&blob, "int", 4, 1);
	blob.layouts_size = 21 * 4;
	blob.layouts = calloc(1, blob.layouts_size);
	memcpy(blob.layouts + 20 * 4, layout, sizeof(layout));
	data = blob_finish(&blob, &size);
	index = index_of(data, size);
	check_member(index, many, 69999, "last", 69999 * 32, 0);
	assert_int_equal(get(index, unknown).kind, TYPE_OTHER);
	assert_int_equal(get(index, after).kind, TYPE_INT);
	assert_true(type_index_find(index, "int", &after));
	type_index_unref(index);

	/* A layout that is wrong by one word leads into the middle of a record. */
	data[size - 3] = 4;
	check_fails(data, size, NUNCHI_ERROR_DATA, "BTF");
	/* None at all. */
	memset(data + 24, 0, 8);
	check_fails(data, size, NUNCHI_ERROR_UNSUPPORTED, "unknown kind 20");
	free(data);
}

static uint8_t *small(size_t *ret_size)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "long int", 8, 1);

	blob_type(&blob, 4, 0, 2, "pair", 16);
	blob_member(&blob, "first", integer, 0);
	blob_member(&blob, "second", integer, 64);
	return blob_finish(&blob, ret_size);
}

static void put(uint8_t *data, size_t offset, uint32_t word)
{
	memcpy(data + offset, &word, 4);
}

static void check_damage(size_t offset, uint32_t word, enum nunchi_error_code code,
			 const char *text)
{
	size_t size;
	uint8_t *data = small(&size);

	put(data, offset, word);
	check_fails(data, size, code, text);
	free(data);
}

static void test_damage_is_named(void **state)
{
	(void)state;
	check_damage(0, 0x0001eb90, NUNCHI_ERROR_DATA, "starts with 0xeb90");
	check_damage(0, 0x01009feb, NUNCHI_ERROR_UNSUPPORTED, "big-endian");
	check_damage(0, 0x0002eb9f, NUNCHI_ERROR_UNSUPPORTED, "version 2");
	check_damage(4, 23, NUNCHI_ERROR_DATA, "size of 23 bytes");
	check_damage(4, 100000, NUNCHI_ERROR_DATA, "size of 100000 bytes");
	check_damage(8, 0xfffffff0, NUNCHI_ERROR_TRUNCATED, "types");
	check_damage(12, 0xfffffff0, NUNCHI_ERROR_TRUNCATED, "types");
	check_damage(16, 0xfffffff0, NUNCHI_ERROR_TRUNCATED, "names");
	check_damage(20, 1000, NUNCHI_ERROR_TRUNCATED, "names");
	check_damage(20, 0, NUNCHI_ERROR_DATA, "no names");
	check_damage(20, 4, NUNCHI_ERROR_DATA, "zero byte");
	check_damage(12, 20, NUNCHI_ERROR_DATA, "inside type 2");
	check_damage(24 + 4, 0, NUNCHI_ERROR_DATA, "type 1 (at offset 0) has no kind");
	check_damage(24 + 4, 31u << 24, NUNCHI_ERROR_UNSUPPORTED, "unknown kind 31");
	check_damage(24, 5000, NUNCHI_ERROR_DATA, "name at 5000");
	check_damage(24 + 20, 4u << 24 | 3, NUNCHI_ERROR_DATA, "ends after the types");
}

static void test_truncation_at_each_byte(void **state)
{
	size_t size;
	uint8_t *data = small(&size);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);
		struct type_index *index = NULL;
		struct nunchi_error *err;

		memcpy(part, data, cut);
		err = type_index_from_btf(part, cut, NULL, NULL, &index);
		assert_non_null(err);
		nunchi_error_destroy(err);
		free(part);
	}
	free(data);
}

/* A live guest changes its memory after it was indexed. */
static void test_changes_under_us_stay_inside(void **state)
{
	size_t size;
	uint8_t *data = small(&size), *record = data + 24 + 16;
	struct type_index *index = index_of(data, size);
	struct type_member member;
	struct type_field field;
	struct type type;
	type_id id;

	(void)state;
	assert_true(type_index_find(index, "struct pair", &id));
	memset(data + size - 30, 'x', 30); /* the names: copied, so that they stay */
	assert_true(type_index_find(index, "pair", &id));
	assert_string_equal(get(index, id).name, "pair");
	put(record, 4, 4u << 24 | 0xffffff); /* more members than the record holds */
	assert_false(type_index_get(index, id, &type));
	assert_false(type_index_member(index, id, 2, &member));
	nunchi_error_destroy(type_index_resolve(index, "pair.third", &field));
	put(record, 4, 1u << 24); /* another kind */
	assert_true(type_index_get(index, id, &type));
	assert_false(type_index_member(index, id, 0, &member));
	put(record, 4, 31u << 24);
	assert_true(type_index_get(index, id, &type));
	assert_int_equal(type.kind, TYPE_OTHER);
	put(record, 4, 4u << 24 | 2);
	put(record, 0, 0x7fffffff); /* a name outside */
	assert_string_equal(get(index, id).name, "");
	put(record, 12, 0xffffffff);
	assert_true(type_index_member(index, id, 0, &member));
	assert_string_equal(member.name, "");
	memset(data, 0, 24); /* the header is not read again */
	assert_true(type_index_member(index, id, 1, &member));
	assert_string_equal(member.name, "second");
	type_index_unref(index);
	free(data);
}

/* Names that all are the same, or very long, or many enumerators: no quadratic time. */
static void test_crowded_names(void **state)
{
	static char name[3000];
	struct blob blob = {0};
	uint32_t offset, first = 0;
	struct type_index *index;
	type_id id;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	offset = blob_name(&blob, name);
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t type = blob_type(&blob, 7, 0, 0, "", 0);
		/* Suffixes of one long string: all different, most of them too long. */
		uint32_t at = offset + i % (sizeof(name) - 1);

		first = first ? first : type;
		memcpy(blob.types + blob.types_size - 12, &at, 4);
	}
	index = finish(&blob);
	assert_true(type_index_find(index, "struct aaaa", &id));
	assert_int_equal(id, first + sizeof(name) - 1 - 4);
	assert_false(type_index_find(index, name, &id));
	type_index_unref(index);
}

static void test_empty(void **state)
{
	struct blob blob = {0};
	struct type_index *index = finish(&blob);
	type_id id;

	(void)state;
	assert_int_equal(type_index_count(index), 1);
	assert_false(type_index_find(index, "int", &id));
	assert_false(type_index_find(index, "", &id));
	assert_null(type_index_suggest(index, "int"));
	assert_int_equal(type_index_word_size(index), 8);
	type_index_unref(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_kind),
	    cmocka_unit_test(test_bit_fields_both_ways),
	    cmocka_unit_test(test_enums_know_their_sign),
	    cmocka_unit_test(test_enums_of_old_data_are_signed),
	    cmocka_unit_test(test_extended_format),
	    cmocka_unit_test(test_damage_is_named),
	    cmocka_unit_test(test_truncation_at_each_byte),
	    cmocka_unit_test(test_changes_under_us_stay_inside),
	    cmocka_unit_test(test_crowded_names),
	    cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
