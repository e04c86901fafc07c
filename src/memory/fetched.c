/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/fetched.h"

#include "memory/mapper.h"
#include "memory/sigbus.h"

#include <string.h>

static void drop_batch(struct fetched_batch *batch, const struct memory_mapper_ops *ops, void *data)
{
	sigbus_guard_remove(batch->region);
	ops->unmap(data, batch->map, batch->count);
	batch->region = NULL;
	batch->map = NULL;
	atomic_store(&batch->gone, false);
}

void fetched_drop(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data)
{
	for (size_t i = 0; i < fetched->batch_count; i++)
		drop_batch(&fetched->batches[i], ops, data);
	fetched->batch_count = 0;
	fetched->recent = 0;
	hash_map_deinit(&fetched->index);
	hash_map_init(&fetched->index);
}

/*
 * Whether the mappings are too old to be used. Pointers that earlier generations returned are not
 * in use any more.
 */
static bool is_stale(const struct fetched *fetched, uint64_t generation)
{
	return generation - fetched->generation >= MAPPER_GENERATIONS;
}

void fetched_add(struct fetched *fetched, const struct memory_mapper_ops *ops, void *data,
		 bool guarded, uint64_t generation, const uint64_t *pages, size_t count)
{
	struct fetched_batch *batch;
	uint8_t faults[MAPPER_BATCH];
	struct nunchi_error *err = NULL;

	if (fetched->batch_count && is_stale(fetched, generation))
		fetched_drop(fetched, ops, data);
	if (!count || count > MAPPER_BATCH || fetched->batch_count == FETCHED_BATCHES ||
	    fetched->index.count + count > FETCHED_PAGES)
		return;
	batch = &fetched->batches[fetched->batch_count];
	memset(faults, MEMORY_IO, count);
	batch->map = ops->map(data, pages, count, faults);
	if (!batch->map)
		return;
	batch->count = count;
	if (guarded)
		err =
		    sigbus_guard_add(batch->map, count << PAGE_SHIFT, &batch->gone, &batch->region);
	if (err) {
		nunchi_error_destroy(err);
		drop_batch(batch, ops, data);
		return;
	}
	if (!fetched->batch_count)
		fetched->generation = generation;
	hash_map_reserve(&fetched->index, count);
	for (size_t i = 0; i < count; i++) {
		if (faults[i] == MEMORY_OK)
			hash_map_insert(&fetched->index, pages[i],
					(uint64_t)fetched->batch_count << 32 | i);
	}
	fetched->batch_count++;
}

static const struct fetched_batch *find(struct fetched *fetched, uint64_t generation, uint64_t page,
					const uint8_t **ret)
{
	const struct fetched_batch *batch;
	const uint64_t *place;

	if (!fetched->batch_count || is_stale(fetched, generation))
		return NULL;
	/* A structure is read in several parts. */
	if (fetched->recent != page + 1) {
		place = hash_map_find(&fetched->index, page);
		if (!place)
			return NULL;
		fetched->recent = page + 1;
		fetched->recent_place = *place;
	}
	batch = &fetched->batches[fetched->recent_place >> 32];
	*ret = batch->map + ((fetched->recent_place & UINT32_MAX) << PAGE_SHIFT);
	return atomic_load_explicit(&batch->gone, memory_order_relaxed) ? NULL : batch;
}

const uint8_t *fetched_find(struct fetched *fetched, uint64_t generation, uint64_t page)
{
	const uint8_t *at;

	return find(fetched, generation, page, &at) ? at : NULL;
}

bool fetched_read(struct fetched *fetched, uint64_t generation, uint64_t address, void *buffer,
		  size_t size)
{
	const uint8_t *at;
	const struct fetched_batch *batch = find(fetched, generation, address >> PAGE_SHIFT, &at);

	if (!batch)
		return false;
	memcpy(buffer, at + (address & PAGE_MASK), size);
	return !atomic_load_explicit(&batch->gone, memory_order_relaxed);
}
