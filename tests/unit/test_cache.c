/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages of files out of the page cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest/linux/cache.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { UPTODATE = 8, PAGE_STRUCT = 64, FIRST_FRAME = 0x100 };

struct fixture {
	struct toy toy;
	struct linux_cache cache;
	uint64_t pages; /* address of the struct page of FIRST_FRAME */
};

static void layout_of_cache(struct toy *toy)
{
	toy_field(toy, LAYOUT_mapping, &L->mapping_pages, 8, 16);
	toy_field(toy, LAYOUT_mapping, &L->mapping_head, 16, 8);
	toy_field(toy, LAYOUT_page_node, &L->page_node_shift, 0, 1);
	toy_field(toy, LAYOUT_page_node, &L->page_node_array, 16, 8);
	toy_array(toy, LAYOUT_page_node, &L->page_node_slots, 40, 8, 64);
	toy_field(toy, LAYOUT_page, &L->page_flags, 0, 8);
	toy_field(toy, LAYOUT_page, &L->page_head, 8, 8);
	toy_field(toy, LAYOUT_page, &L->page_mapping, 24, 8);
	toy_field(toy, LAYOUT_page, &L->page_index, 32, 8);
	L->size[LAYOUT_page] = PAGE_STRUCT;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct toy *toy = &fixture->toy;

	toy_init(toy);
	layout_of_cache(toy);
	fixture->pages = toy_alloc(toy, (size_t)PAGE_STRUCT * 64);
	fixture->cache = (struct linux_cache){
	    .kernel = &toy->kernel,
	    .mapping = toy_alloc(toy, 64),
	    .pages = fixture->pages - (uint64_t)FIRST_FRAME * PAGE_STRUCT,
	    .uptodate = UPTODATE,
	};
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	linux_cache_deinit(&fixture->cache);
	toy_deinit(&fixture->toy);
	free(fixture);
	return 0;
}

/* Makes the struct page `n` the head of a folio of this file that begins at page `index`. */
static uint64_t new_page(struct fixture *fixture, unsigned n, uint64_t index)
{
	struct toy *toy = &fixture->toy;
	uint64_t page = fixture->pages + (uint64_t)n * PAGE_STRUCT;

	toy_set(toy, page, &L->page_flags, UPTODATE);
	toy_set(toy, page, &L->page_mapping, fixture->cache.mapping);
	toy_set(toy, page, &L->page_index, index);
	return page;
}

static uint64_t new_node(struct fixture *fixture, uint64_t shift)
{
	struct toy *toy = &fixture->toy;
	uint64_t node = toy_alloc(toy, 576);

	toy_set(toy, node, &L->page_node_shift, shift);
	toy_set(toy, node, &L->page_node_array, fixture->cache.mapping + L->mapping_pages.offset);
	return node;
}

static void set_slot(struct fixture *fixture, uint64_t node, unsigned slot, uint64_t entry)
{
	toy_put(&fixture->toy, node + 40 + (uint64_t)slot * 8, entry, 8);
}

static void set_head(struct fixture *fixture, uint64_t entry)
{
	struct toy *toy = &fixture->toy;

	toy_set(toy, fixture->cache.mapping, &L->mapping_head, entry);
	fixture->cache.node.size = 0;
	fixture->cache.has_leaf = false;
}

static void expect_frame(struct fixture *fixture, uint64_t number, unsigned n)
{
	gpa_t place = gpa(0);

	assert_int_equal(linux_cache_page(&fixture->cache, number, &place), READ_OK);
	assert_int_equal(place.v, (uint64_t)(FIRST_FRAME + n) << PAGE_SHIFT);
}

static void expect_result(struct fixture *fixture, uint64_t number, enum read_result result)
{
	gpa_t place;

	assert_int_equal(linux_cache_page(&fixture->cache, number, &place), result);
}

