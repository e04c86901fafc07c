/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/kdump.h"

#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/unpack.h"

#include <inttypes.h>
#include <string.h>

/* Blocks have the size of a page: on x86 there is no other block size. */
#define BLOCK 4096
/* number of pages whose bits are in a block of a bitmap */
#define BLOCK_PAGES      ((uint64_t)8 * BLOCK)
#define DESCRIPTOR_SIZE  24
#define DESCRIPTOR_BATCH 128
#define CACHE_BITS       9 /* the cache has 2 MiB of decompressed pages */

enum header_offset {
	HEADER_VERSION = 8,
	HEADER_MACHINE = 12 + 4 * 65, /* in struct new_utsname */
	HEADER_STATUS_64 = 424,       /* the timestamp before it is aligned to 8 bytes */
	HEADER_STATUS_32 = 412,
	/* Offsets from the status: */
	HEADER_BLOCK_SIZE = 4,
	HEADER_SUB_SIZE = 8,
	HEADER_BITMAP_BLOCKS = 12,
	HEADER_MAX_MAPNR = 16,
	HEADER_SIZE = 512,
};

struct layout {
	bool is_64;
	uint32_t version, status;
	uint64_t sub_blocks, bitmap_blocks, max_mapnr;
	uint32_t dump_level, split;
	uint64_t vmcoreinfo, vmcoreinfo_size, notes, notes_size;
};

struct descriptor {
	uint64_t offset;
	uint32_t size;
	uint32_t flags;
};

struct kdump {
	struct source file; /* owned once parsed */
	struct unpacker *unpacker;
	uint64_t pages;       /* all page frame numbers are less than this */
	uint64_t ram_bitmap;  /* offsets in the file */
	uint64_t save_bitmap; /* the same as ram_bitmap if there is only one bitmap */
	uint64_t descriptors;
	uint64_t saved;
	uint64_t *ranks; /* for each block of the bitmap: number of saved pages before it */
	/*
	 * The block of the bitmap and the batch of descriptors that were used last: number + 1, 0:
	 * none.
	 */
	uint64_t bits_number, batch_number;
	uint8_t bits[BLOCK];
	uint8_t batch[DESCRIPTOR_BATCH * DESCRIPTOR_SIZE];
	uint8_t packed[BLOCK];
	/*
	 * Decompressed pages by their offset in the file, so that all references to QEMU's single
	 * zero page share one entry.
	 */
	uint64_t keys[1 << CACHE_BITS];  /* offset + 1, 0: none */
	uint8_t *cache[1 << CACHE_BITS]; /* allocated when first used */
};

static void kdump_destroy(void *data)
{
	struct kdump *kdump = data;

	if (!kdump)
		return;
	unpacker_destroy(kdump->unpacker);
	source_deinit(&kdump->file);
	free(kdump->ranks);
	for (size_t i = 0; i < ARRAY_SIZE(kdump->cache); i++)
		free(kdump->cache[i]);
	free(kdump);
}

static void cleanup_kdump(struct kdump **kdump)
{
	kdump_destroy(*kdump);
}

bool kdump_matches(const void *start, size_t size)
{
	return size >= 8 && !memcmp(start, "KDUMP   ", 8);
}

const char *kdump_compression_string(unsigned compression)
{
	switch (compression) {
	case 0:
		return "none";
	case KDUMP_ZLIB:
		return "zlib";
	case KDUMP_LZO:
		return "lzo";
	case KDUMP_SNAPPY:
		return "snappy";
	case KDUMP_ZSTD:
		return "zstd";
	default:
		return "several";
	}
}

/* ---- Headers --------------------------------------------------------------------------------- */

