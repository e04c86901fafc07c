/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routes of IPv4 and IPv6, and neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/linux/neighbours.h"
#include "guest/linux/routes.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

static void check_text(struct buffer *text, enum read_result result, const char *expected)
{
	assert_int_equal(result, expected ? READ_OK : READ_NONE);
	assert_int_equal(text->size, expected ? strlen(expected) : 0);
	if (expected)
		assert_memory_equal(text->data, expected, text->size);
	buffer_clear(text);
}

/* ---- IPv4 ------------------------------------------------------------------------------------ */

/*
 * A node of the trie: empty children at 0, the node above at 8, and the vector at 16 with key,
 * bits, and the children or the routes from 24 on.
 */
enum { TABLE_ID = 16, TABLE_TRIE = 24, TABLE_DATA = 32 };
enum { EMPTY = 0, ABOVE = 8, VECTOR = 16, BITS = 21, CHILDREN = 24 };
/* A route: link, back link, info, table, type, number of bits that do not count. */
enum { ALIAS_INFO = 16, ALIAS_TABLE = 24, ALIAS_TYPE = 28, ALIAS_SUFFIX = 29 };
enum { INFO_COUNT = 0, INFO_METRIC = 4, INFO_SOURCE = 8, INFO_METRICS = 16, INFO_NEXTHOP = 24 };
enum { INFO_HOPS = 32, HOP_SIZE = 48, HOP_FAMILY = 8, HOP_FLAGS = 9, HOP_GATEWAY = 16 };

static void narrow_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_net, &L->net_fib, 0, 8);
	toy_field(toy, LAYOUT_fib_table, &L->fib_table_list, 0, 16);
	toy_field(toy, LAYOUT_fib_table, &L->fib_table_id, TABLE_ID, 4);
	toy_field(toy, LAYOUT_fib_table, &L->fib_table_trie, TABLE_TRIE, 8);
	toy_field(toy, LAYOUT_fib_table, &L->fib_table_data, TABLE_DATA, 0);
	toy_field(toy, LAYOUT_trie, &L->trie_root, 0, 16);
	toy_field(toy, LAYOUT_tnode, &L->tnode_empty, EMPTY, 4);
	toy_field(toy, LAYOUT_tnode, &L->tnode_parent, ABOVE, 8);
	toy_field(toy, LAYOUT_tnode, &L->tnode_vector, VECTOR, 16);
	toy_field(toy, LAYOUT_key_vector, &L->key_vector_key, 0, 4);
	toy_field(toy, LAYOUT_key_vector, &L->key_vector_bits, BITS - VECTOR, 1);
	toy_field(toy, LAYOUT_key_vector, &L->key_vector_leaf, 8, 8);
	toy_field(toy, LAYOUT_key_vector, &L->key_vector_children, 8, 0);
	toy_field(toy, LAYOUT_fib_alias, &L->fib_alias_list, 0, 16);
	toy_field(toy, LAYOUT_fib_alias, &L->fib_alias_info, ALIAS_INFO, 8);
	toy_field(toy, LAYOUT_fib_alias, &L->fib_alias_table, ALIAS_TABLE, 4);
	toy_field(toy, LAYOUT_fib_alias, &L->fib_alias_type, ALIAS_TYPE, 1);
	toy_field(toy, LAYOUT_fib_alias, &L->fib_alias_suffix, ALIAS_SUFFIX, 1);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_count, INFO_COUNT, 4);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_metric, INFO_METRIC, 4);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_source, INFO_SOURCE, 4);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_metrics, INFO_METRICS, 8);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_nexthop, INFO_NEXTHOP, 8);
	toy_field(toy, LAYOUT_fib_info, &L->fib_info_hops, INFO_HOPS, 0);
	toy_field(toy, LAYOUT_fib_nh, &L->fib_nh_common, 0, 40);
	L->size[LAYOUT_fib_nh] = HOP_SIZE;
	toy_field(toy, LAYOUT_hop, &L->hop_device, 0, 8);
	toy_field(toy, LAYOUT_hop, &L->hop_family, HOP_FAMILY, 1);
	toy_field(toy, LAYOUT_hop, &L->hop_flags, HOP_FLAGS, 1);
	toy_field(toy, LAYOUT_hop, &L->hop_gateway, HOP_GATEWAY, 16);
	toy_field(toy, LAYOUT_nexthop, &L->nexthop_is_group, 0, 1);
	toy_field(toy, LAYOUT_nexthop, &L->nexthop_info, 8, 8);
	toy_field(toy, LAYOUT_nh_info, &L->nh_info_hop, 8, 40);
	toy_field(toy, LAYOUT_nh_group, &L->nh_group_count, 0, 2);
	toy_field(toy, LAYOUT_nh_group, &L->nh_group_entries, 8, 0);
	toy_field(toy, LAYOUT_nh_grp_entry, &L->nh_grp_entry_nexthop, 0, 8);
	L->size[LAYOUT_nh_grp_entry] = 16;
	toy_field(toy, LAYOUT_dst_metrics, &L->dst_metrics_values, 0, 68);
}

