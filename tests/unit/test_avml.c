/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/crc32c.h"

#define BLOCK (16 * MIB)

static void test_crc(void **state)
{
	uint8_t zeros[32] = {0};

	(void)state;
	/* RFC 3720, B.4. */
	assert_int_equal(crc32c(zeros, 32), 0x8a9136aa);
	memset(zeros, 0xff, 32);
	assert_int_equal(crc32c(zeros, 32), 0x62a8ab43);
	assert_int_equal(crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(crc32c("", 0), 0);
}

static void check_blocks(bool packed)
{
	struct blob blob = {0};
	struct target *target;

	write_avml(&blob, 0x1000, 0x9ec00, packed);
	write_avml(&blob, 0x100000, 3 * MIB, packed);
	write_avml(&blob, 0x100000000, 0x12345, packed);
	target = saved_open(&blob);
	assert_string_equal(target->ops->kind, "avml");
	saved_has(target, 0x1000, 0x9ec00);
	saved_has(target, 0x100000, 3 * MIB);
	saved_has(target, 0x100000000, 0x12345);
	/* Backwards, so that no frame serves two reads in a row. */
	for (uint64_t at = 3 * MIB; at; at -= 0x10000)
		saved_has(target, 0x100000 + at - 0x10000, 100);
	saved_lacks(target, 0, 1, MEMORY_NO_RAM);
	saved_lacks(target, 0x9fc00, 1, MEMORY_NOT_SAVED);
	saved_lacks(target, 0xa0000, 0x60000, MEMORY_NO_RAM);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	blob_free(&blob);
}

static void test_blocks(void **state)
{
	(void)state;
	check_blocks(true);
	check_blocks(false);
}

/* AVML leaves out blocks of 16 MiB that are all zero. */
static void test_left_out(void **state)
{
	struct blob blob = {0};
	struct target *target;
	uint8_t bytes[4096], zeros[4096] = {0};

	(void)state;
	write_avml(&blob, 0x100000, BLOCK, true);
	write_avml(&blob, 0x100000 + 3 * BLOCK, 0x10000, true);
	/* Not after a block that is not a full one: there RAM ended. */
	write_avml(&blob, 0x110000 + 7 * BLOCK, 0x10000, true);
	target = saved_open(&blob);
	saved_has(target, 0x100000, BLOCK);
	for (uint64_t at = 0; at < 2 * BLOCK; at += MIB) {
		assert_int_equal(memory_read(target->memory, gpa(0x100000 + BLOCK + at), bytes,
					     sizeof(bytes), NULL),
				 MEMORY_OK);
		assert_memory_equal(bytes, zeros, sizeof(bytes));
	}
	saved_has(target, 0x100000 + 3 * BLOCK, 0x10000);
	saved_lacks(target, 0x100000 + 4 * BLOCK, 1, MEMORY_NO_RAM);
	assert_true(saved_notes(target, "32 MiB between blocks are read as zeros"));
	target_close(target);
	blob_free(&blob);
}

static void test_truncated(void **state)
{
	struct blob blob = {0}, cut = {0};
	struct target *target;
	size_t first;

	(void)state;
	write_avml(&blob, 0x100000, MIB, true);
	first = blob.size;
	write_avml(&blob, 0x300000, MIB, true);
	/* Nine of sixteen frames of the second block. */
	for (size_t at = first + 32 + 10, n = 0; n < 9; n++) {
		at += 4 + (blob.data[at + 1] | blob.data[at + 2] << 8 | blob.data[at + 3] << 16);
		cut.size = at + 100;
	}
	cut.data = blob.data;
	target = saved_open(&cut);
	saved_has(target, 0x100000, MIB);
	saved_has(target, 0x300000, 0x90000);
	saved_lacks(target, 0x390000, 0x70000, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "448 KiB"));
	target_close(target);
	/* Only the trailing length is missing: all the memory is there. */
	cut.size = blob.size - 8;
	target = saved_open(&cut);
	saved_has(target, 0x300000, MIB);
	assert_true(saved_notes(target, "damaged or cut off"));
	target_close(target);
	cut.size = first + 20;
	target = saved_open(&cut);
	saved_has(target, 0x100000, MIB);
	saved_lacks(target, 0x300000, 1, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "within a block's header"));
	target_close(target);
	cut.size = 30;
	saved_refused(&cut, NUNCHI_ERROR_TRUNCATED, "AVML header");
	blob_free(&blob);
}

static void test_damaged(void **state)
{
	struct blob blob = {0};
	struct target *target;
	size_t frame = 32 + 10, second;

	(void)state;
	write_avml(&blob, 0x100000, 0x20000, true);
	second = frame + 4 + (blob.data[frame + 1] | blob.data[frame + 2] << 8);
	/* A bit of the second frame's packed bytes: its checksum no longer fits. */
	blob.data[second + 5000] ^= 4;
	target = saved_open(&blob);
	saved_has(target, 0x100000, 0x10000);
	saved_lacks(target, 0x110000, 0x10000, MEMORY_IO);
	target_close(target);
	/* A frame of a type that must not be skipped. */
	blob.data[second] = 2;
	target = saved_open(&blob);
	saved_has(target, 0x100000, 0x10000);
	saved_lacks(target, 0x110000, 0x10000, MEMORY_IO);
	target_close(target);
	blob_put32(&blob, 4, 3);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "AVML version 3");
	blob_free(&blob);
}

/* Frames that carry no data may stand between others. */
static void test_skippable(void **state)
{
	struct blob plain = {0}, blob = {0};
	struct target *target;

	(void)state;
	write_avml(&plain, 0x100000, 0x30000, true);
	blob_put(&blob, 0, plain.data, 32 + 10);
	blob_append(&blob, "\xfe\x05\x00\x00pad..\x80\x00\x00\x00", 13);
	blob_append(&blob, plain.data + 42, plain.size - 42 - 8);
	blob_put64(&blob, blob.size, blob.size - 32);
	target = saved_open(&blob);
	saved_has(target, 0x100000, 0x30000);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	blob_free(&plain);
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crc),      cmocka_unit_test(test_blocks),
	    cmocka_unit_test(test_left_out), cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_damaged),  cmocka_unit_test(test_skippable),
	};

	return cmocka_run_group_tests_name("avml", tests, NULL, NULL);
}
