/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/routes.h"

#include <arpa/inet.h>
#include <string.h>

#define HASH_SIZE       256 /* of tables, FIB_TABLE_HASHSZ and FIB6_TABLE_HASHSZ */
#define MAX_TABLES      65536
#define MAX_ROUTES      (2 << 20)  /* of a namespace */
#define MAX_BITS        24         /* of a node of the trie: 16 million children */
#define MAX_STEPS       (64 << 20) /* words looked at in all namespaces together */
#define WORDS_OF_NODE   16         /* a node counts as so many words */
#define MAX_HOPS        4096
#define NODE_HAS_ROUTES 4 /* RTN_RTINFO */

enum { NARROW, WIDE };
enum { TABLE_MAIN = 254, TABLE_LOCAL = 255 };

struct nunchi_error *linux_routes_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_route);

	linux_layout(kernel, LAYOUT_GROUP_net);
	if (layout->net_fib.present && layout->fib_table_list.present &&
	    layout->fib_table_trie.present && layout->tnode_vector.present &&
	    layout->tnode_parent.present && layout->key_vector_bits.present &&
	    layout->key_vector_children.present && layout->fib_alias_list.present &&
	    layout->fib_alias_info.present && layout->fib_info_hops.present &&
	    layout->hop_device.present)
		return NULL;
	return linux_lacks_fields("routes cannot be walked",
				  "a field of net, fib_table, tnode, fib_alias or fib_info");
}

void linux_routes_deinit(struct linux_routes *routes)
{
	free(routes->items);
	free(routes->pending);
	hash_map_deinit(&routes->seen);
}

static void note_broken(struct linux_routes *routes, bool wide, enum read_result result)
{
	if (!routes->broken[wide])
		routes->broken[wide] = result;
}

/* Whether so many words more may be looked at. */
static bool may_go_on(struct linux_routes *routes, bool wide, uint64_t count)
{
	if (cancel_requested(routes->kernel->guest.cancel))
		return false;
	if (routes->steps + count > MAX_STEPS) {
		note_broken(routes, wide, READ_LIMIT);
		return false;
	}
	routes->steps += count;
	return true;
}

/* Whether what is met now was not met before, and the walk may go on. */
static bool is_new(struct linux_routes *routes, bool wide, uint64_t address)
{
	enum hash_result result;

	if (!may_go_on(routes, wide, WORDS_OF_NODE))
		return false;
	result = hash_map_insert(&routes->seen, address, 0);
	if (result != HASH_INSERTED)
		note_broken(routes, wide, result == HASH_NOMEM ? READ_NO_MEMORY : READ_BAD_DATA);
	return result == HASH_INSERTED;
}

static void add_route(struct linux_routes *routes, const struct linux_route *route)
{
	if (routes->count == routes->capacity) {
		size_t capacity = routes->capacity ? routes->capacity * 2 : 64;
		struct linux_route *grown = realloc(routes->items, capacity * sizeof(*grown));

		if (!grown) {
			note_broken(routes, route->wide, READ_NO_MEMORY);
			return;
		}
		routes->items = grown;
		routes->capacity = capacity;
	}
	if (routes->count < MAX_ROUTES)
		routes->items[routes->count++] = *route;
	else
		note_broken(routes, route->wide, READ_LIMIT);
}

static void push(struct linux_routes *routes, bool wide, uint64_t node)
{
	if (routes->pending_count == routes->pending_capacity) {
		size_t capacity = routes->pending_capacity ? routes->pending_capacity * 2 : 64;
		uint64_t *grown = realloc(routes->pending, capacity * sizeof(*grown));

		if (!grown) {
			note_broken(routes, wide, READ_NO_MEMORY);
			return;
		}
		routes->pending = grown;
		routes->pending_capacity = capacity;
	}
	routes->pending[routes->pending_count++] = node;
}

/* ---- IPv4 ------------------------------------------------------------------------------------ */

/* Pushes a node of the trie that points back to the one above it. */
static enum read_result push_vector(struct linux_routes *routes, uint64_t above, uint64_t node)
{
	const struct layout *layout = &routes->kernel->layout;
	uint64_t parent = 0;
	enum read_result result = linux_read_field(
	    routes->kernel, node - layout->tnode_vector.offset, &layout->tnode_parent, &parent);

	if (result == READ_OK && parent != above)
		return READ_BAD_DATA;
	if (result == READ_OK)
		push(routes, NARROW, node);
	return result;
}

/* The tables local and main share a trie until there are rules about which to use. */
static bool may_share(uint64_t table, uint64_t other)
{
	return table == other || (table >= TABLE_MAIN && table <= TABLE_LOCAL &&
				  other >= TABLE_MAIN && other <= TABLE_LOCAL);
}

