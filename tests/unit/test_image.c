/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where page tables of every kind map a kernel's image, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest/linux/image.h"

#include "page_writer.h"

#define MIB     (UINT64_C(1) << 20)
#define RAM     (8 * MIB)
#define TABLES  (1 * MIB)
#define TEXT    UINT64_C(0xffffffffa1200000)
#define PLACE   UINT64_C(0x23400000) /* physical; far outside of what can be read */
#define TEXT32  UINT64_C(0xc8000000)
#define PLACE32 UINT64_C(0x08000000)

/* A section's pages. */
#define RX 0
#define RO WRITER_NX
#define RW (WRITER_RW | WRITER_NX)

struct image_test {
	uint8_t *ram;
	struct memory *memory;
	struct page_writer writer;
	uint64_t text, place;
};

static enum memory_fault read_ram(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	(void)fault_offset;
	memcpy(buffer, (uint8_t *)data + offset, size);
	return MEMORY_OK;
}

static int setup(void **state)
{
	struct image_test *test = calloc(1, sizeof(*test));

	test->ram = calloc(1, RAM);
	assert_null(memory_create(false, &test->memory));
	assert_null(memory_add_reader(test->memory, gpa(0), RAM, read_ram, NULL, test->ram));
	assert_null(memory_seal(test->memory));
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct image_test *test = *state;

	memory_destroy(test->memory);
	free(test->ram);
	free(test);
	return 0;
}

static void start(struct image_test *test, enum x86_mode mode)
{
	memset(test->ram, 0, RAM);
	writer_init(&test->writer, mode, test->ram, RAM, TABLES);
	test->text = mode <= X86_MODE_PAE ? TEXT32 : TEXT;
	test->place = mode <= X86_MODE_PAE ? PLACE32 : PLACE;
}

/* Large pages from one offset in the image to another. */
static void large(struct image_test *test, uint64_t from, uint64_t to, uint64_t flags)
{
	uint64_t step = test->writer.mode == X86_MODE_32BIT ? 4 * MIB : 2 * MIB;

	for (uint64_t at = from; at < to; at += step)
		writer_map(&test->writer, test->text + at, test->place + at, 2, flags);
}

static void small(struct image_test *test, uint64_t from, uint64_t to, uint64_t flags)
{
	for (uint64_t at = from; at < to; at += PAGE_SIZE)
		writer_map(&test->writer, test->text + at, test->place + at, 1, flags);
}

static bool find(struct image_test *test, struct linux_image *ret)
{
	struct x86_paging paging = writer_paging(&test->writer);

	return linux_image_find(test->memory, &paging, false, ret);
}

static void has(struct image_test *test, uint64_t end, uint64_t rodata, uint64_t data)
{
	struct linux_image image;

	assert_true(find(test, &image));
	assert_int_equal(image.virtual_start, test->text);
	assert_int_equal(image.physical_start, test->place);
	assert_int_equal(image.virtual_end, test->text + end);
	assert_int_equal(image.rodata_start, test->text + rodata);
	assert_int_equal(image.rodata_end, test->text + (data ? data : end));
	assert_int_equal(image.data_start, data ? test->text + data : 0);
}

static void has_none(struct image_test *test)
{
	struct linux_image image = {.virtual_start = 77};

	assert_false(find(test, &image));
	assert_int_equal(image.virtual_start, 77);
}

static void test_large_pages(void **state)
{
	struct image_test *test = *state;

	for (enum x86_mode mode = X86_MODE_4LEVEL; mode <= X86_MODE_5LEVEL; mode++) {
		start(test, mode);
		large(test, 0, 8 * MIB, RX);
		large(test, 8 * MIB, 12 * MIB, RO);
		large(test, 12 * MIB, 18 * MIB, RW);
		has(test, 18 * MIB, 8 * MIB, 12 * MIB);
	}
}

/*
 * As mark_rodata_ro() leaves it: sections begin on large pages and end in small ones; what was
 * freed between them may be mapped in any way by now.
 */
static void test_small_pages_and_gaps(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 6 * MIB, RX);
	small(test, 6 * MIB, 7 * MIB, RX);
	small(test, 7 * MIB, 7 * MIB + 3 * PAGE_SIZE, RW);
	/* Nothing up to 8 MiB, then the read-only data and its own rest. */
	large(test, 8 * MIB, 10 * MIB, RO);
	small(test, 10 * MIB, 11 * MIB, RO);
	small(test, 11 * MIB, 12 * MIB, RW);
	large(test, 12 * MIB, 14 * MIB, RW);
	small(test, 14 * MIB, 15 * MIB, RW);
	has(test, 15 * MIB, 8 * MIB, 12 * MIB);
}

/* A kernel with little data: .init, which was freed, shares a large page with the data's start. */
static void test_data_begins_in_small_pages(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 6 * MIB, RX);
	large(test, 6 * MIB, 8 * MIB, RO);
	small(test, 8 * MIB, 9 * MIB, RW);
	large(test, 10 * MIB, 12 * MIB, RW);
	has(test, 12 * MIB, 6 * MIB, 8 * MIB);
}