/* Decodes the header with one of the two layouts; false if the values are impossible. */
static bool decode_header(const uint8_t *header, bool is_64, struct layout *ret)
{
	const uint8_t *p = header + (is_64 ? HEADER_STATUS_64 : HEADER_STATUS_32);

	ret->is_64 = is_64;
	ret->version = load_le32(header + HEADER_VERSION);
	ret->status = load_le32(p);
	ret->sub_blocks = load_le32(p + HEADER_SUB_SIZE);
	ret->bitmap_blocks = load_le32(p + HEADER_BITMAP_BLOCKS);
	ret->max_mapnr = load_le32(p + HEADER_MAX_MAPNR);
	return load_le32(p + HEADER_BLOCK_SIZE) == BLOCK && ret->sub_blocks &&
	       ret->sub_blocks <= UINT16_MAX && ret->bitmap_blocks;
}

static void decode_sub_header(const uint8_t *p, struct layout *ret)
{
	ret->dump_level = load_le32(p + (ret->is_64 ? 8 : 4));
	if (ret->version >= 2)
		ret->split = load_le32(p + (ret->is_64 ? 12 : 8));
	if (ret->version >= 3) {
		ret->vmcoreinfo = load_le64(p + (ret->is_64 ? 32 : 20));
		ret->vmcoreinfo_size = ret->is_64 ? load_le64(p + 40) : load_le32(p + 28);
	}
	if (ret->version >= 4) {
		ret->notes = load_le64(p + (ret->is_64 ? 48 : 32));
		ret->notes_size = ret->is_64 ? load_le64(p + 56) : load_le32(p + 40);
	}
	if (ret->version >= 6)
		ret->max_mapnr = load_le64(p + (ret->is_64 ? 96 : 72));
}

static struct nunchi_error *check_layout(const struct layout *layout)
{
	unsigned compression = layout->status & KDUMP_COMPRESSION_MASK;

	if (layout->split)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "the kdump file is one of several parts of a dump"),
				  "put them together with makedumpfile --reassemble");
	if (!layout->max_mapnr || layout->max_mapnr > KDUMP_PAGE_LIMIT ||
	    layout->max_mapnr > layout->bitmap_blocks * BLOCK_PAGES)
		return error_create(
		    NUNCHI_ERROR_DATA,
		    "the kdump header claims %" PRIu64 " pages, but bitmaps for %" PRIu64
		    " (%" PRIu64 " is the limit)",
		    layout->max_mapnr, layout->bitmap_blocks * BLOCK_PAGES, KDUMP_PAGE_LIMIT);
	if (compression & ~unpacker_supports())
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 "the kdump file is compressed with %s, which this "
				 "build cannot unpack",
				 kdump_compression_string(compression & ~unpacker_supports())),
		    "rebuild with that library, or convert the file with "
		    "makedumpfile -c");
	return NULL;
}

static struct nunchi_error *read_headers(const struct source *file, struct layout *layout)
{
	uint8_t header[HEADER_SIZE], sub[104];
	struct nunchi_error *err;
	const char *machine = (const char *)header + HEADER_MACHINE;

	memset(layout, 0, sizeof(*layout));
	err = source_read(file, 0, header, sizeof(header), "the kdump header");
	if (err)
		return err;
	if (!decode_header(header, true, layout) && !decode_header(header, false, layout))
		return error_create(NUNCHI_ERROR_DATA,
				    "the kdump header (version %" PRIu32
				    ") is invalid: it does not describe 4096-byte blocks of a "
				    "little-endian machine",
				    layout->version);
	/* "x86_64", "i386" to "i686"; empty if the writer is old. */
	if (machine[0] && strncmp(machine, "x86_64", 7) &&
	    (machine[0] != 'i' || strncmp(machine + 2, "86", 3)))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the kdump file is of %s; only guests of x86 can be read",
				    !strncmp(machine, "aarch64", 8) ? "AArch64 (ARM64)"
								    : "another machine");
	err = source_read(file, BLOCK, sub, sizeof(sub), "the kdump sub header");
	if (err)
		return err;
	decode_sub_header(sub, layout);
	return check_layout(layout);
}

