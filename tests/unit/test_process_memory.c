/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of a process: pages that are there although the processor says no, and environments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/environment.h"
#include "guest/linux/mm.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

#define ADDRESS_BITS 0x000ffffffffff000ull
#define PRESENT      0x67ull
#define USER         0x7f1234400000ull /* where the tests map, 2 MiB aligned */

struct process {
	uint64_t pgd;   /* virtual */
	uint64_t pd;    /* physical */
	uint64_t table; /* physical */
};

static int setup(void **state)
{
	struct toy *toy = malloc(sizeof(*toy));

	toy_init(toy);
	*state = toy;
	return 0;
}

static int teardown(void **state)
{
	toy_deinit(*state);
	free(*state);
	return 0;
}

static struct process new_process(struct toy *toy)
{
	uint64_t pgd = toy_alloc_page(toy) - TOY_BASE, pdpt = toy_alloc_page(toy) - TOY_BASE;
	struct process process = {
	    .pgd = TOY_BASE + pgd,
	    .pd = toy_alloc_page(toy) - TOY_BASE,
	    .table = toy_alloc_page(toy) - TOY_BASE,
	};

	toy_put_physical(toy, pgd + (USER >> 39 & 511) * 8, pdpt | PRESENT, 8);
	toy_put_physical(toy, pdpt + (USER >> 30 & 511) * 8, process.pd | PRESENT, 8);
	toy_put_physical(toy, process.pd + (USER >> 21 & 511) * 8, process.table | PRESENT, 8);
	return process;
}

static uint64_t new_page(struct toy *toy, const char *text)
{
	uint64_t page = toy_alloc_page(toy);

	toy_put_bytes(toy, page, text, strlen(text));
	return page - TOY_BASE;
}

static void map(struct toy *toy, const struct process *process, unsigned page, uint64_t entry)
{
	toy_put_physical(toy, process->table + page * 8, entry, 8);
	memory_new_generation(toy->memory); /* for translations are kept within one */
}

static enum read_result read_at(struct toy *toy, const struct process *process, uint64_t address,
				char *buffer, size_t size, size_t *done)
{
	memset(buffer, 0, size);
	return linux_process_read(&toy->kernel, process->pgd, address, buffer, size, done);
}

static void test_read(void **state)
{
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t page = new_page(toy, "hello"), second = new_page(toy, "world");
	char buffer[2 * PAGE_SIZE];
	size_t done;

	map(toy, &process, 0, page | PRESENT);
	map(toy, &process, 1, second | PRESENT);
	assert_int_equal(read_at(toy, &process, USER, buffer, sizeof(buffer), &done), MEMORY_OK);
	assert_int_equal(done, sizeof(buffer));
	assert_string_equal(buffer, "hello");
	assert_string_equal(buffer + PAGE_SIZE, "world");
	/* Access taken away: the page is where the inverted address bits say. */
	map(toy, &process, 1, (~second & ADDRESS_BITS) | 0x8000000000000160ull);
	assert_int_equal(read_at(toy, &process, USER, buffer, sizeof(buffer), &done), MEMORY_OK);
	assert_string_equal(buffer + PAGE_SIZE, "world");
	/* Beyond RAM if the bits lie. */
	map(toy, &process, 1, second | 0x160);
	assert_int_equal(read_at(toy, &process, USER, buffer, sizeof(buffer), &done),
			 MEMORY_NO_RAM);
	assert_int_equal(done, PAGE_SIZE);
	assert_string_equal(buffer, "hello");
}