struct tables {
	uint64_t net, hash, table, trie, top, leaf[2], alias[2], info;
};

/* A table with a node of four children, two of which have a route each. */
static struct tables make_table(struct toy *toy)
{
	struct tables ret = {.net = toy_alloc(toy, 64), .hash = toy_alloc(toy, 2048)};

	narrow_layout(toy);
	ret.table = toy_alloc(toy, 64);
	ret.trie = ret.table + TABLE_DATA;
	ret.top = toy_alloc(toy, 256);
	ret.info = toy_alloc(toy, 256);
	toy_put(toy, ret.net, ret.hash, 8);
	toy_put(toy, ret.hash + 8, ret.table, 8);
	toy_put(toy, ret.table + 8, ret.hash + 8, 8);
	toy_put(toy, ret.table + TABLE_ID, 100, 4);
	toy_put(toy, ret.table + TABLE_TRIE, ret.trie, 8);
	toy_put(toy, ret.trie + 8, ret.top + VECTOR, 8);
	toy_put(toy, ret.top + ABOVE, ret.trie, 8);
	toy_put(toy, ret.top + EMPTY, 2, 4);
	toy_put(toy, ret.top + BITS, 2, 1);
	for (unsigned i = 0; i < 2; i++) {
		ret.leaf[i] = toy_alloc(toy, 64);
		ret.alias[i] = toy_alloc(toy, 64);
		toy_put(toy, ret.top + CHILDREN + 16 * i, ret.leaf[i] + VECTOR, 8);
		toy_put(toy, ret.leaf[i] + ABOVE, ret.top + VECTOR, 8);
		toy_put(toy, ret.leaf[i] + VECTOR, 0x0a000000 + (i << 16), 4);
		toy_put(toy, ret.leaf[i] + CHILDREN, ret.alias[i], 8);
		toy_put(toy, ret.alias[i] + 8, ret.leaf[i] + CHILDREN, 8);
		toy_put(toy, ret.alias[i] + ALIAS_INFO, ret.info, 8);
		toy_put(toy, ret.alias[i] + ALIAS_TABLE, 100, 4);
		toy_put(toy, ret.alias[i] + ALIAS_TYPE, 1, 1);
		toy_put(toy, ret.alias[i] + ALIAS_SUFFIX, 16, 1);
	}
	toy_put(toy, ret.info + INFO_COUNT, 2, 4);
	return ret;
}

/* How many routes are found, and why some are not. */
static void check_count(struct toy *toy, uint64_t net, size_t expected, enum read_result broken)
{
	struct linux_routes routes = {.kernel = &toy->kernel};

	assert_null(linux_routes_collect(&routes, net));
	assert_int_equal(routes.count, expected);
	assert_int_equal(routes.broken[0], broken);
	linux_routes_deinit(&routes);
}

