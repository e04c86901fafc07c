/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/snapshot/snapshot.h"

#include "target/snapshot/writer.h"

#include <inttypes.h>
#include <string.h>

#define CHUNK             ((size_t)1 << 20)
#define PROGRESS_EVERY_US 100000
/* If parts of a page are missing, the page is read in pieces of this size. */
#define PIECE 16

struct snapshot {
	struct writer writer;
	struct memory *memory;
	bool (*progress)(uint64_t done, uint64_t total, void *data);
	void *data;
	const struct cancel *cancel;
	uint64_t done, total, reported_us;
	uint64_t missing; /* bytes left out or written as zeros */
	uint64_t damaged; /* of these, bytes that could not be read */
	uint8_t *buffer;  /* CHUNK */
};

static void snapshot_deinit(struct snapshot *snapshot)
{
	output_deinit(&snapshot->writer.output);
	free(snapshot->writer.segments);
	free(snapshot->buffer);
}

static struct nunchi_error *cancelled(const struct snapshot *snapshot)
{
	return error_create(NUNCHI_ERROR_CANCELLED,
			    "%s: the snapshot was cancelled after %" PRIu64 " of %" PRIu64 " MiB",
			    snapshot->writer.output.path, snapshot->done >> 20,
			    snapshot->total >> 20);
}

static struct nunchi_error *advance(struct snapshot *snapshot, uint64_t size)
{
	uint64_t now = clock_us();

	snapshot->done += size;
	if (cancel_requested(snapshot->cancel))
		return cancelled(snapshot);
	if (!snapshot->progress || now - snapshot->reported_us < PROGRESS_EVERY_US)
		return NULL;
	snapshot->reported_us = now;
	if (!snapshot->progress(snapshot->done, snapshot->total, snapshot->data))
		return cancelled(snapshot);
	return NULL;
}

/* ---- Segments -------------------------------------------------------------------------------- */

static struct nunchi_error *end_segment(struct writer *writer)
{
	const struct segment *last;

	if (!writer->segment_count)
		return NULL;
	last = &writer->segments[writer->segment_count - 1];
	return writer->ops->end_segment ? writer->ops->end_segment(writer, last) : NULL;
}

static struct nunchi_error *begin_segment(struct writer *writer, uint64_t address)
{
	struct nunchi_error *err = end_segment(writer);

	if (err)
		return err;
	if (writer->segment_count == writer->segment_limit)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the guest's memory is in more than %zu pieces",
					       writer->segment_limit),
				  "use --format raw");
	if (writer->segment_count == writer->segment_capacity) {
		size_t capacity = writer->segment_capacity ? 2 * writer->segment_capacity : 64;
		struct segment *segments =
		    reallocarray(writer->segments, capacity, sizeof(*segments));

		if (!segments)
			return &error_nomem;
		writer->segments = segments;
		writer->segment_capacity = capacity;
	}
	writer->segments[writer->segment_count] = (struct segment){.address = address};
	writer->ops->place(writer, &writer->segments[writer->segment_count++]);
	return NULL;
}

/*
 * Adds pages to the file, which are zero until they are written; *ret_offset is their offset in the
 * file.
 */
static struct nunchi_error *add_pages(struct snapshot *snapshot, uint64_t address, uint64_t size,
				      uint64_t *ret_offset)
{
	struct writer *writer = &snapshot->writer;
	struct segment *last =
	    writer->segment_count ? &writer->segments[writer->segment_count - 1] : NULL;

	if (!last || last->address + last->size != address) {
		struct nunchi_error *err = begin_segment(writer, address);

		if (err)
			return err;
		last = &writer->segments[writer->segment_count - 1];
	}
	*ret_offset = last->offset + last->size;
	last->size += size;
	writer->position = last->offset + last->size;
	return advance(snapshot, size);
}

static struct nunchi_error *add_zeros(struct snapshot *snapshot, uint64_t address, uint64_t size)
{
	uint64_t offset;

	return add_pages(snapshot, address, size, &offset);
}

static struct nunchi_error *add_missing(struct snapshot *snapshot, uint64_t address, uint64_t size)
{
	struct writer *writer = &snapshot->writer;

	snapshot->missing += size;
	/* If there is no room for another segment, a gap is written as zeros. */
	if (!writer->ops->keeps_gaps || writer->segment_limit - writer->segment_count < 2)
		return add_zeros(snapshot, address, size);
	return advance(snapshot, size);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *page)
{
	uint64_t first;

	memcpy(&first, page, sizeof(first));
	/*
	 * All bytes are zero if the first eight are, and the page equals itself moved by eight
	 * bytes.
	 */
	return !first && !memcmp(page, page + sizeof(first), PAGE_SIZE - sizeof(first));
}

