/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's migration stream: pages of every kind, blocks, wrappers, registers, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saved_guest.h"
#include "target/file/qemu_stream.h"
#include "target/file/xbzrle.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define RAM_SIZE (2 * MIB)
#define ROM_SIZE ((uint64_t)0x40000)

enum {
	ZERO = 0x02,
	BLOCKS = 0x04,
	PAGE = 0x08,
	END = 0x10,
	CONTINUE = 0x20,
	XBZRLE = 0x40,
	ZLIB = 0x100
};

static void put8(struct blob *blob, uint8_t value)
{
	blob_append(blob, &value, 1);
}

static void put16(struct blob *blob, uint16_t value)
{
	put8(blob, (uint8_t)(value >> 8));
	put8(blob, (uint8_t)value);
}

static void put32(struct blob *blob, uint32_t value)
{
	put16(blob, (uint16_t)(value >> 16));
	put16(blob, (uint16_t)value);
}

static void put64(struct blob *blob, uint64_t value)
{
	put32(blob, (uint32_t)(value >> 32));
	put32(blob, (uint32_t)value);
}

static void put_name(struct blob *blob, const char *name)
{
	put8(blob, (uint8_t)strlen(name));
	blob_append(blob, name, strlen(name));
}

/* Up to the list of RAM blocks, whose sizes add up to `total`. */
static void put_start(struct blob *blob, uint64_t total)
{
	blob_append(blob, "QEVM", 4);
	put32(blob, 3);
	put8(blob, 7); /* the machine's name */
	put32(blob, 13);
	blob_append(blob, "pc-i440fx-7.2", 13);
	put8(blob, 1); /* section "ram", number 2 */
	put32(blob, 2);
	put_name(blob, "ram");
	put32(blob, 0);
	put32(blob, 4);
	put64(blob, total | BLOCKS);
}

static void put_end(struct blob *blob)
{
	put64(blob, END);
	put8(blob, 0x7e);
	put32(blob, 2);
}

static void put_head(struct blob *blob, uint8_t kind)
{
	put_start(blob, RAM_SIZE + ROM_SIZE);
	put_name(blob, "pc.ram");
	put64(blob, RAM_SIZE);
	put_name(blob, "pc.bios");
	put64(blob, ROM_SIZE);
	put_end(blob);
	put8(blob, kind);
	put32(blob, 2);
}

/* A page as the test's memory has it. */
static void put_page(struct blob *blob, uint64_t address, unsigned flags)
{
	uint8_t page[WRITER_PAGE], packed[8192];
	uLongf size = sizeof(packed);

	writer_fill(address, page, sizeof(page));
	put64(blob, address | flags);
	if (!(flags & CONTINUE))
		put_name(blob, "pc.ram");
	if (flags & PAGE) {
		blob_append(blob, page, sizeof(page));
	} else if (flags & ZLIB) {
		assert_int_equal(compress2(packed, &size, page, sizeof(page), 1), Z_OK);
		put32(blob, (uint32_t)size);
		blob_append(blob, packed, size);
	}
}

static void put_rom(struct blob *blob)
{
	static const uint8_t rom[WRITER_PAGE] = {1, 2, 3};

	put64(blob, 0 | PAGE);
	put_name(blob, "pc.bios");
	blob_append(blob, rom, sizeof(rom));
}

/* A field of the description, and its bytes. */
static void put_field(struct blob *json, struct blob *state, const char *name, unsigned size,
		      unsigned count, uint64_t first)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"size\":%u,\"array_len\":%u},", name, size,
		 count);
	blob_append(json, text, strlen(text));
	for (unsigned i = 0; i < count; i++) {
		if (size == 20) {
			put32(state, (uint32_t)first + i);
			put64(state, (first << 32) + i);
			put32(state, 0);
			put32(state, 0);
		} else if (size == 8) {
			put64(state, first + i);
		} else {
			put32(state, (uint32_t)(first + i));
		}
	}
}

/* The start of the section with the state of a vCPU. */
static void put_vcpu(struct blob *blob, unsigned instance)
{
	put8(blob, 4);
	put32(blob, 5 + instance);
	put_name(blob, "cpu");
	put32(blob, instance);
	put32(blob, 12);
}

static void put_description(struct blob *blob, const struct blob *json)
{
	put8(blob, 0);
	put8(blob, 6);
	put32(blob, (uint32_t)json->size);
	blob_append(blob, json->data, json->size);
}

