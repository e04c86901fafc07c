/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK 63
#define RIP   0xffffffff81000010
#define IDT   0xfffffe0000000000

/* Appends a tag with two indices, of which those that are negative are left out. */
static void put_tag(struct blob *blob, const char *name, int first, int second, const void *value,
		    uint8_t size)
{
	uint8_t start[] = {(uint8_t)(size | ((first >= 0) + (second >= 0)) << 6),
			   (uint8_t)strlen(name)};
	uint32_t index[] = {(uint32_t)first, (uint32_t)second};

	blob_append(blob, start, sizeof(start));
	blob_append(blob, name, strlen(name));
	blob_append(blob, index, sizeof(uint32_t) * ((first >= 0) + (second >= 0)));
	if (size != BLOCK)
		blob_append(blob, value, size);
}

static void put32(struct blob *blob, const char *name, int first, int second, uint32_t value)
{
	put_tag(blob, name, first, second, &value, sizeof(value));
}

static void put64(struct blob *blob, const char *name, int first, int second, uint64_t value)
{
	put_tag(blob, name, first, second, &value, sizeof(value));
}

static void put_block(struct blob *blob, bool narrow, const char *name, int first, uint64_t size,
		      uint16_t padding)
{
	put_tag(blob, name, first, -1, NULL, BLOCK);
	for (int i = 0; i < 2; i++)
		blob_append(blob, &size, narrow ? 4 : 8);
	blob_append(blob, &padding, sizeof(padding));
	blob_append(blob, "\x77\x77\x77\x77\x77\x77\x77\x77", padding);
}

static void end_group(struct blob *blob)
{
	blob_append(blob, "\0", 2);
}

static void put_group(struct blob *blob, unsigned n, const char *name)
{
	blob_put(blob, 12 + n * 80, name, strlen(name));
	blob_put64(blob, 12 + n * 80 + 64, blob->size);
}

static void begin(struct blob *blob, uint32_t magic)
{
	blob_put(blob, 12 + 3 * 80 - 1, "", 1);
	blob_put32(blob, 0, magic);
	blob_put32(blob, 4, 8);
	blob_put32(blob, 8, 3);
	/* A group that nobody needs, with nothing that could be read. */
	blob_put(blob, 12, "Checkpoint", 10);
	blob_put64(blob, 12 + 64, UINT64_MAX);
}

/* The first vCPU by single values, the second by blocks, the third without control registers. */
static void put_cpus(struct blob *blob, bool narrow)
{
	static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rbp", "rsp", "rsi", "rdi",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	uint64_t control[9] = {0x80050033, 0, 0x1000, 0x2000, 0x20}, general[16];

	put_group(blob, 1, "cpu");
	put32(blob, "cpu:numVCPUs", -1, -1, 3);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		put64(blob, names[i], 0, -1, 100 + i);
		general[i] = 200 + i;
	}
	put64(blob, "rip", 0, -1, RIP);
	put32(blob, "EFLAGS", 0, -1, 0x246);
	for (int i = 0; i < 9; i++)
		put64(blob, "CR64", 0, i, control[i]);
	put32(blob, "IDTR", 0, 0, 0xfff);
	put32(blob, "IDTR", 0, 1, (uint32_t)IDT);
	put32(blob, "IDTR", 0, 2, IDT >> 32);
	control[3] = 0x3000;
	put_block(blob, narrow, "gpregs", 1, sizeof(general), 3);
	blob_append(blob, general, sizeof(general));
	put_block(blob, narrow, "CR64", 1, sizeof(control), 0);
	blob_append(blob, control, sizeof(control));
	put_block(blob, narrow, "IDTR", 1, 10, 0);
	blob_append(blob, "\xff\x0f\0\0\0\0\0\xfe\xff\xff", 10);
	put64(blob, "rax", 2, -1, 1);
	/* No vCPU has such a number. */
	put64(blob, "rax", 1000000, -1, 1);
	end_group(blob);
}

