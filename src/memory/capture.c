/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hash.h"
#include "memory/internal.h"

#include <string.h>
#include <sys/mman.h>

/* Pausing a guest to copy more than this takes too long to be worth it. */
#define MOST_PAGES ((size_t)64 << 20 >> PAGE_SHIFT)

struct capture {
	struct hash_map index; /* page number → its place in the three below */
	uint64_t *pages;       /* page numbers; sorted up to `filled` */
	uint8_t *faults;       /* enum memory_fault of each copy */
	uint8_t *copies;
	size_t count;
	size_t filled; /* how many of them have been copied */
	bool overflow;
};

static void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	hash_map_deinit(&capture->index);
	free(capture->pages);
	free(capture->faults);
	if (capture->copies)
		munmap(capture->copies, MOST_PAGES << PAGE_SHIFT);
	free(capture);
}

DEFINE_CLEANUP(struct capture, capture_destroy)

static struct nunchi_error *capture_create(struct capture **ret)
{
	_cleanup_(cleanup_capture_destroy_p) struct capture *capture = calloc(1, sizeof(*capture));
	void *map;

	if (!capture)
		return &error_nomem;
	capture->pages = calloc(MOST_PAGES, sizeof(*capture->pages));
	capture->faults = calloc(MOST_PAGES, sizeof(*capture->faults));
	/* Address space; memory is taken page by page as the set grows. */
	map = mmap(NULL, MOST_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map != MAP_FAILED)
		capture->copies = map;
	if (!capture->pages || !capture->faults || !capture->copies)
		return &error_nomem;
	*ret = no_cleanup_ptr(capture);
	return NULL;
}

struct nunchi_error *memory_capture_begin(struct memory *memory)
{
	struct capture *capture;
	struct nunchi_error *err;

	err = capture_create(&capture);
	if (err)
		return err;
	memory_capture_end(memory);
	memory->capture = capture;
	memory->watch |= MEMORY_WATCH_RECORD;
	/* Caches above must ask again for the pages they hold, or those would not be recorded. */
	memory_new_generation(memory);
	return NULL;
}

void memory_capture_end(struct memory *memory)
{
	if (!memory->capture)
		return;
	capture_destroy(memory->capture);
	memory->capture = NULL;
	memory->watch &= ~(unsigned)(MEMORY_WATCH_RECORD | MEMORY_WATCH_REPLAY);
	memory_new_generation(memory);
}

static void add_page(struct capture *capture, uint64_t page)
{
	if (capture->count == MOST_PAGES) {
		capture->overflow |= !hash_map_find(&capture->index, page);
		return;
	}
	switch (hash_map_insert(&capture->index, page, capture->count)) {
	case HASH_INSERTED:
		capture->pages[capture->count] = page;
		/* The page fault is taken now, not while the guest is paused. */
		capture->copies[capture->count << PAGE_SHIFT] = 0;
		capture->count++;
		break;
	case HASH_EXISTS:
		break;
	case HASH_NOMEM:
		capture->overflow = true;
		break;
	}
}

