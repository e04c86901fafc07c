/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/flattened.h"
#include "target/file/kdump.h"

static bool all(uint64_t pfn)
{
	(void)pfn;
	return true;
}

static struct blob kdump_file(void)
{
	return write_kdump(
	    &(struct writer_kdump){.method = KDUMP_ZLIB, .pages = 500, .ram = all, .saved = all});
}

static void test_kdump(void **state)
{
	const enum flatten_style styles[] = {FLATTEN_PLAIN, FLATTEN_SHUFFLED, FLATTEN_REWRITTEN};
	const size_t records[] = {100, 4096, 16384};
	struct blob file = kdump_file();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(styles); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(records); j++) {
			struct blob flat = write_flattened(&file, records[j], styles[i]);
			struct target *target = saved_open(&flat);

			assert_string_equal(target->ops->kind, "kdump");
			saved_has(target, 0, 500 * WRITER_PAGE);
			assert_int_equal(target->note_count, 0);
			target_close(target);
			blob_free(&flat);
		}
	}
	blob_free(&file);
}

static void test_elf(void **state)
{
	const struct writer_segment segments[] = {{.address = 0x1000, .filesz = 0x9e000},
						  {.address = 0x100000, .filesz = MIB}};
	struct blob file = write_elf(&(struct writer_elf){.segments = segments, .count = 2});
	struct blob flat = write_flattened(&file, 65536, FLATTEN_REWRITTEN);
	struct target *target = saved_open(&flat);

	(void)state;
	assert_string_equal(target->ops->kind, "elf");
	saved_has(target, 0x1000, 0x9e000);
	saved_has(target, 0x100000, MIB);
	target_close(target);
	blob_free(&file);
	blob_free(&flat);
}

/* The bytes themselves: any overlap, holes, reads across all of it. */
static void check_bytes(unsigned count, unsigned seed)
{
	uint8_t wanted[2000] = {0}, bytes[2000], fill[400];
	_cleanup_source_ struct source file = {0}, inner = {0};
	struct flattened_info info;
	struct blob flat = {0};
	uint64_t fault = 0;
	size_t end = 0;

	blob_put(&flat, 0, FLATTENED_SIGNATURE, 13);
	blob_put64_be(&flat, 16, 1);
	blob_put64_be(&flat, 24, 1);
	blob_put(&flat, 4095, "", 1);
	for (unsigned i = 1; i <= count; i++) {
		size_t start = (seed = seed * 1103515245 + 12345) >> 16 & 0x5ff;
		size_t size = 1 + ((seed = seed * 1103515245 + 12345) >> 16) % sizeof(fill);

		memset(fill, (int)i, sizeof(fill));
		memset(wanted + start, (int)i, size);
		blob_put64_be(&flat, flat.size, start);
		blob_put64_be(&flat, flat.size, size);
		blob_append(&flat, fill, size);
		end = start + size > end ? start + size : end;
	}
	blob_put64_be(&flat, flat.size, UINT64_MAX);
	blob_put64_be(&flat, flat.size, UINT64_MAX);
	file = source_of_bytes(&(struct source_bytes){flat.data, flat.size});
	assert_null(flattened_parse(&file, &inner, &info));
	assert_int_equal(info.record_count, count);
	assert_false(info.cut_off);
	assert_int_equal(inner.size, end);
	for (size_t start = 0; start < end; start += 61) {
		for (size_t size = 1; size <= end - start; size += 97) {
			assert_int_equal(inner.read(inner.data, start, bytes, size, &fault),
					 MEMORY_OK);
			assert_memory_equal(bytes, wanted + start, size);
		}
	}
	assert_int_equal(inner.read(inner.data, end - 10, bytes, 20, &fault), MEMORY_NOT_SAVED);
	assert_int_equal(fault, end);
	assert_int_equal(inner.read(inner.data, UINT64_MAX - 4, bytes, 20, &fault),
			 MEMORY_NOT_SAVED);
	blob_free(&flat);
}

static void test_bytes(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 40; seed++)
		check_bytes(1 + 6 * seed, seed);
}

static void test_truncated(void **state)
{
	struct blob file = kdump_file(), flat = write_flattened(&file, 4096, FLATTEN_CUT_OFF);
	struct target *target = saved_open(&flat);

	(void)state;
	/* Only the end record is missing. */
	assert_true(saved_notes(target, "without its end record"));
	saved_has(target, 0, 500 * WRITER_PAGE);
	target_close(target);
	flat.size -= file.size / 3;
	target = saved_open(&flat);
	assert_true(saved_notes(target, "without its end record"));
	assert_true(saved_notes(target, "of guest memory are missing"));
	saved_has(target, 0, 300 * WRITER_PAGE);
	saved_lacks(target, 499 * WRITER_PAGE, 1, MEMORY_NOT_SAVED);
	target_close(target);
	flat.size = 4096;
	saved_refused(&flat, NUNCHI_ERROR_TRUNCATED, "no record");
	flat.size = 20;
	saved_refused(&flat, NUNCHI_ERROR_TRUNCATED, "header of the flattened file");
	blob_free(&file);
	blob_free(&flat);
}

static void test_refused(void **state)
{
	struct blob file = {0}, flat;

	(void)state;
	blob_put(&file, 0, "something else altogether", 26);
	flat = write_flattened(&file, 4096, FLATTEN_PLAIN);
	saved_refused(&flat, NUNCHI_ERROR_UNSUPPORTED, "neither a kdump file nor an ELF core");
	blob_put64_be(&flat, 4096, (uint64_t)INT64_MAX - 3);
	saved_refused(&flat, NUNCHI_ERROR_DATA, "record at offset 0x1000 has impossible offset");
	blob_put64_be(&flat, 16, 2);
	saved_refused(&flat, NUNCHI_ERROR_UNSUPPORTED, "type 2");
	blob_free(&file);
	blob_free(&flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kdump),   cmocka_unit_test(test_elf),
	    cmocka_unit_test(test_bytes),   cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("flattened", tests, NULL, NULL);
}
