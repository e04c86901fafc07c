/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of which a hypervisor maps pages into this process on demand. Pages are mapped in windows
 * of 256 KiB, since one call for 64 pages costs hardly more than a call for one. Long reads use
 * larger, temporary mappings. Private to memory/.
 *
 * At most MAPPER_WINDOWS windows are kept, so that the cost does not depend on the size of the
 * guest; a new window replaces the one whose last use is the longest ago. A page that the
 * hypervisor did not map is never touched.
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
/* Number of windows of a set that zero-copy pointers may keep from being replaced. */
#define MAPPER_PINNED 2
/*
 * A read of at least this many bytes, in windows that are not mapped yet, uses a temporary mapping.
 */
#define MAPPER_LONG ((size_t)256 << 10)
/* Number of pages mapped at once by such reads and by captures. */
#define MAPPER_BATCH ((size_t)1024)
/* Number of generations after which a mapping is renewed even without memory_renew(). */
#define MAPPER_GENERATIONS 65536
/* In a sparse range, one page in this many windows is examined: 2 MiB, the size of a large page. */
#define MAPPER_STRIDE 8
/* Number of holes (rows of windows without any page) that are remembered. */
#define MAPPER_HOLES 256
/*
 * Number of temporary mappings that may wait to be unmapped (1 GiB); beyond it they are unmapped at
 * once.
 */
#define MAPPER_RETIRED 256

struct mapper_window {
	uint64_t number; /* address divided by a window's size */
	/* mapper's renewal when the window was mapped; 0: never mapped */
	uint64_t renewal;
	uint64_t generation;        /* memory's generation when the window was mapped */
	uint64_t pinned_generation; /* last generation in which a pointer into it was given out */
	uint64_t used;              /* the mapper's tick when it was last read */
	uint8_t *map;               /* NULL: the window has no pages */
	struct sigbus_region *region;
	atomic_bool gone;             /* zeros replaced a page that could not be read */
	uint8_t faults[MAPPER_PAGES]; /* enum memory_fault */
};

/* The windows from first up to, but not including, end have no pages. */
struct mapper_hole {
	uint64_t first, end;
};

/* A mapping that is not used any more but is still mapped. */
struct mapper_retired {
	uint8_t *map;
	size_t count;
};

struct memory_mapper {
	const struct memory_mapper_ops *ops;
	void *data;
	bool guarded;
	/* not 0; windows of an older renewal are mapped again */
	uint64_t renewal;
	uint64_t tick;                          /* windows mapped so far */
	struct mapper_hole holes[MAPPER_HOLES]; /* in ascending order, of this renewal */
	size_t hole_count;
	uint64_t hole_generation; /* memory's generation when the first of them was found */
	uint64_t probed; /* the last window that look_ahead() found to have pages; 0: none */
	struct fetched fetched;
	struct mapper_retired retired[MAPPER_RETIRED];
	size_t retired_count;
	struct mapper_window windows[MAPPER_WINDOWS];
};

/* Creates a mapper that maps pages with the callbacks ops, which are given data. */
struct nunchi_error *mapper_create(const struct memory_mapper_ops *ops, void *data, bool guarded,
				   struct memory_mapper **ret);
/* Unmaps everything and frees the mapper. NULL is accepted. */
void mapper_destroy(struct memory_mapper *mapper);
/* Makes each window be mapped again at its next use, and forgets the holes. */
void mapper_renew(struct memory_mapper *mapper);

/*
 * Copies bytes. Returns MEMORY_OK, or the fault of the first page that cannot be read, whose
 * address is stored in *ret_fault.
 */
enum memory_fault mapper_read(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			      void *buffer, size_t size, uint64_t *ret_fault);
/* A pointer to bytes within one window that can all be read in this generation, or NULL. */
const uint8_t *mapper_map(struct memory_mapper *mapper, uint64_t generation, uint64_t address,
			  size_t size);
/*
 * Finds the first pages at or after address, before end, that may exist; *ret_end is at most the
 * end of their window. Pages that were not examined yet count as existing, without a hypercall;
 * only in a sparse range are holes searched for, in large steps.
 */
bool mapper_next_data(struct memory_mapper *mapper, uint64_t generation, bool sparse,
		      uint64_t address, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);
/*
 * Maps at most MAPPER_BATCH pages temporarily and calls copy() for each, so that a capture of a
 * paused guest never copies stale pages. faults[i] is an enum memory_fault; if it is not MEMORY_OK,
 * copy() was not called for page i or its result must not be used. The pages are unmapped later, by
 * mapper_renew(), because the guest may be paused during this call.
 */
void mapper_copy(struct memory_mapper *mapper, const uint64_t *pages, size_t count,
		 void (*copy)(void *data, size_t i, const uint8_t *page), void *data,
		 uint8_t *faults);

/* Whether the page can be read without a call to map it. */
bool mapper_is_mapped(struct memory_mapper *mapper, uint64_t generation, uint64_t page);
/* Maps, in one call, those of the pages that are not mapped yet; at most MAPPER_BATCH. */
void mapper_fetch(struct memory_mapper *mapper, uint64_t generation, const uint64_t *pages,
		  size_t count);

static inline bool mapper_is_fresh(const struct memory_mapper *mapper,
				   const struct mapper_window *window, uint64_t generation)
{
	return window->renewal == mapper->renewal &&
	       generation - window->generation < MAPPER_GENERATIONS;
}

/* A pointer to bytes of one page if that page is mapped already, else NULL. */
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