static struct nunchi_error *read_part(const struct source *file, uint64_t offset, uint64_t size,
				      bool is_notes, struct notes *notes)
{
	_cleanup_free_ char *bytes = NULL;
	struct nunchi_error *err;

	if (!size)
		return NULL;
	/* Without its notes the guest's memory is still useful. */
	if (size > NOTES_SIZE_LIMIT || offset > file->size || size > file->size - offset) {
		notes->damaged = true;
		return NULL;
	}
	bytes = malloc((size_t)size);
	if (!bytes)
		return &error_nomem;
	err = source_read(file, offset, bytes, (size_t)size, "the notes of the kdump file");
	if (err)
		return err;
	return is_notes ? notes_parse(notes, bytes, (size_t)size)
			: notes_set_vmcoreinfo(notes, bytes, (size_t)size);
}

/* ---- Bitmaps --------------------------------------------------------------------------------- */

struct run {
	uint64_t start, end; /* page frame numbers; the run is empty if they are equal */
};

static struct nunchi_error *end_run(struct extents *extents, struct run *run)
{
	struct nunchi_error *err;

	if (extents->count >= KDUMP_RUN_LIMIT)
		return error_create(NUNCHI_ERROR_DATA,
				    "the kdump bitmap has more than %zu runs of RAM",
				    KDUMP_RUN_LIMIT);
	/* The source gives memory by address: the offset in the source is the address. */
	err = extents_add(extents, run->start * BLOCK, (run->end - run->start) * BLOCK,
			  run->start * BLOCK);
	run->start = run->end = 0;
	return err;
}

/*
 * Extends the run by the 64 pages from pfn on whose bits are set in `bits`, and ends it at the
 * first bit that is not set.
 */
static struct nunchi_error *scan_word(struct extents *extents, struct run *run, uint64_t pfn,
				      uint64_t bits)
{
	unsigned at = 0;

	while (at < 64) {
		uint64_t rest = bits >> at;
		unsigned zeros = rest ? (unsigned)__builtin_ctzll(rest) : 64 - at, ones;

		if (zeros && run->start != run->end) {
			struct nunchi_error *err = end_run(extents, run);

			if (err)
				return err;
		}
		at += zeros;
		if (at >= 64)
			return NULL;
		rest = ~(bits >> at);
		ones = rest ? (unsigned)__builtin_ctzll(rest) : 64;
		if (ones > 64 - at)
			ones = 64 - at;
		if (run->start == run->end)
			run->start = pfn + at;
		run->end = pfn + at + ones;
		at += ones;
	}
	return NULL;
}

/* Clears the bits that lie after the last page. */
static void clear_past(uint8_t *bits, uint64_t pages)
{
	if (pages >= BLOCK_PAGES)
		return;
	bits[pages / 8] &= (uint8_t)((1u << pages % 8) - 1);
	memset(bits + pages / 8 + 1, 0, BLOCK - pages / 8 - 1);
}

static struct nunchi_error *read_bits(const struct kdump *kdump, uint64_t bitmap, uint64_t number,
				      uint8_t *bits)
{
	struct nunchi_error *err = source_read(&kdump->file, bitmap + number * BLOCK, bits, BLOCK,
					       "the page bitmap of the kdump file");

	if (!err)
		clear_past(bits, kdump->pages - number * BLOCK_PAGES);
	return err;
}

/* Reads both bitmaps once: collects the RAM, and counts the saved pages before each block. */
static struct nunchi_error *read_bitmaps(struct kdump *kdump, struct extents *extents,
					 struct kdump_info *info)
{
	uint64_t blocks = (kdump->pages + BLOCK_PAGES - 1) / BLOCK_PAGES;
	uint8_t ram[BLOCK], save[BLOCK];
	struct run run = {0};