/* Writes complete pages; pages of zeros become holes. */
static struct nunchi_error *add_bytes(struct snapshot *snapshot, uint64_t address,
				      const uint8_t *bytes, size_t size)
{
	uint64_t offset;
	struct nunchi_error *err = add_pages(snapshot, address, size, &offset);
	size_t at = 0;

	while (!err && at < size) {
		size_t start;

		while (at < size && is_zero(bytes + at))
			at += PAGE_SIZE;
		for (start = at; at < size && !is_zero(bytes + at);)
			at += PAGE_SIZE;
		if (start < at)
			err = output_write(&snapshot->writer.output, offset + start, bytes + start,
					   at - start);
	}
	return err;
}

static bool is_there(struct snapshot *snapshot, uint64_t address)
{
	uint8_t piece[PIECE];

	return memory_read(snapshot->memory, gpa(address), piece, PIECE, NULL) == MEMORY_OK;
}

/*
 * Writes a page that cannot be read completely: the bytes that can be read, and zeros for the
 * others. Such pages are at the ends of RAM; if the first and the last piece are missing, the whole
 * page counts as missing.
 */
static struct nunchi_error *add_broken_page(struct snapshot *snapshot, uint64_t address)
{
	uint8_t *page = snapshot->buffer;

	if (!is_there(snapshot, address) && !is_there(snapshot, address + PAGE_SIZE - PIECE))
		return add_missing(snapshot, address, PAGE_SIZE);
	for (size_t at = 0; at < PAGE_SIZE; at += PIECE) {
		if (memory_read(snapshot->memory, gpa(address + at), page + at, PIECE, NULL) ==
		    MEMORY_OK)
			continue;
		memset(page + at, 0, PIECE);
		snapshot->missing += PIECE;
	}
	return add_bytes(snapshot, address, page, PAGE_SIZE);
}

static struct nunchi_error *unreadable(struct snapshot *snapshot, enum memory_fault fault,
				       uint64_t address)
{
	/* A running guest may have given the page back a moment ago. */
	if (fault == MEMORY_NOT_SAVED || fault == MEMORY_NO_RAM)
		return NULL;
	if (fault == MEMORY_IO && !snapshot->writer.target->live) {
		snapshot->damaged += PAGE_SIZE;
		return NULL;
	}
	return error_create_at(fault == MEMORY_GONE ? NUNCHI_ERROR_GONE : NUNCHI_ERROR_IO, address,
			       "%s: guest-physical 0x%" PRIx64 " cannot be read: %s",
			       snapshot->writer.target->name, address, memory_fault_string(fault));
}

/* Copies [address, end), which lies in one range and has data. */
static struct nunchi_error *copy_data(struct snapshot *snapshot, uint64_t address, uint64_t end)
{
	while (address < end) {
		size_t size = end - address < CHUNK ? (size_t)(end - address) : CHUNK;
		const uint8_t *bytes = memory_map(snapshot->memory, gpa(address), size);
		enum memory_fault fault = MEMORY_OK;
		struct nunchi_error *err = NULL;
		gpa_t where = gpa(address);

		if (!bytes) {
			bytes = snapshot->buffer;
			fault = memory_read(snapshot->memory, gpa(address), snapshot->buffer, size,
					    &where);
		}
		if (fault != MEMORY_OK)
			size = (size_t)((where.v - address) & ~PAGE_MASK);
		if (size)
			err = add_bytes(snapshot, address, bytes, size);
		address += size;
		if (!err && fault != MEMORY_OK) {
			err = unreadable(snapshot, fault, where.v);
			if (!err)
				err = add_broken_page(snapshot, address);
			address += PAGE_SIZE;
		}
		if (!err && memory_gone(snapshot->memory))
			err = unreadable(snapshot, MEMORY_GONE, address);
		if (err)
			return err;
	}
	return NULL;
}

static enum memory_fault probe(struct snapshot *snapshot, uint64_t address)
{
	uint8_t byte;

	return memory_read(snapshot->memory, gpa(address), &byte, 1, NULL);
}

/*
 * Handles [address, end), which lies in one range and has no data: holes of the backing file, which
 * are zeros, and then the part of the range beyond the end of the file, which is missing.
 */
static struct nunchi_error *copy_hole(struct snapshot *snapshot, uint64_t address, uint64_t end)
{
	uint64_t low = address, high = end;
	struct nunchi_error *err = NULL;

