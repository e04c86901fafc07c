/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"
#include "memory/virtual.h"

#include "page_writer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define RAM_SIZE ((uint64_t)8 << 20)
#define TABLES   ((uint64_t)1 << 20)

static const enum x86_mode all_modes[] = {X86_MODE_32BIT, X86_MODE_PAE, X86_MODE_4LEVEL,
					  X86_MODE_5LEVEL};

/* How the same bytes are reached. */
enum way {
	WAY_SAVED,     /* a window */
	WAY_UNALIGNED, /* a window at an odd place of a file */
	WAY_LIVE,      /* a window with care for holes */
	WAY_READER,    /* a callback */
	WAY_COUNT
};

struct guest {
	enum way way;
	int fd;
	uint8_t *ram; /* what the tables are written to; the same bytes as the file */
	size_t map_size;
	void *map;
	struct memory *memory;
	unsigned reads; /* of the reader */
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static enum memory_fault read_guest(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	struct guest *guest = data;

	(void)fault_offset;
	assert_true(offset + size <= RAM_SIZE);
	guest->reads++;
	memcpy(buffer, guest->ram + offset, size);
	return MEMORY_OK;
}

static void guest_init(struct guest *guest, enum way way)
{
	uint64_t shift = way == WAY_UNALIGNED ? 0x1235 : 0;

	*guest = (struct guest){.way = way, .map_size = RAM_SIZE + 0x2000};
	guest->fd = memfd_create("nunchi-test", MFD_CLOEXEC);
	assert_true(guest->fd >= 0);
	assert_int_equal(ftruncate(guest->fd, (off_t)guest->map_size), 0);
	guest->map = mmap(NULL, guest->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert_true(guest->map != MAP_FAILED);
	/* Only a running guest's file has holes here. */
	if (way != WAY_LIVE)
		memset(guest->map, 0, guest->map_size);
	guest->ram = (uint8_t *)guest->map + shift;
	assert_null(memory_create(false, &guest->memory));
	if (way == WAY_READER)
		assert_null(
		    memory_add_reader(guest->memory, gpa(0), RAM_SIZE, read_guest, NULL, guest));
	else
		assert_null(memory_add_window(guest->memory, gpa(0), RAM_SIZE, guest->fd, shift,
					      way == WAY_LIVE ? MEMORY_WINDOW_LIVE : 0));
	assert_null(memory_seal(guest->memory));
}

static void guest_deinit(struct guest *guest)
{
	memory_destroy(guest->memory);
	munmap(guest->map, guest->map_size);
	close(guest->fd);
}

static struct address_space *open_space(struct guest *guest, const struct page_writer *writer)
{
	struct x86_paging paging = writer_paging(writer);
	struct address_space *space = NULL;

	assert_null(address_space_create(guest->memory, &paging, &space));
	return space;
}

static bool read_plainly(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	struct guest *guest = data;

	if (address.v > RAM_SIZE - size)
		return false;
	*ret = 0;
	memcpy(ret, guest->ram + address.v, size);
	return true;
}

/* The cache says what a fresh walk of the same bytes says. */
static void check_address(struct guest *guest, struct address_space *space, uint64_t address)
{
	struct x86_walk walk, again;
	enum x86_fault fault =
	    x86_walk(address_space_paging(space), read_plainly, guest, gva(address), &walk);
	gpa_t physical = gpa(1);
	enum memory_fault seen = address_space_translate(space, gva(address), &physical);

	assert_int_equal(address_space_walk(space, gva(address), &again), fault);
	assert_int_equal(again.level_count, walk.level_count);
	if (fault == X86_FAULT_NONE) {
		assert_int_equal(seen, MEMORY_OK);
		assert_int_equal(physical.v, walk.address.v);
	} else {
		assert_int_equal(seen, fault == X86_FAULT_READ ? MEMORY_NO_RAM : MEMORY_NOT_MAPPED);
		assert_int_equal(physical.v, 1);
	}
}

/* Addresses that are worth a look: mapped by chance in a few regions. */
static uint64_t pick_address(enum x86_mode mode, uint64_t *seed)
{
	static const uint64_t bases[] = {
	    0, 0x40000000, 0xc0000000, 0xffff888000000000, 0xffffffff80000000, 0xff11000000000000};
	uint64_t base = bases[next_random(seed) % ARRAY_SIZE(bases)];
	uint64_t offset = next_random(seed) & (next_random(seed) % 2 ? 0xffffff : 0xfffffff);

	if (next_random(seed) % 16 == 0)
		return next_random(seed);
	return mode == X86_MODE_32BIT || mode == X86_MODE_PAE ? (uint32_t)(base + offset)
							      : base + offset;
}

/* A page somewhere; what stands in its way is overwritten, even the tables by nonsense. */
static void scribble(struct page_writer *writer, uint64_t address, uint64_t *seed)
{
	unsigned level = 1 + next_random(seed) % writer_largest(writer->mode);
	struct x86_paging paging = writer_paging(writer);
	struct guest plain = {.ram = writer->ram};
	struct x86_walk walk;

	x86_walk(&paging, read_plainly, &plain, gva(address), &walk);
	if (!walk.level_count)
		return;
	if (next_random(seed) % 8 == 0) {
		/* Any entry of the walk becomes anything: not present, large, reserved, outside. */
		size_t i = next_random(seed) % walk.level_count;
		uint64_t entry = next_random(seed) & UINT64_C(0x80100000007ff0ff);

		if (walk.levels[i].entry_address.v >= TABLES)
			writer_put(writer, walk.levels[i].entry_address.v, entry);
		return;
	}
	if (writer->next + 5 * PAGE_SIZE > writer->size ||
	    walk.levels[walk.level_count - 1].level < level ||
	    (walk.levels[walk.level_count - 1].entry & 1))
		return;
	writer_map(writer, address & ~((UINT64_C(1) << writer_shift(writer->mode, level)) - 1),
		   level > 1 ? 0 : next_random(seed) & (RAM_SIZE - 1) & ~PAGE_MASK, level,
		   WRITER_RW);
}

static void compare_with_walks(enum way way, enum x86_mode mode, uint64_t *seed)
{
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;

	guest_init(&guest, way);
	writer_init(&writer, mode, guest.ram, RAM_SIZE, TABLES);
	space = open_space(&guest, &writer);
	for (int round = 0; round < 20; round++) {
		uint64_t touched[200];

		for (size_t i = 0; i < ARRAY_SIZE(touched); i++) {
			touched[i] = writer_address(mode, pick_address(mode, seed));
			scribble(&writer, touched[i], seed);
			/* Often the same page again. */
			if (next_random(seed) % 2)
				scribble(&writer, touched[i], seed);
		}
		memory_new_generation(guest.memory);
		for (size_t i = 0; i < ARRAY_SIZE(touched); i++)
			check_address(&guest, space, touched[i] ^ PAGE_SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(touched); i++)
			check_address(&guest, space, touched[i]);
		for (int i = 0; i < 1000; i++)
			check_address(&guest, space, pick_address(mode, seed));
	}
	address_space_destroy(space);
	guest_deinit(&guest);
}

static void test_same_as_walks(void **state)
{
	uint64_t seed = 0x6e756e636869;

	(void)state;
	for (int way = 0; way < WAY_COUNT; way++) {
		for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++)
			compare_with_walks(way, all_modes[m], &seed);
	}
}

/* A page table that is mapped is read afresh; directories and copies with the next generation. */
static void test_generations(void **state)
{
	(void)state;
	for (int way = 0; way < WAY_COUNT; way++) {
		struct page_writer writer;
		struct address_space *space;
		struct guest guest;
		gpa_t at;

		guest_init(&guest, way);
		writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
		writer_map(&writer, 0x400000, 0x5000, 1, 0);
		space = open_space(&guest, &writer);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(address_space_translate(space, gva(0x400123), &at),
					 MEMORY_OK);
			assert_int_equal(at.v, 0x5123);
		}
		writer_map(&writer, 0x400000, 0x7000, 1, 0);
		assert_int_equal(address_space_translate(space, gva(0x400123), &at), MEMORY_OK);
		assert_int_equal(at.v, way == WAY_READER ? 0x5123 : 0x7123);
		memory_new_generation(guest.memory);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(address_space_translate(space, gva(0x400123), &at),
					 MEMORY_OK);
			assert_int_equal(at.v, 0x7123);
		}
		writer_put(&writer, writer_entry(&writer, 0x400000, 2), 0);
		memory_new_generation(guest.memory);
		assert_int_equal(address_space_translate(space, gva(0x400123), &at),
				 MEMORY_NOT_MAPPED);
		address_space_destroy(space);
		guest_deinit(&guest);
	}
}