	kdump->ranks = calloc((size_t)blocks, sizeof(*kdump->ranks));
	if (!kdump->ranks)
		return &error_nomem;
	for (uint64_t i = 0; i < blocks; i++) {
		struct nunchi_error *err = read_bits(kdump, kdump->save_bitmap, i, save);

		if (!err)
			err = read_bits(kdump, kdump->ram_bitmap, i, ram);
		kdump->ranks[i] = kdump->saved;
		for (size_t word = 0; word < BLOCK / 8 && !err; word++) {
			uint64_t saved = load_le64(save + 8 * word);
			uint64_t all = saved | load_le64(ram + 8 * word);

			kdump->saved += (uint64_t)__builtin_popcountll(saved);
			info->ram_pages += (uint64_t)__builtin_popcountll(all);
			err = scan_word(extents, &run, i * BLOCK_PAGES + 64 * word, all);
		}
		if (err)
			return err;
	}
	info->saved_pages = kdump->saved;
	return run.start != run.end ? end_run(extents, &run) : NULL;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static struct descriptor decode_descriptor(const uint8_t *p)
{
	return (struct descriptor){
	    .offset = load_le64(p), .size = load_le32(p + 8), .flags = load_le32(p + 12)};
}

/*
 * Checks a descriptor. In a file that was cut off, a descriptor that was not written is all zeros.
 */
static enum memory_fault check_descriptor(const struct kdump *kdump,
					  const struct descriptor *descriptor)
{
	if (!descriptor->size || descriptor->offset >= kdump->file.size ||
	    descriptor->size > kdump->file.size - descriptor->offset)
		return MEMORY_NOT_SAVED;
	return descriptor->size <= BLOCK ? MEMORY_OK : MEMORY_IO;
}

/*
 * Counts the saved pages that lie beyond the end of the file. Reads all descriptors only if the
 * last page is beyond the end.
 */
static uint64_t count_cut_off(const struct kdump *kdump)
{
	uint8_t batch[DESCRIPTOR_BATCH * DESCRIPTOR_SIZE];
	struct descriptor last = {0};
	uint64_t fault, count = 0;

	if (!kdump->saved)
		return 0;
	if (kdump->file.read(kdump->file.data,
			     kdump->descriptors + (kdump->saved - 1) * DESCRIPTOR_SIZE, batch,
			     DESCRIPTOR_SIZE, &fault) == MEMORY_OK)
		last = decode_descriptor(batch);
	if (check_descriptor(kdump, &last) != MEMORY_NOT_SAVED)
		return 0;
	for (uint64_t i = 0; i < kdump->saved; i += DESCRIPTOR_BATCH) {
		uint64_t n =
		    kdump->saved - i < DESCRIPTOR_BATCH ? kdump->saved - i : DESCRIPTOR_BATCH;

		memset(batch, 0, sizeof(batch));
		if (kdump->file.read(kdump->file.data, kdump->descriptors + i * DESCRIPTOR_SIZE,
				     batch, (size_t)n * DESCRIPTOR_SIZE,
				     &fault) == MEMORY_NOT_SAVED &&
		    fault <= kdump->descriptors + i * DESCRIPTOR_SIZE)
			return count + (kdump->saved - i);
		for (size_t j = 0; j < n; j++) {
			last = decode_descriptor(batch + j * DESCRIPTOR_SIZE);
			count += check_descriptor(kdump, &last) == MEMORY_NOT_SAVED;
		}
	}
	return count;
}

/*
 * Finds the number of a page frame among the saved pages; returns MEMORY_NOT_SAVED if it was left
 * out of the dump.
 */
static enum memory_fault find_saved(struct kdump *kdump, uint64_t pfn, uint64_t *ret)
{
	uint64_t number = pfn / BLOCK_PAGES, bit = pfn % BLOCK_PAGES, rank;

	if (pfn >= kdump->pages)
		return MEMORY_NOT_SAVED;
	if (kdump->bits_number != number + 1) {
		struct nunchi_error *err =
		    read_bits(kdump, kdump->save_bitmap, number, kdump->bits);

		kdump->bits_number = err ? 0 : number + 1;
		nunchi_error_destroy(err);
		if (!kdump->bits_number)
			return MEMORY_IO;
	}
	if (!(kdump->bits[bit / 8] >> bit % 8 & 1))
		return MEMORY_NOT_SAVED;
	rank = kdump->ranks[number];
	for (uint64_t word = 0; word < bit / 64; word++)
		rank += (uint64_t)__builtin_popcountll(load_le64(kdump->bits + 8 * word));
	if (bit % 64)
		rank += (uint64_t)__builtin_popcountll(load_le64(kdump->bits + bit / 64 * 8)
						       << (64 - bit % 64));
	*ret = rank;
	return MEMORY_OK;
}

static enum memory_fault read_descriptor(struct kdump *kdump, uint64_t index,
					 struct descriptor *ret)
{
	uint64_t number = index / DESCRIPTOR_BATCH, fault;
	uint64_t start = kdump->descriptors + number * sizeof(kdump->batch);

