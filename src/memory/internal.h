/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of memory/ share.
 */
#ifndef NUNCHI_MEMORY_INTERNAL_H
#define NUNCHI_MEMORY_INTERNAL_H

#include "memory/mapper.h"
#include "memory/memory.h"
#include "memory/window.h"

struct memory_backing {
	uint64_t start, size;
	/* Bytes from start that can be had: fewer than size where the file ends early. */
	uint64_t available;
	/* Of those, from start, what is mapped at base: 0 until the window was first used. */
	uint64_t direct;
	const uint8_t *base;      /* of a mapped window; NULL before its first use */
	struct window_file *file; /* of a window */
	uint64_t file_offset;
	struct memory_mapper *mapper; /* of mapped RAM */
	bool sparse;                  /* where hardly any is expected */
	memory_read_fn *read;         /* of a reader */
	void (*destroy)(void *data);
	void *data;
	uint64_t first_page; /* the number of its first page in `touched` */
};

/* What makes a read more than a copy. */
enum memory_watch {
	MEMORY_WATCH_COUNT = 1 << 0,
	MEMORY_WATCH_RECORD = 1 << 1,
	MEMORY_WATCH_REPLAY = 1 << 2,
	MEMORY_WATCH_FILL = 1 << 3, /* pages are being copied for a capture */
};

struct memory {
	uint64_t generation;
	const struct memory_backing *last; /* where the last read was; never NULL */
	unsigned watch;
	bool guard;
	bool sealed;
	bool incomplete;                 /* there may have been more ranges */
	struct memory_backing *backings; /* sorted once sealed */
	struct memory_range *ranges;     /* the same, for memory_ranges() */
	size_t count, capacity;
	struct memory_backing outside; /* of addresses in no range; size 0: there is none */
	struct window_file **files;
	size_t file_count, file_capacity;
	struct memory_mapper **mappers;
	size_t mapper_count, mapper_capacity;
	struct persistent_map *persistent; /* persistent.c */
	uint64_t total;
	uint64_t bytes_read;
	uint64_t *touched; /* a bit a page */
	size_t touched_size;
	uint64_t pages_touched;
	struct capture *capture;
	uint64_t recorded; /* the generation in which it was recorded */
};

/*
 * ranges.c, which all others stand on; then fetch.c, persistent.c and capture.c, which know nothing
 * of each other; memory.c is above them all.
 */

/* Stands for "no range was used yet". */
extern const struct memory_backing memory_nowhere;
/* True if the bytes can be touched: a window that is whole, without a hole there. */
bool memory_is_touchable(const struct memory *memory, struct memory_backing *backing,
			 uint64_t offset, size_t size);
/* The range with that address, or what stands for it (memory_set_outside()), or NULL. */
struct memory_backing *memory_find(struct memory *memory, uint64_t address);
/* Reads without counting, recording or replaying. */
enum memory_fault memory_read_raw(struct memory *memory, uint64_t address, void *buffer,
				  size_t size, uint64_t *ret_fault);

/* Unmaps what memory_map_persistent() mapped and nobody unmapped. */
void memory_drop_persistent(struct memory *memory);

/* Adds what a read wants to the set. */
void capture_record(struct capture *capture, uint64_t address, size_t size);
enum memory_fault capture_read(struct memory *memory, uint64_t address, void *buffer, size_t size,
			       uint64_t *ret_fault);
const void *capture_map(struct memory *memory, uint64_t address, size_t size);

#endif