static void test_absent(void **state)
{
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t page = new_page(toy, "hello");
	char buffer[16];
	size_t done = 1;

	map(toy, &process, 0, page | PRESENT);
	/* Swap file 1, page 0x1234 of it (arch/x86/include/asm/pgtable_64.h). */
	map(toy, &process, 1, (~0x1234ull << 14 >> 5) | 1ull << 59);
	/* A mark of the highest kind, as of a guard region. */
	map(toy, &process, 2, 31ull << 59 | 0x200);
	assert_int_equal(read_at(toy, &process, USER + PAGE_SIZE, buffer, 16, &done),
			 READ_PAGED_OUT);
	assert_int_equal(done, 0);
	assert_int_equal(read_at(toy, &process, USER + PAGE_SIZE - 8, buffer, 16, &done),
			 READ_PAGED_OUT);
	assert_int_equal(done, 8);
	assert_int_equal(read_at(toy, &process, USER + 2 * PAGE_SIZE, buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(read_at(toy, &process, USER + 3 * PAGE_SIZE, buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(read_at(toy, &process, USER + (1ull << 40), buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(read_at(toy, &process, 0x8000000000000000ull, buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(linux_process_read(&toy->kernel, 0, USER, buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
	assert_int_equal(linux_process_read(&toy->kernel, 0x1000, USER, buffer, 16, &done),
			 MEMORY_NOT_MAPPED);
}

/* Pieces of one kind: pages, what an empty entry of each level stands for, a table out of RAM. */
static void test_pieces(void **state)
{
	static const struct {
		uint64_t address;
		enum read_result result;
		uint64_t size;
	} rows[] = {
	    {USER + 2 * PAGE_SIZE, READ_PAGED_OUT, PAGE_SIZE},
	    {USER + 3 * PAGE_SIZE, READ_NONE, PAGE_SIZE},
	    {USER + 3 * PAGE_SIZE + 16, READ_NONE, PAGE_SIZE - 16},
	    {USER + (2 << 20) + PAGE_SIZE, READ_NO_RAM, (2 << 20) - PAGE_SIZE},
	    {USER + (4 << 20) + PAGE_SIZE, READ_NONE, (2 << 20) - PAGE_SIZE},
	    {USER - (USER & 0x3fffffff) - 16, READ_NONE, 16},
	    {USER & ~((UINT64_C(1) << 39) - 1), READ_NONE, 1 << 30},
	    {0, READ_NONE, UINT64_C(1) << 39},
	};
	struct toy *toy = *state;
	struct process process = new_process(toy);
	struct address_space *space;
	char buffer[8 * PAGE_SIZE];
	uint64_t size;

	map(toy, &process, 0, new_page(toy, "hello") | PRESENT);
	map(toy, &process, 1, (~new_page(toy, "world") & ADDRESS_BITS) | 0x8000000000000160ull);
	map(toy, &process, 2, (~0x1234ull << 14 >> 5) | 1ull << 59);
	toy_put_physical(toy, process.pd + ((USER + (2 << 20)) >> 21 & 511) * 8,
			 0xfffff000ull | PRESENT, 8);
	assert_int_equal(linux_mm_space(&toy->kernel, process.pgd, &space), READ_OK);
	assert_int_equal(linux_process_piece(space, USER, buffer, sizeof(buffer), &size), READ_OK);
	assert_int_equal(size, 2 * PAGE_SIZE);
	assert_string_equal(buffer, "hello");
	assert_string_equal(buffer + PAGE_SIZE, "world");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(
		    linux_process_piece(space, rows[i].address, buffer, sizeof(buffer), &size),
		    rows[i].result);
		assert_int_equal(size, rows[i].size);
	}
}

/* The last page of all addresses; behind it is not the first one. */
static void test_last_page(void **state)
{
	const uint64_t last = UINT64_MAX - PAGE_SIZE + 1;
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t table = process.pgd - TOY_BASE, page;
	struct address_space *space;
	char buffer[2 * PAGE_SIZE];
	uint64_t size;

	for (unsigned i = 0; i < 3; i++) {
		page = toy_alloc_page(toy) - TOY_BASE;
		toy_put_physical(toy, table + 511 * 8, page | PRESENT, 8);
		table = page;
	}
	toy_put_physical(toy, table + 511 * 8, new_page(toy, "last") | PRESENT, 8);
	/* The first page of all. */
	table = process.pgd - TOY_BASE;
	for (unsigned i = 0; i < 3; i++) {
		page = toy_alloc_page(toy) - TOY_BASE;
		toy_put_physical(toy, table, page | PRESENT, 8);
		table = page;
	}
	toy_put_physical(toy, table, new_page(toy, "first") | PRESENT, 8);
	memory_new_generation(toy->memory);
	assert_int_equal(linux_mm_space(&toy->kernel, process.pgd, &space), READ_OK);
	assert_int_equal(linux_process_piece(space, last, buffer, sizeof(buffer), &size), READ_OK);
	assert_int_equal(size, PAGE_SIZE);
	assert_string_equal(buffer, "last");
	assert_int_equal(linux_process_piece(space, UINT64_MAX, buffer, 1, &size), READ_OK);
	assert_int_equal(size, 1);
}

/* A large page without access, and one that is being split: present bit clear, large bit set. */
static void test_large(void **state)
{
	static const uint64_t flags[] = {0x1e0, 0x0e2};
	struct toy *toy = *state;
	struct process process = new_process(toy);
	char buffer[16];

	memcpy(toy->ram + (2 << 20) + 0x5678, "deep inside", 12);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		toy_put_physical(toy, process.pd + (USER >> 21 & 511) * 8,
				 (~(2ull << 20) & 0x000fffffffe00000ull) | flags[i], 8);
		assert_int_equal(read_at(toy, &process, USER + 0x5678, buffer, 12, NULL),
				 MEMORY_OK);
		assert_string_equal(buffer, "deep inside");
	}
}

/* Walks that alternate between processes keep the translations of each, and read the right one. */
static void test_two_processes(void **state)
{
	struct toy *toy = *state;
	struct process one = new_process(toy), other = new_process(toy), more[GUEST_SPACES];
	char buffer[8];
	uint64_t before;

	map(toy, &one, 0, new_page(toy, "first") | PRESENT);
	map(toy, &other, 0, new_page(toy, "other") | PRESENT);
	for (int i = 0; i < 6; i++) {
		before = memory_stats(toy->memory).bytes_read;
		assert_int_equal(read_at(toy, &one, USER, buffer, 6, NULL), MEMORY_OK);
		assert_string_equal(buffer, "first");
		assert_int_equal(read_at(toy, &other, USER, buffer, 6, NULL), MEMORY_OK);
		assert_string_equal(buffer, "other");
		/* By then the last table of each was copied, and no table is walked again. */
		if (i > 1)
			assert_int_equal(memory_stats(toy->memory).bytes_read - before, 12);
	}
	/* More processes than the pool has room for. */
	for (size_t i = 0; i < GUEST_SPACES; i++) {
		more[i] = new_process(toy);
		map(toy, &more[i], 0, new_page(toy, "spare") | PRESENT);
		assert_int_equal(read_at(toy, &more[i], USER, buffer, 6, NULL), MEMORY_OK);
		assert_string_equal(buffer, "spare");
	}
	assert_int_equal(read_at(toy, &one, USER, buffer, 6, NULL), MEMORY_OK);
	assert_string_equal(buffer, "first");
	/* After this nothing is taken from what was read before. */
	guest_spaces_forget(&toy->kernel.guest.spaces);
	before = memory_stats(toy->memory).bytes_read;
	assert_int_equal(read_at(toy, &one, USER, buffer, 6, NULL), MEMORY_OK);
	assert_true(memory_stats(toy->memory).bytes_read - before > 6);
}

/* A 32-bit guest without PAE: two levels, nothing inverted, the swap kind in bits 1 to 5. */
static void test_two_levels(void **state)
{
	struct toy *toy = *state;
	uint64_t pgd = toy_alloc_page(toy), table = toy_alloc_page(toy) - TOY_BASE;
	uint64_t page = new_page(toy, "hello");
	struct x86_paging paging = {.mode = X86_MODE_32BIT, .root = {pgd - TOY_BASE}};
	char buffer[8] = "";

	assert_null(address_space_create(toy->memory, &paging, &toy->kernel.guest.spaces.items[0]));
	toy_put_physical(toy, pgd - TOY_BASE + 4, table | 7, 4);
	toy_put_physical(toy, table, page | 0x100, 4);
	toy_put_physical(toy, table + 4, 0x1234 << 10 | 3 << 1, 4);
	assert_int_equal(linux_process_read(&toy->kernel, pgd, 0x400000, buffer, 6, NULL),
			 MEMORY_OK);
	assert_string_equal(buffer, "hello");
	assert_int_equal(linux_process_read(&toy->kernel, pgd, 0x401000, buffer, 6, NULL),
			 READ_PAGED_OUT);
}

static struct object new_mm(struct toy *toy, const struct process *process, uint64_t start,
			    uint64_t end)
{
	struct object mm = {0};
	uint64_t address = toy_alloc(toy, 64);

	toy_field(toy, LAYOUT_mm, &L->mm_pgd, 0, 8);
	toy_field(toy, LAYOUT_mm, &L->mm_env_start, 8, 8);
	toy_field(toy, LAYOUT_mm, &L->mm_env_end, 16, 8);
	toy_set(toy, address, &L->mm_pgd, process->pgd);
	toy_set(toy, address, &L->mm_env_start, start);
	toy_set(toy, address, &L->mm_env_end, end);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_mm, address, &mm), MEMORY_OK);
	return mm;
}

static void expect_variable(struct linux_environment *environment, const char *key,
			    const char *value, enum read_result why)
{
	struct linux_variable variable;

	assert_true(linux_environment_next(environment, &variable));
	assert_int_equal(variable.has_key, key != NULL);
	assert_int_equal(variable.has_value, value != NULL);
	if (key) {
		assert_int_equal(variable.key_size, strlen(key));
		assert_memory_equal(variable.key, key, strlen(key));
	}
	if (value) {
		assert_int_equal(variable.value_size, strlen(value));
		assert_memory_equal(variable.value, value, strlen(value));
	} else {
		assert_int_equal(variable.why, why);
	}
}

static void test_environment(void **state)
{
	static const char text[] = "A=1\0B==x=\0EMPTY=\0noequals\0\0=odd";
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t page = toy_alloc_page(toy) - TOY_BASE;
	_cleanup_object_ struct object mm =
	    new_mm(toy, &process, USER + 100, USER + 100 + sizeof(text));
	struct linux_environment environment;
	struct linux_variable variable;

	memcpy(toy->ram + page + 100, text, sizeof(text));
	map(toy, &process, 0, page | PRESENT);
	linux_environment_init(&environment);
	linux_environment_read(&environment, &toy->kernel, &mm);
	expect_variable(&environment, "A", "1", 0);
	expect_variable(&environment, "B", "=x=", 0);
	expect_variable(&environment, "EMPTY", "", 0);
	expect_variable(&environment, "noequals", NULL, READ_NONE);
	expect_variable(&environment, "", NULL, READ_NONE);
	expect_variable(&environment, "", "odd", 0);
	assert_false(linux_environment_next(&environment, &variable));
	linux_environment_deinit(&environment);
}

/* Three pages, the middle one swapped out: what it may have ended is said to be missing. */
static void test_environment_gap(void **state)
{
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t first = toy_alloc_page(toy) - TOY_BASE;
	uint64_t last = new_page(toy, "rest\0B=2\0"), digest;
	_cleanup_object_ struct object mm =
	    new_mm(toy, &process, USER + PAGE_SIZE - 8, USER + 2 * PAGE_SIZE + 9);
	struct linux_environment environment;
	struct linux_variable variable;

	memcpy(toy->ram + first + PAGE_SIZE - 8, "A=1\0KEY=", 8);
	memcpy(toy->ram + last, "rest\0B=2\0", 9);
	map(toy, &process, 0, first | PRESENT);
	map(toy, &process, 1, (~0x1234ull << 14 >> 5) | 1ull << 59);
	map(toy, &process, 2, last | PRESENT);
	linux_environment_init(&environment);
	linux_environment_read(&environment, &toy->kernel, &mm);
	digest = linux_environment_digest(&environment);
	expect_variable(&environment, "A", "1", 0);
	assert_true(linux_environment_next(&environment, &variable));
	assert_true(variable.has_key && !variable.has_value && variable.has_position);
	assert_int_equal(variable.why, READ_PAGED_OUT);
	assert_int_equal(variable.position, 1);
	/* How many the missing page held is not known. */
	assert_true(linux_environment_next(&environment, &variable));
	assert_true(variable.has_value && !variable.has_position);
	assert_int_equal(variable.why_no_position, READ_PAGED_OUT);
	assert_false(linux_environment_next(&environment, &variable));
	/* The key itself is cut. */
	memcpy(toy->ram + first + PAGE_SIZE - 8, "A=1\0KEYS", 8);
	linux_environment_clear(&environment);
	linux_environment_read(&environment, &toy->kernel, &mm);
	assert_true(linux_environment_digest(&environment) != digest);
	assert_true(linux_environment_next(&environment, &variable));
	assert_true(variable.has_position && !variable.position && variable.value_size == 1);
	expect_variable(&environment, NULL, NULL, READ_PAGED_OUT);
	expect_variable(&environment, "B", "2", 0);
	assert_false(linux_environment_next(&environment, &variable));
	linux_environment_deinit(&environment);
}

static void test_environment_limits(void **state)
{
	struct toy *toy = *state;
	struct process process = new_process(toy);
	uint64_t page = toy_alloc_page(toy) - TOY_BASE;
	_cleanup_object_ struct object mm = new_mm(toy, &process, USER, UINT64_MAX);
	struct linux_environment environment;
	struct linux_variable variable;

	/* 256 pages of one variable each, and no end. */
	memset(toy->ram + page, 'x', PAGE_SIZE);
	memcpy(toy->ram + page, "K=", 2);
	toy->ram[page + PAGE_SIZE - 1] = 0;
	for (unsigned i = 0; i < 512; i++)
		map(toy, &process, i, page | PRESENT);
	linux_environment_init(&environment);
	linux_environment_read(&environment, &toy->kernel, &mm);
	for (unsigned i = 0; i < 256; i++) {
		assert_true(linux_environment_next(&environment, &variable));
		assert_true(variable.has_value);
		assert_int_equal(variable.value_size, PAGE_SIZE - 3);
	}
	expect_variable(&environment, NULL, NULL, READ_LIMIT);
	assert_false(linux_environment_next(&environment, &variable));
	/* None, or one that ends before it starts, or not where a variable ends. */
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t ends[] = {USER, USER - 1, USER + 10};

		linux_environment_clear(&environment);
		toy_set(toy, mm.address, &L->mm_env_end, ends[i]);
		linux_read_object(&toy->kernel, LAYOUT_mm, mm.address, &mm);
		linux_environment_read(&environment, &toy->kernel, &mm);
		if (i)
			expect_variable(&environment, i > 1 ? "K" : NULL, NULL, READ_BAD_DATA);
		assert_false(linux_environment_next(&environment, &variable));
	}
	linux_environment_deinit(&environment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_last_page, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_large, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_two_processes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_two_levels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_environment_gap, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_environment_limits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
