/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/socket_tables.h"

#include "guest/linux/network.h"
#include "guest/linux/socket.h"

#include <string.h>

#define MAX_SLOTS      ((uint64_t)1 << 22) /* of all tables; the kernel makes at most 512 Ki */
#define MAX_SOCKETS    ((size_t)1 << 20)
#define LISTEN_SLOTS   32                  /* INET_LHTABLE_SIZE */
#define LISTEN_BASE    ((uint64_t)1 << 29) /* LISTENING_NULLS_BASE */
#define MAX_TRIES      4                   /* to walk a chain that the guest changes meanwhile */
#define STEPS_PER_LOOK 64                  /* sockets of a chain between two looks at the clock */
#define END_OF_NULLS   1                   /* the lowest bit of a chain's last link */

/* A table: slots of a size, in each of which the head of a chain is. */
struct table {
	uint64_t slots, count;
	uint32_t size, head;
	/* The last link of a chain has the slot's number and END_OF_NULLS, not 0. */
	bool nulls;
	uint64_t base; /* is added to the number */
};

void linux_socket_tables_deinit(struct linux_socket_tables *tables)
{
	free(tables->items);
	hash_map_deinit(&tables->seen);
}

static void note_broken(struct linux_socket_tables *tables, enum read_result result)
{
	if (!tables->broken || result == READ_NO_MEMORY)
		tables->broken = result;
}

enum read_result linux_socket_of(struct linux_kernel *kernel, uint64_t sock, uint64_t *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket_table);
	uint64_t state = 0;
	enum read_result result =
	    linux_read_field(kernel, sock, &layout->sock_common_state, &state);

	*ret = 0;
	if (result != READ_OK || linux_socket_is_bare(state))
		return result;
	return linux_read_field(kernel, sock, &layout->table_sock_socket, ret);
}

bool linux_socket_is_in_table(struct linux_kernel *kernel, uint64_t sock)
{
	uint64_t back = 0;

	return linux_read_word(kernel,
			       sock + kernel->layout.sock_common_node.offset + kernel->word_size,
			       &back) == READ_OK &&
	       back;
}

static enum read_result add_socket(struct linux_socket_tables *tables, uint64_t sock)
{
	struct linux_table_socket item = {.sock = sock};

	if (tables->count == MAX_SOCKETS)
		return READ_LIMIT;
	if (tables->count == tables->capacity) {
		size_t capacity = tables->capacity ? tables->capacity * 2 : 64;
		struct linux_table_socket *grown =
		    realloc(tables->items, capacity * sizeof(*grown));

		if (!grown)
			return READ_NO_MEMORY;
		tables->items = grown;
		tables->capacity = capacity;
	}
	linux_socket_of(tables->kernel, sock, &item.socket);
	tables->items[tables->count++] = item;
	return READ_OK;
}

/* READ_LIMIT if the time of the query is over, or it was cancelled. */
static enum read_result may_go_on(const struct linux_socket_tables *tables)
{
	return cancel_requested(tables->kernel->guest.cancel) || linux_is_late(tables->kernel)
		   ? READ_LIMIT
		   : READ_OK;
}

/* Whether a link is the last one of a chain, and of this one. */
static enum read_result is_end(const struct linux_socket_tables *tables, const struct table *table,
			       uint64_t number, uint64_t link, bool *ret)
{
	uint64_t mask = tables->kernel->word_size == 4 ? UINT32_MAX : UINT64_MAX;

	*ret = table->nulls ? link & END_OF_NULLS : !link;
	if (!*ret || !table->nulls)
		return READ_OK;
	return link == (((table->base + number) << 1 | END_OF_NULLS) & mask) ? READ_OK
									     : READ_BAD_DATA;
}

/* Adds the socket of a node, unless an earlier walk has; READ_BAD_DATA if this one has. */
static enum read_result meet(struct linux_socket_tables *tables, uint64_t node)
{
	uint64_t *walk;