static void test_tree(void **state)
{
	struct fixture *fixture = *state;
	uint64_t top = new_node(fixture, 6), leaf = new_node(fixture, 0);

	expect_result(fixture, 0, READ_PAGED_OUT);
	fixture->cache.memory_only = true;
	expect_result(fixture, 0, READ_NONE);
	/* The root is page 0 itself. */
	set_head(fixture, new_page(fixture, 0, 0));
	expect_frame(fixture, 0, 0);
	expect_result(fixture, 1, READ_NONE);
	/* Two levels: pages 128 to 191 are in the leaf. */
	set_head(fixture, top | 2);
	set_slot(fixture, top, 2, leaf | 2);
	set_slot(fixture, leaf, 5, new_page(fixture, 7, 133));
	set_slot(fixture, leaf, 6, 0x1235);
	expect_frame(fixture, 133, 7);
	expect_result(fixture, 134, READ_PAGED_OUT);
	expect_result(fixture, 135, READ_NONE);
	expect_result(fixture, 133 + 4096, READ_NONE);
	expect_result(fixture, UINT64_MAX, READ_NONE);
}

static void test_folios(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t leaf = new_node(fixture, 0), head = new_page(fixture, 16, 8);

	set_head(fixture, leaf | 2);
	set_slot(fixture, leaf, 8, head);
	/* Since 5.17 a sibling points to the slot of the head; before, each slot has the head. */
	set_slot(fixture, leaf, 9, 8 << 2 | 2);
	set_slot(fixture, leaf, 10, head);
	for (unsigned i = 1; i < 3; i++)
		toy_set(toy, head + (uint64_t)i * PAGE_STRUCT, &L->page_head, head | 1);
	expect_frame(fixture, 8, 16);
	expect_frame(fixture, 9, 17);
	expect_frame(fixture, 10, 18);
	/* The folio ends before page 11. */
	set_slot(fixture, leaf, 11, head);
	set_head(fixture, leaf | 2);
	expect_result(fixture, 11, READ_BAD_DATA);
}

static void test_bad_pages(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t page = new_page(fixture, 3, 0);

	set_head(fixture, page);
	toy_set(toy, page, &L->page_flags, 0);
	expect_result(fixture, 0, READ_PAGED_OUT);
	toy_set(toy, page, &L->page_flags, UPTODATE);
	toy_set(toy, page, &L->page_index, 1);
	expect_result(fixture, 0, READ_BAD_DATA);
	toy_set(toy, page, &L->page_index, 0);
	toy_set(toy, page, &L->page_mapping, page);
	expect_result(fixture, 0, READ_BAD_DATA);
	/* No struct page lies there. */
	toy_set(toy, page, &L->page_mapping, fixture->cache.mapping);
	fixture->cache.pages += 8;
	expect_result(fixture, 0, READ_BAD_DATA);
}

static void test_bad_nodes(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t top = new_node(fixture, 6);

	/* A node that is its own child, on a level that does not follow. */
	set_head(fixture, top | 2);
	set_slot(fixture, top, 0, top | 2);
	expect_result(fixture, 0, READ_BAD_DATA);
	/* A sibling of a sibling, and an entry that is no node. */
	set_slot(fixture, top, 1, 2 << 2 | 2);
	set_slot(fixture, top, 2, 1 << 2 | 2);
	set_slot(fixture, top, 3, 256 << 2 | 2);
	set_head(fixture, top | 2);
	expect_result(fixture, 64, READ_BAD_DATA);
	expect_result(fixture, 192, READ_BAD_DATA);
	/* The node of another tree, and a shift that no tree has. */
	toy_set(toy, top, &L->page_node_array, top);
	set_head(fixture, top | 2);
	expect_result(fixture, 320, READ_BAD_DATA);
	set_head(fixture, new_node(fixture, 200) | 2);
	expect_result(fixture, 0, READ_BAD_DATA);
	set_head(fixture, 0x10002);
	expect_result(fixture, 0, READ_NOT_MAPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_folios, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_pages, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_nodes, setup, teardown),
	};

	return cmocka_run_group_tests_name("page cache", tests, NULL, NULL);
}