/* A read-only page in a gap of the text: the read-only data is said to begin there. */
static void test_read_only_page_in_the_text(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 4 * MIB, RX);
	small(test, 4 * MIB, 5 * MIB, RX);
	small(test, 5 * MIB, 5 * MIB + PAGE_SIZE, RO);
	large(test, 6 * MIB, 8 * MIB, RO);
	large(test, 8 * MIB, 10 * MIB, RW);
	has(test, 10 * MIB, 4 * MIB, 8 * MIB);
}

/* Without NX in the CPU, all is text: then all may be read-only data. */
static void test_flags_tell_nothing(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 10 * MIB, WRITER_RW);
	has(test, 10 * MIB, 0, 0);
}

/* The mapping goes on elsewhere behind the image. */
static void test_other_memory_behind(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 4 * MIB, RX);
	large(test, 4 * MIB, 6 * MIB, RO);
	large(test, 6 * MIB, 8 * MIB, RW);
	writer_map(&test->writer, test->text + 8 * MIB, 0x1000000, 2, RW);
	large(test, 10 * MIB, 12 * MIB, RW);
	has(test, 8 * MIB, 4 * MIB, 6 * MIB);
}

static void test_too_small(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	has_none(test);
	large(test, 0, 2 * MIB, RX);
	small(test, 2 * MIB, 4 * MIB - PAGE_SIZE, RX);
	has_none(test);
	small(test, 4 * MIB - PAGE_SIZE, 4 * MIB, RX);
	has(test, 4 * MIB, 0, 0);
}

/* Neither in virtual nor in physical memory may an image begin within a large page. */
static void test_unaligned(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_4LEVEL);
	small(test, PAGE_SIZE, 2 * MIB, RX);
	large(test, 2 * MIB, 8 * MIB, RX);
	has_none(test);
	start(test, X86_MODE_4LEVEL);
	test->place += PAGE_SIZE;
	small(test, 0, 6 * MIB, RX);
	has_none(test);
}

/* Tables that are not in memory, or that are pages. */
static void test_broken_tables(void **state)
{
	struct image_test *test = *state;
	uint64_t top, entry;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 8 * MIB, RX);
	has(test, 8 * MIB, 0, 0);
	top = test->writer.root + 511 * 8;
	entry = writer_get(&test->writer, top);
	writer_put(&test->writer, top, entry | WRITER_PS);
	has_none(test);
	writer_put(&test->writer, top, UINT64_C(0xfffffffff000) | WRITER_P);
	has_none(test);
	writer_put(&test->writer, top, entry & ~WRITER_P);
	has_none(test);
	test->writer.root = RAM * 2;
	has_none(test);
	test->writer.root = UINT64_MAX - 0xfff;
	has_none(test);
	/* One page table in the middle cannot be read: the image goes on behind it. */
	start(test, X86_MODE_4LEVEL);
	large(test, 0, 6 * MIB, RX);
	writer_put(&test->writer, writer_entry(&test->writer, test->text + 6 * MIB, 2),
		   UINT64_C(0x7ffffff000) | WRITER_P);
	large(test, 8 * MIB, 10 * MIB, RO);
	large(test, 10 * MIB, 12 * MIB, RW);
	has(test, 12 * MIB, 8 * MIB, 10 * MIB);
	/* The first one cannot: where the image begins is not known. */
	writer_put(&test->writer, writer_entry(&test->writer, test->text, 2),
		   UINT64_C(0x7ffffff000) | WRITER_P);
	has_none(test);
}

/* Four levels are not taken for five, nor five for four. */
static void test_depth(void **state)
{
	struct image_test *test = *state;
	struct linux_image image;
	struct x86_paging paging;

	start(test, X86_MODE_4LEVEL);
	large(test, 0, 8 * MIB, RX);
	paging = writer_paging(&test->writer);
	paging.mode = X86_MODE_5LEVEL;
	assert_false(linux_image_find(test->memory, &paging, false, &image));
	start(test, X86_MODE_5LEVEL);
	large(test, 0, 8 * MIB, RX);
	paging = writer_paging(&test->writer);
	paging.mode = X86_MODE_4LEVEL;
	assert_false(linux_image_find(test->memory, &paging, false, &image));
	paging.mode = X86_MODE_32BIT;
	assert_false(linux_image_find(test->memory, &paging, false, &image));
}

/* ---- 32 bits --------------------------------------------------------------------------------- */

/* The linear map from its start: free memory, the image, free memory. */
static void start_pae(struct image_test *test)
{
	start(test, X86_MODE_PAE);
	for (uint64_t at = 0; at < PLACE32; at += 2 * MIB)
		writer_map(&test->writer, 0xc0000000 + at, at, 2, RW);
}

