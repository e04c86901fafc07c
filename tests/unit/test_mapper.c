/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is mapped page by page on demand, with real mappings: what is not there is not mapped
 * either, so that touching it would end the test.
 */
#include "core/cleanup.h"
#include "memory/internal.h"
#include "memory/virtual.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#define WINDOW     ((uint64_t)1 << MAPPER_SHIFT)
#define RAM_PAGES  ((uint64_t)2048) /* the file; guest pages lead into it */
#define MOST_PAGES ((uint64_t)MAPPER_WINDOWS * 8 * MAPPER_PAGES)

struct guest {
	int fd;
	uint64_t *ram;      /* the file's pages; the first word of each is its number */
	uint32_t *where;    /* of a guest page in the file, + 1; 0: no RAM */
	uint8_t *fault;     /* of pages that are not mapped for another reason */
	size_t calls, live; /* of map; windows mapped now */
	size_t asked;       /* pages */
	bool refuse;        /* to map anything */
	bool destroyed;
	struct memory *memory;
};

static void *map_pages(void *data, const uint64_t *pages, size_t count, uint8_t *faults)
{
	struct guest *guest = data;
	uint8_t *map;

	guest->calls++;
	guest->asked += count;
	if (guest->refuse)
		return NULL;
	map = mmap(NULL, count << PAGE_SHIFT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < count; i++) {
		uint32_t where = guest->where[pages[i]];

		faults[i] = guest->fault[pages[i]] ? guest->fault[pages[i]]
			    : where                ? MEMORY_OK
						   : MEMORY_NO_RAM;
		if (faults[i] == MEMORY_OK)
			assert_true(mmap(map + (i << PAGE_SHIFT), PAGE_SIZE, PROT_READ,
					 MAP_SHARED | MAP_FIXED, guest->fd,
					 (off_t)(where - 1) << PAGE_SHIFT) != MAP_FAILED);
	}
	guest->live++;
	return map;
}

static void unmap_pages(void *data, void *map, size_t count)
{
	((struct guest *)data)->live--;
	assert_int_equal(munmap(map, count << PAGE_SHIFT), 0);
}

static void destroy_data(void *data)
{
	((struct guest *)data)->destroyed = true;
}

static const struct memory_mapper_ops ops = {map_pages, unmap_pages, destroy_data};

