/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/x86/paging.h"
#include "core/cleanup.h"

#include "page_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RAM_SIZE ((uint64_t)8 << 20)

static const enum x86_mode all_modes[] = {X86_MODE_32BIT, X86_MODE_PAE, X86_MODE_4LEVEL,
					  X86_MODE_5LEVEL};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static bool read_ram(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	struct page_writer *writer = data;

	assert_int_equal(size, writer_entry_size(writer->mode));
	/* An entry never straddles anything: tables are aligned. */
	assert_int_equal(address.v % size, 0);
	if (address.v > writer->size - size)
		return false;
	*ret = 0;
	memcpy(ret, writer->ram + address.v, size);
	return true;
}

static enum x86_fault walk(struct page_writer *writer, uint64_t address, struct x86_walk *ret)
{
	struct x86_paging paging = writer_paging(writer);

	return x86_walk(&paging, read_ram, writer, gva(address), ret);
}

struct mapping {
	uint64_t address, physical, size, flags;
	unsigned level;
};

static uint64_t random_physical(enum x86_mode mode, unsigned level, uint64_t random)
{
	unsigned bits = mode == X86_MODE_32BIT ? (level > 1 ? 40 : 32) : 52;

	return random & ((UINT64_C(1) << bits) - 1) &
	       ~((UINT64_C(1) << writer_shift(mode, level)) - 1);
}

/* One mapping at random, if what is there does not stand in its way. */
static bool map_one(struct page_writer *writer, uint64_t *seed, struct mapping *ret)
{
	enum x86_mode mode = writer->mode;
	unsigned level = 1 + next_random(seed) % writer_largest(mode);
	uint64_t address = writer_address(mode, next_random(seed));
	uint64_t size = UINT64_C(1) << writer_shift(mode, level);
	uint64_t flags = next_random(seed) & (WRITER_RW | WRITER_US);
	struct x86_walk seen;

	if (mode != X86_MODE_32BIT)
		flags |= next_random(seed) & WRITER_NX;
	address &= ~(size - 1);
	if (walk(writer, address, &seen) != X86_FAULT_NOT_PRESENT ||
	    seen.levels[seen.level_count - 1].level < level)
		return false;
	*ret = (struct mapping){
	    .address = address,
	    .physical = random_physical(mode, level, next_random(seed)),
	    .size = size,
	    .flags = flags,
	    .level = level,
	};
	writer_map(writer, address, ret->physical, level, flags);
	return true;
}

static void check_mapping(struct page_writer *writer, const struct mapping *mapping,
			  uint64_t offset)
{
	struct x86_walk seen;
	unsigned count = writer_levels(writer->mode) - mapping->level + 1;

	assert_int_equal(walk(writer, mapping->address + offset, &seen), X86_FAULT_NONE);
	assert_int_equal(seen.address.v, mapping->physical + offset);
	assert_int_equal(UINT64_C(1) << seen.page_shift, mapping->size);
	assert_int_equal(seen.writable, (mapping->flags & WRITER_RW) != 0);
	assert_int_equal(seen.user, (mapping->flags & WRITER_US) != 0);
	assert_int_equal(seen.executable, !(mapping->flags & WRITER_NX));
	assert_int_equal(seen.level_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(seen.levels[i].level, writer_levels(writer->mode) - i);
	assert_int_equal(seen.levels[count - 1].entry_address.v,
			 writer_entry(writer, mapping->address, mapping->level));
}

static void test_random_trees(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);
	uint64_t seed = 0x6e756e636869;

	(void)state;
	assert_non_null(ram);
	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++) {
		for (int round = 0; round < 20; round++) {
			struct mapping mappings[200];
			struct page_writer writer;
			size_t count = 0;

			writer_init(&writer, all_modes[m], ram, RAM_SIZE, 0x10000);
			for (int i = 0; i < 200; i++)
				count += map_one(&writer, &seed, &mappings[count]);
			assert_true(count > 20);
			for (size_t i = 0; i < count; i++) {
				check_mapping(&writer, &mappings[i], 0);
				check_mapping(&writer, &mappings[i], mappings[i].size - 1);
				check_mapping(&writer, &mappings[i],
					      next_random(&seed) % mappings[i].size);
			}
		}
	}
}

