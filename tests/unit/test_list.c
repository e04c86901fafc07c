/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk over kernel lists, still, damaged, and changing between two steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/hash.h"

#include "toy_kernel.h"

#define POISON 0xdead000000000122ull /* LIST_POISON2 */
#define NODES  8

struct list_test {
	struct toy toy;
	struct linux_list walk;
	struct hash_map seen;
	uint64_t head, node[NODES];
};

static void set_next(struct list_test *test, uint64_t node, uint64_t next)
{
	toy_put(&test->toy, node, next, 8);
}

static void set_back(struct list_test *test, uint64_t node, uint64_t back)
{
	toy_put(&test->toy, node + 8, back, 8);
}

static uint64_t get(struct list_test *test, uint64_t address)
{
	uint64_t value;

	memcpy(&value, test->toy.ram + (address - TOY_BASE), 8);
	return value;
}

static void append(struct list_test *test, uint64_t node)
{
	uint64_t last = get(test, test->head + 8);

	set_next(test, node, test->head);
	set_back(test, node, last);
	set_next(test, last, node);
	set_back(test, test->head, node);
}

/* list_del_rcu(): its own link on stays. */
static void take_off(struct list_test *test, uint64_t node)
{
	uint64_t next = get(test, node), back = get(test, node + 8);

	set_next(test, back, next);
	set_back(test, next, back);
	set_back(test, node, POISON);
}

static int setup(void **state)
{
	struct list_test *test = malloc(sizeof(*test));

	toy_init(&test->toy);
	hash_map_init(&test->seen);
	test->head = toy_alloc(&test->toy, 16);
	set_next(test, test->head, test->head);
	set_back(test, test->head, test->head);
	for (size_t i = 0; i < NODES; i++) {
		test->node[i] = toy_alloc(&test->toy, 16);
		append(test, test->node[i]);
	}
	linux_list_init(&test->walk, &test->toy.kernel, test->head, 100, &test->seen);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct list_test *test = *state;

	hash_map_deinit(&test->seen);
	toy_deinit(&test->toy);
	free(test);
	return 0;
}

/* The next nodes must be those, by their numbers. */
static void gives(struct list_test *test, const char *numbers)
{
	uint64_t node;

	for (; *numbers; numbers++) {
		assert_true(linux_list_next(&test->walk, &node));
		assert_int_equal(node, test->node[*numbers - '0']);
	}
}

static void ends(struct list_test *test, bool broken)
{
	uint64_t node = 77;

	assert_false(linux_list_next(&test->walk, &node));
	assert_int_equal(node, 77);
	assert_int_equal(test->walk.broken != READ_OK, broken);
}

static void test_still(void **state)
{
	struct list_test *test = *state;

	gives(test, "01234567");
	ends(test, false);
	assert_int_equal(test->walk.count, 8);
}

static void test_empty(void **state)
{
	struct list_test *test = *state;

	set_next(test, test->head, test->head);
	set_back(test, test->head, test->head);
	ends(test, false);
}

static void test_limit(void **state)
{
	struct list_test *test = *state;

	test->walk.limit = 3;
	gives(test, "012");
	ends(test, true);
}

static void test_cancel(void **state)
{
	struct list_test *test = *state;

	gives(test, "01");
	cancel_request(&test->toy.cancel);
	ends(test, false);
}

/* A saved guest's list that leads back into itself. */
static void test_loop(void **state)
{
	struct list_test *test = *state;

	set_next(test, test->node[5], test->node[2]);
	gives(test, "012345");
	ends(test, true);
}

/* On a running guest a loop must end too, though nodes may be met twice there. */
static void test_loop_of_running_guest(void **state)
{
	struct list_test *test = *state;

	test->toy.kernel.guest.live = true;
	/* Each node points back to where the walk comes from. */
	set_next(test, test->node[5], test->node[2]);
	set_back(test, test->node[2], test->node[5]);
	set_next(test, test->node[1], test->node[2]);
	gives(test, "01");
	ends(test, true);
}

static void test_unmapped(void **state)
{
	struct list_test *test = *state;

	set_next(test, test->node[3], 0xffffc90000000000);
	gives(test, "0123");
	ends(test, true);
}

static void test_node_at_hand_is_taken_off(void **state)
{
	struct list_test *test = *state;

	test->toy.kernel.guest.live = true;
	gives(test, "012");
	take_off(test, test->node[2]);
	gives(test, "34567");
	ends(test, false);
	assert_int_equal(test->walk.count, 8);
}