/* Devices: one of another kind, whose state has what looks like a vCPU's name, and two vCPUs. */
static void put_devices(struct blob *blob)
{
	static const char before[] = "{\"page_size\":4096,\"devices\":[", after[] = "{}]}";
	struct blob json = {0};

	blob_append(&json, before, strlen(before));
	for (unsigned i = 0; i < 2; i++) {
		struct blob state = {0};
		char text[128];

		snprintf(text, sizeof(text),
			 "{\"name\":\"cpu\",\"instance_id\":%u,\"version\":12,\"fields\":[", i);
		blob_append(&json, text, strlen(text));
		put_field(&json, &state, "env.regs", 8, 16, 0x1000);
		put_field(&json, &state, "env.eip", 8, 1, 0xffffffff81000000 + i);
		put_field(&json, &state, "env.eflags", 8, 1, 0x246);
		put_field(&json, &state, "env.hflags", 4, 1, i ? 0x80005 : 5);
		put_field(&json, &state, "env.segs", 20, 6, 0x10);
		put_field(&json, &state, "env.ldt", 20, 1, 0x20);
		put_field(&json, &state, "env.tr", 20, 1, 0x40);
		put_field(&json, &state, "env.gdt", 20, 1, 0x78);
		put_field(&json, &state, "env.idt", 20, 1, 0x77);
		put_field(&json, &state, "env.cr[0]", 8, 1, 0x80050033);
		put_field(&json, &state, "env.cr[2]", 8, 1, 0x7f00);
		put_field(&json, &state, "env.cr[3]", 8, 1, 0x1234000 + i * 0x1000);
		put_field(&json, &state, "env.cr[4]", 8, 1, 0x6f0);
		put_field(&json, &state, "env.dr", 8, 8, 0xd0);
		put_field(&json, &state, "env.efer", 8, 1, 0xd01);
		put_field(&json, &state, "env.star", 8, 1, 0x51);
		put_field(&json, &state, "env.lstar", 8, 1, 0x52);
		put_field(&json, &state, "env.cstar", 8, 1, 0x53);
		put_field(&json, &state, "env.kernelgsbase", 8, 1, 0x54);
		put_field(&json, &state, "env.sysenter_eip", 8, 1, 0x55);
		json.size--; /* the last comma */
		blob_append(&json, "]},", 3);
		put_vcpu(blob, i);
		blob_append(blob, state.data, state.size);
		put8(blob, 0x7e);
		put32(blob, 5 + i);
		blob_free(&state);
	}
	blob_append(&json, after, strlen(after));
	put_description(blob, &json);
	blob_free(&json);
}

/*
 * A guest: page 0 filled with 0x5a and sent again whole; pages 1 to 255 plain, 256 to 400 by zlib,
 * the rest never. `end` is where the devices begin.
 */
static void write_stream(struct blob *blob, size_t *ret_end)
{
	put_head(blob, 2);
	put64(blob, ZERO);
	put_name(blob, "pc.ram");
	put8(blob, 0x5a);
	for (uint64_t page = 1; page < 256; page++)
		put_page(blob, page * WRITER_PAGE, PAGE | (page > 1 ? CONTINUE : 0));
	put_rom(blob);
	put_end(blob);
	put8(blob, 8); /* a command, of three bytes */
	put16(blob, 4);
	put16(blob, 3);
	blob_append(blob, "abc", 3);
	put8(blob, 3);
	put32(blob, 2);
	for (uint64_t page = 256; page <= 400; page++)
		put_page(blob, page * WRITER_PAGE, ZLIB);
	put_page(blob, 0, PAGE);
	put_end(blob);
	*ret_end = blob->size;
	put_devices(blob);
}

static void check_registers(struct target *target)
{
	struct x86_registers registers;

	assert_int_equal(target->vcpu_count, 2);
	assert_null(target_get_registers(target, 0, &registers));
	assert_false(registers.in_smm);
	assert_null(target_get_registers(target, 1, &registers));
	assert_true(registers.in_smm);
	assert_int_equal(registers.rip, 0xffffffff81000001);
	assert_int_equal(registers.rflags, 0x246);
	assert_int_equal(registers.r15, 0x100f);
	assert_int_equal(registers.rsp, 0x1004);
	assert_int_equal(registers.gs, 0x15);
	assert_int_equal(registers.fs_base, 0x1000000004);
	assert_int_equal(registers.gs_base, 0x1000000005);
	assert_int_equal(registers.kernel_gs_base, 0x54);
	assert_int_equal(registers.idt_base, 0x7700000000);
	assert_int_equal(registers.gdt_base, 0x7800000000);
	assert_int_equal(registers.tr, 0x40);
	assert_int_equal(registers.ldtr, 0x20);
	assert_int_equal(registers.cr0, 0x80050033);
	assert_int_equal(registers.cr2, 0x7f00);
	assert_int_equal(registers.cr3, 0x1235000);
	assert_int_equal(registers.cr4, 0x6f0);
	assert_int_equal(registers.dr[7], 0xd7);
	assert_int_equal(registers.efer, 0xd01);
	assert_int_equal(registers.star, 0x51);
	assert_int_equal(registers.lstar, 0x52);
	assert_int_equal(registers.cstar, 0x53);
	assert_int_equal(registers.sysenter_eip, 0x55);
	assert_true(registers.has_syscall && registers.has_cstar && registers.has_sysenter);
	assert_true(registers.has_general && registers.has_kernel_gs && registers.has_star);
}