/* Adds the routes that lead to one key; each points back to the link that leads to it. */
static void add_leaf(struct linux_routes *routes, uint64_t node, uint32_t key, uint32_t table)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t link = node + layout->key_vector_leaf.offset, at = 0, back = 0, of = 0;
	enum read_result result = linux_read_word(kernel, link, &at);

	while (result == READ_OK && at) {
		struct linux_route route = {
		    .address = at - layout->fib_alias_list.offset, .key = key, .table = table};

		if (!is_new(routes, NARROW, at))
			return;
		result = linux_read_word(kernel, at + kernel->word_size, &back);
		if (result == READ_OK && back != link)
			result = READ_BAD_DATA;
		if (result == READ_OK)
			result =
			    linux_read_field(kernel, route.address, &layout->fib_alias_table, &of);
		if (result == READ_OK && !may_share(table, of))
			result = READ_BAD_DATA;
		if (result == READ_OK && of == table)
			add_route(routes, &route);
		link = at;
		if (result == READ_OK)
			result = linux_read_word(kernel, link, &at);
	}
	note_broken(routes, NARROW, result);
}

/*
 * Reads the words of children from one on, up to the end of a page. *ret_count: how many they are,
 * also where they cannot be read.
 */
static enum read_result read_children(struct linux_kernel *kernel, uint64_t at, uint64_t left,
				      uint64_t *words, uint64_t *ret_count)
{
	uint8_t bytes[PAGE_SIZE];
	unsigned size = kernel->word_size;
	uint64_t count = (PAGE_SIZE - (at & PAGE_MASK)) / size;
	enum read_result result;

	count = count ? count : 1;
	*ret_count = count = count < left ? count : left;
	result = linux_read(kernel, at, bytes, count * size);
	for (uint64_t i = 0; result == READ_OK && i < count; i++) {
		words[i] = 0;
		memcpy(&words[i], bytes + i * size, size);
	}
	return result;
}

/* Pushes the children of a node, which are as many as it says. */
static void push_children(struct linux_routes *routes, uint64_t node, uint64_t bits)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t left = (uint64_t)1 << bits, empty = 0, expected = 0, count = 0;
	uint64_t at = node + layout->key_vector_children.offset, words[PAGE_SIZE / 4];
	enum read_result result = READ_OK;

	for (; left; left -= count, at += count * kernel->word_size) {
		enum read_result chunk = read_children(kernel, at, left, words, &count);

		if (!may_go_on(routes, NARROW, count))
			return;
		result = result == READ_OK ? chunk : result;
		for (uint64_t i = 0; chunk == READ_OK && i < count; i++) {
			empty += !words[i];
			if (!words[i])
				continue;
			if (!may_go_on(routes, NARROW, WORDS_OF_NODE))
				return;
			note_broken(routes, NARROW, push_vector(routes, node, words[i]));
		}
	}
	if (result == READ_OK)
		result = linux_read_field(kernel, node - layout->tnode_vector.offset,
					  &layout->tnode_empty, &expected);
	if (result == READ_OK && !kernel->guest.live && empty != expected)
		result = READ_BAD_DATA;
	note_broken(routes, NARROW, result);
}

/*
 * Finds the trie of a table, which is the table's last member, or for the table local that of main
 * (fib_trie_table() of net/ipv4/fib_trie.c).
 */
static enum read_result find_trie(struct linux_routes *routes, uint64_t table, uint64_t id,
				  uint64_t *ret)
{
	const struct layout *layout = &routes->kernel->layout;
	uint64_t own = table + layout->fib_table_data.offset;
	enum read_result result =
	    linux_read_field(routes->kernel, table, &layout->fib_table_trie, ret);

	if (result != READ_OK || !layout->fib_table_data.present)
		return result;
	if (id == TABLE_MAIN)
		routes->trie_of_main = own;
	return *ret == own || (id == TABLE_LOCAL && *ret == routes->trie_of_main) ? READ_OK
										  : READ_BAD_DATA;
}