static void test_permissions_are_combined(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);
	static const uint64_t flags[] = {WRITER_RW, WRITER_US, WRITER_NX};

	(void)state;
	for (unsigned level = 1; level <= 4; level++) {
		struct page_writer writer;
		struct x86_walk seen;

		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			uint64_t at, entry;

			writer_init(&writer, X86_MODE_4LEVEL, ram, RAM_SIZE, 0x10000);
			writer_map(&writer, 0x7f0000001000, 0x5000, 1, WRITER_RW | WRITER_US);
			at = writer_entry(&writer, 0x7f0000001000, level);
			entry = writer_get(&writer, at) ^ flags[i];
			writer_put(&writer, at, entry);
			assert_int_equal(walk(&writer, 0x7f0000001000, &seen), X86_FAULT_NONE);
			assert_int_equal(seen.writable, flags[i] != WRITER_RW);
			assert_int_equal(seen.user, flags[i] != WRITER_US);
			assert_int_equal(seen.executable, flags[i] != WRITER_NX);
		}
	}
}

/* What the manual reserves in a present entry, with the page size bit clear and set. */
static uint64_t reserved_bits(enum x86_mode mode, unsigned level, bool large)
{
	uint64_t high = mode == X86_MODE_PAE ? UINT64_C(0x7ff) << 52 : 0;

	/* Not 6:5, which the manual reserves too: QEMU's emulation marks these entries accessed. */
	if (mode == X86_MODE_PAE && level == 3)
		return UINT64_C(0xfff) << 52 | 0x186;
	if (!large)
		return high | (level > 3 ? WRITER_PS : 0);
	if (mode == X86_MODE_32BIT)
		return UINT64_C(1) << 21;
	return high | (level == 3 ? UINT64_C(0x3fffe000) : UINT64_C(0x1fe000));
}

static void check_reserved(struct page_writer *writer, uint64_t address, unsigned level, bool large)
{
	uint64_t at = writer_entry(writer, address, level);
	uint64_t entry = writer_get(writer, at);
	uint64_t reserved = reserved_bits(writer->mode, level, large);
	struct x86_walk seen;

	for (unsigned bit = 1; bit < writer_entry_size(writer->mode) * 8; bit++) {
		uint64_t mask = UINT64_C(1) << bit;
		enum x86_fault fault;

		/* Not those that give the entry another meaning, or lead elsewhere. */
		if (mask == WRITER_PS && !(reserved & mask))
			continue;
		writer_put(writer, at, entry | mask);
		fault = walk(writer, address, &seen);
		/* Other bits may lead to another table, and to a fault further down. */
		assert_int_equal(fault == X86_FAULT_RESERVED &&
				     seen.levels[seen.level_count - 1].level == level,
				 (reserved & mask) != 0);
		/* What is not present is not checked. */
		writer_put(writer, at, (entry | mask) & ~WRITER_P);
		assert_int_equal(walk(writer, address, &seen), X86_FAULT_NOT_PRESENT);
	}
	writer_put(writer, at, entry);
	assert_int_equal(walk(writer, address, &seen), X86_FAULT_NONE);
}

static void test_reserved_bits(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);

	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++) {
		enum x86_mode mode = all_modes[m];

		for (unsigned level = 1; level <= writer_largest(mode); level++) {
			struct page_writer writer;

			writer_init(&writer, mode, ram, RAM_SIZE, 0x10000);
			writer_map(&writer, 0x40000000, 0, level, 0);
			for (unsigned n = level; n <= writer_levels(mode); n++)
				check_reserved(&writer, 0x40000000, n, n == level && n > 1);
		}
	}
}

static void test_canonical(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);
	static const struct {
		enum x86_mode mode;
		uint64_t address;
		bool canonical;
	} cases[] = {
	    {X86_MODE_32BIT, 0xffffffff, true},
	    {X86_MODE_32BIT, 0x100000000, false},
	    {X86_MODE_PAE, 0xffffffff, true},
	    {X86_MODE_PAE, 0xffffffff80000000, false},
	    {X86_MODE_4LEVEL, 0x7fffffffffff, true},
	    {X86_MODE_4LEVEL, 0x800000000000, false},
	    {X86_MODE_4LEVEL, 0xffff7fffffffffff, false},
	    {X86_MODE_4LEVEL, 0xffff800000000000, true},
	    {X86_MODE_5LEVEL, 0x800000000000, true},
	    {X86_MODE_5LEVEL, 0xffffffffffffff, true},
	    {X86_MODE_5LEVEL, 0x100000000000000, false},
	    {X86_MODE_5LEVEL, 0xfeffffffffffffff, false},
	    {X86_MODE_5LEVEL, 0xff00000000000000, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct page_writer writer;
		struct x86_walk seen;

		writer_init(&writer, cases[i].mode, ram, RAM_SIZE, 0x10000);
		assert_int_equal(walk(&writer, cases[i].address, &seen),
				 cases[i].canonical ? X86_FAULT_NOT_PRESENT
						    : X86_FAULT_NON_CANONICAL);
		assert_int_equal(seen.level_count, cases[i].canonical);
	}
}

