/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/mapper.h"

#include "memory/sigbus.h"

#include <string.h>

#define WINDOW_SIZE ((uint64_t)1 << MAPPER_SHIFT)
#define WITHIN      (WINDOW_SIZE - 1)

struct nunchi_error *mapper_create(const struct memory_mapper_ops *ops, void *data, bool guarded,
				   struct memory_mapper **ret)
{
	struct memory_mapper *mapper = calloc(1, sizeof(*mapper));

	if (!mapper)
		return &error_nomem;
	mapper->ops = ops;
	mapper->data = data;
	mapper->guarded = guarded;
	mapper->renewal = 1;
	*ret = mapper;
	return NULL;
}

/* The window keeps its place, without any page. */
static void drop(struct memory_mapper *mapper, struct mapper_window *window)
{
	sigbus_guard_remove(window->region);
	window->region = NULL;
	if (window->map)
		mapper->ops->unmap(mapper->data, window->map, MAPPER_PAGES);
	window->map = NULL;
	window->renewal = 0;
	atomic_store(&window->gone, false);
}

void mapper_destroy(struct memory_mapper *mapper)
{
	if (!mapper)
		return;
	for (size_t i = 0; i < MAPPER_WINDOWS; i++)
		drop(mapper, &mapper->windows[i]);
	if (mapper->ops->destroy)
		mapper->ops->destroy(mapper->data);
	free(mapper);
}

void mapper_renew(struct memory_mapper *mapper)
{
	mapper->renewal++;
	mapper->hole_count = 0;
}

/* ---- Holes ----------------------------------------------------------------------------------- */

