/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/blocks.h"

#include "core/array.h"

#include <stdlib.h>
#include <string.h>

bool scan_regions_add(struct scan_regions *regions, uint64_t start, uint64_t end)
{
	struct scan_region *last = regions->count ? &regions->items[regions->count - 1] : NULL;

	if (start >= end)
		return true;
	if (last && last->end == start) {
		last->end = end;
		return true;
	}
	if (!ARRAY_RESERVE(regions->items, regions->count, regions->capacity, 1))
		return false;
	regions->items[regions->count++] = (struct scan_region){start, end};
	return true;
}

uint64_t scan_regions_size(const struct scan_regions *regions)
{
	uint64_t size = 0;

	for (size_t i = 0; i < regions->count; i++)
		size += regions->items[i].end - regions->items[i].start;
	return size;
}

void scan_regions_deinit(struct scan_regions *regions)
{
	free(regions->items);
	*regions = (struct scan_regions){0};
}

bool scan_regions_cut(const struct scan_regions *regions, struct scan_regions *ret)
{
	struct scan_regions pieces = {0};

	for (size_t i = 0; i < regions->count; i++) {
		struct scan_region left = regions->items[i];

		while (left.start < left.end) {
			struct scan_region piece = left;

			if (piece.end - piece.start > BLOCK_OWN)
				piece.end = piece.start + BLOCK_OWN;
			if (!ARRAY_RESERVE(pieces.items, pieces.count, pieces.capacity, 1)) {
				scan_regions_deinit(&pieces);
				return false;
			}
			pieces.items[pieces.count++] = piece;
			left.start = piece.end;
		}
	}
	*ret = pieces;
	return true;
}

struct block block_read(struct scan_region own, scan_read *read, void *data, uint8_t *buffer)
{
	struct block block = {.own = own};
	size_t size = (size_t)(own.end - own.start);
	size_t lead = own.start < BLOCK_LEAD ? (size_t)own.start : BLOCK_LEAD;
	size_t tail =
	    UINT64_MAX - own.end < BLOCK_TAIL ? (size_t)(UINT64_MAX - own.end) : BLOCK_TAIL;

	if (lead && read(data, own.start - lead, lead, buffer) < lead)
		lead = 0;
	for (size_t at = 0; at < size;) {
		uint8_t *to = buffer + lead + at;
		size_t skip;

		at += read(data, own.start + at, size - at, to);
		if (at >= size)
			break;
		/* The rest of a page that cannot be read. */
		skip = BLOCK_PAGE - (size_t)((own.start + at) % BLOCK_PAGE);
		if (skip > size - at)
			skip = size - at;
		memset(buffer + lead + at, 0, skip);
		block.unread += skip;
		at += skip;
	}
	block.address = own.start - lead;
	block.size = lead + size;
	block.size += read(data, own.end, tail, buffer + block.size);
	return block;
}