static void test_trie(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_table(toy);
	uint64_t second = toy_alloc(toy, 64);

	check_count(toy, made.net, 2, READ_OK);
	/* A second route with the same key; one of another table, which cannot share the trie. */
	toy_put(toy, made.alias[0], second, 8);
	toy_put(toy, second + 8, made.alias[0], 8);
	toy_put(toy, second + ALIAS_TABLE, 100, 4);
	check_count(toy, made.net, 3, READ_OK);
	toy_put(toy, second + ALIAS_TABLE, 101, 4);
	check_count(toy, made.net, 2, READ_BAD_DATA);
	/* Main and local may share one. */
	toy_put(toy, made.table + TABLE_ID, 254, 4);
	toy_put(toy, made.alias[0] + ALIAS_TABLE, 254, 4);
	toy_put(toy, made.alias[1] + ALIAS_TABLE, 254, 4);
	toy_put(toy, second + ALIAS_TABLE, 255, 4);
	check_count(toy, made.net, 2, READ_OK);
	/* A route that does not point back, a loop, a page that is missing. */
	toy_put(toy, second + 8, made.alias[1], 8);
	check_count(toy, made.net, 2, READ_BAD_DATA);
	toy_put(toy, made.alias[0], made.alias[0], 8);
	check_count(toy, made.net, 2, READ_BAD_DATA);
	toy_put(toy, made.alias[0], 0, 8);
	toy_put(toy, made.leaf[1] + CHILDREN, TOY_MISSING, 8);
	check_count(toy, made.net, 1, READ_NOT_SAVED);
	/* A child that has another above it, one too few, more than there can be. */
	toy_put(toy, made.leaf[1] + CHILDREN, made.alias[1], 8);
	toy_put(toy, made.leaf[1] + ABOVE, made.leaf[0] + VECTOR, 8);
	check_count(toy, made.net, 1, READ_BAD_DATA);
	toy_put(toy, made.leaf[1] + ABOVE, made.top + VECTOR, 8);
	toy_put(toy, made.top + EMPTY, 1, 4);
	check_count(toy, made.net, 2, READ_BAD_DATA);
	toy_put(toy, made.top + BITS, 25, 1);
	check_count(toy, made.net, 0, READ_BAD_DATA);
	/* A node below itself; a table that is in its own place twice; tables that are not there.
	 */
	toy_put(toy, made.top + EMPTY, 2, 4);
	toy_put(toy, made.top + BITS, 2, 1);
	toy_put(toy, made.top + CHILDREN, made.top + VECTOR, 8);
	check_count(toy, made.net, 1, READ_BAD_DATA);
	toy_put(toy, made.top + CHILDREN, made.leaf[0] + VECTOR, 8);
	toy_put(toy, made.table, made.table, 8);
	check_count(toy, made.net, 2, READ_BAD_DATA);
	toy_put(toy, made.net, TOY_MISSING, 8);
	check_count(toy, made.net, 0, READ_NOT_SAVED);
}

/* A table's trie is its own; the table local may have that of main. */
static void test_whose_trie(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_table(toy);
	uint64_t other = toy_alloc(toy, 64);

	toy_put(toy, made.table + TABLE_TRIE, made.trie + 8, 8);
	check_count(toy, made.net, 0, READ_BAD_DATA);
	toy_put(toy, made.table + TABLE_TRIE, made.trie, 8);
	toy_put(toy, made.table + TABLE_ID, 254, 4);
	toy_put(toy, made.alias[0] + ALIAS_TABLE, 254, 4);
	toy_put(toy, made.alias[1] + ALIAS_TABLE, 255, 4);
	toy_put(toy, made.table, other, 8);
	toy_put(toy, other + 8, made.table, 8);
	toy_put(toy, other + TABLE_ID, 255, 4);
	toy_put(toy, other + TABLE_TRIE, made.trie, 8);
	check_count(toy, made.net, 2, READ_OK);
	toy_put(toy, other + TABLE_ID, 100, 4);
	check_count(toy, made.net, 1, READ_BAD_DATA);
	/* Without the member's place, nothing can be said. */
	L->fib_table_data.present = false;
	check_count(toy, made.net, 1, READ_BAD_DATA);
	toy_put(toy, made.table, 0, 8);
	toy_put(toy, made.alias[1] + ALIAS_TABLE, 254, 4);
	check_count(toy, made.net, 2, READ_OK);
}

