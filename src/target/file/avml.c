/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/avml.h"

#include "config.h"
#include "core/bytes.h"
#include "target/file/crc32c.h"
#include "target/file/format.h"
#include "target/file/kdump.h"
#include "target/file/lime.h"
#include "target/file/unpack.h"

#include <inttypes.h>
#include <string.h>
#ifdef HAVE_SNAPPY
#include "target/file/snappy_library.h"
#endif

bool avml_matches(const void *start, size_t size)
{
	return size >= 4 && load_le32(start) == AVML_MAGIC;
}

#ifdef HAVE_SNAPPY

enum frame_type {
	FRAME_COMPRESSED = 0x00,
	FRAME_PLAIN = 0x01,
	FRAME_SKIPPABLE = 0x80, /* this type and all greater ones may be skipped */
};

enum {
	FRAME_HEADER_SIZE = 4, /* type, 24-bit length */
	FRAME_CRC_SIZE = 4,
	CACHE_BITS = 7,
	CACHE_SLOTS = 1 << CACHE_BITS, /* 8 MiB of unpacked frames */
	/*
	 * Greatest size of a compressed frame: snappy makes at most 32 + n + n / 6 bytes of n, and
	 * the checksum is added.
	 */
	FRAME_PACKED_MAX = FRAME_CRC_SIZE + 32 + AVML_FRAME_SIZE + AVML_FRAME_SIZE / 6,
};

#define LEFT_OUT_LIMIT ((uint64_t)1 << 40)
/* With this limit the sizes of AVML_BLOCK_LIMIT blocks add up to less than 2^64. */
#define BLOCK_SIZE_LIMIT ((uint64_t)1 << 40)

struct frame {
	uint64_t file_offset; /* offset of its checksum in the file */
	uint64_t start;       /* in the block's unpacked bytes */
	uint32_t packed_size; /* including the checksum */
	uint32_t size;        /* decompressed */
	bool compressed;
};

struct block {
	uint64_t address; /* guest-physical */
	uint64_t size;    /* decompressed */
	uint64_t logical; /* offset of its first byte in the decompressed source */
	uint64_t stream;  /* offset of the snappy stream in the file */
	uint64_t length;  /* of the stream */
	bool indexed;
	struct frame *frames;
	size_t frame_count;
};

struct slot {
	uint64_t key; /* file offset of the frame in this slot; 0: none */
	uint32_t size;
	char *bytes; /* AVML_FRAME_SIZE of them */
};

struct avml {
	struct snappy_library snappy;
	struct source file; /* owned once parsed */
	struct block *blocks;
	size_t block_count, block_capacity;
	uint64_t size; /* decompressed */
	char *packed;  /* FRAME_PACKED_MAX bytes */
	struct slot slots[CACHE_SLOTS];
};

static void avml_destroy(void *data)
{
	struct avml *avml = data;

	if (!avml)
		return;
	for (size_t i = 0; i < avml->block_count; i++)
		free(avml->blocks[i].frames);
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		free(avml->slots[i].bytes);
	free(avml->blocks);
	free(avml->packed);
	source_deinit(&avml->file);
	snappy_library_unload(&avml->snappy);
	free(avml);
}

