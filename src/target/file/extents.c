/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/extents.h"

#include <inttypes.h>
#include <string.h>

/*
 * If there are more extents than this, one reader serves many extents, so that the memory has few
 * ranges.
 */
#define MAX_WINDOWS 16384

/* Shared by all readers of one memory; freed with the last of them. */
struct backing {
	struct source source;
	struct extents extents;
	size_t recent; /* index that the last search found */
	size_t references;
};

struct reader {
	struct backing *backing;
	uint64_t base; /* guest-physical address of the start of the range */
};

void extents_deinit(struct extents *extents)
{
	free(extents->items);
	memset(extents, 0, sizeof(*extents));
}

static struct nunchi_error *append(struct extents *extents, struct extent extent)
{
	uint64_t end;

	if (!extent.size)
		return NULL;
	if (__builtin_add_overflow(extent.start, extent.size, &end) || end > EXTENT_ADDRESS_LIMIT)
		return error_create_at(NUNCHI_ERROR_DATA, extent.start,
				       "a segment of 0x%" PRIx64
				       " bytes at guest-physical 0x%" PRIx64
				       " ends beyond any x86 address",
				       extent.size, extent.start);
	if (extents->count == extents->capacity) {
		size_t capacity = extents->capacity ? 2 * extents->capacity : 16;
		struct extent *items =
		    reallocarray(extents->items, capacity, sizeof(*extents->items));

		if (!items)
			return &error_nomem;
		extents->items = items;
		extents->capacity = capacity;
	}
	extents->items[extents->count++] = extent;
	return NULL;
}

struct nunchi_error *extents_add(struct extents *extents, uint64_t start, uint64_t size,
				 uint64_t offset)
{
	return append(extents, (struct extent){.start = start, .size = size, .offset = offset});
}

struct nunchi_error *extents_add_missing(struct extents *extents, uint64_t start, uint64_t size)
{
	return append(extents, (struct extent){.start = start, .size = size, .missing = true});
}

static uint64_t extent_end(const struct extent *extent)
{
	return extent->start + extent->size;
}

/*
 * Orders extents by address; of two with the same address the longer one comes first and is kept
 * complete.
 */