static struct guest *create(bool guarded)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	struct memory_mapper *mapper;

	guest->fd = memfd_create("nunchi-test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(guest->fd, (off_t)(RAM_PAGES << PAGE_SHIFT)), 0);
	guest->ram =
	    mmap(NULL, RAM_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert_true(guest->ram != MAP_FAILED);
	guest->where = calloc(MOST_PAGES, sizeof(*guest->where));
	guest->fault = calloc(MOST_PAGES, 1);
	for (uint64_t i = 0; i < RAM_PAGES; i++)
		guest->ram[i << (PAGE_SHIFT - 3)] = i;
	assert_null(memory_create(guarded, &guest->memory));
	assert_null(memory_add_mapper(guest->memory, &ops, guest, &mapper));
	assert_null(memory_add_mapped(guest->memory, gpa(0), MOST_PAGES << PAGE_SHIFT, mapper));
	assert_null(memory_seal(guest->memory));
	return guest;
}

static int setup(void **state)
{
	/* Without the guard: cmocka sets a handler of its own for each test. */
	*state = create(false);
	return 0;
}

static int teardown(void **state)
{
	struct guest *guest = *state;

	memory_destroy(guest->memory);
	/* Nothing stays mapped. */
	assert_int_equal(guest->live, 0);
	assert_true(guest->destroyed);
	munmap(guest->ram, RAM_PAGES << PAGE_SHIFT);
	close(guest->fd);
	free(guest->where);
	free(guest->fault);
	free(guest);
	return 0;
}

/* Guest pages first .. first + count - 1 are pages of the file from `at` on. */
static void give(struct guest *guest, uint64_t first, uint64_t count, uint32_t at)
{
	for (uint64_t i = 0; i < count; i++)
		guest->where[first + i] = at + (uint32_t)i + 1;
}

static enum memory_fault read_page(struct guest *guest, uint64_t page, uint64_t *ret)
{
	return memory_read(guest->memory, gpa(page << PAGE_SHIFT), ret, 8, NULL);
}

static void has(struct guest *guest, uint64_t page, uint64_t content)
{
	uint64_t value = UINT64_MAX;

	assert_int_equal(read_page(guest, page, &value), MEMORY_OK);
	assert_int_equal(value, content);
}

static void test_one_call_a_window(void **state)
{
	struct guest *guest = *state;

	give(guest, 0, 2 * MAPPER_PAGES, 0);
	for (uint64_t i = 0; i < 2 * MAPPER_PAGES; i++)
		has(guest, i, i);
	for (uint64_t i = 0; i < 2 * MAPPER_PAGES; i++)
		has(guest, i, i);
	assert_int_equal(guest->calls, 2);
	assert_int_equal(memory_stats(guest->memory).bytes_read, 4 * MAPPER_PAGES * 8);
}

static void test_across_windows_and_faults(void **state)
{
	struct guest *guest = *state;
	_cleanup_free_ uint8_t *buffer = malloc(8 << PAGE_SHIFT);
	gpa_t at = gpa(1);

	give(guest, 508, 8, 100);
	assert_int_equal(
	    memory_read(guest->memory, gpa(508 << PAGE_SHIFT), buffer, 8 << PAGE_SHIFT, &at),
	    MEMORY_OK);
	assert_memory_equal(buffer, guest->ram + (100 << (PAGE_SHIFT - 3)), 8 << PAGE_SHIFT);
	/* The first page that is not there, and why. */
	memory_renew(guest->memory);
	guest->where[513] = 0;
	assert_int_equal(
	    memory_read(guest->memory, gpa((508 << PAGE_SHIFT) + 5), buffer, 7 << PAGE_SHIFT, &at),
	    MEMORY_NO_RAM);
	assert_int_equal(at.v, 513 << PAGE_SHIFT);
	memory_renew(guest->memory);
	guest->fault[511] = MEMORY_PAGED_OUT;
	assert_int_equal(
	    memory_read(guest->memory, gpa((508 << PAGE_SHIFT) + 5), buffer, 7 << PAGE_SHIFT, &at),
	    MEMORY_PAGED_OUT);
	assert_int_equal(at.v, 511 << PAGE_SHIFT);
	assert_int_equal(memory_read(guest->memory, gpa((512 << PAGE_SHIFT) - 4), buffer, 8, &at),
			 MEMORY_PAGED_OUT);
	has(guest, 512, 104);
}

static void test_nothing_can_be_mapped(void **state)
{
	struct guest *guest = *state;
	uint64_t value;

	give(guest, 0, 512, 0);
	guest->refuse = true;
	assert_int_equal(read_page(guest, 7, &value), MEMORY_IO);
	assert_null(memory_map(guest->memory, gpa(0), 8));
	/* Not for ever. */
	guest->refuse = false;
	memory_renew(guest->memory);
	has(guest, 7, 7);
}

static void test_holes_are_learnt(void **state)
{
	struct guest *guest = *state;
	uint64_t value;
	gpa_t start, end;

	/* Windows 0, 20 and 40 have a page each; all between is hole. */
	give(guest, 3, 1, 3);
	give(guest, 20 * MAPPER_PAGES + MAPPER_PAGES - 1, 1, 4);
	give(guest, 40 * MAPPER_PAGES, 1, 5);
	/* What was not looked at may be there. */
	assert_true(memory_next_data(guest->memory, gpa(5 << PAGE_SHIFT), &start, &end));
	assert_int_equal(start.v, 5 << PAGE_SHIFT);
	assert_int_equal(end.v, WINDOW);
	for (uint64_t i = 0; i < MAPPER_WINDOWS * 8; i++)
		read_page(guest, i * MAPPER_PAGES, &value);
	assert_int_equal(guest->calls, MAPPER_WINDOWS * 8);
	/* Those with a page were put out by others meanwhile. */
	for (uint64_t i = 0; i <= 40; i += 20)
		read_page(guest, i * MAPPER_PAGES, &value);
	assert_true(memory_next_data(guest->memory, gpa(0), &start, &end));
	assert_int_equal(start.v, 3 << PAGE_SHIFT);
	assert_int_equal(end.v, 4 << PAGE_SHIFT);
	assert_true(memory_next_data(guest->memory, end, &start, &end));
	assert_int_equal(start.v, (21 * MAPPER_PAGES - 1) << PAGE_SHIFT);
	assert_true(memory_next_data(guest->memory, end, &start, &end));
	assert_int_equal(start.v, (40 * MAPPER_PAGES) << PAGE_SHIFT);
	assert_false(memory_next_data(guest->memory, end, &start, &end));
	guest->calls = 0;
	/* Now it is known, though far more windows were looked at than are kept. */
	for (uint64_t i = 1; i < 20; i++)
		assert_int_equal(read_page(guest, i * MAPPER_PAGES + 9, &value), MEMORY_NO_RAM);
	assert_int_equal(guest->calls, 0);
	/* Until the guest is asked anew. */
	give(guest, 5 * MAPPER_PAGES, 1, 77);
	memory_renew(guest->memory);
	has(guest, 5 * MAPPER_PAGES, 77);
	assert_int_equal(guest->calls, 1);
	/* Nor is a hole believed for longer than what is mapped. */
	assert_int_equal(read_page(guest, 6 * MAPPER_PAGES, &value), MEMORY_NO_RAM);
	give(guest, 6 * MAPPER_PAGES, 1, 78);
	for (size_t i = 1; i < MAPPER_GENERATIONS; i++)
		memory_new_generation(guest->memory);
	assert_int_equal(read_page(guest, 6 * MAPPER_PAGES, &value), MEMORY_NO_RAM);
	memory_new_generation(guest->memory);
	has(guest, 6 * MAPPER_PAGES, 78);
}

/* Long runs go through mappings of the moment, many pages at once. */
static void test_long_reads(void **state)
{
	struct guest *guest = *state;
	size_t size = 1500 << PAGE_SHIFT;
	_cleanup_free_ uint8_t *buffer = malloc(size);
	gpa_t at;

	give(guest, 7, 1600, 0);
	assert_int_equal(
	    memory_read(guest->memory, gpa((7 << PAGE_SHIFT) + 100), buffer, size, &at), MEMORY_OK);
	assert_memory_equal(buffer, (uint8_t *)guest->ram + 100, size);
	assert_int_equal(guest->calls, 2);
	/* Unmapped when there is time. */
	assert_int_equal(guest->live, 2);
	memory_renew(guest->memory);
	assert_int_equal(guest->live, 0);
	/* Up to a page that is not there, of which a window then tells. */
	guest->where[7 + 300] = 0;
	assert_int_equal(
	    memory_read(guest->memory, gpa((7 << PAGE_SHIFT) + 100), buffer, size, &at),
	    MEMORY_NO_RAM);
	assert_int_equal(at.v, 307 << PAGE_SHIFT);
	guest->calls = 0;
	assert_int_equal(memory_read(guest->memory, gpa(307 << PAGE_SHIFT), buffer, 1, &at),
			 MEMORY_NO_RAM);
	assert_int_equal(memory_read(guest->memory, gpa(307 << PAGE_SHIFT), buffer, size, &at),
			 MEMORY_NO_RAM);
	assert_int_equal(guest->calls, 1);
	/* Not beyond what there is at all. */
	assert_int_equal(memory_read(guest->memory, gpa((MOST_PAGES - 65) << PAGE_SHIFT), buffer,
				     66 << PAGE_SHIFT, &at),
			 MEMORY_NO_RAM);
}

/* In any order, and when there are more than are remembered. */
static void test_many_holes(void **state)
{
	struct guest *guest = *state;
	uint64_t value;

	for (uint64_t i = 0; i < 2 * MAPPER_HOLES + 2; i++) {
		uint64_t window = i * 7919 % 1024;

		assert_int_equal(read_page(guest, window * MAPPER_PAGES, &value), MEMORY_NO_RAM);
	}
	for (uint64_t window = 0; window < 1024; window++)
		assert_int_equal(read_page(guest, window * MAPPER_PAGES, &value), MEMORY_NO_RAM);
	for (uint64_t window = 1; window < 1024; window += 2)
		give(guest, window * MAPPER_PAGES, 1, (uint32_t)window);
	memory_renew(guest->memory);
	for (uint64_t window = 0; window < 1024; window++) {
		enum memory_fault fault = read_page(guest, window * MAPPER_PAGES, &value);

		assert_int_equal(fault, window % 2 ? MEMORY_OK : MEMORY_NO_RAM);
	}
}

static void test_budget(void **state)
{
	struct guest *guest = *state;

	for (uint64_t i = 0; i < MAPPER_WINDOWS * 4; i++)
		give(guest, i * MAPPER_PAGES, 1, (uint32_t)(i % RAM_PAGES));
	for (uint64_t i = 0; i < MAPPER_WINDOWS * 4; i++) {
		has(guest, i * MAPPER_PAGES, i % RAM_PAGES);
		/* One that is used all the time stays. */
		has(guest, 0, 0);
		assert_true(guest->live <= MAPPER_WINDOWS);
	}
	assert_int_equal(guest->calls, MAPPER_WINDOWS * 4);
}

/* A page that the guest gave back and got anew elsewhere. */
static void test_renewal(void **state)
{
	struct guest *guest = *state;

	give(guest, 0, 10, 0);
	has(guest, 4, 4);
	guest->where[4] = 500;
	memory_new_generation(guest->memory);
	has(guest, 4, 4);
	assert_int_equal(guest->calls, 1);
	memory_renew(guest->memory);
	has(guest, 4, 499);
	assert_int_equal(guest->calls, 2);
	/* A mapping that is never renewed does not last for ever all the same. */
	guest->where[4] = 600;
	for (unsigned i = 0; i <= MAPPER_GENERATIONS; i++)
		memory_new_generation(guest->memory);
	has(guest, 4, 599);
	assert_int_equal(guest->live, 1);
}

static void test_pointers(void **state)
{
	struct guest *guest = *state;
	uint64_t step = MAPPER_SETS * MAPPER_PAGES;
	const uint64_t *first, *second;

	give(guest, 0, MAPPER_PAGES + 1, 0);
	guest->where[9] = 0;
	for (uint64_t i = 1; i < 20; i++)
		give(guest, i * step, 1, 1000 + (uint32_t)i);
	first = memory_map(guest->memory, gpa(2 << PAGE_SHIFT), 4 << PAGE_SHIFT);
	assert_non_null(first);
	assert_int_equal(first[512], 3);
	/* Beyond a hole, beyond the window, in no RAM. */
	assert_null(memory_map(guest->memory, gpa(8 << PAGE_SHIFT), PAGE_SIZE + 1));
	assert_null(
	    memory_map(guest->memory, gpa((MAPPER_PAGES - 1) << PAGE_SHIFT), PAGE_SIZE + 1));
	assert_null(memory_map(guest->memory, gpa(9 << PAGE_SHIFT), 1));
	/* Two windows of a set may be held; they stay while others come and go. */
	second = memory_map(guest->memory, gpa(step << PAGE_SHIFT), 8);
	assert_non_null(second);
	assert_null(memory_map(guest->memory, gpa((2 * step) << PAGE_SHIFT), 8));
	for (uint64_t i = 2; i < 20; i++)
		has(guest, i * step, 1000 + i);
	assert_int_equal(first[0], 2);
	assert_int_equal(*second, 1001);
	memory_new_generation(guest->memory);
	assert_non_null(memory_map(guest->memory, gpa((2 * step) << PAGE_SHIFT), 8));
}

/* valgrind does not let the first stack grow by a signal's frame: it is to be large enough before.
 */
static void __attribute__((noinline)) grow_stack(void)
{
	volatile char room[256 << 10];

	for (size_t i = 0; i < sizeof(room); i += PAGE_SIZE)
		room[i] = 0;
}

/* A page that vanishes under a mapping gives a fault, not a signal: 0 if all is as it should be. */
static int vanish(void)
{
	struct guest *guest;
	const uint64_t *held;
	uint64_t value = 0;

	grow_stack();
	signal(SIGBUS, SIG_DFL);
	guest = create(true);
	give(guest, 0, 512, 0);
	if (read_page(guest, 60, &value) != MEMORY_OK || value != 60)
		return 1;
	held = memory_map(guest->memory, gpa(0), 8);
	if (!held || ftruncate(guest->fd, (off_t)(50 << PAGE_SHIFT)) ||
	    read_page(guest, 60, &value) != MEMORY_GONE)
		return 2;
	/* The window is not touched again, but stays while a pointer into it is valid. */
	if (read_page(guest, 1, &value) != MEMORY_GONE || *held != 0)
		return 3;
	memory_new_generation(guest->memory);
	if (read_page(guest, 1, &value) != MEMORY_OK || value != 1)
		return 4;
	/* In a copy as well. */
	if (memory_capture_begin(guest->memory) || read_page(guest, 2, &value) != MEMORY_OK ||
	    read_page(guest, 40, &value) != MEMORY_OK || memory_capture_prepare(guest->memory) ||
	    ftruncate(guest->fd, (off_t)(30 << PAGE_SHIFT)) || memory_capture_fill(guest->memory) ||
	    read_page(guest, 2, &value) != MEMORY_OK || value != 2 ||
	    read_page(guest, 40, &value) != MEMORY_GONE)
		return 5;
	memory_destroy(guest->memory);
	return guest->live ? 6 : 0;
}

static void test_vanishing_page(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(vanish());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What is copied of a paused guest is what it has then, whatever is mapped. */
static void test_capture(void **state)
{
	struct guest *guest = *state;
	struct memory *memory = guest->memory;
	uint64_t value;
	size_t live;

	give(guest, 0, 512, 0);
	give(guest, 700, 1, 700);
	has(guest, 4, 4);
	assert_null(memory_capture_begin(memory));
	for (uint64_t i = 0; i < 512; i++)
		has(guest, i, i);
	has(guest, 700, 700);
	assert_int_equal(read_page(guest, 600, &value), MEMORY_NO_RAM);
	assert_null(memory_capture_prepare(memory));
	guest->where[4] = 500;
	guest->where[5] = 0;
	guest->calls = guest->asked = 0;
	live = guest->live;
	assert_null(memory_capture_fill(memory));
	/* While the guest stands still nothing is unmapped. */
	assert_true(guest->live > live);
	assert_int_equal(guest->calls, 1);
	assert_int_equal(guest->asked, 514);
	give(guest, 0, 512, 1024);
	memory_renew(memory);
	has(guest, 4, 499);
	has(guest, 3, 3);
	has(guest, 700, 700);
	assert_int_equal(read_page(guest, 5, &value), MEMORY_NO_RAM);
	assert_int_equal(read_page(guest, 600, &value), MEMORY_NO_RAM);
	assert_int_equal(read_page(guest, 800, &value), MEMORY_NOT_CAPTURED);
	memory_capture_end(memory);
	memory_renew(memory);
	assert_true(guest->live <= live);
	has(guest, 4, 1028);
}

static void test_counted(void **state)
{
	struct guest *guest = *state;

	give(guest, 0, 1024, 0);
	has(guest, 3, 3);
	assert_null(memory_count_pages(guest->memory));
	has(guest, 3, 3);
	has(guest, 3, 3);
	has(guest, 600, 600);
	assert_non_null(memory_map(guest->memory, gpa(8 << PAGE_SHIFT), 2 << PAGE_SHIFT));
	assert_int_equal(memory_stats(guest->memory).pages_touched, 4);
}

/* Pages from all over, mapped in one call; what is not there, or known already, is not kept. */
static void test_fetch(void **state)
{
	static const uint64_t pages[] = {5, 70, 133, 5, 900, 1500, 70};
	struct guest *guest = *state;
	const uint8_t *at;
	uint64_t value;

	give(guest, 0, 1600, 0);
	guest->where[900] = 0;
	has(guest, 64, 64);
	guest->calls = guest->asked = 0;
	assert_true(memory_can_fetch(guest->memory));
	assert_false(memory_is_mapped(guest->memory, gpa(5 << PAGE_SHIFT)));
	memory_fetch(guest->memory, pages, ARRAY_SIZE(pages));
	assert_int_equal(guest->calls, 1);
	assert_int_equal(guest->asked, 4);
	assert_true(memory_is_mapped(guest->memory, gpa(5 << PAGE_SHIFT)));
	assert_false(memory_is_mapped(guest->memory, gpa(900 << PAGE_SHIFT)));
	has(guest, 5, 5);
	has(guest, 133, 133);
	has(guest, 1500, 1500);
	assert_int_equal(memory_read(guest->memory, gpa((5 << PAGE_SHIFT) + 4092), &value, 4, NULL),
			 MEMORY_OK);
	at = memory_map(guest->memory, gpa(1500 << PAGE_SHIFT), PAGE_SIZE);
	assert_non_null(at);
	assert_int_equal(*(const uint64_t *)at, 1500);
	assert_int_equal(guest->calls, 1);
	/* Beyond the page that was fetched its window is mapped. */
	assert_int_equal(memory_read(guest->memory, gpa((5 << PAGE_SHIFT) + 4092), &value, 8, NULL),
			 MEMORY_OK);
	assert_int_equal(guest->calls, 2);
	assert_int_equal(read_page(guest, 900, &value), MEMORY_NO_RAM);
	/* Anew after a renewal, and until then as it was. */
	guest->where[1500] = 2001;
	has(guest, 1500, 1500);
	memory_renew(guest->memory);
	has(guest, 1500, 2000);
	guest->refuse = true;
	memory_renew(guest->memory);
	memory_fetch(guest->memory, pages, ARRAY_SIZE(pages));
	assert_int_equal(read_page(guest, 5, &value), MEMORY_IO);
}

/* No more than there is room for; and still everything can be read. */
static void test_fetch_limit(void **state)
{
	struct guest *guest = *state;
	uint64_t pages[FETCHED_BATCHES * 2];

	give(guest, 0, 2048, 0);
	for (uint64_t i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = i * 16;
		memory_fetch(guest->memory, &pages[i], 1);
	}
	assert_int_equal(guest->live, FETCHED_BATCHES);
	for (uint64_t i = 0; i < ARRAY_SIZE(pages); i++)
		has(guest, pages[i], pages[i]);
	/* Too old to be believed: mapped anew. */
	for (uint64_t i = 0; i < MAPPER_GENERATIONS; i++)
		memory_new_generation(guest->memory);
	guest->where[0] = 78;
	has(guest, 0, 77);
}

/* Page tables of two processes: root, directories and pages all over. */
static void test_fetch_walks(void **state)
{
	const uint64_t address = UINT64_C(0x7ffc12345678);
	const struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = gpa(1)};
	struct guest *guest = *state;
	struct address_space *space;
	struct address_want wants[3];
	uint64_t value;

	give(guest, 0, 2048, 0);
	for (uint64_t process = 0; process < 2; process++) {
		for (uint64_t level = 0; level < 4; level++) {
			uint64_t page = 100 + process * 1000 + level * 150;
			uint64_t index = address >> (39 - 9 * level) & 511;

			guest->ram[(page << (PAGE_SHIFT - 3)) + index] =
			    (page + 150) << PAGE_SHIFT | 1;
		}
		wants[process] =
		    (struct address_want){gpa((100 + process * 1000) << PAGE_SHIFT), gva(address)};
	}
	/* One that leads nowhere. */
	wants[2] = (struct address_want){gpa(UINT64_C(1) << 40), gva(address)};
	assert_null(address_space_create(guest->memory, &paging, &space));
	address_space_fetch(space, wants, 3);
	assert_int_equal(guest->calls, 5);
	assert_int_equal(guest->asked, 10);
	for (uint64_t process = 0; process < 2; process++) {
		address_space_switch(space, wants[process].root);
		assert_int_equal(
		    address_space_read(space, gva(address & ~PAGE_MASK), &value, 8, NULL),
		    MEMORY_OK);
		assert_int_equal(value, 700 + process * 1000);
	}
	/* Nothing more was mapped. */
	assert_int_equal(guest->calls, 5);
	address_space_destroy(space);
}

static void test_persistent(void **state)
{
	static const uint64_t pages[] = {9, 1200, 8};
	struct guest *guest = *state;
	const uint8_t *one, *other;

	give(guest, 0, 2048, 0);
	one = memory_map_persistent(guest->memory, pages, 3);
	other = memory_map_persistent(guest->memory, pages + 1, 2);
	assert_non_null(one);
	assert_non_null(other);
	memory_renew(guest->memory);
	assert_int_equal(*(const uint64_t *)(one + PAGE_SIZE), 1200);
	assert_int_equal(*(const uint64_t *)(other + PAGE_SIZE), 8);
	assert_int_equal(guest->live, 2);
	memory_unmap_persistent(guest->memory, one);
	assert_int_equal(guest->live, 1);
	/* All or nothing; what is left goes with the memory. */
	guest->where[8] = 0;
	assert_null(memory_map_persistent(guest->memory, pages, 3));
	assert_null(memory_map_persistent(guest->memory, pages, 0));
	assert_int_equal(guest->live, 1);
}

/* RAM where none is expected: holes are passed over in large steps, and what is there is found. */
static void test_sparse(void **state)
{
	const uint64_t pages = UINT64_C(1) << 25, island = (pages - 5000) / 512 * 512;
	struct guest *guest = *state;
	struct memory_mapper *mapper;
	struct memory *memory = NULL;
	gpa_t start, end, at = gpa(0);
	size_t count = 0;

	assert_null(memory_create(false, &memory));
	assert_null(memory_add_mapper(memory, &ops, guest, &mapper));
	assert_null(memory_add_sparse(memory, gpa(0), pages << PAGE_SHIFT, mapper));
	assert_null(memory_seal(memory));
	free(guest->where);
	free(guest->fault);
	guest->where = mmap(NULL, pages * 4, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	guest->fault = mmap(NULL, pages, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(guest->where != MAP_FAILED && guest->fault != MAP_FAILED);
	give(guest, 0, 100, 0);
	give(guest, island, 600, 0);
	/* As many holes as are remembered, all of them small: larger ones take their place. */
	for (uint64_t i = 0; i < 2 * MAPPER_HOLES; i++) {
		uint64_t value;

		assert_int_equal(
		    memory_read(memory, gpa((1024 + i * 512) << PAGE_SHIFT), &value, 8, NULL),
		    MEMORY_NO_RAM);
	}
	guest->calls = 0;
	while (memory_next_data(memory, at, &start, &end)) {
		uint64_t value;

		for (at = start; at.v < end.v; at.v += PAGE_SIZE)
			count += memory_read(memory, at, &value, 8, NULL) == MEMORY_OK;
	}
	assert_int_equal(count, 700);
	/* 128 GiB: not half a million calls, but 64 and those of the islands. */
	assert_true(guest->calls < 150);
	guest->calls = 0;
	assert_false(memory_next_data(memory, gpa((island + 600) << PAGE_SHIFT), &start, &end));
	assert_int_equal(guest->calls, 0);
	memory_destroy(memory);
	munmap(guest->where, pages * 4);
	munmap(guest->fault, pages);
	guest->where = NULL;
	guest->fault = NULL;
	guest->destroyed = false;
}

/* A guest that has more RAM than when it was opened. */
static void test_other_ranges(void **state)
{
	struct guest *guest = *state;
	struct memory *memory = NULL, *fresh = NULL;
	struct memory_mapper *mapper;
	uint64_t value;
	size_t n;

	assert_null(memory_create(false, &memory));
	assert_null(memory_add_mapper(memory, &ops, guest, &mapper));
	assert_null(memory_add_mapped(memory, gpa(0), 64 << PAGE_SHIFT, mapper));
	assert_null(memory_seal(memory));
	assert_null(memory_count_pages(memory));
	give(guest, 0, 300, 0);
	assert_int_equal(memory_read(memory, gpa(200 << PAGE_SHIFT), &value, 8, NULL),
			 MEMORY_NO_RAM);
	assert_int_equal(memory_read(memory, gpa(2 << PAGE_SHIFT), &value, 8, NULL), MEMORY_OK);
	assert_null(memory_create(false, &fresh));
	assert_null(memory_add_mapped(fresh, gpa(0), 64 << PAGE_SHIFT, mapper));
	assert_null(memory_add_mapped(fresh, gpa(128 << PAGE_SHIFT), 128 << PAGE_SHIFT, mapper));
	assert_null(memory_seal(fresh));
	assert_null(memory_take_ranges(memory, fresh));
	memory_destroy(fresh);
	assert_int_equal(memory_total(memory), 192 << PAGE_SHIFT);
	memory_ranges(memory, &n);
	assert_int_equal(n, 2);
	assert_int_equal(memory_read(memory, gpa(200 << PAGE_SHIFT), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(value, 200);
	assert_int_equal(memory_read(memory, gpa(255 << PAGE_SHIFT), &value, 8, NULL), MEMORY_OK);
	assert_int_equal(memory_stats(memory).pages_touched, 3);
	memory_destroy(memory);
	guest->destroyed = false;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(one_call_a_window),
	    TEST(across_windows_and_faults),
	    TEST(nothing_can_be_mapped),
	    TEST(holes_are_learnt),
	    TEST(long_reads),
	    TEST(many_holes),
	    TEST(budget),
	    TEST(renewal),
	    TEST(pointers),
	    TEST(vanishing_page),
	    TEST(capture),
	    TEST(counted),
	    TEST(fetch),
	    TEST(fetch_limit),
	    TEST(fetch_walks),
	    TEST(persistent),
	    TEST(sparse),
	    TEST(other_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