/* Children without end: the walk ends at its bound. */
static void test_bound(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_table(toy);
	struct linux_routes routes = {.kernel = &toy->kernel, .steps = (uint64_t)64 << 20};

	assert_null(linux_routes_collect(&routes, made.net));
	assert_int_equal(routes.count, 0);
	assert_int_equal(routes.broken[0], READ_LIMIT);
	linux_routes_deinit(&routes);
}

static void test_narrow_route(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_table(toy);
	struct linux_route route = {.address = made.alias[0], .key = 0x0a140000, .table = 100};
	uint64_t group = toy_alloc(toy, 64), nexthop = toy_alloc(toy, 64),
		 info = toy_alloc(toy, 64);
	uint64_t metrics = toy_alloc(toy, 128), hop = made.info + INFO_HOPS + HOP_SIZE;
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_object_ struct object link = {0};
	struct linux_route_copy copy = {0};
	int64_t number = 0;

	toy_put(toy, made.info + INFO_METRIC, 7, 4);
	toy_put(toy, made.info + INFO_METRICS, metrics, 8);
	toy_put(toy, metrics + 4, 1400, 4);
	toy_put(toy, hop + HOP_FAMILY, 2, 1);
	toy_put_bytes(toy, hop + HOP_GATEWAY, "\x0a\0\0\x63", 4);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	check_text(&text, linux_route_destination(&toy->kernel, &copy, &text), "10.20.0.0");
	check_text(&text, linux_route_source(&toy->kernel, &copy, &text), NULL);
	assert_int_equal(linux_route_prefix(&toy->kernel, &copy, &number), READ_OK);
	assert_int_equal(number, 16);
	assert_int_equal(linux_route_type(&toy->kernel, &copy, &number), READ_OK);
	assert_int_equal(number, 1);
	assert_int_equal(linux_route_metric(&toy->kernel, &copy, &number), READ_OK);
	assert_int_equal(number, 7);
	assert_int_equal(linux_route_metrics(&toy->kernel, &copy, 2, &number), READ_OK);
	assert_int_equal(number, 1400);
	/* The second of two hops has a gateway, the first none. */
	assert_int_equal(copy.hops, 2);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 0, &link), READ_OK);
	check_text(&text, linux_hop_gateway(&toy->kernel, &link, &text), NULL);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 1, &link), READ_OK);
	check_text(&text, linux_hop_gateway(&toy->kernel, &link, &text), "10.0.0.99");
	toy_put(toy, hop + HOP_FAMILY, 10, 1);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 1, &link), READ_OK);
	check_text(&text, linux_hop_gateway(&toy->kernel, &link, &text), "a00:63::");
	toy_put(toy, hop + HOP_FAMILY, 3, 1);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 1, &link), READ_OK);
	assert_int_equal(linux_hop_gateway(&toy->kernel, &link, &text), READ_BAD_DATA);
	/* A hop that routes share, and a group of them. */
	toy_put(toy, made.info + INFO_NEXTHOP, nexthop, 8);
	toy_put(toy, nexthop + 8, info, 8);
	toy_put(toy, info + 8 + HOP_FAMILY, 2, 1);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	assert_int_equal(copy.hops, 1);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 0, &link), READ_OK);
	check_text(&text, linux_hop_gateway(&toy->kernel, &link, &text), "0.0.0.0");
	toy_put(toy, made.info + INFO_NEXTHOP, group, 8);
	toy_put(toy, group, 1, 1);
	toy_put(toy, group + 8, group + 16, 8);
	toy_put(toy, group + 16, 2, 2);
	toy_put(toy, group + 24, TOY_MISSING, 8);
	toy_put(toy, group + 40, nexthop, 8);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	assert_int_equal(copy.hops, 2);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 0, &link), READ_NOT_SAVED);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 1, &link), READ_OK);
	toy_put(toy, group + 16, 5000, 2);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 0, &link), READ_BAD_DATA);
	/* What is shared by routes is missing: the route is there all the same. */
	toy_put(toy, made.alias[0] + ALIAS_INFO, TOY_MISSING, 8);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	assert_int_equal(linux_route_metric(&toy->kernel, &copy, &number), READ_NOT_SAVED);
	assert_int_equal(linux_route_source(&toy->kernel, &copy, &text), READ_NOT_SAVED);
	assert_int_equal(linux_route_hop(&toy->kernel, &copy, 0, &link), READ_NOT_SAVED);
	linux_route_deinit(&copy);
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

