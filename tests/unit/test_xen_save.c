/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "xen_writers.h"

/* Types of pages, as they stand in a page's entry. */
#define L1_TABLE  ((uint64_t)0x1 << 60)
#define L4_PINNED ((uint64_t)0xc << 60)
#define BROKEN    ((uint64_t)0xd << 60)
#define ALLOCATED ((uint64_t)0xe << 60)
#define NONE      ((uint64_t)0xf << 60)

enum { END, PAGE_DATA, PV_INFO, STATIC_DATA_END = 0x10, CHECKPOINT = 0xe };

static void write_pv_info(struct blob *blob, uint8_t width)
{
	uint8_t body[8] = {width, width == 4 ? 3 : 4};

	write_xen_record(blob, PV_INFO, body, sizeof(body));
}

/* 1100 pages of an HVM guest with a hole, and two vCPUs. */
static void write_hvm(struct blob *blob, uint32_t version)
{
	static const uint64_t hole[] = {NONE | 0xa0, NONE | 0xa1, 0xa2, NONE | 0xa3};

	write_libxc_header(blob, version, false);
	if (version == 3)
		write_xen_record(blob, STATIC_DATA_END, NULL, 0);
	write_xen_run(blob, 0, 0xa0, false);
	write_xen_pages(blob, hole, 4, false);
	write_xen_run(blob, 0xa4, 1024 - 0xa4, false);
	write_xen_run(blob, 1024, 76, false);
	/* TSC and the like. */
	write_xen_record(blob, 0x8, "\1\2\3\4\5\6\7", 7);
	write_hvm_context(blob, 0, 2);
	write_xen_record(blob, 0xa, "", 0);
	write_xen_record(blob, END, NULL, 0);
}

static void check_hvm(const struct blob *blob, const char *reason)
{
	struct target *target = saved_open(blob);
	struct x86_registers registers;

	assert_string_equal(target->ops->kind, "xen-save");
	assert_int_equal(target->frames, TARGET_FRAMES_GUEST);
	saved_has(target, 0, 0xa0 * WRITER_PAGE);
	saved_lacks(target, 0xa0 * WRITER_PAGE, 2 * WRITER_PAGE, MEMORY_NO_RAM);
	saved_has(target, 0xa2 * WRITER_PAGE, WRITER_PAGE);
	saved_lacks(target, 0xa3 * WRITER_PAGE, WRITER_PAGE, MEMORY_NO_RAM);
	saved_has(target, 0xa4 * WRITER_PAGE, (1100 - 0xa4) * WRITER_PAGE);
	assert_int_equal(memory_total(target->memory), 1097 * WRITER_PAGE);
	assert_int_equal(target->note_count, 0);
	assert_non_null(strstr(target->support[TARGET_READ].reason, reason));
	assert_int_equal(target->vcpu_count, 2);
	assert_null(target_get_registers(target, 1, &registers));
	assert_int_equal(registers.rip, 0xffffffff81001001);
	assert_int_equal(registers.rsp, 0xffffffff81002001);
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.cr3, 0x6000);
	assert_int_equal(registers.cr4, 0x6f0);
	assert_true(registers.has_efer);
	assert_int_equal(registers.efer, 0xd01);
	assert_true(registers.has_idt);
	assert_int_equal(registers.idt_base, 0xfffffe0000000001);
	target_close(target);
}

/* Every wrapping, and records at any offset: the configuration of xl has any length. */
static void test_headers(void **state)
{
	struct blob blob = {0};

	(void)state;
	write_hvm(&blob, 2);
	check_hvm(&blob, "HVM or PVH guest saved by Xen 4.17 (stream version 2)");
	blob_free(&blob);
	write_hvm(&blob, 3);
	check_hvm(&blob, "stream version 3");
	blob_free(&blob);
	for (uint32_t config = 0; config < 4; config++) {
		write_xl_header(&blob, config * 1001);
		write_libxl_header(&blob, 1 + config % 2);
		write_hvm(&blob, 3);
		/* libxl's records after the memory: the device model's. */
		write_xen_record(&blob, 0x3, "12345678QEVM", 12);
		write_xen_record(&blob, END, NULL, 0);
		check_hvm(&blob, "stream version 3");
		blob_free(&blob);
	}
	write_libvirt_header(&blob, 2, 777);
	write_libxl_header(&blob, 2);
	write_hvm(&blob, 3);
	check_hvm(&blob, "stream version 3");
	blob.data[16] = 1;
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "Xen 4.5 or older");
	blob_free(&blob);
	write_libxl_header(&blob, 2);
	write_hvm(&blob, 2);
	check_hvm(&blob, "stream version 2");
	blob_free(&blob);
}

