/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"
#include "memory/memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define MIB ((uint64_t)1 << 20)

DEFINE_CLEANUP(struct memory, memory_destroy)
#define _cleanup_memory_ _cleanup_(cleanup_memory_destroy_p)

/* A file on disk, or on tmpfs. */
static int temporary(bool tmpfs)
{
	char path[] = "/var/tmp/nunchi-test-XXXXXX";
	int fd = tmpfs ? memfd_create("nunchi-test", MFD_CLOEXEC) : mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	if (!tmpfs)
		assert_int_equal(unlink(path), 0);
	return fd;
}

static uint64_t pattern(uint64_t offset)
{
	return (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Every eight bytes tell their offset. */
static void fill(int fd, uint64_t offset, uint64_t size)
{
	uint64_t words[512];

	for (uint64_t at = offset; at < offset + size; at += sizeof(words)) {
		for (size_t i = 0; i < 512; i++)
			words[i] = pattern(at + i * 8);
		assert_int_equal(pwrite(fd, words, sizeof(words), (off_t)at), sizeof(words));
	}
}

static uint64_t blocks(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

/* Without the guard: cmocka replaces the handler for each test. Those of SIGBUS run in children. */
static struct memory *create(void)
{
	struct memory *memory = NULL;

	assert_null(memory_create(false, &memory));
	return memory;
}

static void assert_error(struct nunchi_error *err, enum nunchi_error_code code)
{
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), code);
	nunchi_error_destroy(err);
}

static void assert_reads(struct memory *memory, uint64_t address, uint64_t expected)
{
	uint64_t value = 0;

	assert_int_equal(memory_read(memory, gpa(address), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, expected);
}

static void assert_fault(struct memory *memory, uint64_t address, size_t size,
			 enum memory_fault fault, uint64_t at)
{
	_cleanup_free_ void *buffer = malloc(size);
	gpa_t seen = gpa(1);

	assert_int_equal(memory_read(memory, gpa(address), buffer, size, &seen), fault);
	assert_int_equal(seen.v, at);
}

static void window_of(bool tmpfs, unsigned flags)
{
	_cleanup_close_ int fd = temporary(tmpfs);
	_cleanup_memory_ struct memory *memory = create();
	_cleanup_free_ uint64_t *words = malloc(MIB);
	const uint64_t *map;

	fill(fd, 0, 4 * MIB);
	/* RAM above the hole stands in the file right after that below it. */
	assert_null(memory_add_window(memory, gpa(0x100000000), 2 * MIB, fd, 2 * MIB, flags));
	assert_null(memory_add_window(memory, gpa(0), 2 * MIB, fd, 0, flags));
	assert_null(memory_seal(memory));
	assert_int_equal(memory_total(memory), 4 * MIB);
	assert_int_equal(memory_end(memory).v, 0x100200000);

	assert_reads(memory, 0, pattern(0));
	assert_reads(memory, 0x100000000, pattern(2 * MIB));
	assert_reads(memory, 0x1001ffff8, pattern(4 * MIB - 8));
	assert_reads(memory, 2 * MIB - 8, pattern(2 * MIB - 8));
	assert_int_equal(memory_read(memory, gpa(MIB / 2), words, MIB, NULL), MEMORY_OK);
	for (size_t i = 0; i < MIB / 8; i++)
		assert_int_equal(words[i], pattern(MIB / 2 + i * 8));

	assert_fault(memory, 2 * MIB - 8, 16, MEMORY_NO_RAM, 2 * MIB);
	assert_fault(memory, 0x80000000, 8, MEMORY_NO_RAM, 0x80000000);
	assert_fault(memory, UINT64_MAX - 3, 8, MEMORY_NO_RAM, UINT64_MAX - 3);
	assert_int_equal(memory_read(memory, gpa(0), words, 0, NULL), MEMORY_OK);

	map = memory_map(memory, gpa(0x100000008), MIB);
	assert_non_null(map);
	assert_int_equal(map[0], pattern(2 * MIB + 8));
	assert_int_equal(map[MIB / 8 - 1], pattern(3 * MIB));
	assert_null(memory_map(memory, gpa(2 * MIB - 8), 16));
	assert_null(memory_map(memory, gpa(0), SIZE_MAX));
	assert_null(memory_map(memory, gpa(0), 0));
	assert_false(memory_gone(memory));
}

static void test_windows(void **state)
{
	(void)state;
	for (int tmpfs = 0; tmpfs < 2; tmpfs++) {
		window_of(tmpfs, 0);
		window_of(tmpfs, MEMORY_WINDOW_LIVE);
	}
}

/* A saved guest's bytes stand anywhere in its file, and may end anywhere. */
static void test_unaligned_offset_and_short_file(void **state)
{
	(void)state;
	for (int tmpfs = 0; tmpfs < 2; tmpfs++) {
		_cleanup_close_ int fd = temporary(tmpfs);
		_cleanup_memory_ struct memory *memory = create();
		uint64_t words[512];

		fill(fd, 0, MIB);
		assert_int_equal(ftruncate(fd, (off_t)(MIB - 40)), 0);
		assert_null(memory_add_window(memory, gpa(0x10000), 64 << 10, fd, 0x3008, 0));
		assert_null(memory_add_window(memory, gpa(0x40000), MIB, fd, 0x8f8, 0));
		assert_null(memory_add_window(memory, gpa(0x400000), MIB, fd, 2 * MIB, 0));
		assert_null(memory_seal(memory));
		assert_reads(memory, 0x10000, pattern(0x3008));
		assert_reads(memory, 0x1fff8, pattern(0x13000));
		assert_int_equal(memory_read(memory, gpa(0x40ff8), words, sizeof(words), NULL),
				 MEMORY_OK);
		for (size_t i = 0; i < 512; i++)
			assert_int_equal(words[i], pattern(0x8f8 + 0xff8 + i * 8));
		assert_non_null(memory_map(memory, gpa(0x40ff8), sizeof(words)));
		/* The last bytes of the file, and the first after them. */
		assert_reads(memory, 0x40000 + MIB - 40 - 0x8f8 - 8, pattern(MIB - 48));
		assert_fault(memory, 0x40000 + MIB - 40 - 0x8f8 - 8, 16, MEMORY_NOT_SAVED,
			     0x40000 + MIB - 40 - 0x8f8);
		assert_null(memory_map(memory, gpa(0x40000 + MIB - 40 - 0x8f8 - 8), 16));
		assert_fault(memory, 0x400010, 8, MEMORY_NOT_SAVED, 0x400010);
		assert_null(memory_map(memory, gpa(0x400000), 8));
	}
}

static void test_bad_ranges_are_refused(void **state)
{
	_cleanup_close_ int fd = temporary(true);
	_cleanup_memory_ struct memory *memory = create();
	_cleanup_close_ int directory = open("/", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_error(memory_add_missing(memory, gpa(0x1001), 0x1000), NUNCHI_ERROR_DATA);
	assert_error(memory_add_missing(memory, gpa(0x1000), 0x1001), NUNCHI_ERROR_DATA);
	assert_error(memory_add_missing(memory, gpa(0x1000), 0), NUNCHI_ERROR_DATA);
	assert_error(memory_add_missing(memory, gpa(0x1000), UINT64_MAX & ~PAGE_MASK),
		     NUNCHI_ERROR_DATA);
	assert_error(memory_add_missing(memory, gpa(UINT64_C(1) << 52), 0x1000), NUNCHI_ERROR_DATA);
	assert_error(memory_add_window(memory, gpa(0), 0x1000, fd, UINT64_MAX - 5, 0),
		     NUNCHI_ERROR_DATA);
	assert_error(memory_add_window(memory, gpa(0), 0x1000, fd, INT64_MAX - 5, 0),
		     NUNCHI_ERROR_DATA);
	assert_error(memory_add_window(memory, gpa(0), 0x1000, fd, 8, MEMORY_WINDOW_LIVE),
		     NUNCHI_ERROR_DATA);
	assert_error(memory_add_window(memory, gpa(0), 0x1000, directory, 0, 0),
		     NUNCHI_ERROR_UNSUPPORTED);
	assert_error(memory_add_window(memory, gpa(0), 0x1000, -1, 0, 0), NUNCHI_ERROR_IO);
	assert_fault(memory, 0, 8, MEMORY_NO_RAM, 0);
	assert_null(memory_add_missing(memory, gpa(0x3000), 0x2000));
	assert_null(memory_add_missing(memory, gpa(0x1000), 0x2000));
	/* Nothing can be read before it is sealed. */
	assert_fault(memory, 0x3000, 8, MEMORY_NO_RAM, 0x3000);
	assert_null(memory_seal(memory));
	assert_fault(memory, 0x3000, 8, MEMORY_NOT_SAVED, 0x3000);
	assert_error(memory_add_missing(memory, gpa(0x8000), 0x1000), NUNCHI_ERROR_ARGUMENT);
	assert_error(memory_seal(memory), NUNCHI_ERROR_ARGUMENT);
}

static void test_overlaps_are_refused(void **state)
{
	_cleanup_memory_ struct memory *memory = create();
	struct nunchi_error *err;
	uint64_t address = 0;

	(void)state;
	assert_null(memory_add_missing(memory, gpa(0x5000), 0x1000));
	assert_null(memory_add_missing(memory, gpa(0x1000), 0x5000));
	err = memory_seal(memory);
	assert_non_null(err);
	assert_true(nunchi_error_address(err, &address));
	assert_int_equal(address, 0x5000);
	assert_error(err, NUNCHI_ERROR_DATA);
	assert_fault(memory, 0x1000, 8, MEMORY_NO_RAM, 0x1000);
}

struct source {
	uint64_t bad; /* offset from which it fails */
	enum memory_fault fault;
	unsigned calls, destroyed;
	bool lies; /* about where */
};

static enum memory_fault read_source(void *data, uint64_t offset, void *buffer, size_t size,
				     uint64_t *fault_offset)
{
	struct source *source = data;

	source->calls++;
	assert_true(offset + size <= 0x4000);
	for (size_t i = 0; i < size; i++) {
		if (offset + i >= source->bad) {
			*fault_offset = source->lies ? UINT64_MAX : offset + i;
			return source->fault;
		}
		((uint8_t *)buffer)[i] = (uint8_t)(offset + i);
	}
	return MEMORY_OK;
}

static void destroy_source(void *data)
{
	((struct source *)data)->destroyed++;
}

static void test_readers_and_neighbours(void **state)
{
	_cleanup_close_ int fd = temporary(true);
	struct source source = {.bad = UINT64_MAX};
	struct source bad = {.bad = 0x2345, .fault = MEMORY_IO};
	struct memory *memory = create();
	const struct memory_range *ranges;
	uint8_t bytes[0x3000];
	size_t count;

	(void)state;
	fill(fd, 0, 0x4000);
	assert_null(
	    memory_add_reader(memory, gpa(0x4000), 0x4000, read_source, destroy_source, &source));
	assert_null(memory_add_window(memory, gpa(0), 0x4000, fd, 0, 0));
	assert_null(
	    memory_add_reader(memory, gpa(0xc000), 0x4000, read_source, destroy_source, &bad));
	assert_null(memory_add_missing(memory, gpa(0x8000), 0x4000));
	assert_null(memory_seal(memory));
	ranges = memory_ranges(memory, &count);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(ranges[i].start.v, i * 0x4000);
		assert_int_equal(ranges[i].size, 0x4000);
	}
	/* Over the border from a window into a reader. */
	assert_int_equal(memory_read(memory, gpa(0x3ff8), bytes, 0x108, NULL), MEMORY_OK);
	assert_memory_equal(bytes, &(uint64_t){pattern(0x3ff8)}, 8);
	for (size_t i = 0; i < 0x100; i++)
		assert_int_equal(bytes[8 + i], (uint8_t)i);
	assert_int_equal(source.calls, 1);
	assert_null(memory_map(memory, gpa(0x4000), 8));
	assert_fault(memory, 0x7ff0, 0x20, MEMORY_NOT_SAVED, 0x8000);
	/* What a reader could not read, at its place. */
	assert_fault(memory, 0xd000, 0x2000, MEMORY_IO, 0xe345);
	assert_int_equal(memory_read(memory, gpa(0xd000), bytes, 0x1345, NULL), MEMORY_OK);
	bad.lies = true;
	assert_fault(memory, 0xe000, 0x1000, MEMORY_IO, 0xe000);
	memory_destroy(memory);
	assert_int_equal(source.destroyed, 1);
	assert_int_equal(bad.destroyed, 1);
}

/* As ELF cores have them; descriptors and mappings must not grow with them. */
static void test_thousands_of_ranges(void **state)
{
	_cleanup_close_ int fd = temporary(false);
	_cleanup_memory_ struct memory *memory = create();
	struct rlimit old, few;
	gpa_t start, end;

	(void)state;
	fill(fd, 0, 4 * MIB);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (uint64_t i = 1000; i-- > 0;) {
		assert_null(memory_add_window(memory, gpa(i * 0x5000), 0x1000, fd, i * 0x1000, 0));
		assert_null(memory_add_missing(memory, gpa(i * 0x5000 + 0x2000), 0x1000));
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_null(memory_seal(memory));
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t at = i * 617 % 1000;

		assert_reads(memory, at * 0x5000 + 0xff8, pattern(at * 0x1000 + 0xff8));
		assert_fault(memory, at * 0x5000 + 0x1000, 8, MEMORY_NO_RAM, at * 0x5000 + 0x1000);
		assert_fault(memory, at * 0x5000 + 0x2000, 8, MEMORY_NOT_SAVED,
			     at * 0x5000 + 0x2000);
		assert_true(memory_next_data(memory, gpa(at * 0x5000 + 0x800), &start, &end));
		assert_int_equal(start.v, at * 0x5000 + 0x800);
		assert_int_equal(end.v, at * 0x5000 + 0x1000);
	}
}

static void expect_extent(struct memory *memory, uint64_t from, uint64_t start, uint64_t end)
{
	gpa_t first, last;

	assert_true(memory_next_data(memory, gpa(from), &first, &last));
	assert_int_equal(first.v, start);
	assert_int_equal(last.v, end);
}

/* Data at 1 MiB, 64 KiB of it, and at 7 MiB one page; holes elsewhere. */
static int sparse_file(bool tmpfs)
{
	int fd = temporary(tmpfs);

	assert_int_equal(ftruncate(fd, (off_t)(8 * MIB)), 0);
	fill(fd, MIB, 64 << 10);
	fill(fd, 7 * MIB, 0x1000);
	return fd;
}

static void test_holes_are_never_touched(void **state)
{
	_cleanup_free_ uint8_t *buffer = malloc(8 * MIB);

	(void)state;
	/* tmpfs grows when a hole is touched, whether it is a running guest's or a saved one's. */
	for (int live = 0; live < 2; live++) {
		_cleanup_close_ int fd = sparse_file(true);
		_cleanup_memory_ struct memory *memory = create();
		uint64_t before = blocks(fd);

		assert_null(memory_add_window(memory, gpa(0), 8 * MIB, fd, 0,
					      live ? MEMORY_WINDOW_LIVE : 0));
		assert_null(memory_seal(memory));
		assert_reads(memory, 0, 0);
		assert_reads(memory, MIB - 8, 0);
		assert_reads(memory, MIB, pattern(MIB));
		assert_reads(memory, MIB - 8, 0);
		assert_int_equal(memory_read(memory, gpa(MIB - 4), buffer, 8, NULL), MEMORY_OK);
		assert_null(memory_map(memory, gpa(0), 1));
		assert_null(memory_map(memory, gpa(MIB - 1), 2));
		assert_null(memory_map(memory, gpa(MIB), (64 << 10) + 1));
		assert_non_null(memory_map(memory, gpa(MIB), 64 << 10));
		memset(buffer, 0xff, 8 * MIB);
		assert_int_equal(memory_read(memory, gpa(0), buffer, 8 * MIB, NULL), MEMORY_OK);
		for (uint64_t at = 0; at < 8 * MIB; at += 8) {
			bool data = (at >= MIB && at < MIB + (64 << 10)) ||
				    (at >= 7 * MIB && at < 7 * MIB + 0x1000);
			uint64_t value;

			memcpy(&value, buffer + at, 8);
			assert_int_equal(value, data ? pattern(at) : 0);
		}
		expect_extent(memory, 4 * MIB, 7 * MIB, 7 * MIB + 0x1000);
		expect_extent(memory, 0, MIB, MIB + (64 << 10));
		expect_extent(memory, MIB + 0x2345, MIB + 0x2345, MIB + (64 << 10));
		expect_extent(memory, MIB + (64 << 10), 7 * MIB, 7 * MIB + 0x1000);
		assert_false(
		    memory_next_data(memory, gpa(7 * MIB + 0x1000), &(gpa_t){0}, &(gpa_t){0}));
		assert_int_equal(blocks(fd), before);
	}
}

static void test_live_file_on_disk(void **state)
{
	_cleanup_close_ int fd = sparse_file(false);
	_cleanup_memory_ struct memory *memory = create();
	uint64_t before;

	(void)state;
	assert_int_equal(fsync(fd), 0);
	before = blocks(fd);
	assert_null(memory_add_window(memory, gpa(0), 8 * MIB, fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(memory));
	assert_reads(memory, 0, 0);
	assert_null(memory_map(memory, gpa(0), 1));
	assert_reads(memory, MIB + 8, pattern(MIB + 8));
	assert_non_null(memory_map(memory, gpa(MIB), 64 << 10));
	expect_extent(memory, 0, MIB, MIB + (64 << 10));
	assert_int_equal(blocks(fd), before);
}

/* What is known of holes is forgotten with the generation. */
static void test_generations_of_holes(void **state)
{
	_cleanup_close_ int fd = sparse_file(true);
	_cleanup_memory_ struct memory *memory = create();
	uint64_t generation, before;

	(void)state;
	assert_null(memory_add_window(memory, gpa(0), 8 * MIB, fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(memory));
	generation = memory_generation(memory);
	assert_int_not_equal(generation, 0);
	expect_extent(memory, MIB, MIB, MIB + (64 << 10));
	assert_non_null(memory_map(memory, gpa(MIB), 0x1000));
	assert_reads(memory, 2 * MIB, 0);
	/* The guest gives a page back, as a balloon does, and takes another. */
	assert_int_equal(
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)MIB, 0x1000), 0);
	fill(fd, 2 * MIB, 0x1000);
	before = blocks(fd);
	memory_new_generation(memory);
	assert_int_not_equal(memory_generation(memory), generation);
	assert_null(memory_map(memory, gpa(MIB), 0x1000));
	assert_reads(memory, MIB, 0);
	assert_reads(memory, 2 * MIB, pattern(2 * MIB));
	expect_extent(memory, MIB, MIB + 0x1000, MIB + (64 << 10));
	assert_int_equal(blocks(fd), before);
}

/* Every other page is a hole: the worst there is. */
static void test_fragmented_file(void **state)
{
	_cleanup_close_ int fd = temporary(true);
	_cleanup_memory_ struct memory *memory = create();
	_cleanup_free_ uint64_t *words = malloc(4 * MIB);
	uint64_t before;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(64 * MIB)), 0);
	for (uint64_t at = 0; at < 64 * MIB; at += 0x2000)
		fill(fd, at, 0x1000);
	before = blocks(fd);
	assert_null(memory_add_window(memory, gpa(0), 64 * MIB, fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(memory));
	assert_int_equal(memory_read(memory, gpa(0x800), words, 4 * MIB, NULL), MEMORY_OK);
	for (uint64_t i = 0; i < 4 * MIB / 8; i++) {
		uint64_t at = 0x800 + i * 8;

		assert_int_equal(words[i], at & 0x1000 ? 0 : pattern(at));
	}
	for (uint64_t at = 32 * MIB; at < 33 * MIB; at += 0x1000)
		assert_int_equal(memory_map(memory, gpa(at), 0x1000) != NULL, !(at & 0x1000));
	assert_int_equal(blocks(fd), before);
}

/* A live file on hugetlbfs has holes that nothing can tell: it is never mapped. */
static void test_hugetlbfs(void **state)
{
	_cleanup_close_ int fd = memfd_create("nunchi-test", MFD_CLOEXEC | MFD_HUGETLB);
	_cleanup_memory_ struct memory *memory = create();

	(void)state;
	if (fd < 0 || ftruncate(fd, (off_t)(4 * MIB)))
		skip();
	assert_null(memory_add_window(memory, gpa(0), 4 * MIB, fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(memory));
	assert_null(memory_map(memory, gpa(0), 8));
	assert_reads(memory, 3 * MIB, 0);
	assert_int_equal(blocks(fd), 0);
}

/* Mapping takes address space alone: a guest of 1 TiB is as cheap as its use. */
static void test_large_guest(void **state)
{
	_cleanup_close_ int fd = temporary(true);
	_cleanup_memory_ struct memory *memory = create();
	uint64_t size = (uint64_t)1 << 40;
	gpa_t start, end;

	(void)state;
	/* ThreadSanitizer leaves 1.5 TiB for all mappings, so that one of 1 TiB fails by chance. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
	skip();
#endif
#endif
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	fill(fd, size - 0x1000, 0x1000);
	fill(fd, size / 2, 0x1000);
	assert_null(memory_add_window(memory, gpa(0), size, fd, 0, MEMORY_WINDOW_LIVE));
	assert_null(memory_seal(memory));
	/* What is known of holes is bounded, and places of it are shared. */
	for (int i = 0; i < 2; i++) {
		assert_non_null(memory_map(memory, gpa(size / 2), 8));
		assert_reads(memory, size / 4, 0);
		assert_null(memory_map(memory, gpa(size / 4), 8));
	}
	assert_null(memory_count_pages(memory));
	assert_reads(memory, size - 8, pattern(size - 8));
	assert_reads(memory, size / 2, pattern(size / 2));
	assert_reads(memory, size / 4, 0);
	assert_true(memory_next_data(memory, gpa(0), &start, &end));
	assert_int_equal(start.v, size / 2);
	assert_int_equal(end.v, size / 2 + 0x1000);
	assert_int_equal(memory_stats(memory).pages_touched, 3);
	assert_int_equal(blocks(fd), 16);
}

static void test_stats(void **state)
{
	_cleanup_close_ int fd = temporary(false);
	_cleanup_memory_ struct memory *memory = create();
	struct source source = {.bad = UINT64_MAX};
	uint8_t bytes[0x3000];

	(void)state;
	fill(fd, 0, MIB);
	assert_error(memory_count_pages(memory), NUNCHI_ERROR_ARGUMENT);
	assert_null(memory_add_window(memory, gpa(0), MIB, fd, 0, 0));
	assert_null(memory_add_reader(memory, gpa(MIB), 0x4000, read_source, NULL, &source));
	assert_null(memory_seal(memory));
	assert_int_equal(memory_read(memory, gpa(0), bytes, 100, NULL), MEMORY_OK);
	assert_int_equal(memory_stats(memory).bytes_read, 100);
	assert_int_equal(memory_stats(memory).pages_touched, 0);
	assert_null(memory_count_pages(memory));
	assert_null(memory_count_pages(memory));
	for (int i = 0; i < 3; i++)
		assert_int_equal(memory_read(memory, gpa(0xff0), bytes, 0x20, NULL), MEMORY_OK);
	assert_int_equal(memory_stats(memory).pages_touched, 2);
	assert_int_equal(memory_stats(memory).bytes_read, 100 + 3 * 0x20);
	assert_non_null(memory_map(memory, gpa(0x1800), 0x3000));
	assert_int_equal(memory_stats(memory).pages_touched, 5);
	/* Over the border of two ranges. */
	assert_int_equal(memory_read(memory, gpa(MIB - 1), bytes, 0x1002, NULL), MEMORY_OK);
	assert_int_equal(memory_stats(memory).pages_touched, 8);
}

static void test_strings(void **state)
{
	(void)state;
	for (int i = MEMORY_OK; i <= MEMORY_NOT_CAPTURED; i++)
		assert_string_not_equal(memory_fault_string(i), "unknown fault");
}

/* ---- SIGBUS: in children, where cmocka's own handler is out of the way ------------------------
 */

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(3);                                                                  \
		}                                                                                  \
	} while (0)