	switch (hash_map_insert(&tables->seen, node, tables->walks)) {
	case HASH_NOMEM:
		return READ_NO_MEMORY;
	case HASH_INSERTED:
		return add_socket(tables, node - tables->kernel->layout.sock_common_node.offset);
	case HASH_EXISTS:
		break;
	}
	walk = hash_map_find(&tables->seen, node);
	if (*walk == tables->walks)
		return READ_BAD_DATA;
	*walk = tables->walks;
	return READ_OK;
}

/*
 * Walks one chain. READ_BAD_DATA: it leads to another chain's end, as it may where the guest runs
 * and a socket has moved meanwhile.
 */
static enum read_result walk_chain(struct linux_socket_tables *tables, const struct table *table,
				   uint64_t number, uint64_t first)
{
	struct linux_kernel *kernel = tables->kernel;
	uint64_t before = table->slots + number * table->size + table->head, back = 0;
	enum read_result result;
	unsigned met = 1;
	bool ends;

	tables->walks++;
	for (uint64_t at = first;;) {
		result = is_end(tables, table, number, at, &ends);
		if (result != READ_OK || ends)
			return result;
		result = linux_read_word(kernel, at + kernel->word_size, &back);
		if (result == READ_OK && back != before)
			result = READ_BAD_DATA;
		if (result == READ_OK && met++ % STEPS_PER_LOOK == 0)
			result = may_go_on(tables);
		if (result == READ_OK)
			result = meet(tables, at);
		if (result != READ_OK)
			return result;
		before = at;
		result = linux_read_word(kernel, at, &at);
		if (result != READ_OK)
			return result;
	}
}

/* False if the walk of all tables is to end. */
static bool walk_slot(struct linux_socket_tables *tables, const struct table *table,
		      uint64_t number, uint64_t first)
{
	enum read_result result = walk_chain(tables, table, number, first);

	for (int tries = 1; result != READ_OK && result != READ_LIMIT &&
			    tables->kernel->guest.live && tries < MAX_TRIES;
	     tries++) {
		result = linux_read_word(tables->kernel,
					 table->slots + number * table->size + table->head, &first);
		if (result == READ_OK)
			result = walk_chain(tables, table, number, first);
	}
	note_broken(tables, result);
	return result != READ_LIMIT && result != READ_NO_MEMORY;
}

/* Walks a table, once. */
static void walk_table(struct linux_socket_tables *tables, const struct table *table)
{
	struct linux_kernel *kernel = tables->kernel;
	uint8_t bytes[PAGE_SIZE];
	uint64_t per_read = table->size ? sizeof(bytes) / table->size : 0, count;
	enum hash_result known;

	known = hash_map_insert(&tables->seen, table->slots, 0);
	if (known == HASH_NOMEM)
		note_broken(tables, READ_NO_MEMORY);
	if (known != HASH_INSERTED)
		return;
	if (!per_read || table->head + kernel->word_size > table->size) {
		note_broken(tables, READ_NO_LAYOUT);
		return;
	}
	if (table->count > MAX_SLOTS - tables->slots) {
		note_broken(tables, READ_LIMIT);
		return;
	}
	tables->slots += table->count;
	for (uint64_t i = 0; i < table->count; i += count) {
		enum read_result result = may_go_on(tables);

		count = table->count - i < per_read ? table->count - i : per_read;
		if (result == READ_OK)
			result = linux_read(kernel, table->slots + i * table->size, bytes,
					    count * table->size);
		for (uint64_t j = 0; result == READ_OK && j < count; j++) {
			uint64_t first = 0;

			memcpy(&first, bytes + j * table->size + table->head, kernel->word_size);
			if (!walk_slot(tables, table, i + j, first))
				return;
		}
		note_broken(tables, result);
		/* A table whose memory is not the kernel's is none. */
		if (result == READ_LIMIT || result == READ_NOT_MAPPED)
			return;
	}
}