static void walk_trie(struct linux_routes *routes, uint64_t table)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t trie = 0, root, id = 0, node = 0;
	enum read_result result = linux_read_field(kernel, table, &layout->fib_table_id, &id);

	if (result == READ_OK)
		result = find_trie(routes, table, id, &trie);
	root = trie + layout->trie_root.offset;
	if (result == READ_OK)
		result = linux_read_word(kernel, root + layout->key_vector_children.offset, &node);
	hash_map_clear(&routes->seen);
	routes->pending_count = 0;
	if (result == READ_OK && node)
		result = push_vector(routes, root, node);
	note_broken(routes, NARROW, result);
	while (routes->pending_count) {
		uint64_t key = 0, bits = 0;

		node = routes->pending[--routes->pending_count];
		if (!is_new(routes, NARROW, node))
			return;
		result = linux_read_field(kernel, node, &layout->key_vector_key, &key);
		if (result == READ_OK)
			result = linux_read_field(kernel, node, &layout->key_vector_bits, &bits);
		if (result == READ_OK && bits > MAX_BITS)
			result = READ_BAD_DATA;
		note_broken(routes, NARROW, result);
		if (result == READ_OK && bits)
			push_children(routes, node, bits);
		else if (result == READ_OK)
			add_leaf(routes, node, (uint32_t)key, (uint32_t)id);
	}
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

/* Adds the routes of a node of the tree, in the order of their metrics. */
static void add_infos(struct linux_routes *routes, uint64_t info, uint64_t table, uint32_t id)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t null = 0, of = 0;
	enum read_result result =
	    linux_read_field(kernel, routes->net, &layout->net_fib6_null, &null);

	while (result == READ_OK && info && info != null) {
		struct linux_route route = {.address = info, .table = id, .wide = true};

		if (!is_new(routes, WIDE, info))
			return;
		result = linux_read_field(kernel, info, &layout->fib6_info_table, &of);
		if (result == READ_OK && of != table)
			result = READ_BAD_DATA;
		if (result == READ_OK)
			add_route(routes, &route);
		if (result == READ_OK)
			result = linux_read_field(kernel, info, &layout->fib6_info_next, &info);
	}
	note_broken(routes, WIDE, result);
}

/* Pushes a node that points back to the one above it. */
static void push_node(struct linux_routes *routes, uint64_t above, const struct object *copy,
		      const struct field *field)
{
	const struct layout *layout = &routes->kernel->layout;
	uint64_t node = object_u64(copy, field), parent = 0;
	enum read_result result;

	if (!node)
		return;
	result = linux_read_field(routes->kernel, node, &layout->fib6_node_parent, &parent);
	if (result == READ_OK && parent != above)
		result = READ_BAD_DATA;
	note_broken(routes, WIDE, result);
	if (result == READ_OK)
		push(routes, WIDE, node);
}

static void walk_tree(struct linux_routes *routes, uint64_t table)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object copy = {0};
	uint64_t id = 0;

	note_broken(routes, WIDE, linux_read_field(kernel, table, &layout->fib6_table_id, &id));
	hash_map_clear(&routes->seen);
	routes->pending_count = 0;
	push(routes, WIDE, table + layout->fib6_table_root.offset);
	while (routes->pending_count) {
		uint64_t node = routes->pending[--routes->pending_count];
		enum read_result result;

		if (!is_new(routes, WIDE, node))
			return;
		result = linux_read_object(kernel, LAYOUT_fib6_node, node, &copy);
		note_broken(routes, WIDE, result);
		if (result != READ_OK)
			continue;
		if (object_u64(&copy, &layout->fib6_node_flags) & NODE_HAS_ROUTES)
			add_infos(routes, object_u64(&copy, &layout->fib6_node_leaf), table,
				  (uint32_t)id);
		push_node(routes, node, &copy, &layout->fib6_node_right);
		push_node(routes, node, &copy, &layout->fib6_node_left);
		push_node(routes, node, &copy, &layout->fib6_node_subtree);
	}
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Walks over the tables of a family, which lie in a hash table. */
static void walk_tables(struct linux_routes *routes, bool wide, uint64_t hash, unsigned size)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct field *list =
	    wide ? &kernel->layout.fib6_table_list : &kernel->layout.fib_table_list;
	unsigned tables = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t link = hash + (uint64_t)i * kernel->word_size, at = 0, back = 0;
		enum read_result result = linux_read_word(kernel, link, &at);

		while (result == READ_OK && at) {
			result = linux_read_word(kernel, at + kernel->word_size, &back);
			if (result == READ_OK && back != link)
				result = READ_BAD_DATA;
			if (result == READ_OK && tables++ == MAX_TABLES)
				result = READ_LIMIT;
			if (result != READ_OK)
				break;
			if (wide)
				walk_tree(routes, at - list->offset);
			else
				walk_trie(routes, at - list->offset);
			link = at;
			result = linux_read_word(kernel, link, &at);
		}
		note_broken(routes, wide, result);
	}
}

