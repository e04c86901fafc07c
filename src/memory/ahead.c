/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is mapped by a list of pages, before it is read. */
#include "memory/internal.h"
#include "memory/sigbus.h"

#include <string.h>

/* Pages of one mapping: 1 GiB. */
#define MOST_LASTING ((size_t)1 << 18)

struct memory_lasting {
	struct memory_lasting *next;
	struct memory_mapper *mapper;
	uint8_t *map;
	size_t count;
	struct sigbus_region *region;
	atomic_bool gone; /* zeros stand in for a page */
};

bool memory_can_fetch(const struct memory *memory)
{
	return memory->mapper_count && !(memory->watch & MEMORY_WATCH_REPLAY);
}

bool memory_is_at_hand(struct memory *memory, gpa_t address)
{
	const struct memory_backing *backing = memory_find(memory, address.v);

	return !backing || !backing->mapper || !memory_can_fetch(memory) ||
	       mapper_is_at_hand(backing->mapper, memory->generation, address.v >> PAGE_SHIFT);
}

void memory_fetch(struct memory *memory, const uint64_t *pages, size_t count)
{
	uint64_t wanted[MAPPER_BATCH];
	struct memory_mapper *mapper = NULL;
	size_t n = 0;

	if (!memory_can_fetch(memory))
		return;
	for (size_t i = 0; i < count; i++) {
		const struct memory_backing *backing = memory_find(memory, pages[i] << PAGE_SHIFT);

		if (!backing || !backing->mapper)
			continue;
		if (n == MAPPER_BATCH || (n && mapper != backing->mapper)) {
			mapper_fetch(mapper, memory->generation, wanted, n);
			n = 0;
		}
		mapper = backing->mapper;
		wanted[n++] = pages[i];
	}
	if (n)
		mapper_fetch(mapper, memory->generation, wanted, n);
}

/* The mapper of all the pages; NULL if there is none, or several. */
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

/* Maps all the pages, or nothing. */
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

static void release(struct memory_lasting *lasting)
{
	sigbus_guard_remove(lasting->region);
	lasting->mapper->ops->unmap(lasting->mapper->data, lasting->map, lasting->count);
	free(lasting);
}

const void *memory_map_lasting(struct memory *memory, const uint64_t *pages, size_t count)
{
	struct memory_lasting *lasting;
	struct nunchi_error *err = NULL;

	if (!count || count > MOST_LASTING || memory->watch & MEMORY_WATCH_REPLAY)
		return NULL;
	lasting = calloc(1, sizeof(*lasting));
	if (!lasting)
		return NULL;
	lasting->count = count;
	lasting->mapper = mapper_of(memory, pages, count);
	if (lasting->mapper)
		lasting->map = map_all(lasting->mapper, pages, count);
	if (!lasting->map) {
		free(lasting);
		return NULL;
	}
	if (memory->guard)
		err = sigbus_guard_add(lasting->map, count << PAGE_SHIFT, &lasting->gone,
				       &lasting->region);
	if (err) {
		nunchi_error_destroy(err);
		release(lasting);
		return NULL;
	}
	lasting->next = memory->lasting;
	memory->lasting = lasting;
	return lasting->map;
}

void memory_drop_lasting(struct memory *memory)
{
	while (memory->lasting) {
		struct memory_lasting *lasting = memory->lasting;

		memory->lasting = lasting->next;
		release(lasting);
	}
}

void memory_unmap_lasting(struct memory *memory, const void *map)
{
	for (struct memory_lasting **at = &memory->lasting; *at; at = &(*at)->next) {
		struct memory_lasting *lasting = *at;

		if (lasting->map != map)
			continue;
		*at = lasting->next;
		release(lasting);
		return;
	}
}