enum { NODE_LEFT = 8, NODE_RIGHT = 16, NODE_LEAF = 24, NODE_FLAGS = 32, HAS_ROUTES = 4 };
enum { WIDE_NEXT = 0, WIDE_TABLE = 8, WIDE_TO = 16, WIDE_PREFIX = 32, WIDE_METRIC = 36 };
enum { ROOT = 32 };

static void wide_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_net, &L->net_fib6, 8, 8);
	toy_field(toy, LAYOUT_net, &L->net_fib6_null, 16, 8);
	toy_field(toy, LAYOUT_fib6_table, &L->fib6_table_list, 0, 16);
	toy_field(toy, LAYOUT_fib6_table, &L->fib6_table_id, 16, 4);
	toy_field(toy, LAYOUT_fib6_table, &L->fib6_table_root, ROOT, 40);
	toy_field(toy, LAYOUT_fib6_node, &L->fib6_node_parent, 0, 8);
	toy_field(toy, LAYOUT_fib6_node, &L->fib6_node_left, NODE_LEFT, 8);
	toy_field(toy, LAYOUT_fib6_node, &L->fib6_node_right, NODE_RIGHT, 8);
	toy_field(toy, LAYOUT_fib6_node, &L->fib6_node_leaf, NODE_LEAF, 8);
	toy_field(toy, LAYOUT_fib6_node, &L->fib6_node_flags, NODE_FLAGS, 2);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_next, WIDE_NEXT, 8);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_table, WIDE_TABLE, 8);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_to, WIDE_TO, 16);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_prefix, WIDE_PREFIX, 4);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_metric, WIDE_METRIC, 4);
	toy_field(toy, LAYOUT_fib6_info, &L->fib6_info_hops, 64, 0);
}

static void check_wide(struct toy *toy, uint64_t net, size_t expected, enum read_result broken)
{
	struct linux_routes routes = {.kernel = &toy->kernel};
	size_t wide = 0;

	assert_null(linux_routes_collect(&routes, net));
	for (size_t i = 0; i < routes.count; i++)
		wide += routes.items[i].wide;
	assert_int_equal(wide, expected);
	assert_int_equal(routes.broken[1], broken);
	linux_routes_deinit(&routes);
}