static bool has_wide(const struct layout *layout)
{
	return layout->net_fib6.present && layout->fib6_table_list.present &&
	       layout->fib6_table_root.present && layout->fib6_node_leaf.present &&
	       layout->fib6_node_left.present && layout->fib6_node_right.present &&
	       layout->fib6_info_next.present && layout->fib6_info_hops.present;
}

struct nunchi_error *linux_routes_collect(struct linux_routes *routes, uint64_t net)
{
	struct linux_kernel *kernel = routes->kernel;
	const struct layout *layout = &kernel->layout;
	enum read_result result;
	uint64_t hash = 0;

	routes->net = net;
	routes->count = 0;
	routes->trie_of_main = 0;
	routes->broken[NARROW] = routes->broken[WIDE] = READ_OK;
	result = linux_read_field(kernel, net, &layout->net_fib, &hash);
	if (result == READ_OK)
		walk_tables(routes, NARROW, hash, layout->net_fib_main.present ? HASH_SIZE : 2);
	note_broken(routes, NARROW, result);
	if (!layout->net_fib6.present)
		return NULL;
	result = has_wide(layout) ? READ_OK : READ_NO_LAYOUT;
	if (result == READ_OK)
		result = linux_read_field(kernel, net, &layout->net_fib6, &hash);
	/* Until its first use the namespace has none. */
	if (result == READ_OK && hash)
		walk_tables(routes, WIDE, hash, layout->net_fib6_local.present ? HASH_SIZE : 1);
	note_broken(routes, WIDE, result);
	return routes->broken[NARROW] == READ_NO_MEMORY || routes->broken[WIDE] == READ_NO_MEMORY
		   ? &error_nomem
		   : NULL;
}

/* ---- One route ------------------------------------------------------------------------------- */

void linux_route_deinit(struct linux_route_copy *copy)
{
	object_deinit(&copy->alias);
	object_deinit(&copy->info);
}

/* Finds out how many hops the route has, and where they are. */
static enum read_result find_hops(struct linux_kernel *kernel, struct linux_route_copy *copy)
{
	const struct layout *layout = &kernel->layout;
	bool wide = copy->route->wide;
	uint64_t is_group = 0, count = 1;
	enum read_result result = READ_OK;

	copy->group = 0;
	copy->nexthop =
	    object_u64(&copy->info, wide ? &layout->fib6_info_nexthop : &layout->fib_info_nexthop);
	if (copy->nexthop) {
		result =
		    linux_read_field(kernel, copy->nexthop, &layout->nexthop_is_group, &is_group);
		if (result == READ_OK && is_group)
			result = linux_read_field(kernel, copy->nexthop, &layout->nexthop_info,
						  &copy->group);
		if (result == READ_OK && is_group)
			result =
			    linux_read_field(kernel, copy->group, &layout->nh_group_count, &count);
	} else if (!wide) {
		count = object_u64(&copy->info, &layout->fib_info_count);
	}
	if (result == READ_OK && count > MAX_HOPS)
		return READ_BAD_DATA;
	copy->hops = (unsigned)count;
	return result;
}

enum read_result linux_route_read(struct linux_kernel *kernel, const struct linux_route *route,
				  struct linux_route_copy *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t info = route->address;
	enum read_result result = READ_OK;

	ret->route = route;
	ret->hops = 0;
	if (!route->wide) {
		result = linux_read_object(kernel, LAYOUT_fib_alias, route->address, &ret->alias);
		info = object_u64(&ret->alias, &layout->fib_alias_info);
	}
	if (result != READ_OK)
		return result;
	linux_read_object(kernel, route->wide ? LAYOUT_fib6_info : LAYOUT_fib_info, info,
			  &ret->info);
	ret->hops_result = ret->info.result;
	if (ret->hops_result == READ_OK)
		ret->hops_result = find_hops(kernel, ret);
	return route->wide ? ret->info.result : READ_OK;
}

enum read_result linux_route_hop(struct linux_kernel *kernel, const struct linux_route_copy *copy,
				 unsigned hop, struct object *ret)
{
	const struct layout *layout = &kernel->layout;
	const struct field *own =
	    copy->route->wide ? &layout->fib6_info_hops : &layout->fib_info_hops;
	uint64_t at = copy->nexthop;
	enum read_result result = copy->hops_result;

	if (result != READ_OK)
		return result;
	if (!at)
		return linux_read_object(kernel, LAYOUT_hop,
					 copy->info.address + own->offset +
					     (uint64_t)hop * layout->size[LAYOUT_fib_nh] +
					     layout->fib_nh_common.offset,
					 ret);
	if (copy->group)
		result = linux_read_field(kernel,
					  copy->group + layout->nh_group_entries.offset +
					      (uint64_t)hop * layout->size[LAYOUT_nh_grp_entry],
					  &layout->nh_grp_entry_nexthop, &at);
	if (result == READ_OK)
		result = linux_read_field(kernel, at, &layout->nexthop_info, &at);
	if (result == READ_OK && !layout->nh_info_hop.present)
		result = READ_NO_LAYOUT;
	if (result != READ_OK)
		return result;
	return linux_read_object(kernel, LAYOUT_hop, at + layout->nh_info_hop.offset, ret);
}