static void test_switch(void **state)
{
	struct page_writer first, second;
	struct address_space *space;
	struct guest guest;
	gpa_t at;

	(void)state;
	guest_init(&guest, WAY_SAVED);
	writer_init(&first, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
	writer_map(&first, 0x400000, 0x5000, 1, 0);
	writer_init(&second, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, 2 * TABLES);
	writer_map(&second, 0x400000, 0x6000, 1, 0);
	space = open_space(&guest, &first);
	assert_ptr_equal(address_space_memory(space), guest.memory);
	for (int i = 0; i < 3; i++) {
		address_space_switch(space, gpa(first.root));
		assert_int_equal(address_space_translate(space, gva(0x400000), &at), MEMORY_OK);
		assert_int_equal(at.v, 0x5000);
		address_space_switch(space, gpa(second.root));
		assert_int_equal(address_space_paging(space)->root.v, second.root);
		assert_int_equal(address_space_translate(space, gva(0x400000), &at), MEMORY_OK);
		assert_int_equal(at.v, 0x6000);
	}
	address_space_destroy(space);
	guest_deinit(&guest);
}

/* The cache is emptied by counting, and the count comes round after two million. */
static void test_many_switches(void **state)
{
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;
	gpa_t at;

	(void)state;
	guest_init(&guest, WAY_SAVED);
	writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
	writer_map(&writer, 0x40000000, 0, 2, 0);
	space = open_space(&guest, &writer);
	assert_int_equal(address_space_translate(space, gva(0x40000000), &at), MEMORY_OK);
	writer_put(&writer, writer_entry(&writer, 0x40000000, 2), 0);
	/* The region kept under the first count is not believed under any later one. */
	for (int i = 0; i < (5 << 20); i++) {
		address_space_switch(space, gpa(i % 2 ? writer.root : 0));
		if (i % 2 &&
		    address_space_translate(space, gva(0x40000000), &at) != MEMORY_NOT_MAPPED)
			fail_msg("a stale region was believed in round %d", i);
	}
	address_space_destroy(space);
	guest_deinit(&guest);
}

/* More page tables than copies are kept of: each displaces another, none is mistaken. */
static void test_many_copied_tables(void **state)
{
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;
	unsigned reads;
	gpa_t at;

	(void)state;
	guest_init(&guest, WAY_READER);
	writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, 0);
	for (uint64_t i = 0; i < 1500; i++)
		writer_map(&writer, i << 21, (i % 2048) << PAGE_SHIFT, 1, 0);
	space = open_space(&guest, &writer);
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 1500; i++) {
			assert_int_equal(address_space_translate(space, gva(i << 21), &at),
					 MEMORY_OK);
			assert_int_equal(at.v, i << PAGE_SHIFT);
		}
	}
	/* One that is kept is not read again. */
	address_space_translate(space, gva(0), &at);
	reads = guest.reads;
	for (int i = 0; i < 100; i++)
		address_space_translate(space, gva(0), &at);
	assert_int_equal(guest.reads, reads);
	address_space_destroy(space);
	guest_deinit(&guest);
}

