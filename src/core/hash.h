/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hash map from u64 to u64 (open addressing, linear probing) and a byte-string hash. Used for
 * loop detection, page sets and name lookups. Keys may be any value.
 */
#ifndef NUNCHI_CORE_HASH_H
#define NUNCHI_CORE_HASH_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_entry {
	uint64_t key;
	uint64_t value;
	bool used;
};

struct hash_map {
	struct hash_entry *entries;
	size_t count;
	size_t capacity; /* a power of two, or 0 */
};

enum hash_result { HASH_INSERTED, HASH_EXISTS, HASH_NOMEM };

void hash_map_init(struct hash_map *map);
void hash_map_deinit(struct hash_map *map);
/* Removes all entries; frees the storage too if it is far larger than they needed. */
void hash_map_clear(struct hash_map *map);
/* Makes room for so many more entries at once. If memory is short, hash_map_insert() says so. */
void hash_map_reserve(struct hash_map *map, size_t count);
/* Adds key with its value, unless the key is there; then the old value stays. */
enum hash_result hash_map_insert(struct hash_map *map, uint64_t key, uint64_t value);
/* A pointer to the value of key, or NULL; valid until the next insert. */
uint64_t *hash_map_find(const struct hash_map *map, uint64_t key);

/* A 64-bit hash of bytes (FNV-1a, mixed); not for keys chosen to collide. */
uint64_t hash_bytes(const void *data, size_t size);

/*
 * A 64-bit hash of bytes that who does not know the key cannot make collide (SipHash-2-4 of
 * Aumasson and Bernstein).
 */
uint64_t hash_bytes_keyed(const void *data, size_t size, const uint64_t key[2]);

#define _cleanup_hash_map_ _cleanup_(hash_map_deinit)

#endif