static void test_pae(void **state)
{
	struct image_test *test = *state;
	struct linux_image image;

	start_pae(test);
	large(test, 0, 8 * MIB, RX);
	large(test, 8 * MIB, 12 * MIB, RO);
	large(test, 12 * MIB, 100 * MIB, RW);
	assert_true(find(test, &image));
	assert_int_equal(image.virtual_start, TEXT32);
	assert_int_equal(image.physical_start, PLACE32);
	assert_int_equal(image.data_start, TEXT32 + 12 * MIB);
	assert_int_equal(image.rodata_start, TEXT32 + 8 * MIB);
	assert_int_equal(image.rodata_end, TEXT32 + 12 * MIB);
	/* Where the image ends in the free memory behind it cannot be told: a bound. */
	assert_int_equal(image.virtual_end, TEXT32 + (12 + 32) * MIB);
}

/* Without PAE: pages of 4 MiB, and no bit that tells text from read-only data. */
static void test_without_pae(void **state)
{
	struct image_test *test = *state;
	struct linux_image image;

	start(test, X86_MODE_32BIT);
	for (uint64_t at = 0; at < PLACE32; at += 4 * MIB)
		writer_map(&test->writer, 0xc0000000 + at, at, 2, RW);
	large(test, 0, 8 * MIB, RX);
	small(test, 8 * MIB, 10 * MIB, RX);
	small(test, 10 * MIB, 12 * MIB, RW);
	large(test, 12 * MIB, 100 * MIB, RW);
	assert_true(find(test, &image));
	assert_int_equal(image.virtual_start, TEXT32);
	assert_int_equal(image.physical_start, PLACE32);
	assert_int_equal(image.data_start, TEXT32 + 10 * MIB);
	assert_int_equal(image.rodata_start, TEXT32);
	assert_int_equal(image.rodata_end, TEXT32 + 10 * MIB);
	/* What a process maps below: a table that is not in the file, and a large page. */
	writer_put(&test->writer, writer_entry(&test->writer, 0x80000000, 2),
		   UINT64_C(0x7ffff000) | WRITER_P | WRITER_US);
	writer_map(&test->writer, 0xb0000000, 0x400000, 2, RX | WRITER_US);
	writer_map(&test->writer, 0xb0400000, 0x800000, 2, RX | WRITER_US);
	writer_map(&test->writer, 0xb0800000, 0xc00000, 2, RW | WRITER_US);
	assert_true(find(test, &image));
	assert_int_equal(image.virtual_start, TEXT32);
	assert_int_equal(image.data_start, TEXT32 + 10 * MIB);
	/* Read by the wrong mode it is none. */
	assert_false(linux_image_find(
	    test->memory, &(struct x86_paging){.mode = X86_MODE_PAE, .root = {test->writer.root}},
	    false, &image));
	/* In the half of user space it is none either. */
	start(test, X86_MODE_32BIT);
	test->text = 0x08000000;
	large(test, 0, 8 * MIB, RX);
	large(test, 8 * MIB, 12 * MIB, RW);
	has_none(test);
}

/* A few read-only pages before the image, as free memory may have them, are no image. */
static void test_pae_read_only_before(void **state)
{
	struct image_test *test = *state;
	struct linux_image image;

	start_pae(test);
	writer_map(&test->writer, 0xc0400000, 0x400000, 2, RO);
	large(test, 0, 8 * MIB, RX);
	large(test, 8 * MIB, 12 * MIB, RO);
	large(test, 12 * MIB, 16 * MIB, RW);
	assert_true(find(test, &image));
	assert_int_equal(image.virtual_start, TEXT32);
	assert_int_equal(image.data_start, TEXT32 + 12 * MIB);
}

/* The user's part of the address space holds no kernel, whatever is mapped there. */
static void test_pae_user_half(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_PAE);
	test->text = 0x08000000;
	large(test, 0, 8 * MIB, RX);
	large(test, 8 * MIB, 12 * MIB, RW);
	has_none(test);
}

/* Without writable data behind it a read-only run is no kernel. */
static void test_pae_without_data(void **state)
{
	struct image_test *test = *state;

	start(test, X86_MODE_PAE);
	large(test, 0, 128 * MIB, RX);
	for (uint64_t at = TEXT32 + 128 * MIB; at < UINT64_C(1) << 32; at += 2 * MIB)
		writer_map(&test->writer, at, at - TEXT32 + PLACE32, 2, RX);
	has_none(test);
}

static void test_split(void **state)
{
	(void)state;
	assert_int_equal(linux_split_below(0xc1000000), 0xc0000000);
	assert_int_equal(linux_split_below(0xc0000000), 0xc0000000);
	assert_int_equal(linux_split_below(0xbfffffff), 0xb0000000);
	assert_int_equal(linux_split_below(0x80000000), 0x80000000);
	assert_int_equal(linux_split_below(0x41000000), 0x40000000);
	assert_int_equal(linux_split_below(0x3fffffff), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(large_pages),
	    TEST(small_pages_and_gaps),
	    TEST(data_begins_in_small_pages),
	    TEST(read_only_page_in_the_text),
	    TEST(flags_tell_nothing),
	    TEST(other_memory_behind),
	    TEST(too_small),
	    TEST(unaligned),
	    TEST(broken_tables),
	    TEST(depth),
	    TEST(pae),
	    TEST(without_pae),
	    TEST(pae_read_only_before),
	    TEST(pae_user_half),
	    TEST(pae_without_data),
	    cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
