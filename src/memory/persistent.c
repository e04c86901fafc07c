/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings that are kept over generations, of data that a kernel does not change while it runs. */
#include "memory/internal.h"
#include "memory/sigbus.h"

#include <string.h>

/* Greatest number of pages of one mapping: 1 GiB. */
#define MAX_PAGES ((size_t)1 << 18)

struct persistent_map {
	struct persistent_map *next;
	struct memory_mapper *mapper;
	uint8_t *map;
	size_t count;
	struct sigbus_region *region;
	atomic_bool gone; /* zeros replaced a page that could not be read */
};

/* The mapper to which all the pages belong; NULL if there is none or more than one. */
static struct memory_mapper *mapper_of(struct memory *memory, const uint64_t *pages, size_t count)
{
	struct memory_mapper *mapper = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct memory_backing *backing = memory_find(memory, pages[i] << PAGE_SHIFT);

		if (!backing || !backing->mapper || (mapper && mapper != backing->mapper))
			return NULL;
		mapper = backing->mapper;
	}
	return mapper;
}

/* Maps all pages; NULL if one of them cannot be mapped. */
static uint8_t *map_all(const struct memory_mapper *mapper, const uint64_t *pages, size_t count)
{
	_cleanup_free_ uint8_t *faults = malloc(count);
	uint8_t *map;

	if (!faults)
		return NULL;
	memset(faults, MEMORY_IO, count);
	map = mapper->ops->map(mapper->data, pages, count, faults);
	for (size_t i = 0; map && i < count; i++) {
		if (faults[i] != MEMORY_OK) {
			mapper->ops->unmap(mapper->data, map, count);
			map = NULL;
		}
	}
	return map;
}

static void release(struct persistent_map *kept)
{
	sigbus_guard_remove(kept->region);
	kept->mapper->ops->unmap(kept->mapper->data, kept->map, kept->count);
	free(kept);
}

const void *memory_map_persistent(struct memory *memory, const uint64_t *pages, size_t count)
{
	struct persistent_map *kept;
	struct nunchi_error *err = NULL;

	if (!count || count > MAX_PAGES || memory->watch & MEMORY_WATCH_REPLAY)
		return NULL;
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return NULL;
	kept->count = count;
	kept->mapper = mapper_of(memory, pages, count);
	if (kept->mapper)
		kept->map = map_all(kept->mapper, pages, count);
	if (!kept->map) {
		free(kept);
		return NULL;
	}
	if (memory->guard)
		err = sigbus_guard_add(kept->map, count << PAGE_SHIFT, &kept->gone, &kept->region);
	if (err) {
		nunchi_error_destroy(err);
		release(kept);
		return NULL;
	}
	kept->next = memory->persistent;
	memory->persistent = kept;
	return kept->map;
}

void memory_drop_persistent(struct memory *memory)
{
	while (memory->persistent) {
		struct persistent_map *kept = memory->persistent;

		memory->persistent = kept->next;
		release(kept);
	}
}

void memory_unmap_persistent(struct memory *memory, const void *map)
{
	for (struct persistent_map **at = &memory->persistent; *at; at = &(*at)->next) {
		struct persistent_map *kept = *at;

		if (kept->map != map)
			continue;
		*at = kept->next;
		release(kept);
		return;
	}
}
