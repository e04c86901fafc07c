/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* init_task and the list of modules, found by their shape in the image's data. */
#include "guest/linux/infer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toy_kernel.h"

#include <stdio.h>

#define L (&toy->kernel.layout)

/* The image's data: 16 pages in the middle of the memory. */
#define DATA  (TOY_BASE + 0x100000)
#define PAGES 16

enum { PID = 0, PARENT = 8, REAL_PARENT = 16, LEADER = 24, COMM = 32 };
enum { STATE = 0, LIST = 8, NAME = 24, SELF = 80, TEXT = 88 };

static int setup(void **state)
{
	struct toy *toy = malloc(sizeof(*toy));

	toy_init(toy);
	toy->kernel.text_virtual = DATA;
	toy->kernel.image_end = DATA + PAGES * PAGE_SIZE;
	toy_field(toy, LAYOUT_task, &L->task_pid, PID, 4);
	toy_field(toy, LAYOUT_task, &L->task_parent, PARENT, 8);
	toy_field(toy, LAYOUT_task, &L->task_real_parent, REAL_PARENT, 8);
	toy_field(toy, LAYOUT_task, &L->task_group_leader, LEADER, 8);
	toy_field(toy, LAYOUT_task, &L->task_comm, COMM, 16);
	toy_field(toy, LAYOUT_module, &L->module_state, STATE, 4);
	toy_field(toy, LAYOUT_module, &L->module_list, LIST, 16);
	toy_field(toy, LAYOUT_module, &L->module_name, NAME, 56);
	toy_field(toy, LAYOUT_module, &L->module_self, SELF, 8);
	toy_field(toy, LAYOUT_module, &L->module_text_base, TEXT, 8);
	*state = toy;
	return 0;
}

static int teardown(void **state)
{
	struct toy *toy = *state;

	for (size_t i = 0; i < toy->kernel.fact_count; i++) {
		free(toy->kernel.facts[i].value);
		free(toy->kernel.facts[i].evidence);
	}
	free(toy->kernel.facts);
	toy_deinit(toy);
	free(toy);
	return 0;
}

static void put_task(struct toy *toy, uint64_t address, uint64_t parent, const char *comm)
{
	toy_set(toy, address, &L->task_parent, parent);
	toy_set(toy, address, &L->task_real_parent, parent);
	toy_set(toy, address, &L->task_group_leader, address);
	toy_put_bytes(toy, address + COMM, comm, strlen(comm) + 1);
}

/* A module and the head of the list that it is alone on. */
static uint64_t put_module(struct toy *toy, uint64_t head, const char *name)
{
	uint64_t module = toy_alloc(toy, 256);

	toy_put(toy, head, module + LIST, 8);
	toy_put(toy, head + 8, module + LIST, 8);
	toy_put(toy, module + LIST, head, 8);
	toy_put(toy, module + LIST + 8, head, 8);
	toy_put_bytes(toy, module + NAME, name, strlen(name) + 1);
	toy_set(toy, module, &L->module_self, module);
	toy_set(toy, module, &L->module_text_base, 0xffffffffc0000000);
	return module;
}

static void finds(struct toy *toy, uint64_t task, uint64_t modules)
{
	linux_infer_symbols(&toy->kernel, DATA);
	assert_int_equal(toy->kernel.symbol[LINUX_init_task], task);
	assert_int_equal(toy->kernel.symbol[LINUX_modules], modules);
	assert_int_equal(toy->kernel.fact_count, (task != 0) + (modules != 0));
}

static void test_both(void **state)
{
	struct toy *toy = *state;
	uint64_t task = DATA + 3 * PAGE_SIZE + 0x80, modules = DATA + 5 * PAGE_SIZE + 0x10;

	put_task(toy, task, task, "swapper/0");
	put_module(toy, modules, "ext4");
	finds(toy, task, modules);
}

/* The name, or the list's head, is where a page ends. */
static void test_at_the_end_of_a_page(void **state)
{
	struct toy *toy = *state;
	uint64_t task = DATA + 4 * PAGE_SIZE - 8 - COMM, modules = DATA + 7 * PAGE_SIZE - 8;

	put_task(toy, task, task, "swapper");
	put_module(toy, modules, "virtio_net");
	finds(toy, task, modules);
}

static void test_at_the_very_end(void **state)
{
	struct toy *toy = *state;
	uint64_t modules = DATA + PAGES * PAGE_SIZE - 16;

	put_module(toy, modules, "x");
	finds(toy, 0, modules);
}

