/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a list of processes reads, fetched from a memory that is mapped page by page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/linux/fetch.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

/* Offsets of the test's task_struct. */
enum { FLAGS = 24 };

#define PROCESSES 12
#define APART     ((uint64_t)512 << 10) /* two windows of the mapper */

struct mapped {
	struct toy *toy;
	size_t calls;
};

static void *map_pages(void *data, const uint64_t *pages, size_t count, uint8_t *faults)
{
	struct mapped *mapped = data;
	uint8_t *map = aligned_alloc(PAGE_SIZE, count << PAGE_SHIFT);

	mapped->calls++;
	for (size_t i = 0; i < count; i++) {
		bool there = pages[i] < TOY_RAM >> PAGE_SHIFT;

		faults[i] = there ? MEMORY_OK : MEMORY_NO_RAM;
		if (there)
			memcpy(map + (i << PAGE_SHIFT), mapped->toy->ram + (pages[i] << PAGE_SHIFT),
			       PAGE_SIZE);
	}
	return map;
}

static void unmap_pages(void *data, void *map, size_t count)
{
	(void)data, (void)count;
	free(map);
}

/* A page far from all others, by turns in each part of the memory. */
static uint64_t far_page(struct toy *toy, unsigned *turn)
{
	uint64_t part = *turn % (TOY_RAM / APART), n = *turn / (TOY_RAM / APART);

	(*turn)++;
	(void)toy;
	return part * APART + 0x40000 + n * PAGE_SIZE;
}

/* A process with a page table of four levels; its command line is a page of its own. */
static void put_process(struct toy *toy, uint64_t task, unsigned i, unsigned *turn)
{
	const uint64_t address = UINT64_C(0x7ffc00001000) + i * PAGE_SIZE;
	uint64_t mm = TOY_BASE + far_page(toy, turn);
	uint64_t table = far_page(toy, turn);
	char text[32];

	toy_set(toy, task, &L->task_mm, mm);
	toy_set(toy, task, &L->task_real_cred, TOY_BASE + far_page(toy, turn));
	toy_set(toy, task, &L->task_signal, TOY_BASE + far_page(toy, turn));
	toy_set(toy, mm, &L->mm_pgd, TOY_BASE + table);
	toy_set(toy, mm, &L->mm_arg_start, address);
	toy_set(toy, mm, &L->mm_arg_end,
		address + (unsigned)snprintf(text, sizeof(text), "process %u", i) + 1);
	for (unsigned level = 0; level < 4; level++) {
		uint64_t next = far_page(toy, turn);

		toy_put_physical(toy, table + (address >> (39 - 9 * level) & 511) * 8, next | 0x67,
				 8);
		table = next;
	}
	toy_put_bytes(toy, TOY_BASE + table, text, strlen(text) + 1);
}

/* A tree of two levels: of each process its struct pid, which leads to the task. */
static void put_pids(struct toy *toy, const uint64_t tasks[PROCESSES + 1], unsigned *turn)
{
	enum { NODE = 2 /* what a node's address has in its low bits */ };
	uint64_t namespace = toy_alloc(toy, 64), root = toy_alloc(toy, 512);
	uint64_t leaves[2] = {TOY_BASE + far_page(toy, turn), TOY_BASE + far_page(toy, turn)};

	toy_field(toy, LAYOUT_pid_namespace, &L->pid_namespace_root, 8, 8);
	toy_array(toy, LAYOUT_xa_node, &L->xa_node_slots, 16, 8, 64);
	toy_field(toy, LAYOUT_pid, &L->pid_leader, 16, 8);
	toy_field(toy, LAYOUT_task, &L->task_pid_link, 88, 8);
	toy->kernel.symbol[LINUX_init_pid_ns] = namespace;
	toy_set(toy, namespace, &L->pid_namespace_root, root | NODE);
	/* A slot that leads nowhere, one that leads back, and the two. */
	toy_put(toy, root + 16, TOY_MISSING | NODE, 8);
	toy_put(toy, root + 24, root | NODE, 8);
	toy_put(toy, root + 32, leaves[0] | NODE, 8);
	toy_put(toy, root + 40, leaves[1] | NODE, 8);
	for (unsigned i = 1; i <= PROCESSES; i++) {
		uint64_t pid = TOY_BASE + far_page(toy, turn);

		toy_put(toy, leaves[i % 2] + 16 + i * 8, pid, 8);
		toy_set(toy, pid, &L->pid_leader, tasks[i] + L->task_pid_link.offset);
	}
}

static void put_processes(struct toy *toy, bool far)
{
	uint64_t tasks[PROCESSES + 1];
	unsigned turn = 0;

	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_flags, FLAGS, 4);
	toy_field(toy, LAYOUT_task, &L->task_mm, 64, 8);
	toy_field(toy, LAYOUT_task, &L->task_real_cred, 72, 8);
	toy_field(toy, LAYOUT_task, &L->task_signal, 80, 8);
	toy_field(toy, LAYOUT_cred, &L->cred_uid, 0, 4);
	toy_field(toy, LAYOUT_signal, &L->signal_nr_threads, 0, 4);
	toy_field(toy, LAYOUT_mm, &L->mm_pgd, 0, 8);
	toy_field(toy, LAYOUT_mm, &L->mm_arg_start, 8, 8);
	toy_field(toy, LAYOUT_mm, &L->mm_arg_end, 16, 8);
	tasks[0] = toy_alloc(toy, 256);
	for (unsigned i = 1; i <= PROCESSES; i++)
		tasks[i] = far ? TOY_BASE + far_page(toy, &turn) : toy_alloc(toy, 256);
	for (unsigned i = 1; i <= PROCESSES; i++)
		put_process(toy, tasks[i], i, &turn);
	toy_link_tasks(toy, tasks, PROCESSES + 1);
	if (far)
		put_pids(toy, tasks, &turn);
}

