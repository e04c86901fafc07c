/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "core/error.h"
#include "core/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static void test_error_builds_message_outward(void **state)
{
	_cleanup_error_ struct nunchi_error *err =
	    error_create_at(NUNCHI_ERROR_FAULT, 0x1000, "cannot read %d bytes", 8);
	uint64_t address = 0;

	(void)state;
	err = error_context(err, "task %d", 7);
	err = error_hint(err, "first");
	err = error_hint(err, "second");
	assert_string_equal(nunchi_error_message(err), "task 7: cannot read 8 bytes");
	assert_string_equal(nunchi_error_hint(err), "first");
	assert_true(nunchi_error_address(err, &address));
	assert_int_equal(address, 0x1000);
}

static void test_error_static_gains_context(void **state)
{
	_cleanup_error_ struct nunchi_error *err = error_context(&error_not_found, "view %s", "x");

	(void)state;
	assert_string_equal(nunchi_error_message(err), "view x: not found");
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_NOT_FOUND);
	assert_null(error_context(NULL, "nothing"));
}

static void test_error_errno(void **state)
{
	_cleanup_error_ struct nunchi_error *err = error_create_errno(EACCES, "open");

	(void)state;
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_PERMISSION);
	assert_int_equal(nunchi_error_errno(err), EACCES);
	assert_false(nunchi_error_is_host(err));
	err = error_context(error_of_host(err), "more");
	assert_true(nunchi_error_is_host(err));
	assert_null(error_of_host(NULL));
	assert_non_null(strstr(nunchi_error_message(err), "Permission denied"));
}

static void test_buffer_stops_at_its_limit(void **state)
{
	_cleanup_buffer_ struct buffer buf;

	(void)state;
	buffer_init(&buf, 8);
	assert_string_equal(buffer_string(&buf), "");
	assert_true(buffer_append_string(&buf, "12345"));
	assert_true(buffer_printf(&buf, "%03d", 678));
	assert_false(buffer_append_char(&buf, 'x'));
	assert_true(buf.failed);
	assert_string_equal(buffer_string(&buf), "12345678");
	buffer_clear(&buf);
	assert_true(buffer_append_char(&buf, 'y'));
	assert_string_equal(buffer_string(&buf), "y");
}

static void test_hash_map_keeps_first_value(void **state)
{
	_cleanup_hash_map_ struct hash_map map;

	(void)state;
	hash_map_init(&map);
	assert_null(hash_map_find(&map, 0));
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(hash_map_insert(&map, i * 4096, i), HASH_INSERTED);
	assert_int_equal(hash_map_insert(&map, 4096, 77), HASH_EXISTS);
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(*hash_map_find(&map, i * 4096), i);
	assert_null(hash_map_find(&map, 1));
	hash_map_clear(&map);
	assert_null(hash_map_find(&map, 4096));
}

static void test_hash_map_forgets_its_size(void **state)
{
	_cleanup_hash_map_ struct hash_map map;
	size_t large;

	(void)state;
	hash_map_init(&map);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(hash_map_insert(&map, i, 0), HASH_INSERTED);
	hash_map_clear(&map);
	large = map.capacity;
	assert_true(large >= 50000);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(hash_map_insert(&map, i, 1), HASH_INSERTED);
	assert_int_equal(map.capacity, large);
	hash_map_clear(&map);
	/* From here on it is used for little: emptying it must not cost what it once held. */
	assert_int_equal(hash_map_insert(&map, 7, 8), HASH_INSERTED);
	hash_map_clear(&map);
	assert_true(map.capacity < 2048);
	assert_null(hash_map_find(&map, 7));
	assert_int_equal(hash_map_insert(&map, 7, 9), HASH_INSERTED);
	assert_int_equal(*hash_map_find(&map, 7), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_error_builds_message_outward),
	    cmocka_unit_test(test_error_static_gains_context),
	    cmocka_unit_test(test_error_errno),
	    cmocka_unit_test(test_buffer_stops_at_its_limit),
	    cmocka_unit_test(test_hash_map_keeps_first_value),
	    cmocka_unit_test(test_hash_map_forgets_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