static void test_stream(void **state)
{
	struct blob blob = {0};
	struct target *target;
	uint8_t page[WRITER_PAGE], zeros[WRITER_PAGE] = {0};
	size_t end;

	(void)state;
	write_stream(&blob, &end);
	target = saved_open(&blob);
	assert_string_equal(target->ops->kind, "qemu-stream");
	assert_int_equal(memory_total(target->memory), RAM_SIZE);
	saved_has(target, 0, 401 * WRITER_PAGE);
	/* What never came is zeros: the guest had no such page (a balloon). */
	assert_int_equal(
	    memory_read(target->memory, gpa(401 * WRITER_PAGE), page, sizeof(page), NULL),
	    MEMORY_OK);
	assert_memory_equal(page, zeros, sizeof(page));
	saved_lacks(target, RAM_SIZE, 1, MEMORY_NO_RAM);
	assert_int_equal(target->note_count, 0);
	check_registers(target);
	target_close(target);
	blob_free(&blob);
}

/* Cut anywhere: what came before is there, the rest is not saved. */
static void test_cut(void **state)
{
	struct blob blob = {0}, cut = {0};
	size_t end, step;

	(void)state;
	write_stream(&blob, &end);
	/* In the 100th page, in its header, in the last one. */
	step = 8 + WRITER_PAGE;
	for (unsigned i = 0; i < 3; i++) {
		size_t at = i == 2 ? end - 20 : 200 + 100 * step + (i ? 3 : 2000);
		struct target *target;

		cut = (struct blob){0};
		blob_append(&cut, blob.data, at);
		target = saved_open(&cut);
		assert_true(saved_notes(target, "the file ends at offset"));
		saved_has(target, WRITER_PAGE, 90 * WRITER_PAGE);
		saved_lacks(target, 500 * WRITER_PAGE, 1, MEMORY_NOT_SAVED);
		assert_int_equal(target->vcpu_count, 0);
		target_close(target);
		blob_free(&cut);
	}
	/* Before the list of blocks is whole. */
	blob_append(&cut, blob.data, 60);
	saved_refused(&cut, NUNCHI_ERROR_UNSUPPORTED, "the list of RAM blocks");
	blob_free(&cut);
	blob_free(&blob);
}

static void test_damaged(void **state)
{
	struct blob blob = {0};
	struct target *target;
	size_t end;

	(void)state;
	put_head(&blob, 2);
	put_page(&blob, 0, PAGE);
	put64(&blob, RAM_SIZE | PAGE | CONTINUE);
	blob_put(&blob, blob.size + 5000, "", 1);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "a page outside of its RAM block"));
	saved_has(target, 0, WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
	put_head(&blob, 2);
	put64(&blob, 0 | PAGE);
	put_name(&blob, "other");
	blob_put(&blob, blob.size + 5000, "", 1);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "a RAM block that is not listed"));
	target_close(target);
	blob_free(&blob);
	/* A packed page whose bytes are none. */
	put_head(&blob, 2);
	put64(&blob, 0 | ZLIB);
	put_name(&blob, "pc.ram");
	put32(&blob, 10);
	blob_append(&blob, "0123456789", 10);
	put_end(&blob);
	put_devices(&blob);
	target = saved_open(&blob);
	saved_lacks(target, 0, 1, MEMORY_IO);
	target_close(target);
	blob_free(&blob);
	/* The description is damaged: memory without registers. */
	write_stream(&blob, &end);
	blob.data[blob.size - 1] = 'x';
	target = saved_open(&blob);
	saved_has(target, 0, 401 * WRITER_PAGE);
	assert_int_equal(target->vcpu_count, 0);
	target_close(target);
	blob_free(&blob);
	put_start(&blob, RAM_SIZE + ROM_SIZE);
	put_name(&blob, "pc.ram");
	put64(&blob, RAM_SIZE);
	put_name(&blob, "pc.bios");
	put64(&blob, ROM_SIZE + WRITER_PAGE);
	blob_put(&blob, blob.size + 64, "", 1);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "the list of RAM blocks");
	blob_free(&blob);
	blob_append(&blob, "QEVM\0\0\0\2", 8);
	blob_put(&blob, 63, "", 1);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "version 2");
	blob_free(&blob);
}

