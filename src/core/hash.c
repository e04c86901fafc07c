/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hash.h"

#include <string.h>

/* Up to this capacity zeroing the whole table costs too little to avoid. */
#define SMALL_CAPACITY 1024

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

uint64_t hash_bytes(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return mix(h);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t hash_bytes_keyed(const void *data, size_t size, const uint64_t key[2])
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
			 key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
	const unsigned char *p = data;

	for (size_t left = size;; left -= 8, p += 8) {
		uint64_t word = left < 8 ? (uint64_t)size << 56 : 0;

		for (size_t i = 0; i < 8 && i < left; i++)
			word |= (uint64_t)p[i] << (8 * i);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
		if (left < 8)
			break;
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void hash_map_init(struct hash_map *map)
{
	*map = (struct hash_map){0};
}

void hash_map_deinit(struct hash_map *map)
{
	free(map->entries);
	hash_map_init(map);
}

void hash_map_clear(struct hash_map *map)
{
	/*
	 * Zeroing a table that is far larger than its content would make each later clear as slow
	 * as after the largest use; such a table is freed instead.
	 */
	if (map->capacity > SMALL_CAPACITY && map->count < map->capacity / 16) {
		hash_map_deinit(map);
		return;
	}
	if (map->count)
		memset(map->entries, 0, map->capacity * sizeof(*map->entries));
	map->count = 0;
}

/*
 * Returns the entry of key, or the free entry where key belongs; the table is never full. The hash
 * depends on the table's own address, which a hostile guest does not know, so that it cannot choose
 * keys that collide.
 */
static struct hash_entry *slot(struct hash_entry *entries, size_t capacity, uint64_t key)
{
	size_t i = mix(key ^ (uintptr_t)entries * 0x9e3779b97f4a7c15ULL) & (capacity - 1);

	while (entries[i].used && entries[i].key != key)
		i = (i + 1) & (capacity - 1);
	return &entries[i];
}

static bool grow(struct hash_map *map, size_t capacity)
{
	struct hash_entry *entries = calloc(capacity, sizeof(*entries));

	if (!entries)
		return false;
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->entries[i].used)
			*slot(entries, capacity, map->entries[i].key) = map->entries[i];
	}
	free(map->entries);
	map->entries = entries;
	map->capacity = capacity;
	return true;
}

void hash_map_reserve(struct hash_map *map, size_t count)
{
	size_t capacity = map->capacity ? map->capacity : 64;

	while ((map->count + count) * 4 >= capacity * 3)
		capacity *= 2;
	if (capacity > map->capacity)
		grow(map, capacity);
}

enum hash_result hash_map_insert(struct hash_map *map, uint64_t key, uint64_t value)
{
	struct hash_entry *entry;

	if (map->count * 4 >= map->capacity * 3 &&
	    !grow(map, map->capacity ? map->capacity * 2 : 64))
		return HASH_NOMEM;
	entry = slot(map->entries, map->capacity, key);
	if (entry->used)
		return HASH_EXISTS;
	*entry = (struct hash_entry){.key = key, .value = value, .used = true};
	map->count++;
	return HASH_INSERTED;
}

uint64_t *hash_map_find(const struct hash_map *map, uint64_t key)
{
	struct hash_entry *entry;

	if (!map->count)
		return NULL;
	entry = slot(map->entries, map->capacity, key);
	return entry->used ? &entry->value : NULL;
}