static void test_pse(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);
	struct page_writer writer;
	struct x86_paging paging;
	struct x86_walk seen;

	(void)state;
	writer_init(&writer, X86_MODE_32BIT, ram, RAM_SIZE, 0x10000);
	writer_map(&writer, 0xc0000000, UINT64_C(0xab12400000), 2, WRITER_RW);
	assert_int_equal(walk(&writer, 0xc0212345, &seen), X86_FAULT_NONE);
	assert_int_equal(seen.address.v, UINT64_C(0xab12612345));
	assert_int_equal(seen.page_shift, 22);

	/* Without CR4.PSE the bit is ignored and the entry leads to a page table. */
	paging = writer_paging(&writer);
	paging.pse = false;
	assert_int_equal(x86_walk(&paging, read_ram, &writer, gva(0xc0212345), &seen),
			 X86_FAULT_READ);
	assert_int_equal(seen.level_count, 1);
}

static void test_unreadable_table(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);

	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++) {
		enum x86_mode mode = all_modes[m];

		for (unsigned level = 2; level <= writer_levels(mode); level++) {
			struct page_writer writer;
			struct x86_walk seen;

			writer_init(&writer, mode, ram, RAM_SIZE, 0x10000);
			writer_put(&writer, writer_entry(&writer, 0x40000000, level),
				   (RAM_SIZE + PAGE_SIZE) | WRITER_P);
			assert_int_equal(walk(&writer, 0x40000000, &seen), X86_FAULT_READ);
			assert_int_equal(seen.level_count, writer_levels(mode) - level + 1);
		}
	}
}

/* Tables that point at themselves, or are all ones, end like any other. */
static void test_hostile_tables(void **state)
{
	_cleanup_free_ uint8_t *ram = calloc(1, RAM_SIZE);
	struct page_writer writer;
	struct x86_walk seen;

	(void)state;
	writer_init(&writer, X86_MODE_5LEVEL, ram, RAM_SIZE, 0x10000);
	for (unsigned i = 0; i < 512; i++)
		writer_put(&writer, writer.root + i * 8, writer.root | WRITER_P);
	assert_int_equal(walk(&writer, UINT64_C(0xff12345678abcdef), &seen), X86_FAULT_NONE);
	assert_int_equal(seen.address.v, writer.root + 0xdef);
	assert_int_equal(seen.level_count, 5);

	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++) {
		writer_init(&writer, all_modes[m], ram, RAM_SIZE, 0x10000);
		memset(ram, 0xff, RAM_SIZE);
		assert_int_equal(walk(&writer, 0x12345678, &seen), X86_FAULT_RESERVED);
		assert_int_equal(seen.level_count, 1);
	}
}

static void test_registers(void **state)
{
	struct x86_paging paging;

	(void)state;
	paging = x86_paging_from_registers(0x80050033, 0x8000000102345801, 0x6a0, 0xd01);
	assert_int_equal(paging.mode, X86_MODE_4LEVEL);
	assert_int_equal(paging.root.v, 0x102345000);
	paging = x86_paging_from_registers(0x80050033, 0x1000, 0x16a0, 0xd01);
	assert_int_equal(paging.mode, X86_MODE_5LEVEL);
	/* EFER as it was written, without LMA. */
	paging = x86_paging_from_registers(0x80050033, 0x1000, 0x6a0, 0x101);
	assert_int_equal(paging.mode, X86_MODE_4LEVEL);
	paging = x86_paging_from_registers(0x80050033, 0x123457f8, 0x6b0, 0x800);
	assert_int_equal(paging.mode, X86_MODE_PAE);
	assert_int_equal(paging.root.v, 0x123457e0);
	paging = x86_paging_from_registers(0x80050033, 0x1234567f, 0x10, 0);
	assert_int_equal(paging.mode, X86_MODE_32BIT);
	assert_int_equal(paging.root.v, 0x12345000);
	assert_true(paging.pse);
	paging = x86_paging_from_registers(0x80050033, 0x12345000, 0, 0);
	assert_false(paging.pse);
}

static void test_strings(void **state)
{
	(void)state;
	for (int i = X86_FAULT_NONE; i <= X86_FAULT_READ; i++)
		assert_string_not_equal(x86_fault_string(i), "unknown fault");
	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++)
		assert_string_not_equal(x86_mode_string(all_modes[m]), "unknown");
	assert_string_equal(x86_mode_string(X86_MODE_5LEVEL), "5-level");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_trees),
	    cmocka_unit_test(test_permissions_are_combined),
	    cmocka_unit_test(test_reserved_bits),
	    cmocka_unit_test(test_canonical),
	    cmocka_unit_test(test_pse),
	    cmocka_unit_test(test_unreadable_table),
	    cmocka_unit_test(test_hostile_tables),
	    cmocka_unit_test(test_registers),
	    cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
