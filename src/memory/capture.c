/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/array.h"
#include "core/hash.h"
#include "core/pages.h"
#include "memory/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Limit of the set: copying more would keep the guest paused for too long. */
#define MOST_PAGES ((size_t)64 << 20 >> PAGE_SHIFT)

/* Memory for copies is populated in steps of this many pages; MOST_PAGES is a multiple of it. */
#define TAKEN_PAGES ((size_t)64)

/*
 * Of a page only those lines of 64 bytes are copied that the query reads, one bit for each line.
 * Most queries read few lines of a page.
 */
#define LINE_SHIFT     6
#define LINES_PER_PAGE (PAGE_SIZE >> LINE_SHIFT)
/*
 * Up to this many unwanted lines between two wanted ones are copied too, which is faster than
 * another call.
 */
#define GAP_LINES 4

struct captured_page {
	uint64_t number; /* guest-physical address >> PAGE_SHIFT */
	uint64_t wanted; /* lines to copy; the lowest bit is the first line */
	uint64_t copied; /* lines that the last fill copied */
	enum memory_fault fault;
};

/*
 * A row of lines that are contiguous in RAM, numbered from the first line of the first page of the
 * set.
 */
struct run {
	uint32_t first, end;
};

struct capture {
	struct hash_map index;       /* page number → index into `pages` and `copies` */
	struct captured_page *pages; /* the first `filled` of them are sorted */
	uint8_t *copies;
	size_t count;
	size_t filled; /* number of pages that the last fill copied */
	bool overflow;
	bool missed;   /* since the last fill, a read needed something that was not copied */
	bool prepared; /* `runs` contains what the next fill has to copy */
	struct run *runs;
	size_t run_count, run_capacity;
};

static void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	hash_map_deinit(&capture->index);
	free(capture->pages);
	free(capture->runs);
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
	/* Reserves address space only; memory is allocated page by page as the set grows. */
	map = mmap(NULL, MOST_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map != MAP_FAILED)
		capture->copies = map;
	/*
	 * The guard process is forked later. Without MADV_DONTFORK each of these pages would be
	 * copied when it is first written after the fork.
	 */
	if (map != MAP_FAILED && madvise(map, MOST_PAGES << PAGE_SHIFT, MADV_DONTFORK))
		return error_create_errno(errno, "cannot prepare a copy of guest memory");
	if (!capture->pages || !capture->copies)
		return &error_nomem;
	*ret = no_cleanup_ptr(capture);
	return NULL;
}

struct nunchi_error *memory_capture_begin(struct memory *memory)
{
	struct capture *capture = NULL;
	struct nunchi_error *err = capture_create(&capture);

	if (err)
		return err;
	memory_capture_end(memory);
	memory->capture = capture;
	memory_capture_record(memory);
	return NULL;
}

void memory_capture_record(struct memory *memory)
{
	memory->watch &= ~(unsigned)MEMORY_WATCH_REPLAY;
	memory->watch |= MEMORY_WATCH_RECORD;
	/*
	 * A new generation makes the callers' caches read the pages again, so that these reads are
	 * recorded.
	 */
	memory->generation++;
	memory->recorded = memory->generation;
}

void memory_capture_replay(struct memory *memory, bool replay)
{
	unsigned watch = memory->watch & ~(unsigned)MEMORY_WATCH_REPLAY;

	if (replay && memory->capture && memory->capture->filled)
		watch |= MEMORY_WATCH_REPLAY;
	if (watch == memory->watch)
		return;
	memory->watch = watch;
	/*
	 * The callers' caches hold bytes of the previous source (the guest's memory, or the
	 * copies).
	 */
	memory->generation++;
}

void memory_capture_end(struct memory *memory)
{
	if (!memory->capture)
		return;
	capture_destroy(memory->capture);
	memory->capture = NULL;
	memory->watch &= ~(unsigned)(MEMORY_WATCH_RECORD | MEMORY_WATCH_REPLAY);
	memory->generation++;
}

/*
 * The lines of a page that contain `size` bytes from `offset`; the bytes must lie within the page.
 */
static uint64_t lines_of(size_t offset, size_t size)
{
	size_t first = offset >> LINE_SHIFT;
	size_t count = ((offset + size - 1) >> LINE_SHIFT) - first + 1;

	return (count == LINES_PER_PAGE ? UINT64_MAX : ((uint64_t)1 << count) - 1) << first;
}

static void add_lines(struct capture *capture, uint64_t page, uint64_t lines)
{
	uint64_t *place = hash_map_find(&capture->index, page);

	if (place) {
		capture->pages[*place].wanted |= lines;
		return;
	}
	if (capture->count == MOST_PAGES ||
	    hash_map_insert(&capture->index, page, capture->count) != HASH_INSERTED) {
		capture->overflow = true;
		return;
	}
	capture->pages[capture->count] = (struct captured_page){.number = page, .wanted = lines};
	/*
	 * Populates the memory of the copies now, so that no page faults occur while the guest is
	 * paused.
	 */
	if (!(capture->count % TAKEN_PAGES))
		pages_take(capture->copies + (capture->count << PAGE_SHIFT),
			   TAKEN_PAGES << PAGE_SHIFT);
	capture->copies[capture->count << PAGE_SHIFT] = 0;
	capture->count++;
}