/* Its memory becomes another node of the list, the last one: it leads to the end. */
static void test_node_at_hand_is_used_again(void **state)
{
	struct list_test *test = *state;

	test->toy.kernel.guest.live = true;
	gives(test, "012");
	take_off(test, test->node[2]);
	append(test, test->node[2]);
	gives(test, "34567");
	ends(test, false);
}

static void test_all_before_are_taken_off(void **state)
{
	struct list_test *test = *state;

	test->toy.kernel.guest.live = true;
	gives(test, "0123");
	for (size_t i = 0; i < 5; i++)
		take_off(test, test->node[i]);
	gives(test, "567");
	ends(test, false);
}

/* Every node goes as soon as it was given: the walk may not start again for ever. */
static void test_endless_change(void **state)
{
	struct list_test *test = *state;
	uint64_t node;
	size_t given = 0;

	test->toy.kernel.guest.live = true;
	test->walk.limit = 100000;
	while (given < 100000 && linux_list_next(&test->walk, &node)) {
		given++;
		take_off(test, node);
		append(test, toy_alloc(&test->toy, 16));
	}
	assert_true(given >= 64);
	assert_true(given < 100);
	assert_true(test->walk.broken);
}

/* A saved guest does not change: there is nothing to start again for. */
static void test_saved_guest_starts_once(void **state)
{
	struct list_test *test = *state;

	gives(test, "012");
	take_off(test, test->node[2]);
	ends(test, true);
	assert_int_equal(test->walk.starts, 0);
}

/* Saved in the middle of __list_add(): the new one is linked to, but only backwards. */
static void test_saved_while_added(void **state)
{
	struct list_test *test = *state;
	uint64_t added = toy_alloc(&test->toy, 16), node;

	set_next(test, added, test->node[4]);
	set_back(test, added, test->node[3]);
	set_back(test, test->node[4], added);
	gives(test, "0123");
	assert_true(linux_list_next(&test->walk, &node));
	assert_int_equal(node, added);
	gives(test, "4567");
	ends(test, false);
}

/* At the end, where new tasks are put. */
static void test_saved_while_appended(void **state)
{
	struct list_test *test = *state;
	uint64_t added = toy_alloc(&test->toy, 16), node;

	set_next(test, added, test->head);
	set_back(test, added, test->node[7]);
	set_back(test, test->head, added);
	gives(test, "01234567");
	assert_true(linux_list_next(&test->walk, &node));
	assert_int_equal(node, added);
	ends(test, false);
}

/*
 * A link forward that passes one by, as if that was being added: a changed word is no reason to
 * lose it.
 */
static void test_passed_by(void **state)
{
	struct list_test *test = *state;

	set_next(test, test->node[3], test->node[5]);
	gives(test, "01234567");
	ends(test, false);
}

/* Saved in the middle of __list_del(): backwards it is off already. */
static void test_saved_while_taken_off(void **state)
{
	struct list_test *test = *state;

	set_back(test, test->node[4], test->node[2]);
	gives(test, "01234567");
	ends(test, false);
}

/* Where neither explains it, the list is broken. */
static void test_wrong_link_back(void **state)
{
	struct list_test *test = *state;

	set_back(test, test->node[4], test->node[6]);
	gives(test, "0123");
	ends(test, true);
}

static void test_holds(void **state)
{
	struct list_test *test = *state;

	assert_true(linux_list_holds(&test->toy.kernel, test->node[3]));
	take_off(test, test->node[3]);
	assert_false(linux_list_holds(&test->toy.kernel, test->node[3]));
	assert_true(linux_list_holds(&test->toy.kernel, test->node[4]));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(still),
	    TEST(empty),
	    TEST(limit),
	    TEST(cancel),
	    TEST(loop),
	    TEST(loop_of_running_guest),
	    TEST(unmapped),
	    TEST(node_at_hand_is_taken_off),
	    TEST(node_at_hand_is_used_again),
	    TEST(all_before_are_taken_off),
	    TEST(endless_change),
	    TEST(saved_guest_starts_once),
	    TEST(saved_while_added),
	    TEST(saved_while_appended),
	    TEST(saved_while_taken_off),
	    TEST(passed_by),
	    TEST(wrong_link_back),
	    TEST(holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
