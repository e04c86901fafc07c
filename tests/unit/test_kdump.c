/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/kdump.h"

#include <zlib.h>

#define PAGES 70000 /* more than two blocks of bitmap hold */

/* RAM with a hole; bits that begin and end within and across words of the bitmap. */
static bool is_ram(uint64_t pfn)
{
	return pfn < 160 || (pfn >= 255 && pfn < 1000) || (pfn >= 32760 && pfn < 32780) ||
	       pfn >= 69990;
}

static bool is_saved(uint64_t pfn)
{
	return is_ram(pfn) && pfn % 7 != 3;
}

static void check_memory(struct target *target, bool (*saved)(uint64_t pfn))
{
	for (uint64_t pfn = 0; pfn < PAGES; pfn++) {
		if (pfn == 1010)
			pfn = 32700;
		if (pfn == 32800)
			pfn = 69900;
		if (saved(pfn))
			saved_has(target, pfn * WRITER_PAGE, WRITER_PAGE);
		else
			saved_lacks(target, pfn * WRITER_PAGE, 1,
				    is_ram(pfn) ? MEMORY_NOT_SAVED : MEMORY_NO_RAM);
	}
}

static void check_method(unsigned method, bool is_32)
{
	struct blob blob = write_kdump(&(struct writer_kdump){
	    .method = method, .is_32 = is_32, .pages = PAGES, .ram = is_ram, .saved = is_saved});
	struct target *target = saved_open(&blob);
	size_t count;

	assert_string_equal(target->ops->kind, "kdump");
	check_memory(target, is_saved);
	/* Once more, out of the cache, and the other way round. */
	for (uint64_t pfn = 999; pfn >= 255; pfn--) {
		if (is_saved(pfn))
			saved_has(target, pfn * WRITER_PAGE, 64);
	}
	memory_ranges(target->memory, &count);
	assert_int_equal(count, 4);
	assert_int_equal(memory_end(target->memory).v, (uint64_t)PAGES * WRITER_PAGE);
	assert_true(saved_notes(target, "dump level 31"));
	target_close(target);
	blob_free(&blob);
}

static void test_methods(void **state)
{
	(void)state;
	check_method(0, false);
	check_method(KDUMP_ZLIB, false);
	check_method(KDUMP_LZO, false);
	check_method(KDUMP_SNAPPY, false);
	check_method(KDUMP_ZSTD, false);
	check_method(KDUMP_ZLIB, true);
}

