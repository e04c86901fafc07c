/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "xen_writers.h"

#include <elf.h>

#define PAGES 3000

/* As an HVM guest's: the VGA hole, a piece above 4 GiB; the last pages went while it was dumped. */
static uint64_t hvm_frame(uint64_t i)
{
	if (i >= PAGES - 5)
		return UINT64_MAX;
	if (i >= 2500)
		return 0x100000 + i - 2500;
	return i < 0xa0 ? i : i + 0x20;
}

/* Machine frames: pieces of 512 in descending order, and every page of the first on its own. */
static uint64_t pv_frame(uint64_t i)
{
	if (i < 512)
		return 0x90000 - 2 * i;
	return 0x80000 - (i / 512) * 0x1000 + i % 512;
}

static struct target *open_core(const struct writer_xen_core *core)
{
	struct blob blob = write_xen_core(core);
	struct target *target = saved_open(&blob);

	blob_free(&blob);
	return target;
}

static void test_hvm(void **state)
{
	struct target *target =
	    open_core(&(struct writer_xen_core){.pages = PAGES, .frame = hvm_frame, .vcpus = 2});
	struct x86_registers registers;
	size_t count;

	(void)state;
	assert_string_equal(target->ops->kind, "xen-core");
	assert_int_equal(target->frames, TARGET_FRAMES_GUEST);
	saved_has(target, 0, 0xa0000);
	saved_lacks(target, 0xa0000, 0x20000, MEMORY_NO_RAM);
	saved_has(target, 0xc0000, (2500 - 0xa0) * WRITER_PAGE);
	saved_has(target, 0x100000000, (PAGES - 5 - 2500) * WRITER_PAGE);
	saved_lacks(target, 0x100000000 + (PAGES - 5 - 2500) * WRITER_PAGE, 5 * WRITER_PAGE,
		    MEMORY_NO_RAM);
	memory_ranges(target->memory, &count);
	assert_int_equal(count, 3);
	assert_int_equal(memory_total(target->memory), (PAGES - 5) * WRITER_PAGE);
	assert_non_null(memory_map(target->memory, gpa(0x100000), 0x10000));
	assert_int_equal(target->note_count, 0);
	assert_non_null(
	    strstr(target->support[TARGET_READ].reason, "HVM or PVH guest by Xen 4.17"));
	assert_int_equal(target->vcpu_count, 2);
	assert_null(target_get_registers(target, 1, &registers));
	assert_int_equal(registers.rip, 0xffffffff81001001);
	assert_int_equal(registers.rsp, 0xffffffff81002001);
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.cr3, 0x7001000);
	assert_int_equal(registers.cr4, 0x620);
	assert_true(registers.has_efer);
	assert_int_equal(registers.efer, 0x500);
	target_close(target);
}

/* EFER is not saved: a guest none of whose registers has more than 32 bits is not in long mode. */
static void test_hvm_32(void **state)
{
	struct blob blob =
	    write_xen_core(&(struct writer_xen_core){.pages = 16, .frame = NULL, .vcpus = 1});
	struct x86_registers registers;
	struct target *target;
	uint64_t end, start = xen_core_section(&blob, ".xen_prstatus", &end);

	(void)state;
	assert_int_equal(end - start, 5168);
	blob_put64(&blob, start + 648, 0xc1001000);
	blob_put64(&blob, start + 672, 0xc1002000);
	target = saved_open(&blob);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.rip, 0xc1001000);
	assert_true(registers.has_efer);
	assert_int_equal(registers.efer, 0);
	target_close(target);
	/* In user mode of 32 bits under a 64-bit kernel: the kernel's GS base tells. */
	blob_put64(&blob, start + 5152, 0xffff88803fc00000);
	target = saved_open(&blob);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.efer, 0x500);
	target_close(target);
	/* Without PAE there is no long mode. */
	blob_put64(&blob, start + 5016, 0x10);
	target = saved_open(&blob);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.efer, 0);
	target_close(target);
	blob_free(&blob);
}

