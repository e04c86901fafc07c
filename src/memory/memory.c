/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/memory.h"

#include "core/array.h"
#include "memory/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* End of the physical addresses of x86: 52 bits. */
#define PHYSICAL_END ((uint64_t)1 << 52)
/*
 * Limit of the number of ranges. A real dump has thousands; the limit bounds the sorting for a
 * hostile file.
 */
#define MOST_RANGES ((size_t)1 << 20)

const char *memory_fault_string(enum memory_fault fault)
{
	switch (fault) {
	case MEMORY_OK:
		return "no fault";
	case MEMORY_NOT_MAPPED:
		return "the page tables map nothing there";
	case MEMORY_PAGED_OUT:
		return "the page is swapped out";
	case MEMORY_NO_RAM:
		return "there is no RAM at that address";
	case MEMORY_NOT_SAVED:
		return "the saved guest does not contain that page";
	case MEMORY_IO:
		return "the target could not read it";
	case MEMORY_GONE:
		return "the guest or its file disappeared";
	case MEMORY_NOT_CAPTURED:
		return "it is not in the capture";
	}
	return "unknown fault";
}

struct nunchi_error *memory_create(bool guard, struct memory **ret)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return &error_nomem;
	memory->generation = 1;
	memory->last = &memory_nowhere;
	memory->guard = guard;
	*ret = memory;
	return NULL;
}

void memory_destroy(struct memory *memory)
{
	if (!memory)
		return;
	memory_capture_end(memory);
	memory_drop_persistent(memory);
	for (size_t i = 0; i < memory->count; i++) {
		if (memory->backings[i].destroy)
			memory->backings[i].destroy(memory->backings[i].data);
	}
	for (size_t i = 0; i < memory->file_count; i++)
		window_file_destroy(memory->files[i]);
	for (size_t i = 0; i < memory->mapper_count; i++)
		mapper_destroy(memory->mappers[i]);
	if (memory->touched)
		munmap(memory->touched, memory->touched_size);
	free(memory->mappers);
	free(memory->files);
	free(memory->backings);
	free(memory->ranges);
	free(memory);
}

static struct nunchi_error *check_range(const struct memory *memory, uint64_t start, uint64_t size)
{
	if (memory->sealed)
		return error_create_at(NUNCHI_ERROR_ARGUMENT, start,
				       "memory is added after it was sealed");
	if (!size || (start & PAGE_MASK) || (size & PAGE_MASK) || start >= PHYSICAL_END ||
	    size > PHYSICAL_END - start)
		return error_create_at(NUNCHI_ERROR_DATA, start,
				       "a RAM range at 0x%" PRIx64 " of 0x%" PRIx64
				       " bytes is not made of pages within 52 bits",
				       start, size);
	if (memory->count >= MOST_RANGES)
		return error_create_at(NUNCHI_ERROR_DATA, start, "more than %zu RAM ranges",
				       MOST_RANGES);
	return NULL;
}

static struct nunchi_error *add(struct memory *memory, const struct memory_backing *backing)
{
	if (!ARRAY_RESERVE(memory->backings, memory->count, memory->capacity, 1))
		return &error_nomem;
	memory->backings[memory->count++] = *backing;
	return NULL;
}

/*
 * Finds or creates the one open file that all windows on this file share, however many ranges a
 * dump has.
 */
static struct nunchi_error *find_file(struct memory *memory, int fd, bool live,
				      struct window_file **ret)
{
	struct nunchi_error *err;

	for (size_t i = memory->file_count; i > 0; i--) {
		if (window_file_is(memory->files[i - 1], fd, live)) {
			*ret = memory->files[i - 1];
			return NULL;
		}
	}
	if (!ARRAY_RESERVE(memory->files, memory->file_count, memory->file_capacity, 1))
		return &error_nomem;
	err = window_file_create(fd, live, memory->guard, ret);
	if (!err)
		memory->files[memory->file_count++] = *ret;
	return err;
}

