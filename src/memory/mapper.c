/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/mapper.h"

#include "core/pages.h"
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
	pages_take(mapper, sizeof(*mapper));
	mapper->ops = ops;
	mapper->data = data;
	mapper->guarded = guarded;
	mapper->renewal = 1;
	*ret = mapper;
	return NULL;
}

/* Unmaps a window. The window stays in its set, without pages. */
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

static void unmap_retired(struct memory_mapper *mapper)
{
	for (size_t i = 0; i < mapper->retired_count; i++)
		mapper->ops->unmap(mapper->data, mapper->retired[i].map, mapper->retired[i].count);
	mapper->retired_count = 0;
}

void mapper_destroy(struct memory_mapper *mapper)
{
	if (!mapper)
		return;
	for (size_t i = 0; i < MAPPER_WINDOWS; i++)
		drop(mapper, &mapper->windows[i]);
	fetched_drop(&mapper->fetched, mapper->ops, mapper->data);
	unmap_retired(mapper);
	if (mapper->ops->destroy)
		mapper->ops->destroy(mapper->data);
	free(mapper);
}

void mapper_renew(struct memory_mapper *mapper)
{
	mapper->renewal++;
	mapper->hole_count = 0;
	mapper->probed = 0;
	fetched_drop(&mapper->fetched, mapper->ops, mapper->data);
	unmap_retired(mapper);
}

/* ---- Holes ----------------------------------------------------------------------------------- */

/* The number of holes that begin at or before window `number`. */
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

/* The end of the hole that contains the window; 0 if it is in none. */
static uint64_t hole_end(const struct memory_mapper *mapper, uint64_t number)
{
	size_t i = holes_before(mapper, number);

	return i && number < mapper->holes[i - 1].end ? mapper->holes[i - 1].end : 0;
}

/* Forgets the holes when they are as old as mappings may become. */
static void age_holes(struct memory_mapper *mapper, uint64_t generation)
{
	if (mapper->hole_count && generation - mapper->hole_generation < MAPPER_GENERATIONS)
		return;
	mapper->hole_count = 0;
	mapper->hole_generation = generation;
	mapper->probed = 0;
}

static void forget_hole(struct memory_mapper *mapper, size_t i)
{
	mapper->hole_count--;
	memmove(&mapper->holes[i], &mapper->holes[i + 1],
		(mapper->hole_count - i) * sizeof(*mapper->holes));
}

/* Makes room for a hole of this size by forgetting the smallest one; false if none is smaller. */
static bool make_room(struct memory_mapper *mapper, uint64_t size)
{
	size_t smallest = 0;

	if (mapper->hole_count < MAPPER_HOLES)
		return true;
	for (size_t i = 1; i < mapper->hole_count; i++) {
		const struct mapper_hole *hole = &mapper->holes[i];
		const struct mapper_hole *least = &mapper->holes[smallest];

		if (hole->end - hole->first < least->end - least->first)
			smallest = i;
	}
	if (mapper->holes[smallest].end - mapper->holes[smallest].first >= size)
		return false;
	forget_hole(mapper, smallest);
	return true;
}

/*
 * Remembers that the windows from first up to, but not including, end have no pages. When the table
 * is full, only the largest holes are kept; a window in a forgotten hole costs a hypercall each
 * time.
 */
static void learn_hole(struct memory_mapper *mapper, uint64_t first, uint64_t end)
{
	struct mapper_hole *holes = mapper->holes;
	size_t i = holes_before(mapper, first);

	if (i && holes[i - 1].end >= first) {
		i--;
	} else if (i < mapper->hole_count && holes[i].first <= end) {
		holes[i].first = first;
	} else if (make_room(mapper, end - first)) {
		i = holes_before(mapper, first);
		memmove(&holes[i + 1], &holes[i], (mapper->hole_count++ - i) * sizeof(*holes));
		holes[i] = (struct mapper_hole){first, end};
	} else {
		return;
	}
	if (end > holes[i].end)
		holes[i].end = end;
	/* Merges the following holes that this one now reaches. */
	while (i + 1 < mapper->hole_count && holes[i + 1].first <= holes[i].end) {
		if (holes[i + 1].end > holes[i].end)
			holes[i].end = holes[i + 1].end;
		forget_hole(mapper, i + 1);
	}
}