void capture_record(struct capture *capture, uint64_t address, size_t size)
{
	while (size && !capture->overflow) {
		size_t offset = (size_t)(address & PAGE_MASK);
		size_t n = PAGE_SIZE - offset < size ? PAGE_SIZE - offset : size;

		add_lines(capture, address >> PAGE_SHIFT, lines_of(offset, n));
		address += n;
		size -= n;
	}
}

static int compare_pages(const void *a, const void *b)
{
	const struct captured_page *x = a;
	const struct captured_page *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/*
 * Sorts the pages, so that pages that are contiguous in RAM are copied together and can be mapped
 * together.
 */
static void sort_pages(struct capture *capture)
{
	qsort(capture->pages, capture->count, sizeof(*capture->pages), compare_pages);
	for (size_t i = 0; i < capture->count; i++)
		*hash_map_find(&capture->index, capture->pages[i].number) = i;
	/* Sorting has not moved the copies, so none of them is valid any more. */
	capture->filled = 0;
}

static struct nunchi_error *add_run(struct capture *capture, size_t first, size_t end)
{
	if (!ARRAY_RESERVE(capture->runs, capture->run_count, capture->run_capacity, 1))
		return &error_nomem;
	capture->runs[capture->run_count++] = (struct run){(uint32_t)first, (uint32_t)end};
	return NULL;
}

/*
 * Adds the wanted lines of a page as runs; extends the last run where the lines are contiguous with
 * it.
 */
static struct nunchi_error *add_page_runs(struct capture *capture, size_t place)
{
	const struct captured_page *page = &capture->pages[place];
	bool neighbour = place && page[-1].number + 1 == page->number;
	struct nunchi_error *err = NULL;
	uint64_t wanted = page->wanted;

	while (wanted && !err) {
		size_t bit = (size_t)__builtin_ctzll(wanted);
		uint64_t rest = ~(wanted >> bit);
		size_t count = rest ? (size_t)__builtin_ctzll(rest) : LINES_PER_PAGE;
		size_t first = place * LINES_PER_PAGE + bit;
		struct run *last =
		    capture->run_count ? &capture->runs[capture->run_count - 1] : NULL;
		bool same_page = last && (last->end - 1) / LINES_PER_PAGE == place;

		if (last && (same_page || neighbour) && first - last->end <= GAP_LINES)
			last->end = (uint32_t)(first + count);
		else
			err = add_run(capture, first, first + count);
		wanted &= count + bit < LINES_PER_PAGE ? UINT64_MAX << (count + bit) : 0;
	}
	return err;
}

struct nunchi_error *memory_capture_prepare(struct memory *memory)
{
	struct capture *capture = memory->capture;
	struct nunchi_error *err = NULL;

	if (!capture)
		return error_create(NUNCHI_ERROR_ARGUMENT, "a capture is prepared before it began");
	if (capture->overflow)
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 "the query reads from more than %zu MiB of the "
				 "guest, too much to copy while the guest is paused",
				 MOST_PAGES >> (20 - PAGE_SHIFT)),
		    "ask for fewer columns or rows, or read the running guest (--pause never)");
	sort_pages(capture);
	capture->run_count = 0;
	for (size_t i = 0; i < capture->count && !err; i++)
		err = add_page_runs(capture, i);
	capture->prepared = !err;
	return err;
}

/*
 * Copies the lines first..end-1, which are contiguous in RAM. A page that cannot be read stores its
 * fault.
 */
static void copy_lines(struct memory *memory, struct capture *capture, size_t first, size_t end)
{
	while (first < end) {
		uint64_t page = capture->pages[first / LINES_PER_PAGE].number;
		uint64_t address = (page << PAGE_SHIFT) + (first % LINES_PER_PAGE << LINE_SHIFT);
		uint64_t fault_address = address;
		enum memory_fault fault =
		    memory_read_raw(memory, address, capture->copies + (first << LINE_SHIFT),
				    (end - first) << LINE_SHIFT, &fault_address);

		if (fault == MEMORY_OK)
			return;
		first += (size_t)((fault_address - address) >> LINE_SHIFT);
		capture->pages[first / LINES_PER_PAGE].fault = fault;
		/* The next page may be readable. */
		first = (first / LINES_PER_PAGE + 1) * LINES_PER_PAGE;
	}
}

/* Pages that a mapper maps in one call, and their positions in the set. */
struct batch {
	struct capture *capture;
	struct memory_mapper *mapper;
	size_t count;
	uint64_t numbers[MAPPER_BATCH];
	size_t places[MAPPER_BATCH];
};

/* Copies the wanted lines of page i of a batch. */
static void copy_mapped(void *data, size_t i, const uint8_t *page)
{
	const struct batch *batch = data;
	size_t place = batch->places[i];
	uint64_t wanted = batch->capture->pages[place].wanted;
	size_t first = (size_t)__builtin_ctzll(wanted) << LINE_SHIFT;
	size_t end = (size_t)(64 - __builtin_clzll(wanted)) << LINE_SHIFT;

	memcpy(batch->capture->copies + (place << PAGE_SHIFT) + first, page + first, end - first);
}