static void check_pv(bool is_32)
{
	struct target *target = open_core(&(struct writer_xen_core){
	    .pv = true, .is_32 = is_32, .pages = PAGES, .frame = pv_frame, .vcpus = 1});
	struct x86_registers registers;

	assert_int_equal(target->frames, TARGET_FRAMES_MACHINE);
	for (uint64_t i = 0; i < 512; i++) {
		saved_has(target, pv_frame(i) * WRITER_PAGE, WRITER_PAGE);
		saved_lacks(target, (pv_frame(i) + 1) * WRITER_PAGE, WRITER_PAGE, MEMORY_NO_RAM);
	}
	for (uint64_t i = 512; i < PAGES; i += 512) {
		uint64_t n = PAGES - i < 512 ? PAGES - i : 512;

		saved_has(target, pv_frame(i) * WRITER_PAGE, n * WRITER_PAGE);
	}
	assert_int_equal(memory_total(target->memory), PAGES * WRITER_PAGE);
	assert_int_equal(target->note_count, 0);
	assert_null(target_get_registers(target, 0, &registers));
	/* Paging is always on, whatever the registers said when it was saved. */
	assert_true(registers.cr0 >> 31 & 1);
	assert_true(registers.cr4 >> 5 & 1);
	assert_true(registers.has_efer);
	if (is_32) {
		assert_non_null(strstr(target->support[TARGET_READ].reason, "32-bit PV guest"));
		assert_int_equal(registers.rip, 0xc0001000);
		assert_int_equal(registers.rsp, 0xc0002000);
		assert_int_equal(registers.cr3, 0x12345678000);
		assert_int_equal(registers.efer, 0);
	} else {
		assert_non_null(strstr(target->support[TARGET_READ].reason, " PV guest"));
		assert_null(strstr(target->support[TARGET_READ].reason, "32-bit"));
		assert_int_equal(registers.rip, 0xffffffff81001000);
		assert_int_equal(registers.cr3, 0x7000000);
		assert_int_equal(registers.efer, 0xd01);
	}
	target_close(target);
}

static void test_pv(void **state)
{
	(void)state;
	check_pv(false);
	check_pv(true);
}

/* More pieces than there can be windows: read by the table, not mapped. */
static uint64_t scattered(uint64_t i)
{
	return 3 * (i ^ 0x5555);
}

static void test_scattered(void **state)
{
	struct target *target = open_core(
	    &(struct writer_xen_core){.pv = true, .pages = 20000, .frame = scattered, .vcpus = 1});

	(void)state;
	for (uint64_t i = 0; i < 20000; i++)
		saved_has(target, scattered(i) * WRITER_PAGE, 64);
	saved_lacks(target, (scattered(7) + 1) * WRITER_PAGE, 2 * WRITER_PAGE, MEMORY_NO_RAM);
	target_close(target);
}

static void test_truncated(void **state)
{
	struct blob blob = write_xen_core(
	    &(struct writer_xen_core){.pages = PAGES, .frame = hvm_frame, .vcpus = 2});
	uint64_t end, start = xen_core_section(&blob, ".xen_pfn", &end), notes, notes_end;
	struct x86_registers registers;
	struct target *target;

	(void)state;
	/* The names of the sections come last: without them all is there. */
	blob.size = end;
	target = saved_open(&blob);
	assert_int_equal(target->note_count, 0);
	saved_has(target, 0xc0000, (2500 - 0xa0) * WRITER_PAGE);
	assert_null(target_get_registers(target, 1, &registers));
	target_close(target);
	/* 2000 entries and a half: where the other pages belong is not known. */
	blob.size = start + 2000 * 8 + 4;
	target = saved_open(&blob);
	assert_true(saved_notes(target, "within its table of page numbers: 4000 KiB of 11 MiB"));
	saved_has(target, 0xc0000, (2000 - 0xa0) * WRITER_PAGE);
	saved_lacks(target, 2020 * WRITER_PAGE + 0xc000, WRITER_PAGE, MEMORY_NOT_SAVED);
	target_close(target);
	/* Half an entry of it. */
	blob.size = start + 4;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "before the table");
	blob.size = start - PAGES * WRITER_PAGE;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "before the table");
	notes = xen_core_section(&blob, ".note.Xen", &notes_end);
	blob.size = notes + 20;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "note section of the dump-core file");
	blob.size = 64 + 100;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "table of ELF sections");
	blob_free(&blob);
}

static void refuse(const struct writer_xen_core *core, enum nunchi_error_code code,
		   const char *words)
{
	struct blob blob = write_xen_core(core);

	saved_refused(&blob, code, words);
	blob_free(&blob);
}