/* Reads across pages of which one is missing give what is before it, and its address. */
static void test_fault_address(void **state)
{
	struct blob blob = write_kdump(&(struct writer_kdump){
	    .method = KDUMP_ZLIB, .pages = PAGES, .ram = is_ram, .saved = is_saved});
	struct target *target = saved_open(&blob);
	uint8_t bytes[3 * WRITER_PAGE];
	gpa_t where;

	(void)state;
	assert_int_equal(
	    memory_read(target->memory, gpa(WRITER_PAGE), bytes, sizeof(bytes), &where),
	    MEMORY_NOT_SAVED);
	assert_int_equal(where.v, 3 * WRITER_PAGE);
	assert_int_equal(writer_check(WRITER_PAGE, bytes, 2 * WRITER_PAGE), UINT64_MAX);
	assert_int_equal(
	    memory_read(target->memory, gpa(158 * WRITER_PAGE + 5), bytes, 2 * WRITER_PAGE, &where),
	    MEMORY_NO_RAM);
	assert_int_equal(where.v, 160 * WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
}

static void test_headers(void **state)
{
	struct writer_kdump kdump = {
	    .method = KDUMP_ZLIB, .pages = 300, .ram = is_ram, .saved = is_ram};
	struct blob notes = {0}, blob;
	struct x86_registers registers;
	struct target *target;

	(void)state;
	write_prstatus(&notes, 0, false);
	write_qemu_state(&notes, 0, 0x80050033, 0x5000, 0x20);
	kdump.notes = &notes;
	kdump.vmcoreinfo = "OSRELEASE=5.10\n";
	for (int is_32 = 0; is_32 < 2; is_32++) {
		kdump.is_32 = is_32;
		blob = write_kdump(&kdump);
		target = saved_open(&blob);
		assert_int_equal(target->vcpu_count, 1);
		assert_null(target_get_registers(target, 0, &registers));
		assert_int_equal(registers.cr3, 0x5000);
		assert_int_equal(registers.efer, 0x500);
		assert_string_equal(target->vmcoreinfo, "OSRELEASE=5.10\n");
		assert_int_equal(target->vmcoreinfo_size, 15);
		assert_int_equal(target->note_count, 0);
		saved_has(target, 0, 160 * WRITER_PAGE);
		target_close(target);
		blob_free(&blob);
	}
	/* Version 1 has no notes and no 64-bit page count. */
	kdump.version = 1;
	kdump.is_32 = false;
	blob = write_kdump(&kdump);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 0);
	saved_has(target, 0, 160 * WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
	blob_free(&notes);
}

static bool all(uint64_t pfn)
{
	(void)pfn;
	return true;
}

/* One bitmap for all, recognised by being too small for two of that many pages. */
static void test_one_bitmap(void **state)
{
	struct blob blob = write_kdump(&(struct writer_kdump){
	    .method = KDUMP_LZO, .pages = 400, .ram = all, .saved = all, .one_bitmap = true});
	struct target *target = saved_open(&blob);

	(void)state;
	saved_has(target, 0, 400 * WRITER_PAGE);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	blob_free(&blob);
	blob = write_kdump(&(struct writer_kdump){.method = KDUMP_ZLIB,
						  .pages = PAGES,
						  .ram = is_ram,
						  .saved = is_ram,
						  .one_bitmap = true});
	target = saved_open(&blob);
	check_memory(target, is_ram);
	target_close(target);
	blob_free(&blob);
}

/* Bits past the last page frame mean nothing. */
static void test_bits_past_the_end(void **state)
{
	struct blob blob =
	    write_kdump(&(struct writer_kdump){.pages = 300, .ram = is_ram, .saved = is_ram});
	struct target *target;

	(void)state;
	blob.data[3 * WRITER_PAGE + 37] |= 0xf0; /* 300 is bit 4 of byte 37 */
	blob.data[4 * WRITER_PAGE + 37] |= 0xf0;
	blob.data[4 * WRITER_PAGE + 100] |= 0xff;
	target = saved_open(&blob);
	assert_int_equal(memory_end(target->memory).v, 300 * WRITER_PAGE);
	saved_has(target, 255 * WRITER_PAGE, 45 * WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
}

static void test_truncated(void **state)
{
	struct blob blob = write_kdump(
	    &(struct writer_kdump){.method = 0, .pages = 400, .ram = all, .saved = all});
	struct target *target;
	size_t data = blob.size - 400 * WRITER_PAGE;

	(void)state;
	/* 100 pages and a half are gone. */
	blob.size -= 100 * WRITER_PAGE + 2048;
	target = saved_open(&blob);
	saved_has(target, 0, 299 * WRITER_PAGE);
	saved_lacks(target, 299 * WRITER_PAGE, 101 * WRITER_PAGE, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "404 KiB of 1600 KiB of guest memory are missing"));
	target_close(target);
	/* All data, and the descriptors from number 250 on. */
	blob.size = data - 150 * 24;
	target = saved_open(&blob);
	saved_lacks(target, 0, 400 * WRITER_PAGE, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "1600 KiB of 1600 KiB of guest memory are missing"));
	target_close(target);
	blob.size = 4 * WRITER_PAGE + 100;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "page bitmap");
	blob.size = WRITER_PAGE + 10;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "sub header");
	blob.size = 100;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "kdump header");
	blob_free(&blob);
}