static void test_lookalikes(void **state)
{
	struct toy *toy = *state;
	uint64_t at = DATA + 0x100;

	/* Another task's child; not its own leader; of another name. */
	put_task(toy, at, at + 8, "swapper/1");
	put_task(toy, at + 0x200, at + 0x200, "swapper/0");
	toy_set(toy, at + 0x200, &L->task_group_leader, at);
	put_task(toy, at + 0x400, at + 0x400, "init");
	put_task(toy, at + 0x600, at + 0x600, "swapper/0");
	toy_set(toy, at + 0x600, &L->task_pid, 1);
	finds(toy, 0, 0);
}

static void test_lists_of_other_things(void **state)
{
	struct toy *toy = *state;
	uint64_t head = DATA + 0x800, module;

	/* Its module's kobject leads elsewhere. */
	module = put_module(toy, head, "ext4");
	toy_set(toy, module, &L->module_self, module + 8);
	/* No name; a name of no module; no code; code at no page's start; a state that there is
	 * not. */
	put_module(toy, head + 0x20, "");
	put_module(toy, head + 0x40, "not a module");
	module = put_module(toy, head + 0x60, "ext4");
	toy_set(toy, module, &L->module_text_base, 0);
	module = put_module(toy, head + 0x80, "ext4");
	toy_set(toy, module, &L->module_text_base, 0xffffffffc0000010);
	module = put_module(toy, head + 0xa0, "ext4");
	toy_set(toy, module, &L->module_state, 4);
	/* It does not point back. */
	module = put_module(toy, head + 0xc0, "ext4");
	toy_put(toy, module + LIST + 8, head, 8);
	/* Within the image. */
	toy_put(toy, head + 0xe0, DATA, 8);
	toy_put(toy, head + 0xe8, DATA, 8);
	finds(toy, 0, 0);
}

/* What is known is left as it is. */
static void test_known(void **state)
{
	struct toy *toy = *state;
	uint64_t task = DATA + 0x80;

	put_task(toy, task, task, "swapper/0");
	toy->kernel.symbol[LINUX_init_task] = 77;
	linux_infer_symbols(&toy->kernel, DATA);
	assert_int_equal(toy->kernel.symbol[LINUX_init_task], 77);
	assert_int_equal(toy->kernel.fact_count, 0);
}

/* Without the fields there is no telling: all of memory has "parents" that are 0. */
static void test_without_layout(void **state)
{
	struct toy *toy = *state;
	struct field *fields[] = {&L->task_real_parent, &L->task_parent, &L->task_group_leader,
				  &L->task_pid, &L->task_comm};
	uint64_t task = DATA + 0x80;

	put_task(toy, task, task, "swapper/0");
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i]->present = false;
		finds(toy, 0, 0);
		fields[i]->present = true;
	}
	/* A kernel without modules has tasks. */
	L->module_list.present = false;
	finds(toy, task, 0);
}

/* A kernel without loadable modules has none, whatever its data looks like. */
static void test_without_modules(void **state)
{
	struct toy *toy = *state;
	uint64_t modules = DATA + 5 * PAGE_SIZE + 0x10;

	put_module(toy, modules, "ext4");
	toy->kernel.symbol[LINUX_text] = DATA;
	finds(toy, 0, 0);
	toy->kernel.symbol[LINUX_module_put] = DATA + 0x100;
	finds(toy, 0, modules);
}

static void test_page_that_cannot_be_read(void **state)
{
	struct toy *toy = *state;
	uint64_t task = TOY_BASE + TOY_RAM - 8 * PAGE_SIZE;

	/* The image is said to go on where there is no memory. */
	toy->kernel.image_end = TOY_BASE + TOY_RAM + 64 * PAGE_SIZE;
	put_task(toy, task, task, "swapper/0");
	finds(toy, task, 0);
}

/* ---- The VMCOREINFO note --------------------------------------------------------------------- */

/* A page with a note, and in the image's data the pointer to it. */
static uint64_t put_note(struct toy *toy, uint64_t pointer, uint64_t stext, uint64_t prb,
			 uint64_t uts)
{
	uint64_t page = toy_alloc_page(toy);
	char text[256];

	snprintf(text, sizeof(text),
		 "OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=%llx\nSYMBOL(_stext)=%llx\n"
		 "SYMBOL(prb)=%llx\nSYMBOL(init_top_pgt)=%llx\n",
		 (unsigned long long)uts, (unsigned long long)stext, (unsigned long long)prb,
		 (unsigned long long)DATA);
	toy_put_bytes(toy, page, text, strlen(text));
	toy_put(toy, pointer, page, 8);
	return page;
}

