/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"

#include <elf.h>
#include <stdlib.h>

static struct target *open_segments(const struct writer_elf *elf)
{
	struct blob blob = write_elf(elf);
	struct target *target = saved_open(&blob);

	blob_free(&blob);
	return target;
}

static void test_plain(void **state)
{
	const struct writer_segment segments[] = {{.address = 0, .filesz = 0xa0000},
						  {.address = 0x100000, .filesz = MIB},
						  {.address = 0x100000000, .filesz = MIB}};
	struct target *target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 3});
	size_t count;

	(void)state;
	assert_string_equal(target->ops->kind, "elf");
	saved_has(target, 0, 0xa0000);
	saved_has(target, 0x100000, MIB);
	saved_has(target, 0x100000000, MIB);
	saved_lacks(target, 0xa0000, 0x60000, MEMORY_NO_RAM);
	saved_lacks(target, 0x200000, 0x1000, MEMORY_NO_RAM);
	memory_ranges(target->memory, &count);
	assert_int_equal(count, 3);
	assert_int_equal(memory_total(target->memory), 0xa0000 + 2 * MIB);
	assert_non_null(memory_map(target->memory, gpa(0x100000), 0x10000));
	assert_int_equal(target->note_count, 0);
	assert_false(target->support[TARGET_REGISTERS].available);
	assert_int_equal(target->vcpu_count, 0);
	target_close(target);
}

/* With paging QEMU writes a segment for each mapping, in any order, over the same file bytes. */
static void test_paging(void **state)
{
	const struct writer_segment segments[] = {
	    {.address = 0x200000, .vaddr = 0xffff888000200000, .filesz = 0x80000},
	    {.address = 0, .vaddr = 0xffff888000000000, .filesz = 0x100000},
	    {.address = 0x200000, .vaddr = 0xffffffff81000000, .filesz = 0x40000, .same_as = 1},
	    {.address = 0, .vaddr = 0x7f0000000000, .filesz = 0x3000, .same_as = 2},
	    {.address = 0xff000, .vaddr = 0x7f0000100000, .filesz = 0x2000},
	    /* Physical memory that is mapped, but was not dumped. */
	    {.address = 0x27f000, .vaddr = 0x7f0000200000, .filesz = 0, .memsz = 0x3000},
	};
	struct target *target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 6});
	size_t count;

	(void)state;
	saved_has(target, 0, 0x101000);
	saved_has(target, 0x200000, 0x80000);
	saved_lacks(target, 0x280000, 0x2000, MEMORY_NOT_SAVED);
	saved_lacks(target, 0x101000, 0x1000, MEMORY_NOT_SAVED);
	assert_int_equal(memory_total(target->memory), 0x101000 + 0x82000);
	memory_ranges(target->memory, &count);
	assert_true(count <= 4);
	target_close(target);
}

static void test_filesz_below_memsz(void **state)
{
	const struct writer_segment segments[] = {
	    {.address = 0x100000, .filesz = 0x3000, .memsz = 0x8000},
	    /* Another segment has one page of what that one lacks. */
	    {.address = 0x105000, .filesz = 0x1000}};
	struct target *target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 2});

	(void)state;
	saved_has(target, 0x100000, 0x3000);
	saved_lacks(target, 0x103000, 0x2000, MEMORY_NOT_SAVED);
	saved_has(target, 0x105000, 0x1000);
	saved_lacks(target, 0x106000, 0x2000, MEMORY_NOT_SAVED);
	saved_lacks(target, 0x108000, 0x1000, MEMORY_NO_RAM);
	assert_true(saved_notes(target, "left out"));
	target_close(target);
}

