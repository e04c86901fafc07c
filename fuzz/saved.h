/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fuzzers of saved guests do with what a parser gave: check it, and read the memory. */
#ifndef NUNCHI_FUZZ_SAVED_H
#define NUNCHI_FUZZ_SAVED_H

#include "memory/memory.h"
#include "target/file/extents.h"
#include "target/file/source.h"

#include <stdlib.h>

#define RANGES_READ 64
#define PAGES_READ  8

/* In order, disjoint, not empty, within what x86 addresses. */
static inline void check_extents(const struct extents *extents)
{
	uint64_t end = 0;

	for (size_t i = 0; i < extents->count; i++) {
		const struct extent *extent = &extents->items[i];

		if (!extent->size || extent->start < end ||
		    extent->size > EXTENT_ADDRESS_LIMIT - extent->start)
			abort();
		end = extent->start + extent->size;
	}
}

/* Reads the first pages of each range and its last one. Takes over the extents and the source. */
static inline void read_memory(struct extents *extents, struct source *source)
{
	static uint8_t buffer[PAGES_READ * 4096];
	const struct memory_range *ranges;
	struct memory *memory;
	size_t count;
	gpa_t where;

	check_extents(extents);
	if (memory_create(false, &memory))
		abort();
	nunchi_error_destroy(extents_apply(extents, source, memory));
	ranges = memory_ranges(memory, &count);
	for (size_t i = 0; i < count && i < RANGES_READ; i++) {
		uint64_t size = ranges[i].size < sizeof(buffer) ? ranges[i].size : sizeof(buffer);
		uint64_t last = ranges[i].start.v + ranges[i].size - 8;

		where = ranges[i].start;
		if (memory_read(memory, ranges[i].start, buffer, (size_t)size, &where) !=
			MEMORY_OK &&
		    (where.v < ranges[i].start.v || where.v - ranges[i].start.v >= size))
			abort();
		memory_read(memory, gpa(last), buffer, 8, NULL);
	}
	memory_destroy(memory);
}

#endif