	if (kdump->batch_number != number + 1) {
		/* The last batch may be short, because the table or the file ends. */
		memset(kdump->batch, 0, sizeof(kdump->batch));
		kdump->batch_number = number + 1;
		if (kdump->file.read(kdump->file.data, start, kdump->batch, sizeof(kdump->batch),
				     &fault) == MEMORY_IO) {
			kdump->batch_number = 0;
			return MEMORY_IO;
		}
	}
	*ret = decode_descriptor(kdump->batch + index % DESCRIPTOR_BATCH * DESCRIPTOR_SIZE);
	return check_descriptor(kdump, ret);
}

/* Reads a page and decompresses it into out. */
static enum memory_fault load_page(struct kdump *kdump, const struct descriptor *descriptor,
				   uint8_t *out)
{
	unsigned method = descriptor->flags & KDUMP_COMPRESSION_MASK;
	uint8_t *to = method ? kdump->packed : out;
	enum memory_fault result;
	uint64_t fault;

	if (!method && descriptor->size != BLOCK)
		return MEMORY_IO;
	result =
	    kdump->file.read(kdump->file.data, descriptor->offset, to, descriptor->size, &fault);
	if (result != MEMORY_OK || !method)
		return result;
	return unpacker_run(kdump->unpacker, method, kdump->packed, descriptor->size, out, BLOCK)
		   ? MEMORY_OK
		   : MEMORY_IO;
}

static enum memory_fault get_page(struct kdump *kdump, uint64_t pfn, const uint8_t **ret)
{
	struct descriptor descriptor;
	enum memory_fault result;
	uint64_t index;
	size_t slot;