/* What one segment lacks begins, or ends, in the middle of what another one has. */
static void test_missing_within_saved(void **state)
{
	const struct writer_segment segments[] = {
	    {.address = 0x100000, .filesz = 0x1000, .memsz = 0x6000},
	    {.address = 0x105000, .filesz = 0x6000},
	    {.address = 0x108000, .memsz = 0x4000},
	    {.address = 0x109000, .memsz = 0x1000}};
	struct target *target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 4});

	(void)state;
	saved_has(target, 0x100000, 0x1000);
	saved_lacks(target, 0x101000, 0x4000, MEMORY_NOT_SAVED);
	saved_has(target, 0x105000, 0x6000);
	saved_lacks(target, 0x10b000, 0x1000, MEMORY_NOT_SAVED);
	saved_lacks(target, 0x10c000, 1, MEMORY_NO_RAM);
	assert_int_equal(memory_total(target->memory), 0xc000);
	target_close(target);
}

/* Segments that meet within a page, and one that ends within one. */
static void test_unaligned(void **state)
{
	const struct writer_segment segments[] = {{.address = 0x1000, .filesz = 0x1400},
						  {.address = 0x2400, .filesz = 0x2800},
						  {.address = 0x6010, .filesz = 0x20},
						  {.address = 0x6040, .filesz = 0x1000},
						  {.address = 0x9800, .filesz = 0x2800}};
	struct target *target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 5});
	uint8_t bytes[64];
	gpa_t where;

	(void)state;
	saved_has(target, 0x1000, 0x3c00);
	assert_int_equal(memory_read(target->memory, gpa(0x4bf0), bytes, 64, &where),
			 MEMORY_NOT_SAVED);
	assert_int_equal(where.v, 0x4c00);
	saved_has(target, 0x6010, 0x20);
	saved_has(target, 0x6040, 0x1000);
	saved_has(target, 0x9800, 0x2800);
	saved_lacks(target, 0x9000, 1, MEMORY_NOT_SAVED);
	assert_int_equal(memory_read(target->memory, gpa(0x6000), bytes, 1, &where),
			 MEMORY_NOT_SAVED);
	assert_int_equal(memory_read(target->memory, gpa(0x6030), bytes, 1, &where),
			 MEMORY_NOT_SAVED);
	assert_int_equal(memory_read(target->memory, gpa(0x5000), bytes, 1, &where), MEMORY_NO_RAM);
	target_close(target);
}

static void check_many(bool is_32)
{
	const size_t n = 70000;
	struct writer_segment *segments = calloc(n, sizeof(*segments));
	struct target *target;

	/* One page in two, and each four times over. */
	for (size_t i = 0; i < n; i++)
		segments[i] =
		    (struct writer_segment){.address = i / 4 * 0x2000,
					    .filesz = 0x40,
					    .memsz = 0x1000,
					    .same_as = i % 4 ? (unsigned)(i / 4 * 4 + 1) : 0};
	target = open_segments(&(struct writer_elf){
	    .is_32 = is_32, .segments = segments, .count = n, .extended = true});
	for (size_t i = 0; i < n; i += 999) {
		saved_has(target, i / 4 * 0x2000, 0x40);
		saved_lacks(target, i / 4 * 0x2000 + 0x1000, 1, MEMORY_NO_RAM);
	}
	target_close(target);
	free(segments);
}

static void test_more_than_65535(void **state)
{
	(void)state;
	check_many(false);
	check_many(true);
}

