/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stretches of memory, cut into blocks that are looked through one by one. A block has bytes of its
 * own and some of its neighbours': what begins in its own bytes is found in this block alone, and
 * found whole if it is not longer than BLOCK_TAIL behind them.
 */
#ifndef NUNCHI_SCAN_BLOCKS_H
#define NUNCHI_SCAN_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_PAGE 4096
/* Bytes of a block's own. */
#define BLOCK_OWN ((size_t)2 << 20)
/* Bytes behind them. */
#define BLOCK_TAIL ((size_t)32 << 10)
/* Bytes before them, by which YARA tells whether a word begins. */
#define BLOCK_LEAD ((size_t)16)
/* Room for the bytes of a block, a multiple of a page. */
#define BLOCK_ROOM (BLOCK_OWN + BLOCK_TAIL + BLOCK_PAGE)

/* Addresses from `start` to before `end`. */
struct scan_region {
	uint64_t start, end;
};

/* All zeros at first; to be freed by scan_regions_deinit(). */
struct scan_regions {
	struct scan_region *items;
	size_t count, capacity;
};

/* Adds a region, which is joined with the last one if it follows it. False: no memory is left. */
bool scan_regions_add(struct scan_regions *regions, uint64_t start, uint64_t end);
/* Bytes of all regions. */
uint64_t scan_regions_size(const struct scan_regions *regions);
void scan_regions_deinit(struct scan_regions *regions);
/* Cuts regions into pieces of at most BLOCK_OWN bytes. False: no memory is left. */
bool scan_regions_cut(const struct scan_regions *regions, struct scan_regions *ret);

/* Copies bytes to buffer, up to the first one that cannot be read; gives their number. */
typedef size_t scan_read(void *data, uint64_t address, size_t size, void *buffer);

struct block {
	struct scan_region own;
	uint64_t address; /* of the first byte in the buffer */
	size_t size;      /* bytes in the buffer */
	uint64_t unread;  /* bytes of its own that could not be read; zeros stand for them */
};

/* Reads a block of at most BLOCK_OWN bytes into a buffer of BLOCK_ROOM bytes. */
struct block block_read(struct scan_region own, scan_read *read, void *data, uint8_t *buffer);

#endif