static void check_pv(bool is_32)
{
	static const uint64_t kinds[] = {10,          L1_TABLE | 11,  L4_PINNED | 12,
					 BROKEN | 13, ALLOCATED | 14, 15};
	struct x86_registers registers;
	struct target *target;
	struct blob blob = {0};

	write_libxc_header(&blob, 3, true);
	write_pv_info(&blob, is_32 ? 4 : 8);
	write_xen_record(&blob, STATIC_DATA_END, NULL, 0);
	write_xen_record(&blob, 0x3, "p2m frames", 10);
	write_xen_run(&blob, 0, 10, false);
	write_xen_pages(&blob, kinds, 6, false);
	/* vCPU 1 is offline. */
	write_xen_vcpu(&blob, 0, is_32);
	write_xen_record(&blob, 0x5, "extended", 8);
	write_xen_vcpu(&blob, 2, is_32);
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	assert_int_equal(target->frames, TARGET_FRAMES_GUEST);
	saved_has(target, 0, 13 * WRITER_PAGE);
	saved_lacks(target, 13 * WRITER_PAGE, 2 * WRITER_PAGE, MEMORY_NOT_SAVED);
	saved_has(target, 15 * WRITER_PAGE, WRITER_PAGE);
	assert_int_equal(target->note_count, 1);
	assert_true(saved_notes(target, "8192 bytes of 64 KiB of guest memory were not saved"));
	assert_int_equal(target->vcpu_count, 3);
	assert_null(target_get_registers(target, 2, &registers));
	assert_int_equal(registers.rip, is_32 ? 0xc0001002 : 0xffffffff81001002);
	assert_int_equal(registers.cr3, is_32 ? 0x12345678000 : 0x7002000);
	assert_int_equal(registers.efer, is_32 ? 0 : 0xd01);
	assert_true(registers.cr0 >> 31 & registers.cr4 >> 5 & 1);
	_cleanup_error_ struct nunchi_error *err = target_get_registers(target, 1, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), "offline"));
	target_close(target);
	blob_free(&blob);
}

static void test_pv(void **state)
{
	(void)state;
	check_pv(false);
	check_pv(true);
}

/* The guest ran on while it was saved: of a page that comes again, the last one counts. */
static void test_live(void **state)
{
	static const uint64_t first[] = {L1_TABLE | 100, NONE | 101, 102, 103};
	static const uint64_t second[] = {100, 101, NONE | 102, BROKEN | 103};
	static const uint64_t third[] = {7, 999, 500, 501, 3};
	struct target *target;
	struct blob blob = {0};

	(void)state;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 0, 100, true);
	write_xen_pages(&blob, first, 4, true);
	write_xen_run(&blob, 104, 920, true);
	write_xen_run(&blob, 50, 30, true);
	write_xen_pages(&blob, second, 4, false);
	write_xen_run(&blob, 0, 60, false);
	write_xen_run(&blob, 60, 40, false);
	write_xen_run(&blob, 7, 1, true);
	write_xen_run(&blob, 104, 1000, false);
	write_xen_pages(&blob, third, 5, false);
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	saved_has(target, 0, 102 * WRITER_PAGE);
	saved_lacks(target, 102 * WRITER_PAGE, WRITER_PAGE, MEMORY_NO_RAM);
	saved_lacks(target, 103 * WRITER_PAGE, WRITER_PAGE, MEMORY_NOT_SAVED);
	saved_has(target, 104 * WRITER_PAGE, 1000 * WRITER_PAGE);
	assert_int_equal(memory_total(target->memory), 1103 * WRITER_PAGE);
	/* 2161 pages came, for 1102. */
	assert_non_null(strstr(target->support[TARGET_READ].reason, "later copies: 4236 KiB"));
	target_close(target);
	blob_free(&blob);
}