static uint64_t far_frame(uint64_t i)
{
	return i == 10 ? (uint64_t)1 << 40 : i;
}

/* A number that is no page's costs that page alone. */
static void test_damaged_table(void **state)
{
	struct target *target =
	    open_core(&(struct writer_xen_core){.pages = 64, .frame = far_frame, .vcpus = 1});

	(void)state;
	assert_true(saved_notes(target, "4096 bytes of 256 KiB"));
	saved_has(target, 0, 10 * WRITER_PAGE);
	saved_lacks(target, 10 * WRITER_PAGE, WRITER_PAGE, MEMORY_NOT_SAVED);
	saved_has(target, 11 * WRITER_PAGE, 53 * WRITER_PAGE);
	target_close(target);
}

static uint64_t no_frame(uint64_t i)
{
	(void)i;
	return UINT64_MAX;
}

static void test_refused(void **state)
{
	struct writer_xen_core core = {.pages = 64, .vcpus = 1};
	struct blob blob;
	uint64_t start, end;

	(void)state;
	core.magic = 0xf00febef;
	refuse(&core, NUNCHI_ERROR_DATA, "magic 0xf00febef");
	core.magic = 0xf00febed; /* a PV guest has .xen_p2m */
	refuse(&core, NUNCHI_ERROR_DATA, "no section .xen_p2m");
	core.magic = 0;
	core.format = (uint64_t)1 << 32;
	refuse(&core, NUNCHI_ERROR_UNSUPPORTED, "format version 1");
	core.format = 0;
	core.page_size = 16384;
	refuse(&core, NUNCHI_ERROR_DATA, "64 pages of 16384 bytes");
	core.page_size = 0;
	core.claimed_pages = 65;
	refuse(&core, NUNCHI_ERROR_DATA, "too few for 65 pages");
	core.claimed_pages = UINT64_MAX / WRITER_PAGE;
	refuse(&core, NUNCHI_ERROR_DATA, "claims 4503599627370495 pages");
	core.claimed_pages = 0;
	core.frame = no_frame;
	refuse(&core, NUNCHI_ERROR_DATA, "no page of memory");
	core.frame = NULL;
	blob = write_xen_core(&core);
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "machine 183");
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_shnum), 60000);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "60000 sections");
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_shnum), 4);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "none of the sections of Xen");
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_shnum), 7);
	/* .xen_pages, section 5, where no file has bytes. */
	blob_put64(&blob, 64 + 5 * 64 + offsetof(Elf64_Shdr, sh_offset), UINT64_MAX - 4096);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "impossible offset");
	blob_free(&blob);
	/* A note that claims more than there is ends the notes. */
	blob = write_xen_core(&core);
	start = xen_core_section(&blob, ".note.Xen", &end);
	blob_put32(&blob, start + 16 + 4, (uint32_t)(end - start));
	saved_refused(&blob, NUNCHI_ERROR_DATA, "do not say what guest");
	blob_free(&blob);
}

/* What is wrong with the registers leaves the memory as it is. */
static void test_registers_missing(void **state)
{
	struct blob blob = write_xen_core(&(struct writer_xen_core){.pages = 64, .vcpus = 2});
	struct target *target;

	(void)state;
	/* Section 3 lies past the end of the file. */
	blob_put64(&blob, 64 + 3 * 64 + offsetof(Elf64_Shdr, sh_offset), blob.size - 5168);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "registers are cut off"));
	assert_int_equal(target->vcpu_count, 1);
	saved_has(target, 0, 64 * WRITER_PAGE);
	target_close(target);
	blob_put64(&blob, 64 + 3 * 64 + offsetof(Elf64_Shdr, sh_offset), UINT64_MAX - 100);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 0);
	assert_false(target->support[TARGET_REGISTERS].available);
	target_close(target);
	/* Contexts of another size are of another architecture. */
	blob_put64(&blob, 64 + 3 * 64 + offsetof(Elf64_Shdr, sh_entsize), 1000);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 0);
	target_close(target);
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hvm),       cmocka_unit_test(test_hvm_32),
	    cmocka_unit_test(test_pv),        cmocka_unit_test(test_scattered),
	    cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged_table),
	    cmocka_unit_test(test_refused),   cmocka_unit_test(test_registers_missing),
	};

	return cmocka_run_group_tests_name("xen_core", tests, NULL, NULL);
}