void capture_record(struct capture *capture, uint64_t address, size_t size)
{
	uint64_t last = (address + size - 1) >> PAGE_SHIFT;

	for (uint64_t page = address >> PAGE_SHIFT; page <= last && !capture->overflow; page++)
		add_page(capture, page);
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Copies pages first..end-1 of the set, neighbours in RAM; a page with a fault keeps its fault. */
static void copy_run(struct memory *memory, struct capture *capture, size_t first, size_t end)
{
	while (first < end) {
		uint64_t address = capture->pages[first] << PAGE_SHIFT;
		size_t size = (end - first) << PAGE_SHIFT;
		uint64_t fault_address = address;
		enum memory_fault fault = memory_read_raw(
		    memory, address, capture->copies + (first << PAGE_SHIFT), size, &fault_address);
		size_t good = fault == MEMORY_OK
				  ? end - first
				  : (size_t)((fault_address - address) >> PAGE_SHIFT);

		memset(capture->faults + first, MEMORY_OK, good);
		first += good;
		if (first < end)
			capture->faults[first++] = (uint8_t)fault;
	}
}

struct nunchi_error *memory_capture_fill(struct memory *memory)
{
	struct capture *capture = memory->capture;
	size_t end;

	if (!capture)
		return error_create(NUNCHI_ERROR_ARGUMENT, "a capture is filled before it began");
	if (capture->overflow)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the query reads more than %zu MiB of the guest, "
					       "too much to copy while it is paused",
					       MOST_PAGES >> (20 - PAGE_SHIFT)),
				  "Ask for fewer columns or rows, or read it running "
				  "(--pause never).");
	/* Sorted, so that neighbours in RAM are copied together and can be mapped together. */
	qsort(capture->pages, capture->count, sizeof(*capture->pages), compare_pages);
	for (size_t i = 0; i < capture->count; i++)
		*hash_map_find(&capture->index, capture->pages[i]) = i;
	memory->watch |= MEMORY_WATCH_FILL;
	for (size_t i = 0; i < capture->count; i = end) {
		for (end = i + 1;
		     end < capture->count && capture->pages[end] == capture->pages[end - 1] + 1;
		     end++)
			;
		copy_run(memory, capture, i, end);
	}
	capture->filled = capture->count;
	memory->watch &= ~(unsigned)(MEMORY_WATCH_RECORD | MEMORY_WATCH_FILL);
	memory->watch |= MEMORY_WATCH_REPLAY;
	memory_new_generation(memory);
	if (memory_gone(memory))
		return error_create(NUNCHI_ERROR_GONE,
				    "the guest's memory disappeared while it was copied");
	return NULL;
}

size_t memory_capture_misses(const struct memory *memory)
{
	return memory->capture ? memory->capture->count - memory->capture->filled : 0;
}

/* The place of a page's copy; a page that was not copied is added to the set. */
static bool find_copy(struct capture *capture, uint64_t page, size_t *ret)
{
	uint64_t *place = hash_map_find(&capture->index, page);

	if (place && *place < capture->filled) {
		*ret = (size_t)*place;
		return true;
	}
	if (!place)
		add_page(capture, page);
	return false;
}

enum memory_fault capture_read(struct memory *memory, uint64_t address, void *buffer, size_t size,
			       uint64_t *ret_fault)
{
	struct capture *capture = memory->capture;
	uint8_t *to = buffer;

	while (size) {
		size_t offset = (size_t)(address & PAGE_MASK);
		size_t n = PAGE_SIZE - offset < size ? PAGE_SIZE - offset : size;
		size_t place;

		*ret_fault = address;
		if (!memory_find(memory, address))
			return MEMORY_NO_RAM;
		if (!find_copy(capture, address >> PAGE_SHIFT, &place)) {
			/* All that this read will want next time, not one page a round. */
			capture_record(capture, address, size);
			return MEMORY_NOT_CAPTURED;
		}
		if (capture->faults[place] != MEMORY_OK)
			return capture->faults[place];
		memcpy(to, capture->copies + (place << PAGE_SHIFT) + offset, n);
		to += n;
		address += n;
		size -= n;
	}
	return MEMORY_OK;
}

const void *capture_map(struct memory *memory, uint64_t address, size_t size)
{
	struct capture *capture = memory->capture;
	uint64_t first = address >> PAGE_SHIFT;
	uint64_t last = (address + size - 1) >> PAGE_SHIFT;
	size_t start = 0;
	bool whole = true;

	if (address + size < address || last - first >= MOST_PAGES)
		return NULL;
	for (uint64_t page = first; page <= last; page++) {
		size_t place;

		if (!memory_find(memory, page << PAGE_SHIFT))
			return NULL;
		if (!find_copy(capture, page, &place) || capture->faults[place] != MEMORY_OK ||
		    (page > first && place != start + (page - first)))
			whole = false;
		else if (page == first)
			start = place;
	}
	return whole ? capture->copies + (start << PAGE_SHIFT) + (address & PAGE_MASK) : NULL;
}