/* Every second page again, more pieces than there can be windows. */
static void test_live_scattered(void **state)
{
	uint64_t entries[1024];
	struct target *target;
	struct blob blob = {0};

	(void)state;
	write_libxc_header(&blob, 2, false);
	for (uint64_t i = 0; i < 36; i++)
		write_xen_run(&blob, i * 1024, 1024, i % 2);
	for (uint64_t i = 1; i < 36; i += 2) {
		for (unsigned odd = 0; odd < 2; odd++) {
			for (uint64_t j = 0; j < 512; j++)
				entries[j] = i * 1024 + 2 * j + odd;
			write_xen_pages(&blob, entries, 512, false);
		}
	}
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	saved_has(target, 0, 36 * 1024 * WRITER_PAGE);
	assert_int_equal(memory_total(target->memory), 36 * 1024 * WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
}

/* Cut at every byte of a small stream: never more than what is there, and always said. */
static void test_truncated_anywhere(void **state)
{
	struct blob blob = {0};
	size_t size, first;

	(void)state;
	write_xl_header(&blob, 10);
	write_libxl_header(&blob, 2);
	write_libxc_header(&blob, 3, false);
	first = blob.size;
	write_xen_run(&blob, 0, 2, false);
	write_hvm_context(&blob, 0, 1);
	write_xen_record(&blob, END, NULL, 0);
	size = blob.size;
	for (blob.size = 1; blob.size < size; blob.size += blob.size % 64 == 1 ? 3 : 61) {
		struct target *target = NULL;
		struct nunchi_error *err = saved_try(&blob, &target);

		if (blob.size <= first + 8 + 8 + 16) {
			assert_non_null(err);
			nunchi_error_destroy(err);
			continue;
		}
		assert_null(err);
		assert_true(saved_notes(target, "the file ends within"));
		if (blob.size < first + 32 + WRITER_PAGE)
			saved_lacks(target, WRITER_PAGE, WRITER_PAGE, MEMORY_NOT_SAVED);
		else
			saved_has(target, 0, WRITER_PAGE);
		target_close(target);
	}
	blob_free(&blob);
}

static void test_truncated(void **state)
{
	struct blob blob = {0};
	struct target *target;
	size_t context;

	(void)state;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 0, 16, true);
	write_xen_run(&blob, 0, 16, false);
	context = blob.size;
	write_hvm_context(&blob, 0, 1);
	blob.size = context + 500;
	target = saved_open(&blob);
	assert_true(saved_notes(target, "within the HVM context"));
	assert_false(target->support[TARGET_REGISTERS].available);
	saved_has(target, 0, 16 * WRITER_PAGE);
	target_close(target);
	/* Page 8 is cut off, and what the guest had there before is no longer true. */
	blob.size = context - 7 * WRITER_PAGE - 100;
	target = saved_open(&blob);
	saved_has(target, 0, 8 * WRITER_PAGE);
	saved_lacks(target, 9 * WRITER_PAGE, 7 * WRITER_PAGE, MEMORY_NOT_SAVED);
	/* There may have been more. */
	saved_lacks(target, 16 * WRITER_PAGE, WRITER_PAGE, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "the file ends within a record"));
	assert_true(saved_notes(target, "28 KiB of 64 KiB of guest memory are missing"));
	target_close(target);
	blob_free(&blob);
}

/* Sound pages, then a damaged record: those before are used, and it is said. more: of other pages.
 */
static void check_damage(const void *record, size_t size, const char *words, enum memory_fault more)
{
	struct target *target;
	struct blob blob = {0};

	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 0, 8, false);
	blob_append(&blob, record, size);
	write_xen_run(&blob, 0, 4, true);
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	if (!saved_notes(target, words))
		fail_msg("no note \"%s\"", words);
	saved_has(target, 0, 8 * WRITER_PAGE);
	saved_lacks(target, 8 * WRITER_PAGE, WRITER_PAGE, more);
	target_close(target);
	blob_free(&blob);
}

static void damage_pages(uint32_t count, uint64_t entry, uint32_t body, const char *words)
{
	struct blob record = {0};

	blob_put(&record, 8 + 16 + WRITER_PAGE - 1, "", 1);
	blob_put32(&record, 0, PAGE_DATA);
	blob_put32(&record, 4, body);
	blob_put32(&record, 8, count);
	blob_put64(&record, 16, entry);
	check_damage(record.data, record.size, words, MEMORY_NOT_SAVED);
	blob_free(&record);
}

static void test_damaged(void **state)
{
	struct blob record = {0};

	(void)state;
	damage_pages(0, 3, 16 + WRITER_PAGE, "impossible number of them");
	damage_pages(UINT32_MAX, 3, 16 + WRITER_PAGE, "impossible number of them");
	damage_pages(1, 3, 4, "impossible number of them");
	damage_pages(1, 3, 16 + WRITER_PAGE - 8, "a record of pages is damaged");
	damage_pages(1, NONE | 3, 16 + WRITER_PAGE, "a record of pages is damaged");
	damage_pages(1, (uint64_t)0x5 << 60 | 3, 16 + WRITER_PAGE, "a record of pages is damaged");
	damage_pages(1, (uint64_t)0x8 << 60 | 3, 16 + WRITER_PAGE, "a record of pages is damaged");
	damage_pages(1, (uint64_t)1 << 51, 16 + WRITER_PAGE, "a record of pages is damaged");
	damage_pages(1, 3, UINT32_MAX, "impossible size");
	write_xen_record(&record, CHECKPOINT, NULL, 0);
	check_damage(record.data, record.size, "stream is of checkpoints", MEMORY_NO_RAM);
	blob_free(&record);
	write_xen_vcpu(&record, 0, false);
	check_damage(record.data, record.size, "a record of a vCPU has an impossible size",
		     MEMORY_NOT_SAVED);
	blob_free(&record);
}

