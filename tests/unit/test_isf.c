/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/isf.h"

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_LZMA
#include <lzma.h>
#endif

#include <cmocka.h>

#define METADATA "\"metadata\":{\"format\":\"6.2.0\"}"

static const char table[] =
    " {" METADATA ",\n"
    "\"base_types\":{\"pointer\":{\"size\":4,\"signed\":false,\"kind\":\"int\",\"endian\":"
    "\"little\"},\"int\":{\"size\":4,\"signed\":true,\"kind\":\"int\",\"endian\":\"little\"}},\n"
    "\"user_types\":{\"node\":{\"size\":12,\"kind\":\"struct\",\"fields\":{"
    "\"next\":{\"offset\":4,\"type\":{\"kind\":\"pointer\",\"subtype\":{\"kind\":\"struct\","
    "\"name\":\"node\"}}},"
    "\"low\":{\"offset\":8,\"type\":{\"kind\":\"bitfield\",\"bit_position\":3,\"bit_length\":7,"
    "\"type\":{\"kind\":\"base\",\"name\":\"int\"}}},"
    "\"value\":{\"offset\":0,\"type\":{\"kind\":\"base\",\"name\":\"int\"}}}}},\n"
    "\"enums\":{\"e\":{\"size\":4,\"base\":\"int\",\"constants\":{\"BIG\":4294967295}}},\n"
    "\"symbols\":{\"x\":{\"address\":18446744073709551615}}}";

static struct type_index *read_table(const char *text)
{
	struct type_index *index = NULL;
	struct nunchi_error *err = type_index_from_isf(text, strlen(text), &index);

	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
	return index;
}

static void check_fails(const char *text, size_t size, enum nunchi_error_code code,
			const char *message)
{
	struct type_index *index = NULL;
	struct nunchi_error *err = type_index_from_isf(text, size, &index);

	assert_non_null(err);
	if (!strstr(nunchi_error_message(err), message))
		print_error("%s\n", nunchi_error_message(err));
	assert_non_null(strstr(nunchi_error_message(err), message));
	assert_int_equal(nunchi_error_code(err), code);
	assert_null(index);
	nunchi_error_destroy(err);
}

static void check_text_fails(const char *text, enum nunchi_error_code code, const char *message)
{
	check_fails(text, strlen(text), code, message);
}

static void test_reads_types(void **state)
{
	struct type_index *index = read_table(table);
	struct type_member member;
	struct type_field field;
	struct type type;
	int64_t value;
	type_id id;

	(void)state;
	assert_int_equal(type_index_word_size(index), 4);
	assert_true(type_index_find(index, "node", &id));
	assert_true(type_index_get(index, id, &type));
	assert_int_equal(type.kind, TYPE_STRUCT);
	assert_int_equal(type.size, 12);
	assert_int_equal(type.count, 3);
	/* In the order of their place, whatever the file's is. */
	assert_true(type_index_member(index, id, 0, &member));
	assert_string_equal(member.name, "value");
	assert_true(type_index_member(index, id, 2, &member));
	assert_string_equal(member.name, "low");
	assert_int_equal(member.bit_offset, 67);
	assert_int_equal(member.bit_size, 7);
	assert_null(type_index_resolve(index, "node.next", &field));
	assert_int_equal(field.offset, 4);
	assert_int_equal(field.size, 4);
	assert_true(type_index_enum_value(index, "BIG", &value));
	assert_int_equal(value, UINT32_MAX);
	assert_non_null(strstr(type_index_description(index), "ISF"));
	type_index_unref(index);
}

static void test_no_prefix_is_taken_for_the_whole(void **state)
{
	(void)state;
	for (size_t size = 0; size + 1 < sizeof(table) - 1; size++) {
		char *part = malloc(size ? size : 1);
		struct type_index *index = NULL;
		struct nunchi_error *err;

		memcpy(part, table, size);
		err = type_index_from_isf(part, size, &index);
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_DATA);
		nunchi_error_destroy(err);
		free(part);
	}
}

#define USER(fields)                                                                               \
	"{" METADATA ",\"user_types\":{\"bad\":{\"size\":8,\"kind\":\"struct\",\"fields\":" fields \
	"}}}"

static void test_damage_is_named(void **state)
{
	(void)state;
	check_text_fails("{}", NUNCHI_ERROR_DATA, "its metadata section is missing");
	check_text_fails("{" METADATA "}", NUNCHI_ERROR_DATA, "its user_types section is missing");
	check_text_fails("[]", NUNCHI_ERROR_DATA, "an object was expected at byte 0");
	check_text_fails("{\"a\" 1}", NUNCHI_ERROR_DATA, "no JSON at byte 5");
	check_text_fails("{\"a\":1,}", NUNCHI_ERROR_DATA, "no JSON");
	check_text_fails("{\"metadata\":{\"format\":\"9.0.0\"}}", NUNCHI_ERROR_UNSUPPORTED,
			 "9.0.0");
	check_text_fails("{\"metadata\":{\"format\":7}}", NUNCHI_ERROR_DATA, "without a format");
	check_text_fails("{\"metadata\":nonsense}", NUNCHI_ERROR_DATA, "near 'nonsense'");
	check_text_fails("{" METADATA ",\"user_types\":7}", NUNCHI_ERROR_DATA, "expected");
	check_text_fails("{" METADATA ",\"user_types\":{\"bad\":{}}}", NUNCHI_ERROR_DATA,
			 "type \"bad\": no size");
	check_text_fails(USER("{\"f\":{\"offset\":-1}}"), NUNCHI_ERROR_DATA, "possible offset");
	check_text_fails(USER("{\"f\":{\"offset\":99999999999}}"), NUNCHI_ERROR_DATA,
			 "possible offset");
	check_text_fails(USER("{\"f\":{\"offset\":99999999,\"type\":{\"kind\":\"bitfield\","
			      "\"bit_position\":0,\"bit_length\":1}}}"),
			 NUNCHI_ERROR_DATA, "too large");
	check_text_fails("{" METADATA ",\"base_types\":{\"int\":{\"size\":4,\"endian\":\"big\"}}}",
			 NUNCHI_ERROR_UNSUPPORTED, "big-endian");
	check_fails("{\"a\0b\":1}", 9, NUNCHI_ERROR_DATA, "metadata");
}