static int run_child(void (*body)(void))
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct rlimit none = {0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL);
		body();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct memory *guarded(int fd, uint64_t size, unsigned flags)
{
	struct memory *memory = NULL;

	require(!memory_create(true, &memory));
	require(!memory_add_window(memory, gpa(0), size, fd, 0, flags));
	require(!memory_seal(memory));
	return memory;
}

static unsigned count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned lines = 0;
	int c;

	require(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static void truncate_while_mapped(bool tmpfs, unsigned flags)
{
	int fd = temporary(tmpfs);
	struct memory *memory;
	const uint64_t *map;
	uint64_t value = 1;
	uint8_t *bytes = malloc(4 * MIB);
	gpa_t at = gpa(0);
	unsigned mappings;

	fill(fd, 0, 4 * MIB);
	memory = guarded(fd, 4 * MIB, flags);
	require(memory_read(memory, gpa(0), bytes, 4 * MIB, NULL) == MEMORY_OK);
	map = memory_map(memory, gpa(0), 4 * MIB);
	require(map && map[MIB / 8] == pattern(MIB));
	require(ftruncate(fd, (off_t)MIB) == 0);
	require(!memory_gone(memory));
	mappings = count_mappings();
	/* What is left can be read; what is lost says so. */
	require(memory_read(memory, gpa(MIB - 8), &value, 8, NULL) == MEMORY_OK);
	require(value == pattern(MIB - 8));
	require(memory_read(memory, gpa(2 * MIB), &value, 8, &at) == MEMORY_GONE);
	require(at.v == 2 * MIB);
	require(memory_gone(memory));
	require(memory_read(memory, gpa(MIB - 4), bytes, 8, &at) == MEMORY_GONE && at.v == MIB);
	require(memory_read(memory, gpa(MIB - 8), &value, 8, NULL) == MEMORY_OK);
	require(value == pattern(MIB - 8));
	require(memory_read(memory, gpa(0), bytes, 4 * MIB, &at) == MEMORY_GONE && at.v == MIB);
	/* Pointers given out before read as zeros there, below and above the first touch. */
	require(map[2 * MIB / 8] == 0 && map[4 * MIB / 8 - 1] == 0 && map[MIB / 8] == 0);
	require(map[0] == pattern(0));
	for (uint64_t at_page = MIB; at_page < 4 * MIB; at_page += 0x1000)
		require(map[at_page / 8] == 0);
	/* Neighbours that are lost become one mapping. */
	require(count_mappings() <= mappings + 4);
	require(!memory_map(memory, gpa(0), 8));
	memory_destroy(memory);
	free(bytes);
	close(fd);
}

static void child_truncated(void)
{
	for (int tmpfs = 0; tmpfs < 2; tmpfs++) {
		truncate_while_mapped(tmpfs, 0);
		truncate_while_mapped(tmpfs, MEMORY_WINDOW_LIVE);
	}
}

static void test_truncated_while_mapped(void **state)
{
	(void)state;
	assert_int_equal(run_child(child_truncated), 0);
}

/* A mapping of a file that ends before it. */
static volatile uint8_t *broken_mapping(void)
{
	int fd = memfd_create("nunchi-test", MFD_CLOEXEC);
	void *map = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd, 0);

	require(map != MAP_FAILED);
	close(fd);
	return map;
}