struct nunchi_error *memory_add_window(struct memory *memory, gpa_t start, uint64_t size, int fd,
				       uint64_t file_offset, unsigned flags)
{
	bool live = flags & MEMORY_WINDOW_LIVE;
	struct memory_backing backing = {.start = start.v, .size = size};
	struct nunchi_error *err = check_range(memory, start.v, size);
	uint64_t end;

	if (err)
		return err;
	if (__builtin_add_overflow(file_offset, size, &end) || end > INT64_MAX ||
	    (live && (file_offset & PAGE_MASK)))
		return error_create_at(NUNCHI_ERROR_DATA, start.v,
				       "RAM at 0x%" PRIx64 " cannot be at file offset 0x%" PRIx64,
				       start.v, file_offset);
	err = find_file(memory, fd, live, &backing.file);
	if (err)
		return error_context(err, "RAM at 0x%" PRIx64, start.v);
	backing.file_offset = file_offset;
	if (backing.file->size > file_offset)
		backing.available = backing.file->size - file_offset < size
					? backing.file->size - file_offset
					: size;
	return add(memory, &backing);
}

struct nunchi_error *memory_add_reader(struct memory *memory, gpa_t start, uint64_t size,
				       memory_read_fn *read, void (*destroy)(void *data),
				       void *data)
{
	struct memory_backing backing = {
	    .start = start.v,
	    .size = size,
	    .available = size,
	    .read = read,
	    .destroy = destroy,
	    .data = data,
	};
	struct nunchi_error *err = check_range(memory, start.v, size);

	return err ? err : add(memory, &backing);
}

struct nunchi_error *memory_add_mapper(struct memory *memory, const struct memory_mapper_ops *ops,
				       void *data, struct memory_mapper **ret)
{
	struct nunchi_error *err;

	if (!ARRAY_RESERVE(memory->mappers, memory->mapper_count, memory->mapper_capacity, 1))
		return &error_nomem;
	err = mapper_create(ops, data, memory->guard, ret);
	if (!err)
		memory->mappers[memory->mapper_count++] = *ret;
	return err;
}

struct nunchi_error *memory_add_mapped(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper)
{
	struct memory_backing backing = {
	    .start = start.v, .size = size, .available = size, .mapper = mapper};
	struct nunchi_error *err = check_range(memory, start.v, size);

	return err ? err : add(memory, &backing);
}

struct nunchi_error *memory_add_sparse(struct memory *memory, gpa_t start, uint64_t size,
				       struct memory_mapper *mapper)
{
	struct nunchi_error *err = memory_add_mapped(memory, start, size, mapper);

	if (!err)
		memory->backings[memory->count - 1].sparse = true;
	return err;
}

void memory_set_outside(struct memory *memory, gpa_t end, struct memory_mapper *mapper)
{
	memory->outside =
	    (struct memory_backing){.size = end.v, .available = end.v, .mapper = mapper};
}

struct nunchi_error *memory_add_missing(struct memory *memory, gpa_t start, uint64_t size)
{
	struct memory_backing backing = {.start = start.v, .size = size};
	struct nunchi_error *err = check_range(memory, start.v, size);

	return err ? err : add(memory, &backing);
}