/* Differences: three new bytes at 2, then one at 4000; the whole page came before. */
static void test_xbzrle(void **state)
{
	static const uint8_t first[] = {2, 3, 'a', 'b', 'c'}, second[] = {0xa0, 0x1f, 1, 'd'};
	static const uint8_t bad[][4] = {
	    {0x80}, {2, 0, 0, 0}, {2, 3, 'a', 'b'}, {0xff, 0x7f, 1, 'x'}};
	uint8_t page[WRITER_PAGE], wanted[WRITER_PAGE];
	struct blob blob = {0};
	struct target *target;

	(void)state;
	put_head(&blob, 3);
	put_page(&blob, 0, PAGE);
	for (unsigned i = 0; i < 2; i++) {
		put64(&blob, 0 | XBZRLE | CONTINUE);
		put8(&blob, 1);
		put16(&blob, i ? sizeof(second) : sizeof(first));
		blob_append(&blob, i ? second : first, i ? sizeof(second) : sizeof(first));
	}
	put_end(&blob);
	put_devices(&blob);
	target = saved_open(&blob);
	assert_int_equal(memory_read(target->memory, gpa(0), page, sizeof(page), NULL), MEMORY_OK);
	writer_fill(0, wanted, sizeof(wanted));
	memcpy(wanted + 2, "abc", 3);
	wanted[4000] = 'd';
	assert_memory_equal(page, wanted, sizeof(page));
	target_close(target);
	blob_free(&blob);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(xbzrle_apply(bad[i], i ? 4 : 1, page, sizeof(page)));
}

/* QEMU 9's mapped-ram: pages at fixed places, by a bitmap. All but each eighth page. */
static void put_mapped(struct blob *blob)
{
	const uint64_t sizes[] = {RAM_SIZE, ROM_SIZE};
	const char *const names[] = {"pc.ram", "pc.bios"};

	put_start(blob, RAM_SIZE + ROM_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t bitmap, pages;

		put_name(blob, names[i]);
		put64(blob, sizes[i]);
		bitmap = blob->size + 28;
		pages = (bitmap + sizes[i] / WRITER_PAGE / 8 + MIB - 1) & ~(MIB - 1);
		put32(blob, 1);
		put64(blob, WRITER_PAGE);
		put64(blob, bitmap);
		put64(blob, pages);
		blob_put(blob, pages + sizes[i] - 1, "", 1);
		for (uint64_t page = 0; !i && page < sizes[i] / WRITER_PAGE; page++) {
			blob->data[bitmap + page / 8] = 0xfe;
			if (page % 8)
				writer_fill(page * WRITER_PAGE,
					    blob->data + pages + page * WRITER_PAGE, WRITER_PAGE);
		}
	}
}

static void test_mapped(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	put_mapped(&blob);
	put_end(&blob);
	put_devices(&blob);
	target = saved_open(&blob);
	saved_has(target, WRITER_PAGE, 7 * WRITER_PAGE);
	saved_has(target, 505 * WRITER_PAGE, 7 * WRITER_PAGE);
	check_registers(target);
	target_close(target);
	blob_free(&blob);
}

/* A page record of a mapped-ram block: the record is refused, the mapped pages can be read. */
static void test_mapped_record(void **state)
{
	struct blob blob = {0};
	struct target *target;

	(void)state;
	put_mapped(&blob);
	put_page(&blob, 0, PAGE);
	put_end(&blob);
	put_devices(&blob);
	target = saved_open(&blob);
	assert_true(saved_notes(target, "a page record of a mapped RAM block at offset"));
	assert_true(saved_notes(target, ": 0 bytes of 2048 KiB of guest memory are missing"));
	saved_has(target, WRITER_PAGE, 7 * WRITER_PAGE);
	target_close(target);
	blob_free(&blob);
}

/*
 * The description repeats one vCPU 30,000 times, and the vCPU's state follows 32 MiB of zeros. A
 * reader that searches the state once for each entry reads 1 TB and exceeds the time limit of the
 * test; the limit of the bytes to search is 64 MiB.
 */