static void cleanup_avml(struct avml **avml)
{
	avml_destroy(*avml);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* The decompressed size of a frame whose body starts at offset; 0 if the frame is damaged. */
static uint32_t frame_size(const struct avml *avml, uint64_t offset, uint8_t type, uint32_t length)
{
	const struct source *file = &avml->file;
	uint8_t start[FRAME_CRC_SIZE + 5];
	uint64_t fault;
	size_t size = 0, want = length < sizeof(start) ? length : sizeof(start);

	if (length <= FRAME_CRC_SIZE)
		return 0;
	if (type == FRAME_PLAIN)
		return length - FRAME_CRC_SIZE;
	if (file->read(file->data, offset, start, want, &fault) != MEMORY_OK ||
	    avml->snappy.snappy_uncompressed_length((const char *)start + FRAME_CRC_SIZE,
						    want - FRAME_CRC_SIZE, &size) != SNAPPY_OK ||
	    size > AVML_FRAME_SIZE)
		return 0;
	return (uint32_t)size;
}

static bool add_frame(struct block *block, size_t *capacity, struct frame frame)
{
	if (block->frame_count == *capacity) {
		size_t larger = *capacity ? 2 * *capacity : 256;
		struct frame *frames = reallocarray(block->frames, larger, sizeof(*frames));

		if (!frames)
			return false;
		block->frames = frames;
		*capacity = larger;
	}
	block->frames[block->frame_count++] = frame;
	return true;
}

/*
 * Indexes the frames of the block's stream, up to the first damaged one, and returns their total
 * decompressed size.
 */
static uint64_t index_block(struct avml *avml, struct block *block)
{
	const struct source *file = &avml->file;
	uint64_t offset = block->stream, end = block->stream + block->length, fault;
	uint64_t unpacked = 0;
	size_t capacity = 0;

	block->indexed = true;
	while (end - offset >= FRAME_HEADER_SIZE && unpacked < block->size) {
		uint8_t header[FRAME_HEADER_SIZE];
		uint32_t length, size;

		if (file->read(file->data, offset, header, sizeof(header), &fault) != MEMORY_OK)
			return unpacked;
		length = load_le32(header) >> 8;
		offset += FRAME_HEADER_SIZE;
		if (length > end - offset)
			return unpacked;
		if (header[0] == FRAME_COMPRESSED || header[0] == FRAME_PLAIN) {
			size = frame_size(avml, offset, header[0], length);
			if (!size || size > AVML_FRAME_SIZE || length > FRAME_PACKED_MAX ||
			    !add_frame(block, &capacity,
				       (struct frame){.file_offset = offset,
						      .packed_size = length,
						      .start = unpacked,
						      .size = size,
						      .compressed = header[0] == FRAME_COMPRESSED}))
				return unpacked;
			unpacked += size;
		} else if (header[0] < FRAME_SKIPPABLE) {
			return unpacked;
		}
		offset += length;
	}
	return unpacked < block->size ? unpacked : block->size;
}

/*
 * Gets the decompressed bytes of a frame from the cache, where they are stored if necessary; NULL
 * if the frame is damaged.
 */
static const char *unpack(struct avml *avml, const struct frame *frame)
{
	struct slot *slot =
	    &avml->slots[(frame->file_offset * 0x9e3779b97f4a7c15) >> (64 - CACHE_BITS)];
	const struct source *file = &avml->file;
	size_t size = AVML_FRAME_SIZE;
	const char *body = avml->packed + FRAME_CRC_SIZE;
	uint64_t fault;

	if (slot->key == frame->file_offset)
		return slot->bytes;
	slot->key = 0;
	if (!slot->bytes && !(slot->bytes = malloc(AVML_FRAME_SIZE)))
		return NULL;
	if (file->read(file->data, frame->file_offset, avml->packed, frame->packed_size, &fault) !=
	    MEMORY_OK)
		return NULL;
	if (!frame->compressed) {
		size = frame->packed_size - FRAME_CRC_SIZE;
		memcpy(slot->bytes, body, size);
	} else if (avml->snappy.snappy_uncompress(body, frame->packed_size - FRAME_CRC_SIZE,
						  slot->bytes, &size) != SNAPPY_OK) {
		return NULL;
	}
	if (size != frame->size ||
	    crc32c_masked(crc32c(slot->bytes, size)) != load_le32(avml->packed))
		return NULL;
	slot->key = frame->file_offset;
	slot->size = (uint32_t)size;
	return slot->bytes;
}

/* The last frame that does not start after `wanted`; the first frame starts at 0. */
static size_t find_frame(const struct block *block, uint64_t wanted)
{
	size_t low = 0, high = block->frame_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (block->frames[middle].start <= wanted)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static size_t find_block(const struct avml *avml, uint64_t logical)
{
	size_t low = 0, high = avml->block_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (avml->blocks[middle].logical <= logical)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static enum memory_fault avml_read(void *data, uint64_t offset, void *buffer, size_t size,
				   uint64_t *fault_offset)
{
	struct avml *avml = data;
	size_t done = 0;

	while (done < size) {
		const struct frame *frame;
		uint64_t inside;
		struct block *block;
		const char *bytes;
		size_t part;

		*fault_offset = offset + done;
		if (offset + done >= avml->size)
			return MEMORY_NOT_SAVED;
		block = &avml->blocks[find_block(avml, offset + done)];
		inside = offset + done - block->logical;
		if (!block->indexed)
			index_block(avml, block);
		if (!block->frame_count)
			return MEMORY_IO;
		frame = &block->frames[find_frame(block, inside)];
		if (inside - frame->start >= frame->size)
			return MEMORY_IO;
		bytes = unpack(avml, frame);
		if (!bytes)
			return MEMORY_IO;
		inside -= frame->start;
		part = frame->size - (size_t)inside;
		if (part > size - done)
			part = size - done;
		memcpy((char *)buffer + done, bytes + inside, part);
		done += part;
	}
	return MEMORY_OK;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static struct nunchi_error *read_header(const struct source *file, uint64_t offset,
					struct lime_header *ret)
{
	uint8_t bytes[LIME_HEADER_SIZE];
	struct nunchi_error *err;

	err = source_read(file, offset, bytes, sizeof(bytes), "the AVML header");
	if (err)
		return err;
	*ret = lime_header_decode(bytes);
	if (ret->magic != AVML_MAGIC)
		return error_create(NUNCHI_ERROR_DATA,
				    "no AVML header at offset 0x%" PRIx64 " but 0x%08" PRIx32,
				    offset, ret->magic);
	if (ret->version != AVML_VERSION)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "AVML version %" PRIu32 " at offset 0x%" PRIx64
				    "; only version 2 is known",
				    ret->version, offset);
	if (!ret->size || ret->start >= EXTENT_ADDRESS_LIMIT || ret->size > BLOCK_SIZE_LIMIT ||
	    ret->size > EXTENT_ADDRESS_LIMIT - ret->start)
		return error_create_at(NUNCHI_ERROR_DATA, ret->start,
				       "the AVML header at offset 0x%" PRIx64
				       " has an impossible range from 0x%" PRIx64,
				       offset, ret->start);
	return NULL;
}

static struct nunchi_error *add_block(struct avml *avml, uint64_t offset,
				      const struct lime_header *header, uint64_t length)
{
	if (avml->block_count == AVML_BLOCK_LIMIT)
		return error_create(NUNCHI_ERROR_DATA, "more than %zu AVML blocks",
				    AVML_BLOCK_LIMIT);
	if (avml->block_count == avml->block_capacity) {
		size_t capacity = avml->block_capacity ? 2 * avml->block_capacity : 64;
		struct block *blocks = reallocarray(avml->blocks, capacity, sizeof(*blocks));

		if (!blocks)
			return &error_nomem;
		avml->blocks = blocks;
		avml->block_capacity = capacity;
	}
	avml->blocks[avml->block_count++] = (struct block){
	    .address = header->start,
	    .size = header->size,
	    .stream = offset + LIME_HEADER_SIZE,
	    .length = length,
	};
	return NULL;
}

/*
 * Finds the blocks from the end of the file, by the lengths that follow the streams. Fails unless
 * this leads to offset 0 exactly.
 */
static struct nunchi_error *find_backwards(struct avml *avml)
{
	uint64_t end = avml->file.size;
	struct nunchi_error *err;

	while (end) {
		struct lime_header header;
		uint8_t tail[8];
		uint64_t length;

		if (end < LIME_HEADER_SIZE + sizeof(tail))
			return &error_not_found;
		err = source_read(&avml->file, end - sizeof(tail), tail, sizeof(tail),
				  "the length of an AVML block");
		if (err)
			return err;
		length = load_le64(tail);
		if (length > end - sizeof(tail) - LIME_HEADER_SIZE)
			return &error_not_found;
		end -= sizeof(tail) + length + LIME_HEADER_SIZE;
		err = read_header(&avml->file, end, &header);
		if (!err)
			err = add_block(avml, end, &header, length);
		if (err)
			return err;
	}
	for (size_t i = 0; i < avml->block_count / 2; i++) {
		struct block block = avml->blocks[i];

		avml->blocks[i] = avml->blocks[avml->block_count - 1 - i];
		avml->blocks[avml->block_count - 1 - i] = block;
	}
	return NULL;
}

/*
 * Finds the length of the stream at offset by walking its frames until they have produced the whole
 * block; for files whose end is missing. *ret_whole is true if the length that follows the stream
 * is there and agrees.
 */
static uint64_t walk_stream(const struct avml *avml, uint64_t offset, uint64_t block_size,
			    bool *ret_whole)
{
	const struct source *file = &avml->file;
	uint64_t at = offset, unpacked = 0, fault;
	uint8_t header[FRAME_HEADER_SIZE], tail[8];

	*ret_whole = false;
	while (unpacked < block_size) {
		uint32_t length, size = 0;

		if (file->read(file->data, at, header, sizeof(header), &fault) != MEMORY_OK)
			return at - offset;
		length = load_le32(header) >> 8;
		if (length > file->size - at - FRAME_HEADER_SIZE)
			return at - offset;
		if (header[0] < FRAME_SKIPPABLE) {
			if (header[0] > FRAME_PLAIN)
				return at - offset;
			size = frame_size(avml, at + FRAME_HEADER_SIZE, header[0], length);
			if (!size || size > AVML_FRAME_SIZE)
				return at - offset;
		}
		at += FRAME_HEADER_SIZE + length;
		unpacked += size;
	}
	*ret_whole = file->read(file->data, at, tail, sizeof(tail), &fault) == MEMORY_OK &&
		     load_le64(tail) == at - offset;
	return at - offset;
}

static struct nunchi_error *find_forwards(struct avml *avml, struct avml_info *info)
{
	uint64_t offset = 0;

	avml->block_count = 0;
	while (offset < avml->file.size) {
		struct lime_header header;
		struct nunchi_error *err;
		uint64_t length;
		bool whole;

		err = read_header(&avml->file, offset, &header);
		if (err && (!avml->block_count || error_is(err, NUNCHI_ERROR_NOMEM)))
			return err;
		if (err) {
			info->ending = error_is(err, NUNCHI_ERROR_TRUNCATED)
					   ? "the file ends within a block's header"
					   : "no block header where the next one should be";
			nunchi_error_destroy(err);
			return NULL;
		}
		length = walk_stream(avml, offset + LIME_HEADER_SIZE, header.size, &whole);
		err = add_block(avml, offset, &header, length);
		if (err)
			return err;
		if (!whole) {
			info->ending = "a block is damaged or cut off";
			return NULL;
		}
		offset += LIME_HEADER_SIZE + length + sizeof(uint64_t);
		info->end = offset;
	}
	return NULL;
}

static struct nunchi_error *find_blocks(struct avml *avml, struct avml_info *info)
{
	struct nunchi_error *err = find_backwards(avml);

	info->end = avml->file.size;
	if (!err || error_is(err, NUNCHI_ERROR_NOMEM))
		return err;
	nunchi_error_destroy(err);
	info->end = 0;
	return find_forwards(avml, info);
}

/* ---- Extents --------------------------------------------------------------------------------- */

/*
 * AVML leaves out blocks of 16 MiB that are all zeros, without recording this. Such a gap begins at
 * the end of a full block and has a whole number of blocks; RAM rarely ends at such a place.
 */
static bool is_left_out(const struct block *before, const struct block *after)
{
	uint64_t end = before->address + before->size;

	return before->size == AVML_BLOCK_SIZE && after->address > end &&
	       (after->address - end) % AVML_BLOCK_SIZE == 0 &&
	       after->address - end <= LEFT_OUT_LIMIT;
}

/*
 * Adds the extents. In the decompressed source, zeros for the blocks that were left out follow all
 * blocks.
 */
static struct nunchi_error *place(struct avml *avml, struct extents *extents,
				  struct avml_info *info)
{
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < avml->block_count && !err; i++) {
		struct block *block = &avml->blocks[i];
		bool cut = info->ending && i == avml->block_count - 1;
		uint64_t there = cut ? index_block(avml, block) : block->size;

		block->logical = avml->size;
		avml->size += block->size;
		info->cut_off = block->size - there;
		err = extents_add(extents, block->address, there, block->logical);
		if (!err)
			err = extents_add_missing(extents, block->address + there,
						  block->size - there);
	}
	for (size_t i = 1; i < avml->block_count && !err; i++) {
		const struct block *before = &avml->blocks[i - 1], *after = &avml->blocks[i];

		if (!is_left_out(before, after))
			continue;
		err = extents_add(extents, before->address + before->size,
				  after->address - (before->address + before->size), avml->size);
		info->zero += after->address - (before->address + before->size);
	}
	return err;
}

/* Reads as avml_read() does, and gives zeros after the last block. */
static enum memory_fault read_with_zeros(void *data, uint64_t offset, void *buffer, size_t size,
					 uint64_t *fault_offset)
{
	struct avml *avml = data;
	size_t real = 0;

	if (offset < avml->size)
		real = avml->size - offset < size ? (size_t)(avml->size - offset) : size;
	if (real) {
		enum memory_fault result = avml_read(avml, offset, buffer, real, fault_offset);

		if (result != MEMORY_OK)
			return result;
	}
	memset((char *)buffer + real, 0, size - real);
	return MEMORY_OK;
}

struct nunchi_error *avml_parse(struct source *file, struct source *ret_source,
				struct extents *ret_extents, struct avml_info *ret_info)
{
	_cleanup_(cleanup_avml) struct avml *avml = calloc(1, sizeof(*avml));
	_cleanup_extents_ struct extents extents = {0};
	struct avml_info info = {0};
	struct nunchi_error *err;

	if (!avml || !(avml->packed = malloc(FRAME_PACKED_MAX)))
		return &error_nomem;
	avml->file = *file;
	avml->file.destroy = NULL; /* the caller still owns the source */
	err = snappy_library_load(&avml->snappy);
	if (!err)
		err = find_blocks(avml, &info);
	if (!err)
		err = place(avml, &extents, &info);
	if (!err)
		err = extents_normalize(&extents, UINT64_MAX);
	if (err)
		return err;
	info.block_count = avml->block_count;
	avml->file.destroy = file->destroy;
	file->destroy = NULL;
	*ret_extents = extents;
	*ret_info = info;
	*ret_source = (struct source){.read = read_with_zeros,
				      .destroy = avml_destroy,
				      .data = no_cleanup_ptr(avml),
				      .size = UINT64_MAX,
				      .fd = -1};
	memset(&extents, 0, sizeof(extents));
	return NULL;
}

#else

struct nunchi_error *avml_parse(struct source *file, struct source *ret_source,
				struct extents *ret_extents, struct avml_info *ret_info)
{
	(void)file, (void)ret_source, (void)ret_extents, (void)ret_info;
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED, "an AVML file, but this build has no snappy"),
	    "rebuild with libsnappy, or convert the file with avml-convert");
}

#endif

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *open_avml(struct file_target *file, struct source *source)
{
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_source_ struct source unpacked = {0};
	struct avml_info info = {0};
	struct nunchi_error *err;

	err = avml_parse(source, &unpacked, &extents, &info);
	if (err)
		return err;
	file->incomplete = info.ending;
	if (info.ending)
		target_note(&file->target,
			    "%s at offset 0x%" PRIx64
			    " after %zu blocks, of which the last lacks %s: "
			    "what follows is left out",
			    info.ending, info.end, info.block_count, amount(info.cut_off).text);
	if (info.zero)
		target_note(&file->target,
			    "%s between blocks are read as zeros (AVML leaves such blocks out)",
			    amount(info.zero).text);
	return file_make_memory(file, &extents, &unpacked);
}

static void load_libraries(const void *start, size_t size)
{
	(void)start;
	(void)size;
	unpacker_preload(KDUMP_SNAPPY);
}

const struct file_format avml_format = {
    .format = {"avml", "AVML"},
    .matches = avml_matches,
    .load = load_libraries,
    .open = open_avml,
};