static void fill_pattern(struct guest *guest)
{
	for (uint64_t i = 0; i < TABLES / 8; i++)
		memcpy(guest->ram + i * 8, &(uint64_t){i * UINT64_C(0x9e3779b97f4a7c15)}, 8);
}

static void check_runs(enum way way, enum x86_mode mode)
{
	/* Frames of pages 0..7 at 0x7ff000 (over the end of a page table in PAE and long mode). */
	static const uint64_t frames[] = {0x10000, 0x11000, 0x12000, 0x20000,
					  0x21000, 0x30000, 0x2f000, 0x2e000};
	uint8_t expected[8 * PAGE_SIZE], seen[8 * PAGE_SIZE];
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;
	gva_t fault = gva(1);
	uint64_t size;
	gpa_t at;

	guest_init(&guest, way);
	fill_pattern(&guest);
	writer_init(&writer, mode, guest.ram, RAM_SIZE, TABLES);
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		writer_map(&writer, 0x7ff000 + i * PAGE_SIZE, frames[i], 1, 0);
		memcpy(expected + i * PAGE_SIZE, guest.ram + frames[i], PAGE_SIZE);
	}
	space = open_space(&guest, &writer);
	for (int pass = 0; pass < 2; pass++) {
		assert_int_equal(
		    address_space_translate_run(space, gva(0x7ff010), 0x8000, &at, &size),
		    MEMORY_OK);
		assert_int_equal(at.v, 0x10010);
		assert_int_equal(size, 0x2ff0);
		assert_int_equal(
		    address_space_translate_run(space, gva(0x7ff010), 0x123, &at, &size),
		    MEMORY_OK);
		assert_int_equal(size, 0x123);
		assert_int_equal(
		    address_space_translate_run(space, gva(0x806ff8), 0x8000, &at, &size),
		    MEMORY_OK);
		assert_int_equal(size, 8);
		assert_int_equal(address_space_translate_run(space, gva(0x807000), 1, &at, &size),
				 MEMORY_NOT_MAPPED);
		memset(seen, 0, sizeof(seen));
		assert_int_equal(address_space_read(space, gva(0x7ff000), seen, sizeof(seen), NULL),
				 MEMORY_OK);
		assert_memory_equal(seen, expected, sizeof(seen));
		assert_int_equal(address_space_read(space, gva(0x801ffb), seen, 10, NULL),
				 MEMORY_OK);
		assert_memory_equal(seen, expected + 0x2ffb, 10);
	}
	assert_int_equal(address_space_read(space, gva(0x806ff0), seen, 0x11, &fault),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(fault.v, 0x807000);
	assert_int_equal(address_space_read(space, gva(0x7fefff), seen, 2, &fault),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(fault.v, 0x7fefff);
	if (way == WAY_READER) {
		assert_null(address_space_map(space, gva(0x7ff010), 8));
	} else {
		const uint8_t *map = address_space_map(space, gva(0x7ff010), 0x2ff0);

		assert_non_null(map);
		assert_memory_equal(map, expected + 0x10, 0x2ff0);
		assert_null(address_space_map(space, gva(0x7ff010), 0x2ff1));
		assert_null(address_space_map(space, gva(0x7ff010), 0));
	}
	address_space_destroy(space);
	guest_deinit(&guest);
}

static void test_runs_and_reads(void **state)
{
	(void)state;
	for (int way = 0; way < WAY_COUNT; way++) {
		for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++)
			check_runs(way, all_modes[m]);
	}
}

