/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest-physical addresses lie where in a source: collected by the parsers in any order,
 * with any overlaps, put in order here and made into a guest's memory.
 */
#ifndef NUNCHI_TARGET_FILE_EXTENTS_H
#define NUNCHI_TARGET_FILE_EXTENTS_H

#include "core/cleanup.h"
#include "core/error.h"
#include "memory/memory.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No x86 processor has more than 52 bits of physical address. */
#define EXTENT_ADDRESS_LIMIT ((uint64_t)1 << 52)

struct extent {
	uint64_t start; /* guest-physical */
	uint64_t size;
	uint64_t offset; /* in the source */
	bool missing;    /* known to be RAM, but not in the source */
};

struct extents {
	struct extent *items;
	size_t count;
	size_t capacity;
};

void extents_deinit(struct extents *extents);
#define _cleanup_extents_ _cleanup_(extents_deinit)

/* Fails on an address range that no x86 has; an empty range is dropped. */
struct nunchi_error *extents_add(struct extents *extents, uint64_t start, uint64_t size,
				 uint64_t offset);
struct nunchi_error *extents_add_missing(struct extents *extents, uint64_t start, uint64_t size);

/*
 * Sorts; makes what lies at or past source_size missing; of several extents for one address keeps
 * the first one that has bytes; joins what continues in address and in offset.
 */
struct nunchi_error *extents_normalize(struct extents *extents, uint64_t source_size);
/* Bytes that are missing; after extents_normalize(). */
uint64_t extents_missing(const struct extents *extents);
uint64_t extents_total(const struct extents *extents);

/*
 * Adds normalized extents to a memory and seals it: windows where the source is a file, else
 * readers. Takes over the source and the extents (both are empty afterwards), also on failure.
 */
struct nunchi_error *extents_apply(struct extents *extents, struct source *source,
				   struct memory *memory);

#endif