static void test_registers(void **state)
{
	const struct writer_segment segment = {.address = 0x100000, .filesz = 0x1000};
	struct blob notes = {0};
	struct x86_registers registers;
	struct target *target;
	struct nunchi_error *err;

	(void)state;
	write_prstatus(&notes, 0, false);
	write_prstatus(&notes, 1, false);
	write_qemu_state(&notes, 0, 0x80050033, 0x1234000, 0x6f0);
	write_qemu_state(&notes, 1, 0x10, 0, 0); /* not yet brought up */
	write_note(&notes, "VMCOREINFO", 0, "OSRELEASE=6.1\nPAGESIZE=4096\n", 28);
	target =
	    open_segments(&(struct writer_elf){.segments = &segment, .count = 1, .notes = &notes});
	assert_int_equal(target->vcpu_count, 2);
	assert_true(target->support[TARGET_REGISTERS].available);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.cr3, 0x1234000);
	assert_int_equal(registers.cr4, 0x6f0);
	assert_int_equal(registers.efer, 0x500);
	assert_true(registers.has_efer && registers.has_idt && registers.has_rip);
	assert_int_equal(registers.rip, 0xffffffff82001000);
	assert_int_equal(registers.rsp, 0xffffffff82002000);
	assert_int_equal(registers.idt_base, 0xfffffe0000000000);
	assert_null(target_get_registers(target, 1, &registers));
	assert_int_equal(registers.efer, 0);
	assert_int_equal(registers.rip, 0xffffffff82001001);
	err = target_get_registers(target, 2, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	assert_int_equal(target->vmcoreinfo_size, 28);
	assert_string_equal(target->vmcoreinfo, "OSRELEASE=6.1\nPAGESIZE=4096\n");
	target_close(target);
	blob_free(&notes);
}

static void test_registers_32(void **state)
{
	const struct writer_segment segment = {.address = 0x100000, .filesz = 0x1000};
	struct blob notes = {0}, only = {0};
	struct x86_registers registers;
	struct target *target;

	(void)state;
	write_prstatus(&notes, 0, true);
	write_qemu_state(&notes, 0, 0x80050033, 0x1234000, 0x6f0);
	target = open_segments(&(struct writer_elf){
	    .is_32 = true, .machine = EM_386, .segments = &segment, .count = 1, .notes = &notes});
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.efer, 0);
	assert_true(registers.has_efer);
	saved_has(target, 0x100000, 0x1000);
	target_close(target);

	write_prstatus(&only, 3, true);
	target = open_segments(&(struct writer_elf){
	    .is_32 = true, .machine = EM_386, .segments = &segment, .count = 1, .notes = &only});
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.rip, 0xc0001003);
	assert_int_equal(registers.rsp, 0xc0002003);
	assert_int_equal(registers.cr3, 0);
	assert_false(registers.has_efer);
	target_close(target);
	blob_free(&notes);
	blob_free(&only);
}

/* Two note segments go on counting vCPUs; damaged notes leave the memory readable. */
static void test_odd_notes(void **state)
{
	const struct writer_segment segments[] = {{.address = 0x100000, .filesz = 0x1000},
						  {.type = PT_NOTE, .filesz = 0}};
	struct blob notes = {0}, blob;
	struct target *target;

	(void)state;
	write_prstatus(&notes, 0, false);
	blob_put32(&notes, notes.size, 5);
	blob_put32(&notes, notes.size, 0xfffffff0);
	blob_put32(&notes, notes.size, 1);
	target =
	    open_segments(&(struct writer_elf){.segments = segments, .count = 2, .notes = &notes});
	assert_int_equal(target->vcpu_count, 1);
	assert_true(saved_notes(target, "notes"));
	saved_has(target, 0x100000, 0x1000);
	target_close(target);

	blob_free(&notes);
	write_prstatus(&notes, 0, false);
	blob = write_elf(&(struct writer_elf){.segments = segments, .count = 2, .notes = &notes});
	/* The third program header: the same notes once more. */
	blob_put(&blob, 64 + 2 * 56, blob.data + 64, 56);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 2);
	target_close(target);
	blob_free(&notes);
	blob_free(&blob);
}

/* However many segments name the same notes, only so much is read. */
static void test_repeated_notes(void **state)
{
	const struct writer_segment segments[] = {
	    {.address = 0x100000, .filesz = 0x1000}, {.type = PT_NOTE}, {.type = PT_NOTE}};
	struct blob notes = {0}, blob, padding = {0};
	struct target *target;

	(void)state;
	write_prstatus(&notes, 0, false);
	blob_put(&padding, 7 * MIB, "", 1);
	write_note(&notes, "PAD", 9, padding.data, padding.size);
	blob = write_elf(&(struct writer_elf){.segments = segments, .count = 3, .notes = &notes});
	blob_put(&blob, 64 + 2 * 56, blob.data + 64, 56);
	blob_put(&blob, 64 + 3 * 56, blob.data + 64, 56);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 2);
	assert_true(saved_notes(target, "notes"));
	target_close(target);
	blob_free(&blob);
	blob_free(&notes);
	blob_free(&padding);
}