/* Neighbouring large pages are one run; a page of RAM that is not there faults at its address. */
static void test_large_pages(void **state)
{
	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(all_modes); m++) {
		uint64_t large = UINT64_C(1) << writer_shift(all_modes[m], 2);
		struct page_writer writer;
		struct address_space *space;
		struct guest guest;
		uint64_t size, value;
		uint8_t *bytes = malloc(RAM_SIZE);
		gva_t fault;
		gpa_t at;

		guest_init(&guest, WAY_SAVED);
		fill_pattern(&guest);
		writer_init(&writer, all_modes[m], guest.ram, RAM_SIZE, TABLES);
		for (uint64_t i = 0; i < 4; i++)
			writer_map(&writer, 0x40000000 + i * large, i * large, 2, 0);
		space = open_space(&guest, &writer);
		assert_int_equal(
		    address_space_translate_run(space, gva(0x40000008), 16 * large, &at, &size),
		    MEMORY_OK);
		assert_int_equal(at.v, 8);
		assert_int_equal(size, 4 * large - 8);
		assert_int_equal(address_space_read_u64(space, gva(0x40000808), &value), MEMORY_OK);
		assert_memory_equal(&value, guest.ram + 0x808, 8);
		assert_int_equal(address_space_read(space, gva(0x40000000), bytes, RAM_SIZE, NULL),
				 MEMORY_OK);
		assert_memory_equal(bytes, guest.ram, RAM_SIZE);
		if (4 * large > RAM_SIZE) {
			assert_int_equal(address_space_read(space, gva(0x40000000 + RAM_SIZE - 4),
							    bytes, 8, &fault),
					 MEMORY_NO_RAM);
			assert_int_equal(fault.v, 0x40000000 + RAM_SIZE);
		}
		free(bytes);
		address_space_destroy(space);
		guest_deinit(&guest);
	}
}

