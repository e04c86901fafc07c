/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"

static void test_segments(void **state)
{
	struct blob blob = {0};
	struct target *target;
	size_t count;

	(void)state;
	/* The first one ends within a page, as the RAM below 640 KiB does. */
	write_lime(&blob, 0x1000, 0x9ec00);
	write_lime(&blob, 0x100000, MIB);
	write_lime(&blob, 0x100000000, MIB);
	target = saved_open(&blob);
	assert_string_equal(target->ops->kind, "lime");
	saved_has(target, 0x1000, 0x9ec00);
	saved_has(target, 0x100000, MIB);
	saved_has(target, 0x100000000, MIB);
	saved_lacks(target, 0, 1, MEMORY_NO_RAM);
	saved_lacks(target, 0x9fc00, 1, MEMORY_NOT_SAVED);
	saved_lacks(target, 0xa0000, 0x60000, MEMORY_NO_RAM);
	memory_ranges(target->memory, &count);
	assert_int_equal(count, 4);
	/* Flat in the file, if not aligned there. */
	assert_non_null(memory_map(target->memory, gpa(0x100000), MIB));
	assert_int_equal(target->note_count, 0);
	target_close(target);
	blob_free(&blob);
}

static void test_truncated(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	write_lime(&blob, 0x100000, MIB);
	write_lime(&blob, 0x300000, MIB);
	blob.size -= MIB / 2;
	target = saved_open(&blob);
	saved_has(target, 0x300000, MIB / 2);
	saved_lacks(target, 0x300000 + MIB / 2, MIB / 2, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "512 KiB of 2048 KiB of guest memory are missing"));
	target_close(target);
	/* Within the second header. */
	blob.size = 32 + MIB + 10;
	target = saved_open(&blob);
	saved_has(target, 0x100000, MIB);
	assert_true(saved_notes(target, "no LiME header at offset 0x100020"));
	target_close(target);
	blob.size = 20;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "LiME header");
	blob_free(&blob);
}

static void test_damaged(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	write_lime(&blob, 0x100000, 0x10000);
	write_lime(&blob, 0x300000, 0x10000);
	write_lime(&blob, 0x500000, 0x10000);
	blob.data[0x10020] ^= 0xff;
	target = saved_open(&blob);
	saved_has(target, 0x100000, 0x10000);
	saved_lacks(target, 0x300000, 1, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "no LiME header at offset 0x10020 after 1 segments"));
	target_close(target);

	blob_put32(&blob, 4, 7);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "LiME version 7");
	blob_put32(&blob, 4, 1);
	blob_put64(&blob, 16, 0xfffff); /* last address before the first */
	saved_refused(&blob, NUNCHI_ERROR_DATA, "impossible range");
	blob_put64(&blob, 8, 0);
	blob_put64(&blob, 16, UINT64_MAX);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "impossible range");
	blob_put64(&blob, 8, UINT64_MAX - 0xfff);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "impossible range");
	blob_free(&blob);
}

static void test_overlap(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	write_lime(&blob, 0x102000, 0x4000);
	write_lime(&blob, 0x100000, 0x4000);
	write_lime(&blob, 0x101000, 0x1000);
	target = saved_open(&blob);
	saved_has(target, 0x100000, 0x6000);
	assert_int_equal(memory_total(target->memory), 0x6000);
	target_close(target);
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_segments),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests_name("lime", tests, NULL, NULL);
}
