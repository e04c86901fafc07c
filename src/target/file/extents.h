/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest-physical addresses are where in a source. The parsers add extents in any order, with
 * any overlaps; extents_normalize() sorts them, and extents_apply() makes a guest's memory of them.
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

/* No x86 processor has physical addresses of more than 52 bits. */
#define EXTENT_ADDRESS_LIMIT ((uint64_t)1 << 52)

struct extent {
	uint64_t start; /* guest-physical */
	uint64_t size;
	uint64_t offset; /* offset in the source */
	bool missing;    /* RAM that the source does not contain */
};

struct extents {
	struct extent *items;
	size_t count;
	size_t capacity;
};

void extents_deinit(struct extents *extents);
#define _cleanup_extents_ _cleanup_(extents_deinit)

/* Adds an extent. Fails if an x86 guest cannot have the addresses; ignores an empty extent. */
struct nunchi_error *extents_add(struct extents *extents, uint64_t start, uint64_t size,
				 uint64_t offset);
/* Adds an extent that is RAM but not in the source. */
struct nunchi_error *extents_add_missing(struct extents *extents, uint64_t start, uint64_t size);

/*
 * Sorts the extents; marks what lies beyond source_size as missing; of several extents with the
 * same address, keeps the first one that has bytes; joins extents that are contiguous in address
 * and offset.
 */
struct nunchi_error *extents_normalize(struct extents *extents, uint64_t source_size);
/* The number of missing bytes, after extents_normalize(). */
uint64_t extents_missing(const struct extents *extents);
/* The number of bytes of all extents, including missing ones. */
uint64_t extents_total(const struct extents *extents);

/*
 * Adds normalized extents to a memory and seals it: as windows if the source is a file, else as
 * readers. Takes over the source and the extents (both are empty afterwards), also on failure.
 */
struct nunchi_error *extents_apply(struct extents *extents, struct source *source,
				   struct memory *memory);

#endif