/* The address space ends; a read does not come round to its start. */
static void test_end_of_addresses(void **state)
{
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;
	uint8_t bytes[32];
	uint64_t size;
	gva_t fault;
	gpa_t at;

	(void)state;
	guest_init(&guest, WAY_SAVED);
	fill_pattern(&guest);
	writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
	writer_map(&writer, UINT64_C(0xfffffffffffff000), 0x5000, 1, 0);
	writer_map(&writer, 0, 0x6000, 1, 0);
	space = open_space(&guest, &writer);
	assert_int_equal(address_space_read(space, gva(UINT64_MAX - 7), bytes, 8, NULL), MEMORY_OK);
	assert_memory_equal(bytes, guest.ram + 0x5ff8, 8);
	assert_int_equal(address_space_read(space, gva(UINT64_MAX - 7), bytes, 9, &fault),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(fault.v, 0);
	assert_int_equal(
	    address_space_translate_run(space, gva(UINT64_MAX - 7), UINT64_MAX, &at, &size),
	    MEMORY_OK);
	assert_int_equal(at.v, 0x5ff8);
	assert_int_equal(size, 8);
	assert_null(address_space_map(space, gva(UINT64_MAX - 7), 9));
	address_space_destroy(space);
	guest_deinit(&guest);
}

/* Page tables in a hole are empty, and stay a hole. */
static void test_tables_in_a_hole(void **state)
{
	struct page_writer writer;
	struct address_space *space;
	struct guest guest;
	struct stat before, after;
	gpa_t at;

	(void)state;
	guest_init(&guest, WAY_LIVE);
	writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
	writer_put(&writer, writer_entry(&writer, 0x400000, 2), 0x7000 | WRITER_P);
	writer_put(&writer, writer_entry(&writer, 0x40000000, 3), 0x8000 | WRITER_P);
	writer_map(&writer, 0x80000000, 0x9000, 1, 0);
	space = open_space(&guest, &writer);
	assert_int_equal(fstat(guest.fd, &before), 0);
	for (int i = 0; i < 2; i++) {
		uint64_t value = 1;

		assert_int_equal(address_space_translate(space, gva(0x400000), &at),
				 MEMORY_NOT_MAPPED);
		assert_int_equal(address_space_translate(space, gva(0x40000000), &at),
				 MEMORY_NOT_MAPPED);
		assert_int_equal(address_space_read_u64(space, gva(0x80000000), &value), MEMORY_OK);
		assert_int_equal(value, 0);
		assert_null(address_space_map(space, gva(0x80000000), 8));
	}
	assert_int_equal(fstat(guest.fd, &after), 0);
	assert_int_equal(before.st_blocks, after.st_blocks);
	address_space_destroy(space);
	guest_deinit(&guest);
}

/* In a child, where the handler of SIGBUS is not cmocka's. */
static int lose_tables(struct guest *guest, struct address_space *space)
{
	gpa_t at;
	gva_t fault = gva(0);
	uint64_t value;

	signal(SIGBUS, SIG_DFL);
	/* Twice: the second translation takes what the first one kept. */
	for (int i = 0; i < 2; i++)
		if (address_space_translate(space, gva(0x400000), &at) != MEMORY_OK)
			return 1;
	if (ftruncate(guest->fd, PAGE_SIZE))
		return 2;
	/* The page table that was kept is zeros now, which is not to be taken for "not present". */
	if (address_space_translate(space, gva(0x400000), &at) != MEMORY_GONE)
		return 3;
	if (address_space_read(space, gva(0x400000), &value, 8, &fault) != MEMORY_GONE ||
	    fault.v != 0x400000)
		return 4;
	return address_space_map(space, gva(0x400000), 8) ? 5 : 0;
}

static void test_lost_tables(void **state)
{
	(void)state;
	for (int way = WAY_SAVED; way <= WAY_LIVE; way++) {
		struct page_writer writer;
		struct address_space *space;
		struct guest guest;
		int status;
		pid_t pid;

		guest_init(&guest, way);
		memory_destroy(guest.memory);
		assert_null(memory_create(true, &guest.memory));
		assert_null(memory_add_window(guest.memory, gpa(0), RAM_SIZE, guest.fd,
					      (uint64_t)(guest.ram - (uint8_t *)guest.map),
					      way == WAY_LIVE ? MEMORY_WINDOW_LIVE : 0));
		assert_null(memory_seal(guest.memory));
		writer_init(&writer, X86_MODE_4LEVEL, guest.ram, RAM_SIZE, TABLES);
		writer_map(&writer, 0x400000, 0x5000, 1, 0);
		space = open_space(&guest, &writer);
		fflush(NULL);
		pid = fork();
		if (pid == 0)
			_exit(lose_tables(&guest, space));
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		address_space_destroy(space);
		guest_deinit(&guest);
	}
}

/* Every table is the same one, or every entry is all ones. */
static void test_hostile_tables(void **state)
{
	(void)state;
	for (int way = 0; way < WAY_COUNT; way++) {
		struct page_writer writer;
		struct address_space *space;
		struct guest guest;
		uint64_t seed = 5, size;
		gpa_t at;

		guest_init(&guest, way);
		writer_init(&writer, X86_MODE_5LEVEL, guest.ram, RAM_SIZE, TABLES);
		for (unsigned i = 0; i < 512; i++)
			writer_put(&writer, writer.root + i * 8, writer.root | WRITER_P);
		space = open_space(&guest, &writer);
		for (int i = 0; i < 1000; i++)
			check_address(&guest, space,
				      writer_address(X86_MODE_5LEVEL, next_random(&seed)));
		assert_int_equal(address_space_translate_run(space, gva(0), UINT64_MAX, &at, &size),
				 MEMORY_OK);
		assert_int_equal(size, PAGE_SIZE);
		memset(guest.ram, 0xff, RAM_SIZE);
		memory_new_generation(guest.memory);
		for (int i = 0; i < 1000; i++)
			check_address(&guest, space, next_random(&seed));
		address_space_destroy(space);
		guest_deinit(&guest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_as_walks),
	    cmocka_unit_test(test_generations),
	    cmocka_unit_test(test_switch),
	    cmocka_unit_test(test_many_switches),
	    cmocka_unit_test(test_many_copied_tables),
	    cmocka_unit_test(test_runs_and_reads),
	    cmocka_unit_test(test_large_pages),
	    cmocka_unit_test(test_end_of_addresses),
	    cmocka_unit_test(test_tables_in_a_hole),
	    cmocka_unit_test(test_lost_tables),
	    cmocka_unit_test(test_hostile_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