/* One page's descriptor or data is wrong: that page alone cannot be read. */
static void test_damaged_pages(void **state)
{
	struct blob blob = write_kdump(
	    &(struct writer_kdump){.method = KDUMP_ZLIB, .pages = 64, .ram = all, .saved = all});
	size_t descriptors = 5 * WRITER_PAGE;
	struct target *target;
	uLongf packed_size = 64;
	uint8_t packed[64];
	uint64_t offset;

	(void)state;
	/* Page 5: a size no page has (libkdumpfile 0.5.1 overruns a buffer by it). */
	blob_put32(&blob, descriptors + 5 * 24 + 8, 0x10000);
	/* Page 9: two methods at once. Page 13: a plain page that is too short. */
	blob_put32(&blob, descriptors + 9 * 24 + 12, KDUMP_ZLIB | KDUMP_LZO);
	blob_put32(&blob, descriptors + 13 * 24 + 12, 0);
	/* Page 17: its packed bytes. Page 21: an offset out of this world. */
	memcpy(&offset, blob.data + descriptors + 17 * 24, sizeof(offset));
	memset(blob.data + offset + 2, 0x55, 8);
	blob_put64(&blob, descriptors + 21 * 24, UINT64_MAX - 3);
	/* Page 25: cut short. */
	blob_put32(&blob, descriptors + 25 * 24 + 8, 4);
	/* Page 29 unpacks to less than a page, whose rest must not be what the cache held. */
	assert_int_equal(compress2(packed, &packed_size, (const uint8_t *)"short", 5, 9), Z_OK);
	memcpy(&offset, blob.data + descriptors + 29 * 24, sizeof(offset));
	blob_put(&blob, offset, packed, packed_size);
	blob_put32(&blob, descriptors + 29 * 24 + 8, (uint32_t)packed_size);
	target = saved_open(&blob);
	for (uint64_t pfn = 0; pfn < 64; pfn++) {
		bool bad = pfn == 5 || pfn == 9 || pfn == 13 || pfn == 17 || pfn == 25 || pfn == 29;

		if (bad || pfn == 21)
			saved_lacks(target, pfn * WRITER_PAGE, 1,
				    bad ? MEMORY_IO : MEMORY_NOT_SAVED);
		else
			saved_has(target, pfn * WRITER_PAGE, WRITER_PAGE);
	}
	target_close(target);
	blob_free(&blob);
}

static void test_refused(void **state)
{
	struct writer_kdump kdump = {
	    .method = KDUMP_ZLIB, .pages = 64, .ram = all, .saved = all, .split = true};
	struct blob blob = write_kdump(&kdump);

	(void)state;
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "several parts");
	blob_free(&blob);
	kdump.split = false;
	blob = write_kdump(&kdump);
	blob_put64(&blob, WRITER_PAGE + 96, (uint64_t)1 << 40);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "claims 1099511627776 pages");
	blob_put32(&blob, 424 + 12, 0x7fffffff); /* bitmaps for as many */
	saved_refused(&blob, NUNCHI_ERROR_DATA, "claims 1099511627776 pages");
	blob_put32(&blob, 424 + 12, 2);
	blob_put64(&blob, WRITER_PAGE + 96, 0);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "claims 0 pages");
	blob_put64(&blob, WRITER_PAGE + 96, 64);
	blob_put32(&blob, 424 + 4, 8192);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "is invalid");
	blob_put32(&blob, 424 + 4, 4096);
	memcpy(blob.data + 12 + 4 * 65, "aarch64", 8);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "AArch64");
	memcpy(blob.data + 12 + 4 * 65, "x86_64\0", 8);
	memset(blob.data + 3 * WRITER_PAGE, 0, 2 * WRITER_PAGE);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "empty");
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_methods),           cmocka_unit_test(test_fault_address),
	    cmocka_unit_test(test_headers),           cmocka_unit_test(test_one_bitmap),
	    cmocka_unit_test(test_bits_past_the_end), cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_damaged_pages),     cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("kdump", tests, NULL, NULL);
}