static int compare_backings(const void *a, const void *b)
{
	const struct memory_backing *x = a;
	const struct memory_backing *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Extends the part of a file that has to be mapped, so that it contains this window. */
static void extend_file(const struct memory_backing *backing)
{
	struct window_file *file = backing->file;
	uint64_t end = backing->file_offset + backing->available;

	if (!file || !backing->available)
		return;
	if (backing->file_offset < file->low)
		file->low = backing->file_offset;
	if (end > file->high)
		file->high = end;
}

void memory_set_incomplete(struct memory *memory)
{
	memory->incomplete = true;
}

struct nunchi_error *memory_seal(struct memory *memory)
{
	uint64_t end = 0;

	if (memory->sealed)
		return error_create(NUNCHI_ERROR_ARGUMENT, "memory is sealed twice");
	memory->ranges = calloc(memory->count + 1, sizeof(*memory->ranges));
	if (!memory->ranges)
		return &error_nomem;
	if (memory->count)
		qsort(memory->backings, memory->count, sizeof(*memory->backings), compare_backings);
	memory->total = 0;
	for (size_t i = 0; i < memory->count; i++) {
		struct memory_backing *backing = &memory->backings[i];

		if (backing->start < end) {
			free(memory->ranges);
			memory->ranges = NULL;
			return error_create_at(NUNCHI_ERROR_DATA, backing->start,
					       "two RAM ranges overlap at 0x%" PRIx64,
					       backing->start);
		}
		end = backing->start + backing->size;
		backing->first_page = memory->total >> PAGE_SHIFT;
		memory->total += backing->size;
		memory->ranges[i].start = gpa(backing->start);
		memory->ranges[i].size = backing->size;
		extend_file(backing);
	}
	memory->sealed = true;
	return NULL;
}

struct nunchi_error *memory_take_ranges(struct memory *memory, struct memory *fresh)
{
	struct memory old = *memory;

	if (!memory->sealed || !fresh->sealed || fresh->mapper_count)
		return error_create(NUNCHI_ERROR_ARGUMENT, "these ranges cannot be replaced");
	memory->backings = fresh->backings;
	memory->ranges = fresh->ranges;
	memory->count = fresh->count;
	memory->capacity = fresh->capacity;
	memory->files = fresh->files;
	memory->file_count = fresh->file_count;
	memory->file_capacity = fresh->file_capacity;
	memory->total = fresh->total;
	memory->last = &memory_nowhere;
	fresh->backings = old.backings;
	fresh->ranges = old.ranges;
	fresh->count = old.count;
	fresh->capacity = old.capacity;
	fresh->files = old.files;
	fresh->file_count = old.file_count;
	fresh->file_capacity = old.file_capacity;
	fresh->last = &memory_nowhere;
	memory_new_generation(memory);
	/*
	 * The bits stand for pages of the old ranges. Pages read from now on are counted, even if
	 * they were counted before.
	 */
	if (memory->touched) {
		munmap(memory->touched, memory->touched_size);
		memory->touched = NULL;
		memory->watch &= ~(unsigned)MEMORY_WATCH_COUNT;
		return memory_count_pages(memory);
	}
	return NULL;
}

const struct memory_range *memory_ranges(const struct memory *memory, size_t *ret_count)
{
	*ret_count = memory->sealed ? memory->count : 0;
	return memory->ranges;
}

uint64_t memory_total(const struct memory *memory)
{
	return memory->total;
}

gpa_t memory_end(const struct memory *memory)
{
	const struct memory_backing *last;

	if (!memory->sealed || !memory->count)
		return gpa(0);
	last = &memory->backings[memory->count - 1];
	return gpa(last->start + last->size);
}

static void count_touched(struct memory *memory, uint64_t address, size_t size)
{
	while (size) {
		const struct memory_backing *backing = memory_find(memory, address);
		uint64_t n, page, last;

		if (!backing || backing == &memory->outside)
			return;
		n = backing->size - (address - backing->start);
		if (n > size)
			n = size;
		page = backing->first_page + ((address - backing->start) >> PAGE_SHIFT);
		last = backing->first_page + ((address - backing->start + n - 1) >> PAGE_SHIFT);
		for (; page <= last; page++) {
			uint64_t bit = (uint64_t)1 << page % 64;

			memory->pages_touched += !(memory->touched[page / 64] & bit);
			memory->touched[page / 64] |= bit;
		}
		address += n;
		size -= (size_t)n;
	}
}

static void watch(struct memory *memory, uint64_t address, size_t size)
{
	if (memory->watch & MEMORY_WATCH_COUNT)
		count_touched(memory, address, size);
	if (memory->watch & MEMORY_WATCH_RECORD)
		capture_record(memory->capture, address, size);
}

static enum memory_fault read_slowly(struct memory *memory, uint64_t address, void *buffer,
				     size_t size, gpa_t *ret_fault)
{
	uint64_t fault_address;
	enum memory_fault fault;

	if (memory->watch & MEMORY_WATCH_REPLAY)
		fault = capture_read(memory, address, buffer, size, &fault_address);
	else
		fault = memory_read_raw(memory, address, buffer, size, &fault_address);
	if (memory->watch && size && memory_find(memory, address))
		watch(memory, address, size);
	if (fault == MEMORY_OK)
		memory->bytes_read += size;
	else if (ret_fault)
		*ret_fault = gpa(fault_address);
	return fault;
}

static inline bool may_copy(const struct memory *memory, const struct memory_backing *backing,
			    uint64_t offset, size_t size)
{
	return !backing->file->careful || window_file_is_known(backing->file, memory->generation,
							       backing->file_offset + offset, size);
}

/* Reads from a page of a mapper if that page is mapped already. */
static inline bool read_known(struct memory *memory, const struct memory_backing *backing,
			      uint64_t offset, void *buffer, size_t size)
{
	struct mapper_window *window;
	const uint8_t *from;

	if (!backing->mapper || memory->watch || offset >= backing->size ||
	    size > backing->size - offset)
		return false;
	from = mapper_known(backing->mapper, memory->generation, backing->start + offset, size,
			    &window);
	if (!from)
		return false;
	memcpy(buffer, from, size);
	if (mapper_window_gone(window))
		return false;
	memory->bytes_read += size;
	return true;
}

enum memory_fault memory_read(struct memory *memory, gpa_t address, void *buffer, size_t size,
			      gpa_t *ret_fault)
{
	const struct memory_backing *backing = memory->last;
	uint64_t offset = address.v - backing->start;

	if (__builtin_expect(offset < backing->direct && size <= backing->direct - offset &&
				 !memory->watch && may_copy(memory, backing, offset, size),
			     true)) {
		if (size == sizeof(uint64_t))
			memcpy(buffer, backing->base + offset, sizeof(uint64_t));
		else
			memcpy(buffer, backing->base + offset, size);
		if (!window_file_gone(backing->file)) {
			memory->bytes_read += size;
			return MEMORY_OK;
		}
	}
	if (read_known(memory, backing, offset, buffer, size))
		return MEMORY_OK;
	return read_slowly(memory, address.v, buffer, size, ret_fault);
}

const void *memory_map(struct memory *memory, gpa_t address, size_t size)
{
	struct memory_backing *backing = memory_find(memory, address.v);
	uint64_t offset;

	if (!backing || !size)
		return NULL;
	offset = address.v - backing->start;
	if (memory->watch & MEMORY_WATCH_REPLAY)
		return capture_map(memory, address.v, size);
	if (backing->mapper) {
		const void *map = NULL;

		if (size <= backing->size - offset)
			map = mapper_map(backing->mapper, memory->generation, address.v, size);
		if (map && memory->watch)
			watch(memory, address.v, size);
		return map;
	}
	if (!memory_is_touchable(memory, backing, offset, size))
		return NULL;
	if (memory->watch)
		watch(memory, address.v, size);
	return backing->base + offset;
}

void memory_new_generation(struct memory *memory)
{
	memory->generation++;
}

void memory_renew(struct memory *memory)
{
	memory->generation++;
	for (size_t i = 0; i < memory->mapper_count; i++)
		mapper_renew(memory->mappers[i]);
}

uint64_t memory_generation(const struct memory *memory)
{
	return memory->generation;
}

struct nunchi_error *memory_count_pages(struct memory *memory)
{
	uint64_t pages = memory->total >> PAGE_SHIFT;
	void *map;

	if (memory->touched)
		return NULL;
	if (!memory->sealed)
		return error_create(NUNCHI_ERROR_ARGUMENT, "pages are counted in unsealed memory");
	memory->touched_size = (size_t)(pages / 64 + 1) * sizeof(uint64_t);
	map = mmap(NULL, memory->touched_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return error_create_errno(
		    errno, "cannot count the pages of 0x%" PRIx64 " bytes of RAM", memory->total);
	memory->touched = map;
	memory->watch |= MEMORY_WATCH_COUNT;
	/*
	 * Invalidates pointers that callers keep, so that they ask for them again and the pages are
	 * counted.
	 */
	memory_new_generation(memory);
	return NULL;
}

struct memory_stats memory_stats(const struct memory *memory)
{
	return (struct memory_stats){
	    .bytes_read = memory->bytes_read,
	    .pages_touched = memory->pages_touched,
	};
}