static int compare(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Appends an extent to out, or extends the last one if both are contiguous. */
static struct nunchi_error *join(struct extents *out, struct extent piece)
{
	struct extent *last = out->count ? &out->items[out->count - 1] : NULL;

	if (last && extent_end(last) == piece.start && last->missing == piece.missing &&
	    (piece.missing || last->offset + last->size == piece.offset)) {
		last->size += piece.size;
		return NULL;
	}
	return append(out, piece);
}

/* Splits each extent into the part that the source contains (saved) and the rest (missing). */
static struct nunchi_error *split(const struct extents *in, uint64_t source_size,
				  struct extents *saved, struct extents *missing)
{
	for (size_t i = 0; i < in->count; i++) {
		struct extent extent = in->items[i];
		struct nunchi_error *err = NULL;
		uint64_t there = 0;

		if (!extent.missing && extent.offset < source_size)
			there = source_size - extent.offset;
		if (there > extent.size)
			there = extent.size;
		if (there)
			err = extents_add(saved, extent.start, there, extent.offset);
		if (!err && there < extent.size)
			err =
			    extents_add_missing(missing, extent.start + there, extent.size - there);
		if (err)
			return err;
	}
	return NULL;
}

/* Appends sorted extents to out, without the parts that earlier extents cover. */
static struct nunchi_error *unite(const struct extents *in, struct extents *out)
{
	uint64_t covered = 0;

	for (size_t i = 0; i < in->count; i++) {
		struct extent extent = in->items[i];
		uint64_t end = extent_end(&extent);
		struct nunchi_error *err;

		if (end <= covered)
			continue;
		if (extent.start < covered) {
			extent.offset += covered - extent.start;
			extent.start = covered;
			extent.size = end - covered;
		}
		err = join(out, extent);
		if (err)
			return err;
		covered = end;
	}
	return NULL;
}

/*
 * Appends to out, in order of address, all of `saved`, and the parts of `missing` that `saved` does
 * not cover.
 */
static struct nunchi_error *fill(const struct extents *saved, const struct extents *missing,
				 struct extents *out)
{
	struct nunchi_error *err = NULL;
	size_t s = 0;

	for (size_t m = 0; m < missing->count && !err; m++) {
		uint64_t position = missing->items[m].start;
		uint64_t end = extent_end(&missing->items[m]);

		for (; !err && s < saved->count && saved->items[s].start < end; s++) {
			uint64_t start = saved->items[s].start;

			if (start > position)
				err = join(out, (struct extent){.start = position,
								.size = start - position,
								.missing = true});
			if (!err)
				err = join(out, saved->items[s]);
			if (extent_end(&saved->items[s]) > position)
				position = extent_end(&saved->items[s]);
		}
		if (!err && position < end)
			err = join(out, (struct extent){.start = position,
							.size = end - position,
							.missing = true});
	}
	for (; !err && s < saved->count; s++)
		err = join(out, saved->items[s]);
	return err;
}

/*
 * Cuts off the start of each missing extent that lies within a saved one. fill() needs this: when a
 * missing extent ends within a saved one, it goes on after that saved one, in which the next
 * missing extent may begin.
 */
static void trim_missing(const struct extents *saved, struct extents *missing)
{
	size_t s = 0;

	for (size_t m = 0; m < missing->count; m++) {
		struct extent *extent = &missing->items[m];
		uint64_t end = extent_end(extent);

		while (s < saved->count && extent_end(&saved->items[s]) <= extent->start)
			s++;
		if (s == saved->count || saved->items[s].start > extent->start)
			continue;
		extent->start =
		    extent_end(&saved->items[s]) < end ? extent_end(&saved->items[s]) : end;
		extent->size = end - extent->start;
	}
}

struct nunchi_error *extents_normalize(struct extents *extents, uint64_t source_size)
{
	_cleanup_extents_ struct extents saved_all = {0}, missing_all = {0};
	_cleanup_extents_ struct extents saved = {0}, missing = {0}, out = {0};
	struct nunchi_error *err;
	struct extents old;

	err = split(extents, source_size, &saved_all, &missing_all);
	if (err)
		return err;
	if (saved_all.count)
		qsort(saved_all.items, saved_all.count, sizeof(*saved_all.items), compare);
	if (missing_all.count)
		qsort(missing_all.items, missing_all.count, sizeof(*missing_all.items), compare);
	err = unite(&saved_all, &saved);
	if (!err)
		err = unite(&missing_all, &missing);
	if (err)
		return err;
	trim_missing(&saved, &missing);
	err = fill(&saved, &missing, &out);
	if (err)
		return err;
	old = *extents;
	*extents = out;
	out = old;
	return NULL;
}

uint64_t extents_missing(const struct extents *extents)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < extents->count; i++)
		sum += extents->items[i].missing ? extents->items[i].size : 0;
	return sum;
}

uint64_t extents_total(const struct extents *extents)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < extents->count; i++)
		sum += extents->items[i].size;
	return sum;
}

static void backing_release(struct backing *backing)
{
	if (--backing->references)
		return;
	source_deinit(&backing->source);
	extents_deinit(&backing->extents);
	free(backing);
}

static void reader_destroy(void *data)
{
	struct reader *reader = data;

	backing_release(reader->backing);
	free(reader);
}

