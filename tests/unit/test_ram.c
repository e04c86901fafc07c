/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The firmware's memory map as a guest's kernel keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "guest/linux/ram.h"
#include "target/e820.h"
#include "toy_kernel.h"

#define GIB ((uint64_t)1 << 30)

struct entry {
	uint64_t start, size;
	uint32_t type;
};

/* QEMU's pc with 4 GiB under SeaBIOS. */
static const struct entry pc[] = {
    {0, 0x9fc00, 1},           {0x9fc00, 0x400, 2},      {0xf0000, 0x10000, 2},
    {0x100000, 0xbfedf000, 1}, {0xbffdf000, 0x21000, 2}, {0xfeffc000, 0x4000, 2},
    {4 * GIB, GIB, 1},
};

static size_t encode(uint8_t *table, const struct entry *entries, uint32_t count)
{
	store_le32(table, count);
	for (uint32_t i = 0; i < count; i++) {
		store_le64(table + 4 + i * 20, entries[i].start);
		store_le64(table + 12 + i * 20, entries[i].size);
		store_le32(table + 20 + i * 20, entries[i].type);
	}
	return 4 + (size_t)count * 20;
}

static void check_pc(const struct target_ram *ram)
{
	assert_int_equal(ram->count, 3);
	assert_int_equal(ram->ranges[1].start.v, 0x100000);
	assert_int_equal(ram->ranges[2].size, GIB);
	assert_int_equal(ram->low_end, 3 * GIB);
	assert_int_equal(ram->end, 5 * GIB);
}

static void test_decode(void **state)
{
	uint8_t table[4 + E820_MAP_SIZE + E820_ENTRY_SIZE] = {0};
	struct entry entries[ARRAY_SIZE(pc)];
	struct target_ram ram;
	size_t count = ARRAY_SIZE(pc), size = encode(table, pc, ARRAY_SIZE(pc)) - 4;
	const uint8_t *map = table + 4;

	(void)state;
	assert_true(e820_decode(map, size, count, &ram));
	check_pc(&ram);
	assert_false(e820_decode(map, size - 1, count, &ram));
	assert_false(e820_decode(map, E820_MAP_SIZE, E820_ENTRIES_MAX + 1, &ram));
	/* Without a count it ends where an entry is none. */
	assert_true(e820_decode(map, E820_MAP_SIZE, 0, &ram));
	check_pc(&ram);
	assert_false(e820_decode(map, E820_MAP_SIZE, count + 1, &ram));
	assert_false(e820_decode(map, 0, 0, &ram));
	/* Ranges that overlap, of no type there is, past any address, empty. */
	for (unsigned i = 0; i < 4; i++) {
		memcpy(entries, pc, sizeof(pc));
		if (i == 0)
			entries[3].start = 0xfffff;
		else if (i == 1)
			entries[3].type = 9;
		else if (i == 2)
			entries[6].size = UINT64_MAX - 5;
		else
			entries[2].size = 0;
		encode(table, entries, ARRAY_SIZE(pc));
		assert_false(e820_decode(map, size, count, &ram));
	}
	/* QEMU's q35: what is reserved further up, behind a gap, is not where RAM ends. */
	memcpy(entries, pc, sizeof(pc));
	entries[3].size = 0x7fedf000;
	entries[4].start = 0x7ffdf000;
	entries[5] = (struct entry){0xb0000000, 0x10000000, 2};
	encode(table, entries, ARRAY_SIZE(pc));
	assert_true(e820_decode(map, size, count, &ram));
	assert_int_equal(ram.low_end, 2 * GIB);
}

/* A first entry is found wherever it begins, if it is whole; parts of one are not. */
static void test_find_first(void **state)
{
	uint8_t table[4 + E820_MAP_SIZE + E820_ENTRY_SIZE] = {0}, memory[1024];
	const uint8_t *map = table + 4;

	(void)state;
	encode(table, pc, ARRAY_SIZE(pc));
	for (size_t place = 0; place + E820_ENTRY_SIZE <= sizeof(memory); place += 4) {
		size_t at = 0;

		memset(memory, 0, sizeof(memory));
		memcpy(memory + place, map, E820_ENTRY_SIZE);
		assert_true(e820_find_first(memory, sizeof(memory), &at));
		assert_int_equal(at, place);
		at = place + 4;
		assert_false(e820_find_first(memory, sizeof(memory), &at));
		at = 0;
		assert_false(e820_find_first(memory, place + E820_ENTRY_SIZE - 1, &at));
		/* Another type; a start that is not 0; a size that no first entry has. */
		for (size_t i = 0; i < E820_ENTRY_SIZE; i++) {
			memory[place + i] ^= 0x20;
			at = 0;
			assert_int_equal(e820_find_first(memory, sizeof(memory), &at),
					 i == 8 || i == 9);
			memory[place + i] ^= 0x20;
		}
	}
	/* Of several the next one, and not the second entry of a map. */
	memset(memory, 0, sizeof(memory));
	memcpy(memory + 100, map, sizeof(pc) / sizeof(pc[0]) * E820_ENTRY_SIZE);
	memcpy(memory + 700, map, E820_ENTRY_SIZE);
	for (size_t at = 0, n = 0; e820_find_first(memory, sizeof(memory), &at); at += 4, n++)
		assert_int_equal(at, n ? 700 : 100);
}

/* By the pointer of 4.10 and later, by the structure itself before that, by max_pfn alone. */
static void test_read(void **state)
{
	uint8_t table[4 + 20 * 128];
	struct target_ram ram;
	struct toy toy;
	uint64_t pointer, at, max_pfn;
	size_t size = encode(table, pc, ARRAY_SIZE(pc));

	(void)state;
	toy_init(&toy);
	toy.kernel.text_virtual = TOY_BASE;
	toy.kernel.image_end = TOY_BASE + TOY_RAM;
	pointer = toy_alloc(&toy, 8);
	at = toy_alloc(&toy, size);
	max_pfn = toy_alloc(&toy, 8);
	assert_false(linux_ram_read(&toy.kernel, &ram));
	toy_put_bytes(&toy, at, table, size);
	toy_put(&toy, pointer, at, 8);
	toy.kernel.symbol[LINUX_e820_table] = pointer;
	assert_true(linux_ram_read(&toy.kernel, &ram));
	check_pc(&ram);
	toy.kernel.symbol[LINUX_e820_table] = at;
	assert_true(linux_ram_read(&toy.kernel, &ram));
	check_pc(&ram);
	/* mem= makes max_pfn smaller; memory that was plugged in makes it larger. */
	toy.kernel.symbol[LINUX_max_pfn] = max_pfn;
	toy_put(&toy, max_pfn, 0x80000, 8);
	assert_true(linux_ram_read(&toy.kernel, &ram));
	check_pc(&ram);
	toy_put(&toy, max_pfn, 0x180000, 8);
	assert_true(linux_ram_read(&toy.kernel, &ram));
	assert_int_equal(ram.end, 6 * GIB);
	/* The map lies where nothing was saved. */
	toy_put(&toy, pointer, TOY_MISSING, 8);
	toy.kernel.symbol[LINUX_e820_table] = pointer;
	assert_true(linux_ram_read(&toy.kernel, &ram));
	assert_int_equal(ram.count, 0);
	assert_int_equal(ram.low_end, 0);
	assert_int_equal(ram.end, 6 * GIB);
	toy_put(&toy, max_pfn, UINT64_MAX, 8);
	assert_false(linux_ram_read(&toy.kernel, &ram));
	toy_deinit(&toy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_find_first),
	    cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests_name("ram", tests, NULL, NULL);
}