	if (address == end)
		return NULL;
	if (probe(snapshot, end - PAGE_SIZE) == MEMORY_OK)
		return add_zeros(snapshot, address, end - address);
	/* Search for the first page that is missing. */
	while (low < high) {
		uint64_t middle = (low + (high - low) / 2) & ~PAGE_MASK;

		if (probe(snapshot, middle) == MEMORY_OK)
			low = middle + PAGE_SIZE;
		else
			high = middle;
	}
	if (low > address)
		err = add_zeros(snapshot, address, low - address);
	return err ? err : add_missing(snapshot, low, end - low);
}

static struct nunchi_error *copy_range(struct snapshot *snapshot, const struct memory_range *range)
{
	uint64_t address = range->start.v, end = address + range->size;

	while (address < end) {
		gpa_t start = gpa(end), stop = gpa(end);
		struct nunchi_error *err;

		if (!memory_next_data(snapshot->memory, gpa(address), &start, &stop) ||
		    start.v >= end)
			start = stop = gpa(end);
		/* Only complete pages within the range are touched. */
		start.v &= ~PAGE_MASK;
		stop.v = (stop.v + PAGE_MASK) & ~PAGE_MASK;
		if (stop.v > end)
			stop.v = end;
		err = copy_hole(snapshot, address, start.v);
		if (!err)
			err = copy_data(snapshot, start.v, stop.v);
		if (err)
			return err;
		address = stop.v;
	}
	return NULL;
}

static struct nunchi_error *copy_all(struct snapshot *snapshot)
{
	struct writer *writer = &snapshot->writer;
	size_t count;
	const struct memory_range *ranges = memory_ranges(snapshot->memory, &count);
	struct nunchi_error *err = writer->ops->begin(writer);

	for (size_t i = 0; i < count && !err; i++)
		err = copy_range(snapshot, &ranges[i]);
	if (!err)
		err = end_segment(writer);
	if (!err && writer->ops->finish)
		err = writer->ops->finish(writer);
	/* The last chance to refuse the file: after this it has its name. */
	if (!err && snapshot->progress &&
	    !snapshot->progress(snapshot->done, snapshot->total, snapshot->data))
		err = cancelled(snapshot);
	return err ? err : output_finish(&writer->output, writer->position);
}

/* ---------------------------------------------------------------------------------------------- */

static void note_missing(struct snapshot *snapshot)
{
	struct target *target = snapshot->writer.target;

	if (snapshot->missing)
		target_note(target, "%" PRIu64 " KiB are missing in %s and are %s %s",
			    snapshot->missing >> 10, target->name,
			    snapshot->writer.ops->keeps_gaps ? "left out of" : "zero in",
			    snapshot->writer.output.path);
	if (snapshot->damaged)
		target_note(target, "%" PRIu64 " KiB of these are there, but damaged",
			    snapshot->damaged >> 10);
}

static const struct writer_ops *ops_of(enum nunchi_format format)
{
	switch (format) {
	case NUNCHI_FORMAT_ELF:
		return &snapshot_elf_ops;
	case NUNCHI_FORMAT_LIME:
		return &snapshot_lime_ops;
	case NUNCHI_FORMAT_RAW:
		return &snapshot_raw_ops;
	}
	return NULL;
}

struct nunchi_error *snapshot_write_to(struct target *target, struct output *output,
				       enum nunchi_format format,
				       bool (*progress)(uint64_t done, uint64_t total, void *data),
				       void *data, const struct cancel *cancel)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot = {
	    .writer = {.ops = ops_of(format), .target = target, .output = *output},
	    .memory = target->memory,
	    .progress = progress,
	    .data = data,
	    .cancel = cancel,
	    .total = memory_total(target->memory),
	};
	struct nunchi_error *err;

	*output = (struct output){.fd = -1, .directory = -1};
	if (!snapshot.writer.ops)
		return error_create(NUNCHI_ERROR_ARGUMENT, "there is no snapshot format %d",
				    (int)format);
	if (target->frames == TARGET_FRAMES_MACHINE && format != NUNCHI_FORMAT_ELF)
		return error_hint(
		    error_create(
			NUNCHI_ERROR_UNSUPPORTED,
			"the memory of a PV guest lies in machine frames: this format can store "
			"neither that fact nor the registers by which the kernel is found"),
		    "use --format elf");
	snapshot.buffer = malloc(CHUNK);
	if (!snapshot.buffer)
		return &error_nomem;
	err = copy_all(&snapshot);
	if (err)
		return err;
	note_missing(&snapshot);
	return NULL;
}

struct nunchi_error *snapshot_write(struct target *target, const char *path,
				    enum nunchi_format format,
				    bool (*progress)(uint64_t done, uint64_t total, void *data),
				    void *data, const struct cancel *cancel)
{
	struct output output;
	struct nunchi_error *err = output_create(path, &output);

	return err ? err : snapshot_write_to(target, &output, format, progress, data, cancel);
}