/* The index of the extent that contains address, or of the next one; count if there is none. */
static size_t search(struct backing *backing, uint64_t address)
{
	const struct extents *extents = &backing->extents;
	size_t low = 0, high = extents->count;

	if (backing->recent < high && extents->items[backing->recent].start <= address &&
	    address < extent_end(&extents->items[backing->recent]))
		return backing->recent;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (extent_end(&extents->items[middle]) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	backing->recent = low;
	return low;
}

static enum memory_fault reader_read(void *data, uint64_t offset, void *buffer, size_t size,
				     uint64_t *fault_offset)
{
	struct reader *reader = data;
	struct backing *backing = reader->backing;
	uint64_t address = reader->base + offset;
	size_t done = 0;

	for (size_t i = search(backing, address); done < size; i++) {
		const struct extent *extent = &backing->extents.items[i];
		uint64_t at = address + done, part, fault = 0;
		enum memory_fault result;

		if (i >= backing->extents.count || extent->start > at || extent->missing) {
			*fault_offset = offset + done;
			return MEMORY_NOT_SAVED;
		}
		part = extent_end(extent) - at;
		if (part > size - done)
			part = size - done;
		result = backing->source.read(backing->source.data,
					      extent->offset + (at - extent->start),
					      (char *)buffer + done, (size_t)part, &fault);
		if (result != MEMORY_OK) {
			fault -= extent->offset + (at - extent->start);
			*fault_offset = offset + done + (fault < part ? fault : 0);
			return result;
		}
		done += (size_t)part;
	}
	return MEMORY_OK;
}

static struct nunchi_error *add_reader(struct backing *backing, struct memory *memory,
				       uint64_t start, uint64_t end)
{
	struct reader *reader = malloc(sizeof(*reader));
	struct nunchi_error *err;

	if (!reader)
		return &error_nomem;
	*reader = (struct reader){.backing = backing, .base = start};
	backing->references++;
	err =
	    memory_add_reader(memory, gpa(start), end - start, reader_read, reader_destroy, reader);
	if (err)
		reader_destroy(reader);
	return err;
}

static uint64_t page_up(uint64_t address)
{
	return (address + PAGE_MASK) & ~PAGE_MASK;
}

static uint64_t page_down(uint64_t address)
{
	return address & ~PAGE_MASK;
}

/*
 * Adds one range for the complete pages of each extent; a page that several extents share is read
 * by a reader.
 */
static struct nunchi_error *apply_each(struct backing *backing, struct memory *memory)
{
	int fd = backing->source.fd;
	uint64_t done = 0; /* all pages below this address were added */

	for (size_t i = 0; i < backing->extents.count; i++) {
		const struct extent *e = &backing->extents.items[i];
		uint64_t start = page_up(e->start), end = page_down(extent_end(e));
		struct nunchi_error *err = NULL;

		if (page_down(e->start) >= done && page_down(e->start) < start) {
			done = start;
			err = add_reader(backing, memory, start - PAGE_SIZE, start);
		}
		if (!err && start < end) {
			uint64_t offset = e->offset + (start - e->start);

			done = end;
			if (e->missing)
				err = memory_add_missing(memory, gpa(start), end - start);
			else if (fd >= 0)
				err = memory_add_window(memory, gpa(start), end - start, fd, offset,
							0);
			else
				err = add_reader(backing, memory, start, end);
		}
		if (!err && end >= done && end < extent_end(e)) {
			done = end + PAGE_SIZE;
			err = add_reader(backing, memory, end, end + PAGE_SIZE);
		}
		if (err)
			return err;
	}
	return NULL;
}

/* Adds one reader for each row of adjacent pages. */
static struct nunchi_error *apply_runs(struct backing *backing, struct memory *memory)
{
	const struct extents *extents = &backing->extents;
	size_t i = 0;

	while (i < extents->count) {
		uint64_t start = page_down(extents->items[i].start);
		uint64_t end = page_up(extent_end(&extents->items[i]));
		struct nunchi_error *err;

		for (i++; i < extents->count && page_down(extents->items[i].start) <= end; i++)
			end = page_up(extent_end(&extents->items[i]));
		err = add_reader(backing, memory, start, end);
		if (err)
			return err;
	}
	return NULL;
}

struct nunchi_error *extents_apply(struct extents *extents, struct source *source,
				   struct memory *memory)
{
	struct backing *backing = calloc(1, sizeof(*backing));
	struct nunchi_error *err;

	if (!backing) {
		source_deinit(source);
		extents_deinit(extents);
		return &error_nomem;
	}
	backing->references = 1;
	backing->source = *source;
	backing->extents = *extents;
	source->destroy = NULL;
	memset(extents, 0, sizeof(*extents));

	if (backing->source.fd >= 0 && backing->extents.count <= MAX_WINDOWS)
		err = apply_each(backing, memory);
	else
		err = apply_runs(backing, memory);
	backing_release(backing);
	if (err)
		return err;
	return memory_seal(memory);
}