	result = find_saved(kdump, pfn, &index);
	if (result == MEMORY_OK)
		result = read_descriptor(kdump, index, &descriptor);
	if (result != MEMORY_OK)
		return result;
	slot = descriptor.offset * 0x9e3779b97f4a7c15 >> (64 - CACHE_BITS);
	if (kdump->keys[slot] != descriptor.offset + 1) {
		kdump->keys[slot] = 0;
		if (!kdump->cache[slot] && !(kdump->cache[slot] = malloc(BLOCK)))
			return MEMORY_IO;
		result = load_page(kdump, &descriptor, kdump->cache[slot]);
		if (result != MEMORY_OK)
			return result;
		kdump->keys[slot] = descriptor.offset + 1;
	}
	*ret = kdump->cache[slot];
	return MEMORY_OK;
}

static enum memory_fault kdump_read(void *data, uint64_t address, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	struct kdump *kdump = data;
	size_t done = 0;

	while (done < size) {
		uint64_t at = address + done;
		size_t inside = (size_t)(at % BLOCK), part = BLOCK - inside;
		const uint8_t *page;
		enum memory_fault result;

		*fault_offset = at;
		result = get_page(kdump, at / BLOCK, &page);
		if (result != MEMORY_OK)
			return result;
		if (part > size - done)
			part = size - done;
		memcpy((char *)buffer + done, page + inside, part);
		done += part;
	}
	return MEMORY_OK;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void place(struct kdump *kdump, const struct layout *layout)
{
	uint64_t half = layout->bitmap_blocks / 2 * BLOCK;

	kdump->pages = layout->max_mapnr;
	kdump->ram_bitmap = (1 + layout->sub_blocks) * BLOCK;
	/*
	 * There are two bitmaps, unless the first one is so large that it fills the space of both.
	 */
	kdump->save_bitmap = kdump->ram_bitmap;
	if (kdump->pages <= half * 8)
		kdump->save_bitmap += half;
	kdump->descriptors = kdump->ram_bitmap + layout->bitmap_blocks * BLOCK;
}

static struct nunchi_error *open_parts(struct kdump *kdump, struct extents *extents,
				       struct notes *notes, struct kdump_info *info)
{
	const struct source *file = &kdump->file;
	struct layout layout;
	struct nunchi_error *err = read_headers(file, &layout);

	if (err)
		return err;
	place(kdump, &layout);
	info->compression = layout.status & KDUMP_COMPRESSION_MASK;
	info->dump_level = layout.dump_level;
	err = unpacker_load(kdump->unpacker, info->compression);
	if (!err)
		err = read_part(file, layout.vmcoreinfo, layout.vmcoreinfo_size, false, notes);
	if (!err)
		err = read_part(file, layout.notes, layout.notes_size, true, notes);
	if (!err)
		err = read_bitmaps(kdump, extents, info);
	if (err)
		return err;
	info->cut_off_pages = count_cut_off(kdump);
	/* The width of the header does not decide: a large 32-bit guest has the 64-bit header. */
	notes_conclude(notes, notes->prstatus_count ? notes->long_mode : layout.is_64);
	if (!extents->count)
		return error_create(NUNCHI_ERROR_DATA, "the bitmap of the kdump file is empty");
	return extents_normalize(extents, UINT64_MAX);
}

struct nunchi_error *kdump_parse(struct source *file, struct source *ret_source,
				 struct extents *ret_extents, struct notes *ret_notes,
				 struct kdump_info *ret_info)
{
	_cleanup_(cleanup_kdump) struct kdump *kdump = calloc(1, sizeof(*kdump));
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_notes_ struct notes notes = {0};
	struct kdump_info info = {0};
	struct nunchi_error *err;

	if (!kdump || !(kdump->unpacker = unpacker_create()))
		return &error_nomem;
	kdump->file = *file;
	kdump->file.destroy = NULL; /* the caller still owns the source */
	err = open_parts(kdump, &extents, &notes, &info);
	if (err)
		return err;
	kdump->file.destroy = file->destroy;
	file->destroy = NULL;
	*ret_source = (struct source){
	    .read = kdump_read, .destroy = kdump_destroy, .size = UINT64_MAX, .fd = -1};
	ret_source->data = no_cleanup_ptr(kdump);
	*ret_extents = extents;
	*ret_notes = notes;
	*ret_info = info;
	memset(&extents, 0, sizeof(extents));
	memset(&notes, 0, sizeof(notes));
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static void note_kdump(struct file_target *file, const struct kdump_info *info)
{
	uint64_t left_out = info->ram_pages - info->saved_pages;

	if (info->cut_off_pages)
		file_note_missing(file, info->cut_off_pages * PAGE_SIZE,
				  info->saved_pages * PAGE_SIZE);
	if (left_out)
		target_note(&file->target,
			    "%s of %s of guest memory were left out when the dump was written "
			    "(dump level %" PRIu32 ")",
			    amount(left_out * PAGE_SIZE).text,
			    amount(info->ram_pages * PAGE_SIZE).text, info->dump_level);
}

static struct nunchi_error *open_kdump(struct file_target *file, struct source *source)
{
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_notes_ struct notes notes = {0};
	_cleanup_source_ struct source pages = {0};
	struct kdump_info info;
	struct nunchi_error *err;

	err = kdump_parse(source, &pages, &extents, &notes, &info);
	if (err)
		return err;
	note_kdump(file, &info);
	target_set_support(&file->target, TARGET_READ, true, "from the file, compressed with %s",
			   kdump_compression_string(info.compression));
	file_take_notes(file, &notes);
	return file_make_memory(file, &extents, &pages);
}

/* Both layouts of the header are asked: a library too many is harmless. */
static void load_libraries(const void *start, size_t size)
{
	const uint8_t *header = start;

	if (size >= HEADER_SIZE)
		unpacker_preload(load_le32(header + HEADER_STATUS_64) |
				 load_le32(header + HEADER_STATUS_32));
}

const struct file_format kdump_format = {
    .format = {"kdump", "kdump-compressed: makedumpfile, virsh dump --memory-only --format"},
    .matches = kdump_matches,
    .load = load_libraries,
    .open = open_kdump,
};