static void put_region(struct blob *blob, int n, uint32_t file_page, uint32_t page, uint32_t count)
{
	put32(blob, "regionPageNum", n, -1, file_page);
	put32(blob, "regionPPN", n, -1, page);
	put32(blob, "regionSize", n, -1, count);
}

static void put_memory(struct blob *blob, uint64_t address, uint64_t size)
{
	uint8_t *bytes = malloc((size_t)size);

	assert_non_null(bytes);
	writer_fill(address, bytes, (size_t)size);
	blob_append(blob, bytes, (size_t)size);
	free(bytes);
}

static void check_vcpus(struct target *target)
{
	struct x86_registers registers;
	struct nunchi_error *err;

	assert_int_equal(target->vcpu_count, 3);
	assert_null(target_get_registers(target, 0, &registers));
	assert_true(registers.has_general && registers.has_rip && registers.has_idt);
	assert_int_equal(registers.rax, 100);
	assert_int_equal(registers.rsp, 105);
	assert_int_equal(registers.r15, 115);
	assert_int_equal(registers.rip, RIP);
	assert_int_equal(registers.rflags, 0x246);
	assert_int_equal(registers.cr3, 0x2000);
	assert_int_equal(registers.cr2, 0x1000);
	assert_int_equal(registers.idt_base, IDT);
	assert_int_equal(registers.efer, 0x500);
	assert_null(target_get_registers(target, 1, &registers));
	assert_false(registers.has_general || registers.has_rip);
	assert_int_equal(registers.rdi, 207);
	assert_int_equal(registers.cr3, 0x3000);
	assert_int_equal(registers.idt_base, IDT);
	assert_int_equal(registers.efer, 0x500);
	err = target_get_registers(target, 2, &registers);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	nunchi_error_destroy(err);
}

/* With the memory in the file, in two regions. */
static void write_inside(struct blob *blob, uint32_t magic, bool narrow)
{
	begin(blob, magic);
	put_cpus(blob, narrow);
	put_group(blob, 2, "memory");
	put32(blob, "regionsCount", -1, -1, 2);
	put_region(blob, 0, 0, 0, 16);
	put_region(blob, 1, 16, 256, 32);
	put_block(blob, narrow, "Memory", 0, 48 * PAGE_SIZE, 5);
	put_memory(blob, 0, 16 * PAGE_SIZE);
	put_memory(blob, MIB, 32 * PAGE_SIZE);
	end_group(blob);
}

static void test_inside(void **state)
{
	static const uint32_t magics[] = {0xbed2bed0, 0xbed2bed2, 0xbed3bed3, 0xbad1bad1,
					  0xbad2bad2};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		struct blob blob = {0};
		struct target *target;

		write_inside(&blob, magics[i], i == 0);
		target = saved_open(&blob);
		assert_string_equal(target->ops->kind, "vmware");
		saved_has(target, 0, 16 * PAGE_SIZE);
		saved_lacks(target, 16 * PAGE_SIZE, PAGE_SIZE, MEMORY_NO_RAM);
		saved_has(target, MIB, 32 * PAGE_SIZE);
		check_vcpus(target);
		assert_int_equal(target->note_count, 0);
		target_close(target);
		blob_free(&blob);
	}
}

static void test_cut_off(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	write_inside(&blob, 0xbed2bed2, false);
	blob.size -= 2;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "the file ends within its group memory");
	blob.size = 12 + 80 + 3;
	saved_refused(&blob, NUNCHI_ERROR_TRUNCATED, "the list of groups");
	blob_free(&blob);
	/* A region longer than the memory. */
	begin(&blob, 0xbed2bed2);
	put_group(&blob, 2, "memory");
	put32(&blob, "regionsCount", -1, -1, 1);
	put_region(&blob, 0, 0, 256, 32);
	put_block(&blob, false, "Memory", 0, 8 * PAGE_SIZE, 0);
	put_memory(&blob, MIB, 8 * PAGE_SIZE);
	end_group(&blob);
	target = saved_open(&blob);
	saved_has(target, MIB, 8 * PAGE_SIZE);
	saved_lacks(target, MIB + 8 * PAGE_SIZE, PAGE_SIZE, MEMORY_NOT_SAVED);
	assert_true(saved_notes(target, "96 KiB of 128 KiB of guest memory are missing"));
	assert_int_equal(target->vcpu_count, 0);
	target_close(target);
	blob_free(&blob);
}