static void copy_batch(struct batch *batch)
{
	uint8_t faults[MAPPER_BATCH];

	if (batch->count)
		mapper_copy(batch->mapper, batch->numbers, batch->count, copy_mapped, batch,
			    faults);
	for (size_t i = 0; i < batch->count; i++)
		batch->capture->pages[batch->places[i]].fault = (enum memory_fault)faults[i];
	batch->count = 0;
}

/* Copies the pages of mappers through temporary mappings, of many pages in one call. */
static void copy_by_mapper(struct memory *memory, struct capture *capture)
{
	struct batch batch = {.capture = capture};

	for (size_t i = 0; i < capture->count; i++) {
		uint64_t wanted = capture->pages[i].wanted;
		const struct memory_backing *backing =
		    memory_find(memory, capture->pages[i].number << PAGE_SHIFT);

		if (!backing || !backing->mapper) {
			copy_lines(memory, capture,
				   i * LINES_PER_PAGE + (size_t)__builtin_ctzll(wanted),
				   (i + 1) * LINES_PER_PAGE - (size_t)__builtin_clzll(wanted));
			continue;
		}
		if (batch.count == MAPPER_BATCH || batch.mapper != backing->mapper)
			copy_batch(&batch);
		batch.mapper = backing->mapper;
		batch.places[batch.count] = i;
		batch.numbers[batch.count++] = capture->pages[i].number;
	}
	copy_batch(&batch);
}

struct nunchi_error *memory_capture_fill(struct memory *memory)
{
	struct capture *capture = memory->capture;

	if (!capture || !capture->prepared)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a capture is filled before it was prepared");
	capture->prepared = false;
	for (size_t i = 0; i < capture->count; i++) {
		capture->pages[i].copied = capture->pages[i].wanted;
		capture->pages[i].fault = MEMORY_OK;
	}
	memory->watch |= MEMORY_WATCH_FILL;
	if (memory->mapper_count)
		copy_by_mapper(memory, capture);
	for (size_t i = 0; i < capture->run_count && !memory->mapper_count; i++)
		copy_lines(memory, capture, capture->runs[i].first, capture->runs[i].end);
	capture->filled = capture->count;
	capture->missed = false;
	memory->watch &= ~(unsigned)(MEMORY_WATCH_RECORD | MEMORY_WATCH_FILL);
	memory->watch |= MEMORY_WATCH_REPLAY;
	memory->generation++;
	if (memory_gone(memory))
		return error_create(NUNCHI_ERROR_GONE,
				    "the guest's memory disappeared while it was copied");
	return NULL;
}

bool memory_capture_replays(const struct memory *memory)
{
	return memory->watch & MEMORY_WATCH_REPLAY;
}

size_t memory_capture_misses(const struct memory *memory)
{
	const struct capture *capture = memory->capture;
	size_t misses = 0;

	if (!capture || !capture->missed)
		return 0;
	for (size_t i = 0; i < capture->count; i++)
		misses += (capture->pages[i].wanted & ~capture->pages[i].copied) != 0;
	return misses;
}

/*
 * Finds the position of a page whose `lines` were copied. Otherwise adds the lines to the set and
 * returns false.
 */
static bool find_copy(struct capture *capture, uint64_t page, uint64_t lines, size_t *ret)
{
	uint64_t *place = hash_map_find(&capture->index, page);

	if (place && *place < capture->filled && !(lines & ~capture->pages[*place].copied)) {
		*ret = (size_t)*place;
		return true;
	}
	capture->missed = true;
	add_lines(capture, page, lines);
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
		if (!find_copy(capture, address >> PAGE_SHIFT, lines_of(offset, n), &place)) {
			/*
			 * Adds everything that this read needs to the set, not only the first
			 * missing page. Otherwise a read of n pages would need n rounds of copying.
			 */
			capture_record(capture, address, size);
			return MEMORY_NOT_CAPTURED;
		}
		if (capture->pages[place].fault != MEMORY_OK)
			return capture->pages[place].fault;
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
	size_t start = 0;
	bool whole = true;

	if (address + size < address || size > MOST_PAGES << PAGE_SHIFT)
		return NULL;
	for (uint64_t at = address; at < address + size; at = (at | PAGE_MASK) + 1) {
		uint64_t page = at >> PAGE_SHIFT;
		uint64_t end = (at | PAGE_MASK) + 1;
		size_t n = (size_t)((end < address + size ? end : address + size) - at);
		size_t place;

		if (!memory_find(memory, at))
			return NULL;
		if (!find_copy(capture, page, lines_of((size_t)(at & PAGE_MASK), n), &place) ||
		    capture->pages[place].fault != MEMORY_OK ||
		    (page > first && place != start + (page - first)))
			whole = false;
		else if (page == first)
			start = place;
	}
	return whole ? capture->copies + (start << PAGE_SHIFT) + (address & PAGE_MASK) : NULL;
}