#define ALL                                                                                        \
	(LINUX_FETCH_NAMES | LINUX_FETCH_CREDENTIALS | LINUX_FETCH_SIGNALS | LINUX_FETCH_MEMORY |  \
	 LINUX_FETCH_CMDLINES)

/* The command lines of all, one after the other. */
static void read_all(struct linux_kernel *kernel, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object task = {0}, mm = {0};
	struct linux_tasks walk;

	assert_null(linux_tasks_init(&walk, kernel, NULL));
	while (linux_tasks_next(&walk, &task)) {
		assert_int_equal(
		    linux_read_object(kernel, LAYOUT_mm, object_u64(&task, &layout->task_mm), &mm),
		    MEMORY_OK);
		assert_int_equal(linux_process_cmdline(kernel, &mm, ret), READ_OK);
		/* Also behind arguments that do not end in a NUL. */
		assert_int_equal(ret->data[ret->size], '\0');
	}
	assert_false(walk.list.broken);
	linux_tasks_deinit(&walk);
}

/* Reads all processes of a memory that is mapped page by page: by at most so many calls. */
static void fetch_processes(struct toy *toy, size_t most)
{
	static const struct memory_mapper_ops ops = {map_pages, unmap_pages, NULL};
	const struct x86_paging paging = *address_space_paging(toy->kernel.guest.space);
	struct mapped mapped = {.toy = toy};
	struct linux_kernel kernel;
	struct memory_mapper *mapper;
	struct memory *memory = NULL;
	_cleanup_buffer_ struct buffer plain = {0}, fetched = {0};
	size_t without;

	read_all(&toy->kernel, &plain);
	assert_non_null(memmem(plain.data, plain.size, "process 12", 11));
	/* Nothing to fetch where nothing is mapped by calls. */
	linux_fetch_processes(&toy->kernel, ALL);
	assert_null(memory_create(false, &memory));
	assert_null(memory_add_mapper(memory, &ops, &mapped, &mapper));
	assert_null(memory_add_mapped(memory, gpa(0), TOY_RAM, mapper));
	assert_null(memory_seal(memory));
	kernel = toy->kernel;
	kernel.guest.memory = memory;
	assert_null(address_space_create(memory, &paging, &kernel.guest.space));
	kernel.guest.spaces = (struct guest_spaces){0};
	read_all(&kernel, &fetched);
	without = mapped.calls;
	assert_true(without >= 12);
	buffer_clear(&fetched);
	memory_renew(memory);
	mapped.calls = 0;
	linux_fetch_processes(&kernel, ALL);
	read_all(&kernel, &fetched);
	assert_true(mapped.calls <= most);
	assert_int_equal(fetched.size, plain.size);
	assert_memory_equal(fetched.data, plain.data, plain.size);
	address_space_destroy(kernel.guest.space);
	guest_spaces_deinit(&kernel.guest.spaces);
	memory_destroy(memory);
}

/* Tasks in one place, what belongs to them all over the memory. */
static void test_fetch_processes(void **state)
{
	struct toy *toy = *state;

	put_processes(toy, false);
	/* One window with the tasks, the structures, four levels and the pages. */
	fetch_processes(toy, 7);
}

/* The tasks too, which the pids lead to. */
static void test_fetch_by_pids(void **state)
{
	struct toy *toy = *state;

	put_processes(toy, true);
	/* One window with what does not lie apart, the nodes, the pids and the tasks more. */
	fetch_processes(toy, 10);
}

/* What nobody asked for is not mapped. */
static void test_fetch_tasks_alone(void **state)
{
	static const struct memory_mapper_ops ops = {map_pages, unmap_pages, NULL};
	struct toy *toy = *state;
	const struct x86_paging paging = *address_space_paging(toy->kernel.guest.space);
	_cleanup_object_ struct object task = {0};
	struct mapped mapped = {.toy = toy};
	struct linux_kernel kernel;
	struct memory_mapper *mapper;
	struct memory *memory = NULL;
	struct linux_tasks walk;
	size_t count = 0, calls;

	put_processes(toy, true);
	assert_null(memory_create(false, &memory));
	assert_null(memory_add_mapper(memory, &ops, &mapped, &mapper));
	assert_null(memory_add_mapped(memory, gpa(0), TOY_RAM, mapper));
	assert_null(memory_seal(memory));
	kernel = toy->kernel;
	kernel.guest.memory = memory;
	assert_null(address_space_create(memory, &paging, &kernel.guest.space));
	kernel.guest.spaces = (struct guest_spaces){0};
	linux_fetch_processes(&kernel, 0);
	calls = mapped.calls;
	/* The window with the root, the nodes, the pids, the tasks. */
	assert_true(calls <= 4);
	assert_null(linux_tasks_init(&walk, &kernel, NULL));
	while (linux_tasks_next(&walk, &task))
		count++;
	linux_tasks_deinit(&walk);
	assert_int_equal(count, PROCESSES);
	assert_int_equal(mapped.calls, calls);
	address_space_destroy(kernel.guest.space);
	guest_spaces_deinit(&kernel.guest.spaces);
	memory_destroy(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_fetch_processes, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_by_pids, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_fetch_tasks_alone, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
