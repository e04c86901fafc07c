/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is mapped page by page on demand, with real mappings: what is not there is not mapped
 * either, so that touching it would end the test.
 */
#include "core/cleanup.h"
#include "memory/internal.h"

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

/* A page that vanishes under a mapping gives a fault, not a signal: 0 if all is as it should be. */
static int vanish(void)
{
	struct guest *guest;
	const uint64_t *held;
	uint64_t value = 0;

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
	assert_null(memory_capture_fill(memory));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