static void test_truncated(void **state)
{
	const struct writer_segment segments[] = {{.address = 0x100000, .filesz = MIB},
						  {.address = 0x300000, .filesz = MIB}};
	struct blob blob = write_elf(&(struct writer_elf){.segments = segments, .count = 2});
	struct target *target;

	(void)state;
	blob.size -= MIB / 2 + 100;
	target = saved_open(&blob);
	saved_has(target, 0x100000, MIB);
	saved_has(target, 0x300000, MIB / 2 - 100);
	saved_lacks(target, 0x300000 + MIB / 2, MIB / 2, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "512 KiB of 2048 KiB of guest memory are missing"));
	target_close(target);

	blob.size = 64 + 56 + 20;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "program headers");
	blob.size = 40;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "ELF header");
	blob.size = 4;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "ELF header");
	blob_free(&blob);
}

static void refuse_elf(const struct writer_elf *elf, enum nunchi_error_code code, const char *words)
{
	struct blob blob = write_elf(elf);

	saved_refused(&blob, code, words);
	blob_free(&blob);
}

static void test_refused(void **state)
{
	const struct writer_segment good = {.address = 0x100000, .filesz = 0x1000};
	const struct writer_segment far = {.address = UINT64_MAX - 0xfff, .filesz = 0x2000};
	const struct writer_segment process[] = {{.vaddr = 0x400000, .filesz = 0x1000},
						 {.vaddr = 0x7fff0000, .filesz = 0x1000}};
	struct blob blob = write_elf(&(struct writer_elf){.segments = &good, .count = 1});

	(void)state;
	refuse_elf(&(struct writer_elf){.type = ET_EXEC, .segments = &good, .count = 1},
		   NUNCHI_ERROR_UNSUPPORTED, "not a core");
	refuse_elf(&(struct writer_elf){.machine = EM_AARCH64, .segments = &good, .count = 1},
		   NUNCHI_ERROR_UNSUPPORTED, "machine 183");
	refuse_elf(&(struct writer_elf){.segments = &far, .count = 1}, NUNCHI_ERROR_DATA,
		   "beyond any x86 address");
	refuse_elf(&(struct writer_elf){.segments = process, .count = 2}, NUNCHI_ERROR_UNSUPPORTED,
		   "process");
	refuse_elf(&(struct writer_elf){.segments = NULL, .count = 0}, NUNCHI_ERROR_UNSUPPORTED,
		   "no segments");
	blob.data[EI_DATA] = ELFDATA2MSB;
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_machine), EM_S390 << 8);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "s390 (machine 22, big-endian)");
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
	blob.data[EI_DATA] = ELFDATA2LSB;
	blob.data[EI_CLASS] = 3;
	saved_refused(&blob, NUNCHI_ERROR_DATA, "class 3");
	blob.data[EI_CLASS] = ELFCLASS64;
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_phentsize), 32);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "program headers of 32 bytes");
	blob_put16(&blob, offsetof(Elf64_Ehdr, e_phentsize), 56);
	blob_put64(&blob, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 7);
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "program headers");
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_paging),
	    cmocka_unit_test(test_filesz_below_memsz),
	    cmocka_unit_test(test_missing_within_saved),
	    cmocka_unit_test(test_unaligned),
	    cmocka_unit_test(test_more_than_65535),
	    cmocka_unit_test(test_registers),
	    cmocka_unit_test(test_registers_32),
	    cmocka_unit_test(test_odd_notes),
	    cmocka_unit_test(test_repeated_notes),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("elf_core", tests, NULL, NULL);
}