static void names(struct toy *toy, uint64_t prb, uint64_t uts)
{
	toy->kernel.symbol[LINUX_prb] = toy->kernel.symbol[LINUX_init_uts_ns] = 0;
	linux_infer_symbols(&toy->kernel, DATA);
	assert_int_equal(toy->kernel.symbol[LINUX_prb], prb);
	assert_int_equal(toy->kernel.symbol[LINUX_init_uts_ns], uts);
	/* Nothing by which the candidate is judged. */
	assert_int_equal(toy->kernel.symbol[LINUX_top_pgt], 0);
	assert_int_equal(toy->kernel.symbol[LINUX_stext], 0);
}

static void test_note(void **state)
{
	struct toy *toy = *state;
	uint64_t prb = DATA + 0x500, uts = DATA + PAGES * PAGE_SIZE - 8;

	put_note(toy, DATA + 9 * PAGE_SIZE - 8, DATA + 0x100, prb, uts);
	/* Also without any types. */
	L->task_comm.present = false;
	names(toy, prb, uts);
	assert_int_equal(toy->kernel.fact_count, 2);
}

/* Of the two symbols the note has one within the image. */
static void test_note_that_leads_astray(void **state)
{
	struct toy *toy = *state;

	put_note(toy, DATA + 0x40, DATA, DATA - 8, DATA + 0x800);
	names(toy, 0, DATA + 0x800);
	put_note(toy, DATA + 0x40, DATA, DATA + 0x900, DATA + PAGES * PAGE_SIZE);
	names(toy, DATA + 0x900, 0);
}

static void test_note_of_another_kernel(void **state)
{
	struct toy *toy = *state;

	put_note(toy, DATA + 0x40, DATA - PAGE_SIZE, DATA + 0x500, DATA + 0x600);
	names(toy, 0, 0);
	put_note(toy, DATA + 0x40, DATA + PAGES * PAGE_SIZE, DATA + 0x500, DATA + 0x600);
	names(toy, 0, 0);
	/* The right one may come after it. */
	put_note(toy, DATA + 0x80, DATA, DATA + 0x500, DATA + 0x600);
	names(toy, DATA + 0x500, DATA + 0x600);
}

/* A symbol that is known to lie elsewhere than the note says. */
static void test_note_against_symbols(void **state)
{
	struct toy *toy = *state;

	put_note(toy, DATA + 0x40, DATA, DATA + 0x500, DATA + 0x600);
	toy->kernel.symbol[LINUX_stext] = DATA + 0x10;
	linux_infer_symbols(&toy->kernel, DATA);
	assert_int_equal(toy->kernel.symbol[LINUX_prb], 0);
	toy->kernel.symbol[LINUX_stext] = DATA;
	toy->kernel.symbol[LINUX_init_uts_ns] = 99;
	linux_infer_symbols(&toy->kernel, DATA);
	assert_int_equal(toy->kernel.symbol[LINUX_prb], DATA + 0x500);
	assert_int_equal(toy->kernel.symbol[LINUX_init_uts_ns], 99);
}

/* What a page that is no note's, or a pointer that is none, says is not taken. */
static void test_no_note(void **state)
{
	struct toy *toy = *state;
	uint64_t page = put_note(toy, DATA + 0x40, DATA, DATA + 0x500, DATA + 0x600);

	toy_put(toy, DATA + 0x40, page + 8, 8);
	names(toy, 0, 0);
	toy_put(toy, DATA + 0x40, page & ~(1ull << 63), 8);
	names(toy, 0, 0);
	toy_put(toy, DATA + 0x40, page, 8);
	toy_put_bytes(toy, page + 10, "x", 1);
	names(toy, 0, 0);
}

static void test_cancelled(void **state)
{
	struct toy *toy = *state;
	uint64_t task = DATA + 0x80;

	put_task(toy, task, task, "swapper/0");
	cancel_request(&toy->cancel);
	finds(toy, 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(both),
	    TEST(at_the_end_of_a_page),
	    TEST(at_the_very_end),
	    TEST(lookalikes),
	    TEST(lists_of_other_things),
	    TEST(known),
	    TEST(without_layout),
	    TEST(without_modules),
	    TEST(page_that_cannot_be_read),
	    TEST(cancelled),
	    TEST(note),
	    TEST(note_that_leads_astray),
	    TEST(note_of_another_kernel),
	    TEST(note_against_symbols),
	    TEST(no_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