static void test_repeated_vcpu(void **state)
{
	static const char before[] = "{\"devices\":[", after[] = "{}]}";
	static const char first[] = "{\"name\":\"cpu\",\"instance_id\":0,\"version\":12,\"fields\":"
				    "[{\"name\":\"env.regs\",\"size\":8,\"array_len\":16},"
				    "{\"name\":\"env.eip\",\"size\":8}]},";
	static const char more[] = "{\"name\":\"cpu\",\"instance_id\":0,\"version\":12},";
	struct blob blob = {0}, json = {0};
	struct x86_registers registers;
	struct target *target;

	(void)state;
	put_head(&blob, 3);
	put_end(&blob);
	put8(&blob, 4);
	blob_put(&blob, blob.size + 32 * MIB, "", 1);
	put_vcpu(&blob, 0);
	for (unsigned i = 0; i < 17; i++)
		put64(&blob, 0x1234 + i);
	blob_append(&json, before, strlen(before));
	blob_append(&json, first, strlen(first));
	for (unsigned i = 1; i < 30000; i++)
		blob_append(&json, more, strlen(more));
	blob_append(&json, after, strlen(after));
	put_description(&blob, &json);
	target = saved_open(&blob);
	assert_int_equal(target->vcpu_count, 1);
	assert_null(target_get_registers(target, 0, &registers));
	assert_int_equal(registers.rip, 0x1244);
	target_close(target);
	blob_free(&json);
	blob_free(&blob);
}

/* A stream with one zero page in each of the first `count` spans of 2 MiB of a block of 64 GiB. */
static void put_sparse(struct blob *blob, uint64_t count)
{
	put_start(blob, 65536 * MIB);
	put_name(blob, "pc.ram");
	put64(blob, 65536 * MIB);
	put_end(blob);
	put8(blob, 3);
	put32(blob, 2);
	for (uint64_t i = 0; i < count; i++) {
		put64(blob, i * 2 * MIB | ZERO | (i ? CONTINUE : 0));
		if (!i)
			put_name(blob, "pc.ram");
		put8(blob, 0x5a);
	}
	put_end(blob);
}

/*
 * The tables of the pages may have 64 MiB, which is 16,384 tables, or twice the size of the file.
 * A dense stream of the smallest records has 4,608 bytes for each table.
 */
static void test_sparse(void **state)
{
	static const uint8_t wanted[8] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
	const uint64_t counts[] = {16384, 16385};
	struct blob blob = {0};
	struct target *target;
	uint8_t bytes[8];

	(void)state;
	put_sparse(&blob, 16385);
	saved_refused(&blob, NUNCHI_ERROR_DATA, "16384 is the limit");
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		blob_free(&blob);
		put_sparse(&blob, counts[i]);
		put_devices(&blob);
		/* 16,385 tables have the bytes of two files of this size. */
		if (i)
			blob_put(&blob, counts[i] * 2048 - 1, "", 1);
		target = saved_open(&blob);
		assert_int_equal(target->note_count, 0);
		assert_int_equal(
		    memory_read(target->memory, gpa(100 * MIB), bytes, sizeof(bytes), NULL),
		    MEMORY_OK);
		assert_memory_equal(bytes, wanted, sizeof(bytes));
		target_close(target);
	}
	blob_free(&blob);
}

static void test_libvirt(void **state)
{
	struct blob blob = {0}, stream = {0};
	struct target *target;
	size_t end;

	(void)state;
	write_stream(&stream, &end);
	blob_append(&blob, "LibvirtQemudSave", 16);
	blob_put32(&blob, 16, 2);
	blob_put32(&blob, 20, 1000);
	blob_put(&blob, 92 + 999, "", 1);
	blob_append(&blob, stream.data, stream.size);
	target = saved_open(&blob);
	saved_has(target, 0, 401 * WRITER_PAGE);
	check_registers(target);
	target_close(target);
	blob_put32(&blob, 28, 1);
	saved_refused(&blob, NUNCHI_ERROR_UNSUPPORTED, "stream is compressed");
	blob_free(&blob);
	blob_free(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stream),        cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_damaged),       cmocka_unit_test(test_xbzrle),
	    cmocka_unit_test(test_mapped),        cmocka_unit_test(test_libvirt),
	    cmocka_unit_test(test_mapped_record), cmocka_unit_test(test_repeated_vcpu),
	    cmocka_unit_test(test_sparse),
	};

	return cmocka_run_group_tests_name("qemu_stream", tests, NULL, NULL);
}
