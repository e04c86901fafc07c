/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages that a hypervisor mapped by a list, wherever they lie: mapping a hundred scattered pages in
 * one call costs little more than one of them (mapper.h has the windows for what was not foreseen).
 * Private to memory/.
 */
#ifndef NUNCHI_MEMORY_FETCHED_H
#define NUNCHI_MEMORY_FETCHED_H

#include "core/hash.h"
#include "memory/memory.h"

#include <stdatomic.h>

struct sigbus_region;

#define FETCHED_BATCHES 64
/* In all: 32 MiB. */
#define FETCHED_PAGES ((size_t)8192)

struct fetched_batch {
	uint8_t *map;
	size_t count;
	struct sigbus_region *region;
	atomic_bool gone; /* zeros stand in for a page */
};

struct fetched {
	struct hash_map index; /* page number → batch << 32 | place in it */
	struct fetched_batch batches[FETCHED_BATCHES];
	size_t batch_count;
	uint64_t generation; /* of the memory when the first was mapped */
};

/*
 * Maps pages by their numbers, at most MAPPER_BATCH, all different, and keeps those that there are.
 * Does less, or nothing, where memory or room is short: then they are mapped when they are read.
 */
void fetched_add(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data,
		 bool guarded, uint64_t generation, const uint64_t *pages, size_t count);
/* Unmaps all. */
void fetched_drop(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data);

/* Where a page can be touched in this generation; NULL if it was not fetched. */
const uint8_t *fetched_find(const struct fetched *fetched, uint64_t generation, uint64_t page);
/* Copies bytes of one page; false if it was not fetched, or is gone. */
bool fetched_read(const struct fetched *fetched, uint64_t generation, uint64_t address,
		  void *buffer, size_t size);

#endif