static void test_tree(void **state)
{
	struct toy *toy = *state;
	struct tables made = make_table(toy);
	uint64_t hash = toy_alloc(toy, 8), table = toy_alloc(toy, 128), node = toy_alloc(toy, 64);
	uint64_t info[] = {toy_alloc(toy, 128), toy_alloc(toy, 128)}, null = toy_alloc(toy, 128);
	struct linux_route route = {.address = info[1], .wide = true};
	struct linux_route_copy copy = {0};
	_cleanup_buffer_ struct buffer text = {0};
	int64_t number;

	wide_layout(toy);
	check_wide(toy, made.net, 0, READ_OK);
	toy_put(toy, made.net + 8, hash, 8);
	toy_put(toy, made.net + 16, null, 8);
	toy_put(toy, hash, table, 8);
	toy_put(toy, table + 8, hash, 8);
	/* The topmost node has the entry that says there is no route. */
	toy_put(toy, table + ROOT + NODE_LEAF, null, 8);
	toy_put(toy, table + ROOT + NODE_FLAGS, HAS_ROUTES, 2);
	check_wide(toy, made.net, 0, READ_OK);
	toy_put(toy, table + ROOT + NODE_RIGHT, node, 8);
	toy_put(toy, node, table + ROOT, 8);
	toy_put(toy, node + NODE_FLAGS, HAS_ROUTES, 2);
	toy_put(toy, node + NODE_LEAF, info[0], 8);
	toy_put(toy, info[0], info[1], 8);
	toy_put(toy, info[0] + WIDE_TABLE, table, 8);
	toy_put(toy, info[1] + WIDE_TABLE, table, 8);
	check_wide(toy, made.net, 2, READ_OK);
	toy_put_bytes(toy, info[1] + WIDE_TO, "\xfd\x01", 2);
	toy_put(toy, info[1] + WIDE_PREFIX, 32, 4);
	toy_put(toy, info[1] + WIDE_METRIC, 1024, 4);
	assert_int_equal(linux_route_read(&toy->kernel, &route, &copy), READ_OK);
	assert_int_equal(copy.hops, 1);
	check_text(&text, linux_route_destination(&toy->kernel, &copy, &text), "fd01::");
	assert_int_equal(linux_route_prefix(&toy->kernel, &copy, &number), READ_OK);
	assert_int_equal(number, 32);
	assert_int_equal(linux_route_metric(&toy->kernel, &copy, &number), READ_OK);
	assert_int_equal(number, 1024);
	linux_route_deinit(&copy);
	/* A loop; a route of another table; a node below another; no node; no layout. */
	toy_put(toy, info[1], info[0], 8);
	check_wide(toy, made.net, 2, READ_BAD_DATA);
	toy_put(toy, info[1] + WIDE_TABLE, null, 8);
	check_wide(toy, made.net, 1, READ_BAD_DATA);
	toy_put(toy, node, node, 8);
	check_wide(toy, made.net, 0, READ_BAD_DATA);
	toy_put(toy, table + ROOT + NODE_RIGHT, TOY_MISSING, 8);
	check_wide(toy, made.net, 0, READ_NOT_SAVED);
	L->fib6_node_left.present = false;
	check_wide(toy, made.net, 0, READ_NO_LAYOUT);
}

/* ---- Neighbours ------------------------------------------------------------------------------ */

enum { NEXT = 0, OF_TABLE = 8, STATE = 16, MAC = 20, KEY = 56 };

static void neighbour_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_neigh_table, &L->neigh_table_hash, 8, 8);
	toy_field(toy, LAYOUT_neigh_hash, &L->neigh_hash_buckets, 0, 8);
	toy_field(toy, LAYOUT_neigh_hash, &L->neigh_hash_shift, 8, 4);
	toy_field(toy, LAYOUT_neighbour, &L->neighbour_next, NEXT, 8);
	toy_field(toy, LAYOUT_neighbour, &L->neighbour_table, OF_TABLE, 8);
	toy_field(toy, LAYOUT_neighbour, &L->neighbour_state, STATE, 1);
	toy_field(toy, LAYOUT_neighbour, &L->neighbour_mac, MAC, 32);
	toy_field(toy, LAYOUT_neighbour, &L->neighbour_key, KEY, 0);
}

/* How many neighbours there are, and why some are missing, of IPv4 and of IPv6. */
static void check_neighbours(struct toy *toy, size_t expected, enum read_result narrow,
			     enum read_result wide)
{
	struct linux_neighbours walk = {0};
	uint64_t address;
	size_t count = 0;

	assert_null(linux_neighbours_init(&walk, &toy->kernel));
	while (linux_neighbours_next(&walk, &address))
		count++;
	assert_int_equal(count, expected);
	assert_int_equal(walk.broken[LINUX_NEIGHBOURS_IP4], narrow);
	assert_int_equal(walk.broken[LINUX_NEIGHBOURS_IP6], wide);
	linux_neighbours_deinit(&walk);
}