static void test_odd_records(void **state)
{
	struct blob blob = {0}, record = {0};
	struct target *target;
	size_t vcpu;

	(void)state;
	/* A type of a newer Xen, then one that a reader need not know. */
	write_xen_record(&record, 0x13, "new", 3);
	write_libxc_header(&blob, 3, true);
	write_xen_run(&blob, 0, 8, false);
	write_xen_record(&blob, 0x80000013, "optional", 8);
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	assert_int_equal(target->note_count, 0);
	target_close(target);
	blob.size -= 8;
	blob_append(&blob, record.data, record.size);
	vcpu = blob.size;
	write_xen_vcpu(&blob, 8191, false);
	write_xen_record(&blob, END, NULL, 0);
	target = saved_open(&blob);
	assert_int_equal(target->note_count, 1);
	assert_true(saved_notes(target, "of a type that nunchi does not know"));
	assert_int_equal(target->vcpu_count, 8192);
	target_close(target);
	blob_put32(&blob, vcpu + 8, 8192);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "a record of a vCPU has an impossible number"));
	target_close(target);
	blob_free(&blob);
	blob_free(&record);
}

/* An HVM context whose entries run over its end, or have a vCPU of a size no Xen has. */
static void test_odd_context(void **state)
{
	struct blob blob = {0};
	struct target *target;
	size_t context;

	(void)state;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 0, 8, false);
	context = blob.size + 8;
	write_hvm_context(&blob, 0, 3);
	write_xen_record(&blob, END, NULL, 0);
	/* The length of vCPU 2, after the header and two vCPUs. */
	blob_put32(&blob, context + 32 + 2 * (8 + 1032) + 4, 5000);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "the HVM context is damaged"));
	assert_int_equal(target->vcpu_count, 2);
	target_close(target);
	blob_put32(&blob, context + 32 + 2 * (8 + 1032) + 4, 1032);
	blob_put16(&blob, context + 32 + 2, 0xffff);
	target = saved_open(&blob);
	assert_int_equal(target->note_count, 0);
	assert_int_equal(target->vcpu_count, 3);
	target_close(target);
	blob_free(&blob);
}

static void refuse_patched(const struct blob *blob, size_t at, uint8_t byte,
			   enum nunchi_error_code code, const char *words)
{
	uint8_t old = blob->data[at];

	blob->data[at] = byte;
	saved_refused(blob, code, words);
	blob->data[at] = old;
}

static void test_refused(void **state)
{
	struct blob blob = {0};
	size_t libxl, libxc;

	(void)state;
	write_xl_header(&blob, 0);
	libxl = blob.size;
	write_libxl_header(&blob, 2);
	libxc = blob.size;
	write_libxc_header(&blob, 3, false);
	write_xen_run(&blob, 0, 8, false);
	write_xen_record(&blob, END, NULL, 0);
	target_close(saved_open(&blob));
	refuse_patched(&blob, 32, 9, NUNCHI_ERROR_DATA, "byte order");
	refuse_patched(&blob, 36, 0, NUNCHI_ERROR_UNSUPPORTED, "Xen 4.5 or older");
	refuse_patched(&blob, 44, 8, NUNCHI_ERROR_DATA, "mark is not there");
	refuse_patched(&blob, libxl + 11, 3, NUNCHI_ERROR_UNSUPPORTED,
		       "libxl's stream has version");
	refuse_patched(&blob, libxl + 15, 1, NUNCHI_ERROR_UNSUPPORTED, "big-endian");
	refuse_patched(&blob, libxl + 16, 0, NUNCHI_ERROR_DATA, "none of libxc");
	refuse_patched(&blob, libxc + 8, 'x', NUNCHI_ERROR_DATA, "mark is not there");
	refuse_patched(&blob, libxc + 15, 4, NUNCHI_ERROR_UNSUPPORTED,
		       "libxc's stream has version 4");
	refuse_patched(&blob, libxc + 15, 1, NUNCHI_ERROR_UNSUPPORTED,
		       "libxc's stream has version 1");
	refuse_patched(&blob, libxc + 17, 1, NUNCHI_ERROR_UNSUPPORTED, "big-endian");
	refuse_patched(&blob, libxc + 24, 3, NUNCHI_ERROR_UNSUPPORTED, "type 3");
	refuse_patched(&blob, libxc + 28, 16, NUNCHI_ERROR_UNSUPPORTED, "2^16");
	/* No record of pages before the end. */
	refuse_patched(&blob, libxc + 40, END, NUNCHI_ERROR_DATA, "no page of memory");
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_pv),
	    cmocka_unit_test(test_live),
	    cmocka_unit_test(test_live_scattered),
	    cmocka_unit_test(test_truncated_anywhere),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_odd_records),
	    cmocka_unit_test(test_odd_context),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("xen_save", tests, NULL, NULL);
}