static void use_guard(void)
{
	int fd = temporary(true);
	struct memory *memory;
	uint64_t value;

	fill(fd, 0, MIB);
	memory = guarded(fd, MIB, 0);
	require(memory_read(memory, gpa(0), &value, 8, NULL) == MEMORY_OK);
	require(ftruncate(fd, 0) == 0);
	require(memory_read(memory, gpa(0x1000), &value, 8, NULL) == MEMORY_GONE);
	memory_destroy(memory);
	close(fd);
}

static sigjmp_buf escape;
static volatile sig_atomic_t chained;
static void *volatile chained_address;

static void handle_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	require(number == SIGBUS);
	chained++;
	chained_address = info->si_addr;
	if (info->si_code > 0)
		siglongjmp(escape, 1);
}

static void handle_plain(int number)
{
	require(number == SIGBUS);
	chained++;
	siglongjmp(escape, 1);
}

static void child_chains_info(void)
{
	struct sigaction action = {.sa_sigaction = handle_info, .sa_flags = SA_SIGINFO};
	volatile uint8_t *broken = broken_mapping();

	require(sigaction(SIGBUS, &action, NULL) == 0);
	use_guard();
	require(chained == 0);
	for (int i = 1; i <= 3; i++) {
		if (!sigsetjmp(escape, 1))
			(void)*broken;
		require(chained == i && chained_address == (void *)broken);
	}
	use_guard();
	require(chained == 3);
	/* One that was sent is none of ours either. */
	raise(SIGBUS);
	require(chained == 4);
}