/* ---- Windows --------------------------------------------------------------------------------- */

/* Maps the pages of a window; window->faults says which exist. */
static void fill(struct memory_mapper *mapper, struct mapper_window *window)
{
	uint64_t pages[MAPPER_PAGES];
	bool empty = true;

	for (size_t i = 0; i < MAPPER_PAGES; i++)
		pages[i] = window->number * MAPPER_PAGES + i;
	memset(window->faults, MEMORY_IO, sizeof(window->faults));
	window->map = mapper->ops->map(mapper->data, pages, MAPPER_PAGES, window->faults);
	for (size_t i = 0; i < MAPPER_PAGES; i++) {
		/* Without a mapping no page can be read, whatever its fault says. */
		if (!window->map && window->faults[i] == MEMORY_OK)
			window->faults[i] = MEMORY_IO;
		empty &= window->faults[i] == MEMORY_NO_RAM;
	}
	if (empty)
		learn_hole(mapper, window->number, window->number + 1);
	mapper->tick++;
}

/*
 * Chooses a place for a window: the place that it had, or the one whose last use is the longest
 * ago. A window into which pointers were given out in this generation is not replaced; NULL if
 * there is no other.
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

/* Gets the window, mapped; NULL with *ret_fault if it cannot be mapped or has no pages. */
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

/* The number of bytes from offset `within`, at most size, that lie in existing pages. */
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

/* State of a long read. */
struct run {
	uint64_t address;
	uint8_t *to;
	size_t size;
};

/* Copies the wanted bytes of page i of the run. */
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

/* Reads through a temporary mapping; *ret_size is the number of bytes read. */
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

/* Reads within one page if that was fetched; false otherwise. */
static bool read_fetched(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			 uint8_t *to, size_t size, size_t *ret_size)
{
	size_t left = PAGE_SIZE - (size_t)(address & PAGE_MASK);

	*ret_size = size < left ? size : left;
	return fetched_read(&mapper->fetched, generation, address, to, *ret_size);
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
	/*
	 * Zeros have replaced a page of this window, and it is unknown whether these bytes are
	 * among them.
	 */
	return mapper_window_gone(window) ? MEMORY_GONE : MEMORY_OK;
}

enum memory_fault mapper_read(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			      void *buffer, size_t size, uint64_t *ret_fault)
{
	uint8_t *to = buffer;