/* Connections, and those that listen. info: address of a struct inet_hashinfo */
static void walk_tcp(struct linux_socket_tables *tables, uint64_t info)
{
	struct linux_kernel *kernel = tables->kernel;
	const struct layout *layout = &kernel->layout;
	struct table table = {.size = layout->size[LAYOUT_ehash_bucket],
			      .head = layout->ehash_bucket_chain.offset,
			      .nulls = true};
	enum read_result result =
	    linux_read_field(kernel, info, &layout->hashinfo_ehash, &table.slots);

	if (result == READ_OK)
		result = linux_read_field(kernel, info, &layout->hashinfo_ehash_mask, &table.count);
	table.count++;
	if (result == READ_OK)
		walk_table(tables, &table);
	note_broken(tables, result);
	table.size = layout->size[LAYOUT_listen_bucket];
	table.head = layout->listen_bucket_head.offset;
	table.base = LISTEN_BASE;
	table.count = LISTEN_SLOTS;
	table.slots = info + layout->hashinfo_listening.offset;
	result = READ_OK;
	if (!layout->hashinfo_listening.present) {
		result = linux_read_field(kernel, info, &layout->hashinfo_lhash2, &table.slots);
		if (result == READ_OK)
			result = linux_read_field(kernel, info, &layout->hashinfo_lhash2_mask,
						  &table.count);
		table.count++;
	}
	if (result == READ_OK)
		walk_table(tables, &table);
	note_broken(tables, result);
}

static void walk_udp(struct linux_socket_tables *tables, uint64_t info)
{
	struct linux_kernel *kernel = tables->kernel;
	const struct layout *layout = &kernel->layout;
	struct table table = {.size = layout->size[LAYOUT_udp_slot],
			      .head = layout->udp_slot_head.offset};
	enum read_result result =
	    linux_read_field(kernel, info, &layout->udp_table_hash, &table.slots);

	if (result == READ_OK)
		result = linux_read_field(kernel, info, &layout->udp_table_mask, &table.count);
	table.count++;
	if (result == READ_OK)
		walk_table(tables, &table);
	note_broken(tables, result);
}

/*
 * Walks what a namespace's field points to, or what a symbol names where namespaces have no such
 * field. A kernel without the protocol has neither, and no such table among its types.
 */
static void walk_from(struct linux_socket_tables *tables, uint64_t net, const struct field *field,
		      enum linux_symbol symbol, const struct field *of_table,
		      void (*walk)(struct linux_socket_tables *tables, uint64_t info))
{
	uint64_t info = tables->kernel->symbol[symbol];
	enum read_result result = READ_OK;

	if (field->present)
		result = linux_read_field(tables->kernel, net, field, &info);
	else if (!info && of_table->present)
		result = READ_NO_SYMBOL;
	/* Before the protocol is set up there is no table. */
	if (result == READ_OK && info)
		walk(tables, info);
	note_broken(tables, result);
}

void linux_socket_tables_collect(struct linux_socket_tables *tables)
{
	struct linux_kernel *kernel = tables->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_socket_table);
	struct linux_nets nets;
	uint64_t net;

	linux_layout(kernel, LAYOUT_GROUP_net);
	if (!layout->sock_common_node.present || !layout->sock_common_state.present) {
		note_broken(tables, READ_NO_LAYOUT);
		return;
	}
	linux_nets_init(&nets, kernel);
	while (linux_nets_next(&nets, &net)) {
		walk_from(tables, net, &layout->net_tcp, LINUX_tcp_hashinfo,
			  &layout->hashinfo_ehash, walk_tcp);
		walk_from(tables, net, &layout->net_udp, LINUX_udp_table, &layout->udp_table_hash,
			  walk_udp);
	}
	if (kernel->symbol[LINUX_udplite_table])
		walk_udp(tables, kernel->symbol[LINUX_udplite_table]);
	note_broken(tables, nets.list.broken);
	linux_nets_deinit(&nets);
	if (tables->broken != READ_NO_MEMORY)
		return;
	/* What is left of the memory is for the sockets of processes. */
	linux_socket_tables_deinit(tables);
	*tables = (struct linux_socket_tables){.kernel = kernel, .broken = READ_NO_MEMORY};
}