static void child_chains_plain(void)
{
	volatile uint8_t *broken = broken_mapping();

	signal(SIGBUS, handle_plain);
	use_guard();
	if (!sigsetjmp(escape, 1))
		(void)*broken;
	require(chained == 1);
}

static void child_default(void)
{
	volatile uint8_t *broken = broken_mapping();

	use_guard();
	(void)*broken;
}

static void child_default_sent(void)
{
	use_guard();
	raise(SIGBUS);
}

static void child_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	use_guard();
	raise(SIGBUS);
	raise(SIGBUS);
}

/* A handler that returns after one shot leaves the second to the default. */
static void handle_and_return(int number)
{
	(void)number;
	chained++;
}

static void child_one_shot(void)
{
	struct sigaction action = {.sa_handler = handle_and_return, .sa_flags = SA_RESETHAND};
	volatile uint8_t *broken = broken_mapping();

	require(sigaction(SIGBUS, &action, NULL) == 0);
	use_guard();
	(void)*broken;
}

static void test_other_sigbus_is_passed_on(void **state)
{
	int status;

	(void)state;
	assert_int_equal(run_child(child_chains_info), 0);
	assert_int_equal(run_child(child_chains_plain), 0);
	assert_int_equal(run_child(child_ignored), 0);
	status = run_child(child_default);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_child(child_default_sent);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_child(child_one_shot);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void child_opted_out(void)
{
	int fd = temporary(true);
	struct memory *memory;
	uint64_t value;

	fill(fd, 0, MIB);
	require(!memory_create(false, &memory));
	require(!memory_add_window(memory, gpa(0), MIB, fd, 0, 0));
	require(!memory_seal(memory));
	require(memory_read(memory, gpa(0x1000), &value, 8, NULL) == MEMORY_OK);
	require(ftruncate(fd, 0) == 0);
	memory_read(memory, gpa(0x1000), &value, 8, NULL);
}

static void test_opt_out_of_guard(void **state)
{
	int status = run_child(child_opted_out);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void *guard_thread(void *data)
{
	(void)data;
	for (int i = 0; i < 50; i++)
		use_guard();
	return NULL;
}

static void child_threads(void)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		require(pthread_create(&threads[i], NULL, guard_thread, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		require(pthread_join(threads[i], NULL) == 0);
}

static void test_guard_in_threads(void **state)
{
	(void)state;
	assert_int_equal(run_child(child_threads), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_windows),
	    cmocka_unit_test(test_unaligned_offset_and_short_file),
	    cmocka_unit_test(test_bad_ranges_are_refused),
	    cmocka_unit_test(test_overlaps_are_refused),
	    cmocka_unit_test(test_readers_and_neighbours),
	    cmocka_unit_test(test_thousands_of_ranges),
	    cmocka_unit_test(test_holes_are_never_touched),
	    cmocka_unit_test(test_live_file_on_disk),
	    cmocka_unit_test(test_generations_of_holes),
	    cmocka_unit_test(test_fragmented_file),
	    cmocka_unit_test(test_hugetlbfs),
	    cmocka_unit_test(test_large_guest),
	    cmocka_unit_test(test_stats),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_truncated_while_mapped),
	    cmocka_unit_test(test_other_sigbus_is_passed_on),
	    cmocka_unit_test(test_opt_out_of_guard),
	    cmocka_unit_test(test_guard_in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
