/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of memory/. */
#ifndef NUNCHI_MEMORY_INTERNAL_H
#define NUNCHI_MEMORY_INTERNAL_H

#include "memory/mapper.h"
#include "memory/memory.h"
#include "memory/window.h"

struct memory_backing {
	uint64_t start, size;
	/*
	 * Number of bytes from start that the file contains: less than size if the file ends early.
	 */
	uint64_t available;
	/* Number of bytes from start that are mapped at base; 0 until the window is first used. */
	uint64_t direct;
	const uint8_t *base;      /* of a window: its mapping, NULL before the first use */
	struct window_file *file; /* of a window */
	uint64_t file_offset;
	struct memory_mapper *mapper; /* of RAM that a mapper maps */
	/* the range contains hardly any RAM; see memory_add_sparse() */
	bool sparse;
	memory_read_fn *read; /* of a reader */
	void (*destroy)(void *data);
	void *data;
	uint64_t first_page; /* number of the range's first page in the bit set `touched` */
};

/* Flags for what a read has to do in addition to copying. */
enum memory_watch {
	MEMORY_WATCH_COUNT = 1 << 0,
	MEMORY_WATCH_RECORD = 1 << 1,
	MEMORY_WATCH_REPLAY = 1 << 2,
	MEMORY_WATCH_FILL = 1 << 3, /* set while a fill copies pages for a capture */
};

struct memory {
	uint64_t generation;
	const struct memory_backing *last; /* the range of the last read; never NULL */
	unsigned watch;
	bool guard;
	bool sealed;
	/* the guest may have had more ranges; see memory_set_incomplete() */
	bool incomplete;
	struct memory_backing *backings; /* sorted once sealed */
	struct memory_range *ranges;     /* the same ranges, for memory_ranges() */
	size_t count, capacity;
	/* serves addresses that lie in no range; size 0: they cannot be read */
	struct memory_backing outside;
	struct window_file **files;
	size_t file_count, file_capacity;
	struct memory_mapper **mappers;
	size_t mapper_count, mapper_capacity;
	struct persistent_map *persistent; /* persistent.c */
	uint64_t total;
	uint64_t bytes_read;
	uint64_t *touched; /* a bit for each page: it has been read */
	size_t touched_size;
	uint64_t pages_touched;
	struct capture *capture;
	uint64_t recorded; /* generation in which the recording began */
};

/*
 * The layers of memory/: ranges.c is used by all others; fetch.c, persistent.c and capture.c do not
 * use each other; memory.c uses all of them.
 */

/* Value of memory.last before any range was used. */
extern const struct memory_backing memory_nowhere;
/*
 * Whether the bytes can be read through a pointer: they lie in a mapped window, and no hole is
 * among them.
 */
bool memory_is_touchable(const struct memory *memory, struct memory_backing *backing,
			 uint64_t offset, size_t size);
/* The range that contains the address; else the one set by memory_set_outside(), or NULL. */
struct memory_backing *memory_find(struct memory *memory, uint64_t address);
/* Reads without counting or recording pages, and never from the copies of a capture. */
enum memory_fault memory_read_raw(struct memory *memory, uint64_t address, void *buffer,
				  size_t size, uint64_t *ret_fault);

/* Unmaps the mappings of memory_map_persistent() that were not unmapped yet. */
void memory_drop_persistent(struct memory *memory);

/* Adds the lines of a read to the set. */
void capture_record(struct capture *capture, uint64_t address, size_t size);
/* Do what memory_read() and memory_map() do, with the copies of a capture. */
enum memory_fault capture_read(struct memory *memory, uint64_t address, void *buffer, size_t size,
			       uint64_t *ret_fault);
const void *capture_map(struct memory *memory, uint64_t address, size_t size);

#endif