static void test_damaged(void **state)
{
	/* Of the size that means a compressed block; its header. */
	static const uint8_t zeros[62];
	struct blob blob = {0};

	(void)state;
	begin(&blob, 0xbed2bed2);
	blob_put32(&blob, 8, 1000000);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "1000000 groups are too many");
	blob_put32(&blob, 8, 3);
	put_group(&blob, 2, "memory");
	put_block(&blob, false, "Memory", 0, UINT64_MAX, 0);
	end_group(&blob);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "a tag of group memory at offset");
	blob_free(&blob);
	/* Without memory, of which this file has none beside it. */
	begin(&blob, 0xbed2bed2);
	put_cpus(&blob, false);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "without its memory");
	put_group(&blob, 2, "memory");
	put_tag(&blob, "Memory", 0, 0, zeros, sizeof(zeros));
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED,
		      "memory in the state of the VMware guest "
		      "is compressed");
	blob_free(&blob);
}

static void save_as(const struct blob *blob, const char *path)
{
	char temporary[64];

	writer_save(blob, temporary);
	assert_int_equal(rename(temporary, path), 0);
}

/* Both regions are of the .vmem file; without regions offsets there are addresses. */
static void test_beside(void **state)
{
	struct target_options options = {.sigbus_guard = true};
	char directory[80], state_path[96], memory_path[96];

	(void)state;
	snprintf(directory, sizeof(directory), "%s/nunchi-vmware-XXXXXX", writer_directory());
	assert_non_null(mkdtemp(directory));
	snprintf(state_path, sizeof(state_path), "%s/a guest.vmsn", directory);
	snprintf(memory_path, sizeof(memory_path), "%s/a guest.vmem", directory);
	for (int regions = 0; regions < 2; regions++) {
		struct blob blob = {0}, memory = {0};
		struct target *target = NULL;

		begin(&blob, 0xbed2bed2);
		put_cpus(&blob, false);
		put_group(&blob, 2, "memory");
		put32(&blob, "regionsCount", -1, -1, regions ? 2 : 0);
		put_region(&blob, 0, 0, 0, 16);
		put_region(&blob, 1, 16, 256, 32);
		end_group(&blob);
		put_memory(&memory, 0, 16 * PAGE_SIZE);
		put_memory(&memory, regions ? MIB : 16 * PAGE_SIZE, 32 * PAGE_SIZE);
		save_as(&blob, state_path);
		save_as(&memory, memory_path);
		assert_null(file_target_open(state_path, &options, &target));
		saved_has(target, 0, 16 * PAGE_SIZE);
		saved_has(target, regions ? MIB : 16 * PAGE_SIZE, 32 * PAGE_SIZE);
		check_vcpus(target);
		target_close(target);
		blob_free(&blob);
		blob_free(&memory);
	}
	unlink(state_path);
	unlink(memory_path);
	rmdir(directory);
}

/* Many groups lead to the same long list of tags: a small file that would be read for hours. */
static void test_groups_share_tags(void **state)
{
	enum { GROUPS = 300, TAGS = 4096 };
	struct blob blob = {0};

	(void)state;
	blob_put(&blob, 12 + GROUPS * 80 - 1, "", 1);
	blob_put32(&blob, 0, 0xbed2bed2);
	blob_put32(&blob, 4, 8);
	blob_put32(&blob, 8, GROUPS);
	for (unsigned i = 0; i < GROUPS; i++)
		put_group(&blob, i, "cpu");
	for (unsigned i = 0; i < TAGS; i++)
		put_tag(&blob, "x", -1, -1, NULL, 0);
	end_group(&blob);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "more than 1048576 tags");
	blob_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_inside),
	    cmocka_unit_test(test_cut_off),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_beside),
	    cmocka_unit_test(test_groups_share_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