	age_holes(mapper, generation);
	while (size) {
		uint64_t number = address >> MAPPER_SHIFT;
		bool known = find(mapper, generation, number);
		enum memory_fault fault = MEMORY_OK;
		size_t run;

		if (!known && read_fetched(mapper, generation, address, to, size, &run))
			fault = MEMORY_OK;
		else if (size >= MAPPER_LONG && !known && !hole_end(mapper, number))
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

bool mapper_is_mapped(struct memory_mapper *mapper, uint64_t generation, uint64_t page)
{
	uint64_t number = page / MAPPER_PAGES;

	age_holes(mapper, generation);
	return find(mapper, generation, number) || hole_end(mapper, number) ||
	       fetched_find(&mapper->fetched, generation, page);
}

static int compare_pages(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void mapper_fetch(struct memory_mapper *mapper, uint64_t generation, const uint64_t *pages,
		  size_t count)
{
	uint64_t wanted[MAPPER_BATCH];
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < count && n < MAPPER_BATCH; i++) {
		if (!mapper_is_mapped(mapper, generation, pages[i]))
			wanted[n++] = pages[i];
	}
	qsort(wanted, n, sizeof(*wanted), compare_pages);
	for (size_t i = 0; i < n; i++) {
		if (!i || wanted[i] != wanted[kept - 1])
			wanted[kept++] = wanted[i];
	}
	fetched_add(&mapper->fetched, mapper->ops, mapper->data, mapper->guarded, generation,
		    wanted, kept);
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
	age_holes(mapper, generation);
	if ((address & PAGE_MASK) + size <= PAGE_SIZE && !find(mapper, generation, number)) {
		const uint8_t *page =
		    fetched_find(&mapper->fetched, generation, address >> PAGE_SHIFT);

		if (page)
			return page + (address & PAGE_MASK);
	}
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

static void no_copy(void *data, size_t i, const uint8_t *page)
{
	(void)data, (void)i, (void)page;
}

/*
 * Searches for pages from window `number` up to window `last`, by mapping one page of each
 * MAPPER_STRIDE windows. The windows before the first page found are remembered as a hole.
 */
static void look_ahead(struct memory_mapper *mapper, uint64_t number, uint64_t last)
{
	uint64_t first = (number + MAPPER_STRIDE - 1) / MAPPER_STRIDE * MAPPER_STRIDE;
	uint64_t pages[MAPPER_BATCH];
	uint8_t faults[MAPPER_BATCH];
	size_t count = 0, empty = 0;

	for (uint64_t at = first; at < last && count < MAPPER_BATCH; at += MAPPER_STRIDE)
		pages[count++] = at * MAPPER_PAGES;
	if (count)
		mapper_copy(mapper, pages, count, no_copy, NULL, faults);
	while (empty < count && faults[empty] == MEMORY_NO_RAM)
		empty++;
	first += empty * MAPPER_STRIDE;
	if (empty < count)
		mapper->probed = first;
	if (first > last)
		first = last;
	if (first > number)
		learn_hole(mapper, number, first);
}

/* Maps a window to find out whether it has no pages at all. */
static bool is_empty(struct memory_mapper *mapper, uint64_t generation, uint64_t number)
{
	enum memory_fault fault;
	const struct mapper_window *window = get(mapper, generation, number, &fault);

	if (!window)
		return fault == MEMORY_NO_RAM;
	for (size_t i = 0; i < MAPPER_PAGES; i++) {
		if (window->faults[i] != MEMORY_NO_RAM)
			return false;
	}
	return true;
}

/*
 * In a sparse range, the end of the hole at window `number`; 0 if the window is not in a hole.
 * After a window without pages the hole's end is searched for in steps of MAPPER_STRIDE windows.
 */
static uint64_t sparse_hole(struct memory_mapper *mapper, uint64_t generation, uint64_t number,
			    uint64_t last)
{
	/* Where there are pages, every window is examined. */
	if (number % MAPPER_STRIDE || mapper->probed == number)
		return 0;
	if ((!number || hole_end(mapper, number - 1) != number) &&
	    !is_empty(mapper, generation, number))
		return 0;
	look_ahead(mapper, number, last);
	return hole_end(mapper, number);
}

/* Finds the first row of existing pages in a window, at or after `at` and before `last`. */
static bool run_in_window(const struct mapper_window *window, uint64_t at, uint64_t last,
			  uint64_t *ret_start, uint64_t *ret_end)
{
	for (; at < last; at += PAGE_SIZE) {
		size_t run = good_run(window, at & WITHIN, last - at);

		if (run) {
			*ret_start = at;
			*ret_end = at + run;
			return true;
		}
	}
	return false;
}

bool mapper_next_data(struct memory_mapper *mapper, uint64_t generation, bool sparse,
		      uint64_t address, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	age_holes(mapper, generation);
	while (address < end) {
		uint64_t number = address >> MAPPER_SHIFT, hole = hole_end(mapper, number);
		uint64_t last = (number + 1) << MAPPER_SHIFT;
		const struct mapper_window *window;

		if (last > end)
			last = end;
		window = hole ? NULL : find(mapper, generation, number);
		if (!hole && !window && sparse) {
			hole =
			    sparse_hole(mapper, generation, number, (end + WITHIN) >> MAPPER_SHIFT);
			window = hole ? NULL : find(mapper, generation, number);
		}
		if (!hole && !window) {
			*ret_start = address;
			*ret_end = last;
			return true;
		}
		if (window && run_in_window(window, address, last, ret_start, ret_end))
			return true;
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
	if (map && mapper->retired_count < MAPPER_RETIRED)
		mapper->retired[mapper->retired_count++] = (struct mapper_retired){map, count};
	else if (map)
		mapper->ops->unmap(mapper->data, map, count);
	nunchi_error_destroy(err);
}
