/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping many pages in one call before they are read. */
#include "memory/internal.h"

bool memory_can_fetch(const struct memory *memory)
{
	return memory->mapper_count && !(memory->watch & MEMORY_WATCH_REPLAY);
}

bool memory_is_mapped(struct memory *memory, gpa_t address)
{
	const struct memory_backing *backing = memory_find(memory, address.v);

	return !backing || !backing->mapper || !memory_can_fetch(memory) ||
	       mapper_is_mapped(backing->mapper, memory->generation, address.v >> PAGE_SHIFT);
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
