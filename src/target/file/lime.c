/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/lime.h"

#include "core/bytes.h"
#include "target/file/format.h"

#include <inttypes.h>
#include <string.h>

void lime_deinit(struct lime *lime)
{
	extents_deinit(&lime->extents);
}

bool lime_matches(const void *start, size_t size)
{
	return size >= 4 && load_le32(start) == LIME_MAGIC;
}

struct lime_header lime_header_decode(const uint8_t bytes[LIME_HEADER_SIZE])
{
	struct lime_header header = {
	    .magic = load_le32(bytes),
	    .version = load_le32(bytes + 4),
	    .start = load_le64(bytes + 8),
	};
	uint64_t last = load_le64(bytes + 16);

	/*
	 * A range of the whole 64-bit address space has a size of 2^64, which does not fit; it is
	 * as invalid as a negative size.
	 */
	if (last >= header.start && last - header.start != UINT64_MAX)
		header.size = last - header.start + 1;
	return header;
}

void lime_header_encode(const struct lime_header *header, uint8_t ret[LIME_HEADER_SIZE])
{
	memset(ret, 0, LIME_HEADER_SIZE);
	store_le32(ret, header->magic);
	store_le32(ret + 4, header->version);
	store_le64(ret + 8, header->start);
	store_le64(ret + 16, header->start + header->size - 1);
}

/*
 * Adds the segment at offset; *ret_next is the offset of the next segment, 0 if this was the last.
 */
static struct nunchi_error *add_segment(const struct source *source, uint64_t offset,
					struct lime *lime, uint64_t *ret_next)
{
	uint8_t bytes[LIME_HEADER_SIZE];
	uint64_t data = offset + LIME_HEADER_SIZE, there;
	struct lime_header header;
	struct nunchi_error *err;

	err = source_read(source, offset, bytes, sizeof(bytes), "the LiME header");
	if (err)
		return err;
	header = lime_header_decode(bytes);
	if (header.magic != LIME_MAGIC)
		return error_create(NUNCHI_ERROR_DATA,
				    "no LiME header at offset 0x%" PRIx64 " but 0x%08" PRIx32,
				    offset, header.magic);
	if (header.version != LIME_VERSION)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "LiME version %" PRIu32 " at offset 0x%" PRIx64
				    "; only version 1 is known",
				    header.version, offset);
	if (!header.size || header.start >= EXTENT_ADDRESS_LIMIT ||
	    header.size > EXTENT_ADDRESS_LIMIT - header.start)
		return error_create_at(NUNCHI_ERROR_DATA, header.start,
				       "the LiME header at offset 0x%" PRIx64
				       " has an impossible range from 0x%" PRIx64,
				       offset, header.start);
	there = data < source->size ? source->size - data : 0;
	if (header.size > there) {
		lime->cut_off = header.size - there;
		*ret_next = 0;
	} else {
		*ret_next = data + header.size;
	}
	lime->segment_count++;
	return extents_add(&lime->extents, header.start, header.size, data);
}

struct nunchi_error *lime_parse(const struct source *source, struct lime *ret)
{
	_cleanup_lime_ struct lime lime = {0};
	struct nunchi_error *err;
	uint64_t offset = 0, next = 0;

	do {
		err = add_segment(source, offset, &lime, &next);
		if (err && (!lime.segment_count || error_is(err, NUNCHI_ERROR_NOMEM)))
			return err;
		if (err) {
			nunchi_error_destroy(err);
			lime.garbage = offset;
			break;
		}
		if (lime.segment_count > LIME_SEGMENT_LIMIT)
			return error_create(NUNCHI_ERROR_DATA,
					    "more than %d LiME segments up to offset 0x%" PRIx64,
					    LIME_SEGMENT_LIMIT, offset);
		offset = next;
	} while (offset && offset < source->size);
	err = extents_normalize(&lime.extents, source->size);
	if (err)
		return err;
	*ret = lime;
	memset(&lime, 0, sizeof(lime));
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *open_lime(struct file_target *file, struct source *source)
{
	_cleanup_lime_ struct lime lime = {0};
	struct nunchi_error *err;

	err = lime_parse(source, &lime);
	if (err)
		return err;
	file->incomplete = lime.cut_off || lime.garbage;
	if (lime.cut_off)
		file_note_missing(file, extents_missing(&lime.extents),
				  extents_total(&lime.extents));
	if (lime.garbage)
		target_note(&file->target,
			    "no LiME header at offset 0x%" PRIx64 " after %zu segments: what "
			    "follows (%s) is left out",
			    lime.garbage, lime.segment_count,
			    amount(file->size - lime.garbage).text);
	return file_make_memory(file, &lime.extents, source);
}

const struct file_format lime_format = {
    .format = {"lime", "LiME's own format"},
    .matches = lime_matches,
    .open = open_lime,
};
