/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/neighbours.h"

#include <arpa/inet.h>

#define MAX_SHIFT      24
#define MAX_NEIGHBOURS (1 << 22)

static uint64_t table_of(const struct linux_neighbours *walk)
{
	static const enum linux_symbol symbols[] = {LINUX_arp_tbl, LINUX_nd_tbl};

	return walk->kernel->symbol[symbols[walk->kind]];
}

struct nunchi_error *linux_neighbours_init(struct linux_neighbours *walk,
					   struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_neighbour);

	if (!layout->neigh_table_hash.present || !layout->neigh_hash_buckets.present ||
	    !layout->neigh_hash_shift.present || !layout->neighbour_next.present ||
	    !layout->neighbour_table.present || !layout->neighbour_key.present ||
	    !layout->neighbour_state.present)
		return linux_lacks_fields("neighbours cannot be walked",
					  "a field of neigh_table, neigh_hash_table or neighbour");
	if (!kernel->symbol[LINUX_arp_tbl] && !kernel->symbol[LINUX_nd_tbl])
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "neighbours cannot be walked: the symbols arp_tbl "
					       "and nd_tbl are missing"),
				  "give the kernel's System.map with --symbols");
	walk->kernel = kernel;
	return NULL;
}

void linux_neighbours_deinit(struct linux_neighbours *walk)
{
	hash_map_deinit(&walk->seen);
}

static void note_broken(struct linux_neighbours *walk, enum read_result result)
{
	if (!walk->broken[walk->kind])
		walk->broken[walk->kind] = result;
}

/* Opens the current table; if this fails, it has no buckets. */
static void open_table(struct linux_neighbours *walk)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct layout *layout = &kernel->layout;
	enum read_result result = READ_NO_SYMBOL;
	uint64_t hash = 0, shift = 0;

	walk->table = table_of(walk);
	if (walk->table)
		result = linux_read_field(kernel, walk->table, &layout->neigh_table_hash, &hash);
	if (result == READ_OK)
		result =
		    linux_read_field(kernel, hash, &layout->neigh_hash_buckets, &walk->buckets);
	if (result == READ_OK)
		result = linux_read_field(kernel, hash, &layout->neigh_hash_shift, &shift);
	if (result == READ_OK && shift > MAX_SHIFT)
		result = READ_BAD_DATA;
	note_broken(walk, result);
	walk->bucket = 0;
	walk->bucket_count = result == READ_OK ? (uint32_t)1 << shift : 0;
	walk->next = 0;
	hash_map_clear(&walk->seen);
}

/* Steps from the current neighbour to the one behind it; false if it is none. */
static bool step(struct linux_neighbours *walk, uint64_t *ret)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t at = walk->next, table = 0, next = 0;
	enum read_result result = walk->seen.count < MAX_NEIGHBOURS ? READ_OK : READ_LIMIT;
	enum hash_result inserted;

	inserted = result == READ_OK ? hash_map_insert(&walk->seen, at, 0) : HASH_INSERTED;
	if (inserted != HASH_INSERTED)
		result = inserted == HASH_NOMEM ? READ_NO_MEMORY : READ_BAD_DATA;
	if (result == READ_OK)
		result = linux_read_field(walk->kernel, at, &layout->neighbour_table, &table);
	if (result == READ_OK && table != walk->table)
		result = READ_BAD_DATA;
	if (result == READ_OK)
		result = linux_read_field(walk->kernel, at, &layout->neighbour_next, &next);
	note_broken(walk, result);
	walk->next = next;
	*ret = at;
	return result == READ_OK;
}

/*
 * Whether the table counts more neighbours than were met. On a running guest one may have come or
 * gone.
 */
static bool lacks_some(struct linux_neighbours *walk)
{
	const struct field *field = &walk->kernel->layout.neigh_table_entries;
	uint64_t count;

	return !walk->kernel->guest.live && walk->table && field->present &&
	       linux_read_field(walk->kernel, walk->table, field, &count) == READ_OK &&
	       walk->seen.count < count;
}

bool linux_neighbours_next(struct linux_neighbours *walk, uint64_t *ret)
{
	unsigned word = walk->kernel->word_size;

	while (walk->kind < LINUX_NEIGHBOUR_TABLES &&
	       !cancel_requested(walk->kernel->guest.cancel)) {
		if (!walk->table)
			open_table(walk);
		if (walk->next) {
			if (step(walk, ret))
				return true;
			walk->next = 0;
			continue;
		}
		if (walk->bucket < walk->bucket_count) {
			uint64_t at = walk->buckets + (uint64_t)walk->bucket++ * word;

			note_broken(walk, linux_read_word(walk->kernel, at, &walk->next));
			continue;
		}
		if (lacks_some(walk))
			note_broken(walk, READ_BAD_DATA);
		walk->kind++;
		walk->table = 0;
	}
	return false;
}

enum read_result linux_neighbour_read(const struct linux_neighbours *walk, uint64_t address,
				      struct object *ret)
{
	enum read_result result = linux_read_object(walk->kernel, LAYOUT_neighbour, address, ret);

	if (result == READ_OK &&
	    object_u64(ret, &walk->kernel->layout.neighbour_table) != walk->table)
		return READ_BAD_DATA;
	return result;
}

enum read_result linux_neighbour_address(const struct linux_neighbours *walk,
					 const struct object *neighbour, struct buffer *ret)
{
	bool wide = walk->kind == LINUX_NEIGHBOURS_IP6;
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	enum read_result result =
	    linux_read(walk->kernel, neighbour->address + walk->kernel->layout.neighbour_key.offset,
		       bytes, wide ? 16 : 4);

	if (result != READ_OK)
		return result;
	inet_ntop(wide ? AF_INET6 : AF_INET, bytes, text, sizeof(text));
	return buffer_append_string(ret, text) ? READ_OK : READ_NO_MEMORY;
}

enum read_result linux_neighbour_mac(const struct linux_neighbours *walk,
				     const struct object *neighbour, uint64_t size,
				     struct buffer *ret)
{
	const struct field *field = &walk->kernel->layout.neighbour_mac;
	uint64_t state = object_u64(neighbour, &walk->kernel->layout.neighbour_state);

	if (!field->present)
		return READ_NO_LAYOUT;
	if (!size || state & (LINUX_NUD_INCOMPLETE | LINUX_NUD_FAILED))
		return READ_NONE;
	if (size > field->size || field->offset + field->size > neighbour->size)
		return READ_BAD_DATA;
	for (size_t i = 0; i < size; i++) {
		if (i)
			buffer_append_char(ret, ':');
		buffer_append_unsigned(ret, neighbour->data[field->offset + i], 16, 2);
	}
	return ret->failed ? READ_NO_MEMORY : READ_OK;
}