static enum read_result put_address(bool wide, const void *bytes, struct buffer *ret)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(wide ? AF_INET6 : AF_INET, bytes, text, sizeof(text));
	return buffer_append_string(ret, text) ? READ_OK : READ_NO_MEMORY;
}

/* The bytes of a field of a copy; NULL if it is not in it. */
static const uint8_t *bytes_of(const struct object *object, const struct field *field, size_t size)
{
	if (!field->present || field->size < size || field->offset + field->size > object->size)
		return NULL;
	return object->data + field->offset;
}

enum read_result linux_route_destination(struct linux_kernel *kernel,
					 const struct linux_route_copy *copy, struct buffer *ret)
{
	const uint8_t *bytes = bytes_of(&copy->info, &kernel->layout.fib6_info_to, 16);
	uint32_t key = htonl(copy->route->key);

	if (!copy->route->wide)
		return put_address(false, &key, ret);
	return bytes ? put_address(true, bytes, ret) : READ_NO_LAYOUT;
}

enum read_result linux_route_source(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	bool wide = copy->route->wide;
	const struct field *field = wide ? &layout->fib6_info_source : &layout->fib_info_source;
	const uint8_t *bytes = bytes_of(&copy->info, field, wide ? 16 : 4);

	if (copy->info.result != READ_OK)
		return copy->info.result;
	if (!bytes || (wide && !layout->fib6_info_source_prefix.present))
		return READ_NO_LAYOUT;
	if (!object_u64(&copy->info, wide ? &layout->fib6_info_source_prefix : field))
		return READ_NONE;
	return put_address(wide, bytes, ret);
}

enum read_result linux_route_prefix(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result;

	if (copy->route->wide)
		return object_number(&copy->info, &layout->fib6_info_prefix, ret);
	result = object_number(&copy->alias, &layout->fib_alias_suffix, ret);
	if (result == READ_OK && *ret > 32)
		return READ_BAD_DATA;
	*ret = 32 - *ret;
	return result;
}

enum read_result linux_route_type(struct linux_kernel *kernel, const struct linux_route_copy *copy,
				  int64_t *ret)
{
	const struct layout *layout = &kernel->layout;

	return copy->route->wide ? object_number(&copy->info, &layout->fib6_info_type, ret)
				 : object_number(&copy->alias, &layout->fib_alias_type, ret);
}

enum read_result linux_route_protocol(struct linux_kernel *kernel,
				      const struct linux_route_copy *copy, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;

	return object_number(
	    &copy->info,
	    copy->route->wide ? &layout->fib6_info_protocol : &layout->fib_info_protocol, ret);
}

enum read_result linux_route_metric(struct linux_kernel *kernel,
				    const struct linux_route_copy *copy, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;

	return object_number(
	    &copy->info, copy->route->wide ? &layout->fib6_info_metric : &layout->fib_info_metric,
	    ret);
}

enum read_result linux_route_metrics(struct linux_kernel *kernel,
				     const struct linux_route_copy *copy, unsigned which,
				     int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	const struct field *field =
	    copy->route->wide ? &layout->fib6_info_metrics : &layout->fib_info_metrics;
	uint64_t metrics = object_u64(&copy->info, field);
	enum read_result result = copy->info.result;
	uint32_t value = 0;

	if (result == READ_OK && (!field->present || !layout->dst_metrics_values.present))
		result = READ_NO_LAYOUT;
	if (result == READ_OK)
		result = linux_read_u32(
		    kernel, metrics + layout->dst_metrics_values.offset + (uint64_t)(which - 1) * 4,
		    &value);
	*ret = value;
	return result;
}

enum read_result linux_hop_gateway(struct linux_kernel *kernel, const struct object *hop,
				   struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	const uint8_t *bytes = bytes_of(hop, &layout->hop_gateway, 16);
	uint64_t family = object_u64(hop, &layout->hop_family);

	if (!bytes || !layout->hop_family.present)
		return READ_NO_LAYOUT;
	if (!family)
		return READ_NONE;
	if (family != 2 && family != 10)
		return READ_BAD_DATA;
	return put_address(family == 10, bytes, ret);
}
