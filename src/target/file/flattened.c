/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/flattened.h"

#include "core/bytes.h"
#include "target/file/elf_core.h"
#include "target/file/format.h"
#include "target/file/kdump.h"
#include "target/file/spans.h"
#include "target/file/unpack.h"

#include <inttypes.h>
#include <string.h>

enum {
	TYPE_OFFSET = 16, /* struct makedumpfile_header: signature[16], type, version */
	VERSION_OFFSET = 24,
	TYPE_FLATTENED = 1,
	VERSION_FLATTENED = 1,
	RECORD_HEADER_SIZE = 16,
};

struct flattened {
	struct source file;   /* owned once parsed */
	struct spans records; /* of the unflattened file; sorted by start, without overlaps */
	uint64_t size;
	size_t recent;
};

static void flattened_destroy(void *data)
{
	struct flattened *flat = data;

	if (!flat)
		return;
	source_deinit(&flat->file);
	spans_deinit(&flat->records);
	free(flat);
}

static void cleanup_flattened(struct flattened **flat)
{
	flattened_destroy(*flat);
}

bool flattened_matches(const void *start, size_t size)
{
	return size >= sizeof(FLATTENED_SIGNATURE) &&
	       !memcmp(start, FLATTENED_SIGNATURE, sizeof(FLATTENED_SIGNATURE));
}

static struct nunchi_error *read_records(const struct source *file, struct spans *records,
					 struct flattened_info *info)
{
	uint64_t at = FLATTENED_HEADER_SIZE, fault;

	info->cut_off = true;
	for (;;) {
		uint8_t header[RECORD_HEADER_SIZE];
		struct span record = {0};
		uint64_t there;

		if (file->read(file->data, at, header, sizeof(header), &fault) != MEMORY_OK)
			return NULL;
		record.start = load_be64(header);
		record.size = load_be64(header + 8);
		record.position = at + sizeof(header);
		if (record.start == UINT64_MAX && record.size == UINT64_MAX) {
			info->cut_off = false;
			return NULL;
		}
		if (record.start > INT64_MAX || record.size > INT64_MAX - record.start)
			return error_create(NUNCHI_ERROR_DATA,
					    "the flattened record at offset 0x%" PRIx64
					    " has impossible offset 0x%" PRIx64 ", size 0x%" PRIx64,
					    at, record.start, record.size);
		there = record.position < file->size ? file->size - record.position : 0;
		if (record.size > there)
			record.size = there;
		if (record.size && !spans_append(records, record))
			return &error_nomem;
		if (records->count > FLATTENED_RECORD_LIMIT)
			return error_create(
			    NUNCHI_ERROR_DATA,
			    "more than %zu flattened records up to offset 0x%" PRIx64,
			    FLATTENED_RECORD_LIMIT, at);
		at = record.position + record.size;
		if (at >= file->size)
			return NULL;
	}
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The index of the record that contains offset, or of the next one. */
static size_t search(struct flattened *flat, uint64_t offset)
{
	const struct span *items = flat->records.items;
	size_t low = 0, high = flat->records.count;

	if (flat->recent < high && items[flat->recent].start <= offset &&
	    offset - items[flat->recent].start < items[flat->recent].size)
		return flat->recent;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[middle].start + items[middle].size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	flat->recent = low;
	return low;
}

static enum memory_fault flattened_read(void *data, uint64_t offset, void *buffer, size_t size,
					uint64_t *fault_offset)
{
	struct flattened *flat = data;
	size_t done = 0;

	for (size_t i = search(flat, offset); done < size;) {
		uint64_t at = offset + done, part, fault = 0;
		const struct span *record = &flat->records.items[i];
		enum memory_fault result;

		*fault_offset = at;
		if (at < offset || i >= flat->records.count)
			return MEMORY_NOT_SAVED;
		if (record->start > at) {
			part = record->start - at;
			if (part > size - done)
				part = size - done;
			memset((char *)buffer + done, 0, (size_t)part);
			done += (size_t)part;
			continue;
		}
		part = record->start + record->size - at;
		if (part > size - done)
			part = size - done;
		result = flat->file.read(flat->file.data, record->position + (at - record->start),
					 (char *)buffer + done, (size_t)part, &fault);
		if (result != MEMORY_OK)
			return result;
		done += (size_t)part;
		i++;
	}
	return MEMORY_OK;
}

static struct nunchi_error *check_header(const struct source *file)
{
	uint8_t header[RECORD_HEADER_SIZE + 16];
	struct nunchi_error *err;

	err = source_read(file, 0, header, sizeof(header), "the header of the flattened file");
	if (err)
		return err;
	if (load_be64(header + TYPE_OFFSET) != TYPE_FLATTENED ||
	    load_be64(header + VERSION_OFFSET) != VERSION_FLATTENED)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "a flattened file of type %" PRIu64 ", version %" PRIu64
				    "; only type 1, version 1 is known",
				    load_be64(header + TYPE_OFFSET),
				    load_be64(header + VERSION_OFFSET));
	return NULL;
}

struct nunchi_error *flattened_parse(struct source *file, struct source *ret_source,
				     struct flattened_info *ret_info)
{
	_cleanup_(cleanup_flattened) struct flattened *flat = calloc(1, sizeof(*flat));
	struct flattened_info info = {0};
	struct nunchi_error *err;

	if (!flat)
		return &error_nomem;
	err = check_header(file);
	if (!err)
		err = read_records(file, &flat->records, &info);
	if (err)
		return err;
	if (!flat->records.count)
		return error_hint(
		    error_create(NUNCHI_ERROR_TRUNCATED, "the flattened file holds no record"),
		    "the dump was interrupted: dump the guest again");
	info.record_count = flat->records.count;
	if (!spans_keep_latest(&flat->records))
		return &error_nomem;
	flat->size = flat->records.items[flat->records.count - 1].start +
		     flat->records.items[flat->records.count - 1].size;
	flat->file = *file;
	file->destroy = NULL;
	*ret_info = info;
	*ret_source = (struct source){
	    .read = flattened_read, .destroy = flattened_destroy, .size = flat->size, .fd = -1};
	ret_source->data = no_cleanup_ptr(flat);
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *open_flattened(struct file_target *file, struct source *source)
{
	_cleanup_source_ struct source inner = {0};
	struct flattened_info info;
	struct nunchi_error *err;
	uint8_t start[16] = {0};

	err = flattened_parse(source, &inner, &info);
	if (!err)
		err = source_read(&inner, 0, start, sizeof(start), "what was flattened");
	if (err)
		return err;
	if (info.cut_off)
		target_note(&file->target,
			    "the flattened file ends at 0x%" PRIx64 " without its end record: it "
			    "was cut off",
			    file->size);
	if (!kdump_matches(start, sizeof(start)) && !elf_core_matches(start, sizeof(start)))
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the flattened file holds neither a kdump file nor an ELF core");
	return file_open_source(file, &inner);
}

/* Which libraries the file inside needs, is known only later. */
static void load_libraries(const void *start, size_t size)
{
	(void)start;
	(void)size;
	unpacker_preload(unpacker_supports());
}

const struct file_format flattened_format = {
    .format = {"flattened", "makedumpfile -F"},
    .matches = flattened_matches,
    .load = load_libraries,
    .open = open_flattened,
};