/* How many holes begin at or before that window. */
static size_t holes_before(const struct memory_mapper *mapper, uint64_t number)
{
	size_t low = 0, high = mapper->hole_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mapper->holes[middle].first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The end of the hole that the window is in; 0 if it is in none. */
static uint64_t hole_end(const struct memory_mapper *mapper, uint64_t number)
{
	size_t i = holes_before(mapper, number);

	return i && number < mapper->holes[i - 1].end ? mapper->holes[i - 1].end : 0;
}

/* Once there are too many, no more are remembered: then they cost a call each time. */
static void learn_hole(struct memory_mapper *mapper, uint64_t number)
{
	size_t i = holes_before(mapper, number);
	struct mapper_hole *before = i ? &mapper->holes[i - 1] : NULL;
	struct mapper_hole *after = i < mapper->hole_count ? &mapper->holes[i] : NULL;

	if (before && before->end == number) {
		before->end++;
		if (after && after->first == before->end) {
			before->end = after->end;
			memmove(after, after + 1, (--mapper->hole_count - i) * sizeof(*after));
		}
	} else if (after && after->first == number + 1) {
		after->first--;
	} else if (mapper->hole_count < MAPPER_HOLES) {
		memmove(&mapper->holes[i + 1], &mapper->holes[i],
			(mapper->hole_count++ - i) * sizeof(*mapper->holes));
		mapper->holes[i] = (struct mapper_hole){number, number + 1};
	}
}

/* ---- Windows --------------------------------------------------------------------------------- */

/* Maps its pages; faults say which there are. */
static void fill(struct memory_mapper *mapper, struct mapper_window *window)
{
	uint64_t pages[MAPPER_PAGES];
	bool empty = true;

	for (size_t i = 0; i < MAPPER_PAGES; i++)
		pages[i] = window->number * MAPPER_PAGES + i;
	memset(window->faults, MEMORY_IO, sizeof(window->faults));
	window->map = mapper->ops->map(mapper->data, pages, MAPPER_PAGES, window->faults);
	for (size_t i = 0; i < MAPPER_PAGES; i++) {
		/* Without a mapping no page can be touched, whatever is said of it. */
		if (!window->map && window->faults[i] == MEMORY_OK)
			window->faults[i] = MEMORY_IO;
		empty &= window->faults[i] == MEMORY_NO_RAM;
	}
	if (empty)
		learn_hole(mapper, window->number);
	mapper->tick++;
}

/*
 * The place for a window: where it was, or the one used longest ago. Windows into which pointers
 * were given out in this generation stay: NULL if there is no other.
 */
static struct mapper_window *take_place(struct memory_mapper *mapper, uint64_t generation,
					uint64_t number)
{
	struct mapper_window *set = &mapper->windows[number % MAPPER_SETS * MAPPER_WAYS];
	struct mapper_window *best = NULL;

	for (size_t i = 0; i < MAPPER_WAYS; i++) {
		struct mapper_window *window = &set[i];
		bool pinned = window->renewal && window->pinned_generation == generation;

		if (window->renewal && window->number == number)
			return pinned ? NULL : window;
		if (!pinned && (!best || window->used < best->used))
			best = window;
	}
	return best;
}

static struct mapper_window *find(struct memory_mapper *mapper, uint64_t generation,
				  uint64_t number)
{
	struct mapper_window *set = &mapper->windows[number % MAPPER_SETS * MAPPER_WAYS];

	for (size_t i = 0; i < MAPPER_WAYS; i++) {
		if (set[i].number == number && mapper_is_fresh(mapper, &set[i], generation) &&
		    !mapper_window_gone(&set[i]))
			return &set[i];
	}
	return NULL;
}

/* The window, mapped; NULL if it cannot be, or is one hole. */
static struct mapper_window *get(struct memory_mapper *mapper, uint64_t generation, uint64_t number,
				 enum memory_fault *ret_fault)
{
	struct mapper_window *window = find(mapper, generation, number);
	struct nunchi_error *err;

	if (!window) {
		*ret_fault = MEMORY_NO_RAM;
		if (hole_end(mapper, number))
			return NULL;
		*ret_fault = MEMORY_GONE;
		window = take_place(mapper, generation, number);
		if (!window)
			return NULL;
		drop(mapper, window);
		window->number = number;
		fill(mapper, window);
		*ret_fault = MEMORY_IO;
		err =
		    window->map && mapper->guarded
			? sigbus_guard_add(window->map, WINDOW_SIZE, &window->gone, &window->region)
			: NULL;
		if (err) {
			nunchi_error_destroy(err);
			drop(mapper, window);
			return NULL;
		}
		window->renewal = mapper->renewal;
		window->generation = generation;
		window->pinned_generation = 0;
	}
	window->used = mapper->tick;
	return window;
}

/* How many of the bytes from `within` on, at most size, are of pages that there are. */
static size_t good_run(const struct mapper_window *window, uint64_t within, size_t size)
{
	size_t page = within >> PAGE_SHIFT;
	size_t run = 0;

	while (run < size && page < MAPPER_PAGES && window->faults[page] == MEMORY_OK) {
		page++;
		run = (page << PAGE_SHIFT) - within;
	}
	return run < size ? run : size;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* A long read in the making. */
struct run {
	uint64_t address;
	uint8_t *to;
	size_t size;
};

/* Copies what the run wants of its i-th page. */
static void copy_run(void *data, size_t i, const uint8_t *page)
{
	const struct run *run = data;
	size_t offset = i ? 0 : (size_t)(run->address & PAGE_MASK);
	size_t at = i ? (i << PAGE_SHIFT) - (size_t)(run->address & PAGE_MASK) : 0;
	size_t size = PAGE_SIZE - offset;

	if (size > run->size - at)
		size = run->size - at;
	memcpy(run->to + at, page + offset, size);
}

/* Reads by a mapping of the moment; *ret_size is how much. */
static enum memory_fault read_long(struct memory_mapper *mapper, uint64_t address, uint8_t *to,
				   size_t size, size_t *ret_size)
{
	uint64_t first = address >> PAGE_SHIFT, pages[MAPPER_BATCH] = {0};
	uint8_t faults[MAPPER_BATCH];
	struct run run = {.address = address, .to = to, .size = size};
	size_t most = (MAPPER_BATCH << PAGE_SHIFT) - (size_t)(address & PAGE_MASK);
	size_t count;

	if (run.size > most)
		run.size = most;
	count = (size_t)(((address + run.size - 1) >> PAGE_SHIFT) - first + 1);
	for (size_t i = 0; i < count; i++)
		pages[i] = first + i;
	mapper_copy(mapper, pages, count, copy_run, &run, faults);
	for (size_t i = 0; i < count; i++) {
		if (faults[i] == MEMORY_OK)
			continue;
		*ret_size = i ? (i << PAGE_SHIFT) - (size_t)(address & PAGE_MASK) : 0;
		return (enum memory_fault)faults[i];
	}
	*ret_size = run.size;
	return MEMORY_OK;
}

/* Reads within one window. */
static enum memory_fault read_window(struct memory_mapper *mapper, uint64_t generation,
				     uint64_t address, uint8_t *to, size_t size, size_t *ret_size)
{
	uint64_t within = address & WITHIN;
	enum memory_fault fault;
	struct mapper_window *window = get(mapper, generation, address >> MAPPER_SHIFT, &fault);

	*ret_size = 0;
	if (!window)
		return fault;
	*ret_size = good_run(window, within, size);
	if (!*ret_size)
		return (enum memory_fault)window->faults[within >> PAGE_SHIFT];
	memcpy(to, window->map + within, *ret_size);
	/* Which of the bytes are zeros that stand in for lost ones is not known. */
	return mapper_window_gone(window) ? MEMORY_GONE : MEMORY_OK;
}

enum memory_fault mapper_read(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			      void *buffer, size_t size, uint64_t *ret_fault)
{
	uint8_t *to = buffer;

	while (size) {
		uint64_t number = address >> MAPPER_SHIFT;
		enum memory_fault fault;
		size_t run;

		if (size >= MAPPER_LONG && !find(mapper, generation, number) &&
		    !hole_end(mapper, number))
			fault = read_long(mapper, address, to, size, &run);
		else
			fault = read_window(mapper, generation, address, to, size, &run);
		*ret_fault = address + (fault == MEMORY_GONE ? 0 : run);
		if (fault != MEMORY_OK)
			return fault;
		to += run;
		address += run;
		size -= run;
	}
	return MEMORY_OK;
}

const uint8_t *mapper_map(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			  size_t size)
{
	uint64_t within = address & WITHIN, number = address >> MAPPER_SHIFT;
	struct mapper_window *set = &mapper->windows[number % MAPPER_SETS * MAPPER_WAYS];
	struct mapper_window *window;
	enum memory_fault fault;
	size_t pinned = 0;

	if (size > WINDOW_SIZE - within)
		return NULL;
	window = get(mapper, generation, number, &fault);
	if (!window || good_run(window, within, size) < size)
		return NULL;
	for (size_t i = 0; i < MAPPER_WAYS; i++)
		pinned += &set[i] != window && set[i].pinned_generation == generation;
	if (pinned >= MAPPER_PINNED)
		return NULL;
	window->pinned_generation = generation;
	return window->map + within;
}

bool mapper_next_data(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
		      uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	while (address < end) {
		uint64_t number = address >> MAPPER_SHIFT, hole = hole_end(mapper, number);
		uint64_t last = (number + 1) << MAPPER_SHIFT;
		const struct mapper_window *window;

		if (last > end)
			last = end;
		window = hole ? NULL : find(mapper, generation, number);
		if (!hole && !window) {
			*ret_start = address;
			*ret_end = last;
			return true;
		}
		for (uint64_t at = address; window && at < last; at += PAGE_SIZE) {
			size_t run = good_run(window, at & WITHIN, last - at);

			if (run) {
				*ret_start = at;
				*ret_end = at + run;
				return true;
			}
		}
		address = hole ? hole << MAPPER_SHIFT : last;
	}
	return false;
}

void mapper_copy(struct memory_mapper *mapper, const uint64_t *pages, size_t count,
		 void (*copy)(void *data, size_t i, const uint8_t *page), void *data,
		 uint8_t *faults)
{
	struct sigbus_region *region = NULL;
	struct nunchi_error *err = NULL;
	atomic_bool gone = false;
	uint8_t *map;

	memset(faults, MEMORY_IO, count);
	map = mapper->ops->map(mapper->data, pages, count, faults);
	if (map && mapper->guarded)
		err = sigbus_guard_add(map, count << PAGE_SHIFT, &gone, &region);
	for (size_t i = 0; i < count; i++) {
		if (faults[i] == MEMORY_OK && (!map || err))
			faults[i] = MEMORY_IO;
		if (faults[i] == MEMORY_OK)
			copy(data, i, map + (i << PAGE_SHIFT));
		if (atomic_exchange(&gone, false))
			faults[i] = MEMORY_GONE;
	}
	sigbus_guard_remove(region);
	if (map)
		mapper->ops->unmap(mapper->data, map, count);
	nunchi_error_destroy(err);
}