static void test_neighbours(void **state)
{
	struct toy *toy = *state;
	uint64_t table = toy_alloc(toy, 64), hash = toy_alloc(toy, 64), other = toy_alloc(toy, 64);
	uint64_t buckets = toy_alloc(toy, 64);
	uint64_t at[] = {toy_alloc(toy, 128), toy_alloc(toy, 128), toy_alloc(toy, 128)};
	struct linux_neighbours walk = {.kernel = &toy->kernel, .table = table};
	_cleanup_object_ struct object copy = {0};
	_cleanup_buffer_ struct buffer text = {0};

	neighbour_layout(toy);
	toy->kernel.symbol[LINUX_arp_tbl] = table;
	toy_put(toy, table + 8, hash, 8);
	toy_put(toy, hash, buckets, 8);
	toy_put(toy, hash + 8, 2, 4);
	toy_put(toy, buckets + 8, at[0], 8);
	toy_put(toy, at[0], at[1], 8);
	toy_put(toy, buckets + 24, at[2], 8);
	for (int i = 0; i < 3; i++)
		toy_put(toy, at[i] + OF_TABLE, table, 8);
	check_neighbours(toy, 3, READ_OK, READ_NO_SYMBOL);
	/* The table counts one more than it has. */
	toy_field(toy, LAYOUT_neigh_table, &L->neigh_table_entries, 16, 4);
	toy_put(toy, table + 16, 4, 4);
	check_neighbours(toy, 3, READ_BAD_DATA, READ_NO_SYMBOL);
	toy->kernel.guest.live = true;
	check_neighbours(toy, 3, READ_OK, READ_NO_SYMBOL);
	toy->kernel.guest.live = false;
	toy_put(toy, table + 16, 3, 4);
	check_neighbours(toy, 3, READ_OK, READ_NO_SYMBOL);
	toy->kernel.symbol[LINUX_nd_tbl] = other;
	toy_put(toy, other + 8, hash, 8);
	/* These are neighbours of the other table. */
	check_neighbours(toy, 3, READ_OK, READ_BAD_DATA);
	toy_put(toy, other + 8, TOY_MISSING, 8);
	toy_put(toy, at[1], at[0], 8);
	check_neighbours(toy, 3, READ_BAD_DATA, READ_NOT_SAVED);
	toy_put(toy, buckets + 8, TOY_MISSING, 8);
	check_neighbours(toy, 1, READ_NOT_SAVED, READ_NOT_SAVED);
	toy_put(toy, hash + 8, 25, 4);
	check_neighbours(toy, 0, READ_BAD_DATA, READ_NOT_SAVED);
	/* What is read of one. */
	toy_put(toy, at[0] + STATE, LINUX_NUD_PERMANENT, 1);
	toy_put_bytes(toy, at[0] + MAC, "\x52\x54\0\x0a\xff\x01", 6);
	toy_put_bytes(toy, at[0] + KEY, "\x0a\0\0\x02", 4);
	assert_int_equal(linux_neighbour_read(&walk, at[0], &copy), READ_OK);
	check_text(&text, linux_neighbour_address(&walk, &copy, &text), "10.0.0.2");
	check_text(&text, linux_neighbour_mac(&walk, &copy, 6, &text), "52:54:00:0a:ff:01");
	check_text(&text, linux_neighbour_mac(&walk, &copy, 0, &text), NULL);
	assert_int_equal(linux_neighbour_mac(&walk, &copy, 33, &text), READ_BAD_DATA);
	toy_put(toy, at[0] + STATE, LINUX_NUD_FAILED, 1);
	assert_int_equal(linux_neighbour_read(&walk, at[0], &copy), READ_OK);
	check_text(&text, linux_neighbour_mac(&walk, &copy, 6, &text), NULL);
	toy_put(toy, at[0] + OF_TABLE, other, 8);
	assert_int_equal(linux_neighbour_read(&walk, at[0], &copy), READ_BAD_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_trie, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_whose_trie, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_bound, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_narrow_route, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_tree, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_neighbours, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
