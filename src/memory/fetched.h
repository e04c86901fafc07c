/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages at any addresses that a hypervisor mapped in one call: mapping a hundred scattered pages in
 * one call costs little more than mapping one. Pages that are not requested in advance are mapped
 * by mapper.h, in windows. Private to memory/.
 */
#ifndef NUNCHI_MEMORY_FETCHED_H
#define NUNCHI_MEMORY_FETCHED_H

#include "core/hash.h"
#include "memory/memory.h"

#include <stdatomic.h>

struct sigbus_region;

#define FETCHED_BATCHES 64
/* Greatest number of pages kept: 32 MiB. */
#define FETCHED_PAGES ((size_t)8192)

struct fetched_batch {
	uint8_t *map;
	size_t count;
	struct sigbus_region *region;
	atomic_bool gone; /* zeros replaced a page that could not be read */
};

struct fetched {
	struct hash_map index; /* page number → batch << 32 | index of the page in the batch */
	struct fetched_batch batches[FETCHED_BATCHES];
	size_t batch_count;
	uint64_t recent;       /* number of the page that was found last, plus 1; 0: none */
	uint64_t recent_place; /* its value in the index */
	uint64_t generation;   /* generation of the memory when the first page was mapped */
};

/*
 * Maps the pages with these numbers (at most MAPPER_BATCH, all different) and keeps those that
 * exist. If memory or room is short, maps fewer pages or none; those are then mapped when they are
 * read.
 */
void fetched_add(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data,
		 bool guarded, uint64_t generation, const uint64_t *pages, size_t count);
/* Unmaps all pages. */
void fetched_drop(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data);

/* The address at which a page can be read in this generation; NULL if it was not fetched. */
const uint8_t *fetched_find(struct fetched *fetched, uint64_t generation, uint64_t page);
/* Copies bytes of one page; false if the page was not fetched, or was replaced by zeros. */
bool fetched_read(struct fetched *fetched, uint64_t generation, uint64_t address, void *buffer,
		  size_t size);

#endif
