/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that a hypervisor maps into our process page by page on demand, kept in windows of 256
 * KiB: one call for 64 pages costs hardly more than one for a single page. What is read in long
 * runs goes through larger, temporary mappings. Private to memory/.
 *
 * At most MAPPER_WINDOWS windows are kept, so that a guest costs the same whatever its size; the
 * one used longest ago makes room. A page that the hypervisor did not map is never touched.
 */
#ifndef NUNCHI_MEMORY_MAPPER_H
#define NUNCHI_MEMORY_MAPPER_H

#include "memory/fetched.h"
#include "memory/memory.h"

#include <stdatomic.h>

struct sigbus_region;

#define MAPPER_SHIFT   18 /* log2 of a window's size */
#define MAPPER_PAGES   ((size_t)1 << (MAPPER_SHIFT - PAGE_SHIFT))
#define MAPPER_SETS    256
#define MAPPER_WAYS    4
#define MAPPER_WINDOWS (MAPPER_SETS * MAPPER_WAYS)
/* Of the windows of a set, so many may be held by zero-copy pointers. */
#define MAPPER_PINNED 2
/* Reads of so many bytes, of windows that are not mapped yet, are not kept. */
#define MAPPER_LONG ((size_t)256 << 10)
/* Pages mapped at once for them, and for captures. */
#define MAPPER_BATCH ((size_t)1024)
/* Generations for which a kept mapping is believed without a memory_renew(). */
#define MAPPER_GENERATIONS 65536
/* In sparse ranges one page of so many windows is looked at: 2 MiB, as large pages have. */
#define MAPPER_STRIDE 8
/* Runs of windows without any page that are remembered. */
#define MAPPER_HOLES 256
/* Temporary mappings that wait to be unmapped (1 GiB); what is more is unmapped at once. */
#define MAPPER_RETIRED 256

struct mapper_window {
	uint64_t number;            /* address divided by a window's size */
	uint64_t renewal;           /* of the mapper when it was mapped; 0: never */
	uint64_t generation;        /* of the memory when it was mapped */
	uint64_t pinned_generation; /* the last one in which a pointer into it was given out */
	uint64_t used;              /* the mapper's tick when it was last read */
	uint8_t *map;               /* NULL: it has no pages */
	struct sigbus_region *region;
	atomic_bool gone;             /* zeros stand in for a page */
	uint8_t faults[MAPPER_PAGES]; /* enum memory_fault */
};

/* Windows from first to one before end are known to have no pages. */
struct mapper_hole {
	uint64_t first, end;
};

/* A mapping that is no longer used, but not unmapped yet. */
struct mapper_retired {
	uint8_t *map;
	size_t count;
};

struct memory_mapper {
	const struct memory_mapper_ops *ops;
	void *data;
	bool guarded;
	uint64_t renewal;                       /* not 0; windows of an older one are mapped anew */
	uint64_t tick;                          /* windows mapped so far */
	struct mapper_hole holes[MAPPER_HOLES]; /* ascending, of this renewal */
	size_t hole_count;
	uint64_t hole_generation; /* of the memory when the first of them was learnt */
	uint64_t probed; /* the last window that look_ahead() found to have pages; 0: none */
	struct fetched fetched;
	struct mapper_retired retired[MAPPER_RETIRED];
	size_t retired_count;
	struct mapper_window windows[MAPPER_WINDOWS];
};

struct nunchi_error *mapper_create(const struct memory_mapper_ops *ops, void *data, bool guarded,
				   struct memory_mapper **ret);
/* Unmaps all. NULL is accepted. */
void mapper_destroy(struct memory_mapper *mapper);
/* The windows are mapped anew when they are next used, and the holes asked for again. */
void mapper_renew(struct memory_mapper *mapper);

/* Copies; MEMORY_OK or the fault of the first page that cannot be had, at *ret_fault. */
enum memory_fault mapper_read(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			      void *buffer, size_t size, uint64_t *ret_fault);
/* Bytes within one window that can all be touched in this generation, or NULL. */
const uint8_t *mapper_map(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			  size_t size);
/*
 * The first pages from address on, before end, that are not known to be missing: what was not
 * looked at yet is not asked for, but in a sparse range holes are looked for in large steps. At
 * most to the end of their window.
 */
bool mapper_next_data(struct memory_mapper *mapper, uint64_t generation, bool sparse,
		      uint64_t address, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);
/*
 * Gives copy() at most MAPPER_BATCH pages by their numbers, through a temporary mapping: what
 * is copied of a paused guest is thus never stale. faults has an enum memory_fault for each; if it
 * is not MEMORY_OK, copy() was not called or what it was given is not to be used. The pages are
 * unmapped later, by mapper_renew(): a guest may be standing still now.
 */
void mapper_copy(struct memory_mapper *mapper, const uint64_t *pages, size_t count,
		 void (*copy)(void *data, size_t i, const uint8_t *page), void *data,
		 uint8_t *faults);

/* Whether the page can be read without mapping it first. */
bool mapper_is_mapped(struct memory_mapper *mapper, uint64_t generation, uint64_t page);
/* Maps those of the pages that are not mapped, in one call, at most MAPPER_BATCH of them. */
void mapper_fetch(struct memory_mapper *mapper, uint64_t generation, const uint64_t *pages,
		  size_t count);

static inline bool mapper_is_fresh(const struct memory_mapper *mapper,
				   const struct mapper_window *window, uint64_t generation)
{
	return window->renewal == mapper->renewal &&
	       generation - window->generation < MAPPER_GENERATIONS;
}

/* Where the bytes of one page stand if that is mapped already, else NULL. */
static inline const uint8_t *mapper_known(struct memory_mapper *mapper, uint64_t generation,
					  uint64_t address, size_t size,
					  struct mapper_window **ret_window)
{
	uint64_t number = address >> MAPPER_SHIFT;
	struct mapper_window *set = &mapper->windows[number % MAPPER_SETS * MAPPER_WAYS];
	uint64_t within = address & (((uint64_t)1 << MAPPER_SHIFT) - 1);

	if ((address & PAGE_MASK) + size > PAGE_SIZE)
		return NULL;
	for (size_t i = 0; i < MAPPER_WAYS; i++) {
		struct mapper_window *window = &set[i];

		if (window->number != number || !mapper_is_fresh(mapper, window, generation))
			continue;
		if (window->faults[within >> PAGE_SHIFT] != MEMORY_OK)
			return NULL;
		window->used = mapper->tick;
		*ret_window = window;
		return window->map + within;
	}
	return NULL;
}

static inline bool mapper_window_gone(const struct mapper_window *window)
{
	return __builtin_expect(atomic_load_explicit(&window->gone, memory_order_relaxed), false);
}

#endif