/* A chain of pointers longer than any program's. */
static void test_depth_is_limited(void **state)
{
	char text[20000] = "{" METADATA ",\"user_types\":{\"s\":{\"size\":8,\"kind\":\"struct\","
			   "\"fields\":{\"f\":{\"offset\":0,\"type\":";
	struct type_index *index;
	struct type_field field;
	size_t size;

	(void)state;
	for (int i = 0; i < 300; i++) {
		size = strlen(text);
		snprintf(text + size, sizeof(text) - size, "{\"kind\":\"pointer\",\"subtype\":");
	}
	size = strlen(text);
	snprintf(text + size, sizeof(text) - size, "{\"kind\":\"base\",\"name\":\"void\"}");
	for (int i = 0; i < 300 + 5; i++) {
		size = strlen(text);
		snprintf(text + size, sizeof(text) - size, "}");
	}
	index = read_table(text);
	assert_null(type_index_resolve(index, "s.f", &field));
	assert_int_equal(field.size, 8);
	type_index_unref(index);
}

static char *write_file(const void *data, size_t size)
{
	char *path = strdup("/tmp/nunchi-isf-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	return path;
}

static void check_file(const void *data, size_t size, enum nunchi_error_code code,
		       const char *message)
{
	char *path = write_file(data, size);
	struct type_index *index = NULL;
	struct nunchi_error *err = type_index_from_file(path, &index);

	if (code) {
		assert_non_null(err);
		assert_int_equal(nunchi_error_code(err), code);
		assert_non_null(strstr(nunchi_error_message(err), path));
		if (!strstr(nunchi_error_message(err), message))
			print_error("%s\n", nunchi_error_message(err));
		assert_non_null(strstr(nunchi_error_message(err), message));
		nunchi_error_destroy(err);
	} else {
		type_id id;

		assert_null(err);
		assert_true(type_index_find(index, "struct node", &id));
		type_index_unref(index);
	}
	unlink(path);
	free(path);
}

static void test_file_plain(void **state)
{
	static char boot[1024];

	(void)state;
	memcpy(boot + 514, "HdrS", 4);
	check_file(boot, sizeof(boot), NUNCHI_ERROR_DATA, "kernel to boot");
	check_file(table, sizeof(table) - 1, 0, NULL);
	check_file("text", 4, NUNCHI_ERROR_DATA, "neither BTF, ELF nor a symbol table");
	check_file("", 0, NUNCHI_ERROR_DATA, "neither BTF");
	check_file("\x9f\xeb\x01", 3, NUNCHI_ERROR_TRUNCATED, "BTF ends in its header");
	check_file("\177ELF\2\1\1", 7, NUNCHI_ERROR_DATA, "ends in its header");
	check_file("{\"a\":", 5, NUNCHI_ERROR_DATA, "no JSON");
}

static void test_file_missing(void **state)
{
	struct type_index *index = NULL;
	_cleanup_error_ struct nunchi_error *err = type_index_from_file("/nonexistent/x", &index);
	_cleanup_error_ struct nunchi_error *other = type_index_from_file("/", &index);

	(void)state;
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NOT_FOUND);
	assert_non_null(strstr(nunchi_error_message(err), "/nonexistent/x"));
	assert_int_equal(nunchi_error_code(other), NUNCHI_ERROR_ARGUMENT);
}

static void test_file_xz(void **state)
{
#ifdef HAVE_LZMA
	static uint8_t packed[sizeof(table) + 4096];
	size_t size = 0;

	(void)state;
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *)table,
						 sizeof(table) - 1, packed, &size, sizeof(packed)),
			 LZMA_OK);
	check_file(packed, size, 0, NULL);
	check_file(packed, size - 20, NUNCHI_ERROR_TRUNCATED, "too early");
	check_file(packed, 12, NUNCHI_ERROR_TRUNCATED, "too early");
	packed[size / 2] ^= 0x55;
	check_file(packed, size, NUNCHI_ERROR_DATA, "damaged");
	/* .xz inside of .xz is not unpacked for ever. */
	size = 0;
	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL,
						 (const uint8_t *)"\xfd"
								  "7zXZ",
						 6, packed, &size, sizeof(packed)),
			 LZMA_OK);
	check_file(packed, size, NUNCHI_ERROR_DATA, "neither BTF");
#else
	(void)state;
	check_file("\xfd"
		   "7zXZ",
		   6, NUNCHI_ERROR_UNSUPPORTED, "liblzma");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_types),
	    cmocka_unit_test(test_no_prefix_is_taken_for_the_whole),
	    cmocka_unit_test(test_damage_is_named),
	    cmocka_unit_test(test_depth_is_limited),
	    cmocka_unit_test(test_file_plain),
	    cmocka_unit_test(test_file_missing),
	    cmocka_unit_test(test_file_xz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
