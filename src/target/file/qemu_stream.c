/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/qemu_stream.h"

#include "arch/address.h"
#include "core/array.h"
#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/kdump.h"
#include "target/file/qemu_device.h"
#include "target/file/raw.h"
#include "target/file/unpack.h"
#include "target/file/xbzrle.h"

#include <inttypes.h>
#include <string.h>

#define LIBVIRT_MAGIC "LibvirtQemudSave"
/*
 * libvirt writes this magic number while it saves the guest, and replaces it by the other one when
 * it is done.
 */
#define LIBVIRT_PART_MAGIC "LibvirtQemudPart"

enum {
	STREAM_HEADER_SIZE = 8, /* "QEVM", version */
	STREAM_VERSION = 3,
	LIBVIRT_HEADER_SIZE = 92, /* magic, version, XML's size, running, compression, … */
	LIBVIRT_VERSION_MAX = 3,
	/* Types of the parts of a stream. */
	SECTION_START = 0x01,
	SECTION_PART = 0x02,
	SECTION_END = 0x03,
	SECTION_FULL = 0x04,
	SECTION_COMMAND = 0x08,
	SECTION_FOOTER = 0x7e,
	/* Flags in the low bits of an address in section "ram". */
	RAM_ZERO = 0x02,
	RAM_BLOCKS = 0x04,
	RAM_PAGE = 0x08,
	RAM_END = 0x10,
	RAM_CONTINUE = 0x20,
	RAM_XBZRLE = 0x40,
	RAM_ZLIB = 0x100,
	RAM_FLUSH = 0x200,
	XBZRLE_MAGIC = 1,
	/* Header of a mapped-ram block: version, page size, offsets of its bitmap and its pages. */
	MAPPED_HEADER_SIZE = 28,
};

/*
 * Section "ram" begins after the machine's name, the capabilities and a few devices, within this
 * size.
 */
#define START_SEARCH ((size_t)1 << 20)
#define WINDOW_SIZE  ((size_t)1 << 16)
/* zlib makes a page of random bytes slightly longer. */
#define PACKED_MAX 8192

/*
 * An entry of a page: the kind in the low two bits; the other bits are a byte, an offset or an
 * index.
 */
enum entry_kind { ENTRY_NONE, ENTRY_FILL, ENTRY_PLAIN, ENTRY_PACKED };

static uint64_t make_entry(enum entry_kind kind, uint64_t value)
{
	return value << 2 | kind;
}

/* A page that is compressed, or stored as the difference from its earlier content. */
struct packed {
	uint64_t offset;
	uint64_t before; /* the entry of the earlier content */
	uint32_t size;
	bool is_difference;
};

struct block {
	char name[256];
	uint64_t size;
	uint64_t start; /* offset of its bytes in the main memory */
	bool is_main;
	bool is_mapped;
	uint64_t bitmap, pages; /* for a mapped-ram block: their offsets in the file */
};

#define TABLE_ENTRIES 512
#define TABLE_SIZE    (TABLE_ENTRIES * sizeof(uint64_t))
/*
 * Limit of the bytes of all tables: this number, or twice the size of the file if that is more. A
 * record of a page has at least 9 bytes, so that QEMU, which sends each page of the memory, writes
 * at least 4,608 bytes for each table.
 */
#define TABLES_SIZE_MIN ((uint64_t)64 << 20)

struct stream {
	struct source file;
	struct unpacker *unpacker;
	struct block *blocks;
	size_t block_count;
	uint64_t ram_size;
	uint64_t **tables; /* each has TABLE_ENTRIES entries and is allocated when first needed */
	uint64_t table_count; /* number of tables that are allocated */
	struct packed *packed;
	size_t packed_count, packed_capacity;
	uint64_t pages_seen; /* number of pages of the main memory that were read */
	/* the stream is complete, so that a page that it does not contain is zero */
	bool is_whole;
	uint64_t recent; /* number of the page in `page`; UINT64_MAX: none */
	uint8_t page[PAGE_SIZE];
};

static void stream_destroy(void *data)
{
	struct stream *stream = data;

	if (!stream)
		return;
	for (uint64_t i = 0; stream->tables && i < stream->ram_size / PAGE_SIZE; i += TABLE_ENTRIES)
		free(stream->tables[i / TABLE_ENTRIES]);
	free(stream->tables);
	free(stream->packed);
	free(stream->blocks);
	unpacker_destroy(stream->unpacker);
	source_deinit(&stream->file);
	free(stream);
}
DEFINE_CLEANUP(void, stream_destroy)

bool qemu_stream_matches(const void *start, size_t size)
{
	return size >= 16 && (!memcmp(start, "QEVM", 4) || !memcmp(start, LIBVIRT_MAGIC, 16) ||
			      !memcmp(start, LIBVIRT_PART_MAGIC, 16));
}

/* ---- Reading from front to back -------------------------------------------------------------- */

struct reader {
	struct stream *stream;
	struct qemu_stream_info *info;
	uint64_t at;
	uint32_t ram_id; /* number of section "ram" */
	struct block *block;
	uint64_t window_start;
	size_t window_size;
	uint8_t window[WINDOW_SIZE];
};

/*
 * The next size bytes, which must be few; valid until the next call. NULL at the end of the file.
 */
static const uint8_t *peek(struct reader *reader, size_t size)
{
	const struct source *file = &reader->stream->file;
	uint64_t fault;

	if (reader->at < reader->window_start ||
	    reader->at + size > reader->window_start + reader->window_size) {
		if (reader->at >= file->size || size > file->size - reader->at)
			return NULL;
		reader->window_start = reader->at;
		reader->window_size = file->size - reader->at < WINDOW_SIZE
					  ? (size_t)(file->size - reader->at)
					  : WINDOW_SIZE;
		if (file->read(file->data, reader->at, reader->window, reader->window_size,
			       &fault) != MEMORY_OK) {
			reader->window_size = 0;
			return NULL;
		}
	}
	return reader->window + (reader->at - reader->window_start);
}

static const uint8_t *take(struct reader *reader, size_t size)
{
	const uint8_t *bytes = peek(reader, size);

	reader->at += bytes ? size : 0;
	return bytes;
}

/*
 * Ends the parsing; `why` is reported in the result. Always returns true, so that a caller can
 * return at once.
 */
static bool stop(struct reader *reader, const char *why)
{
	reader->info->ending = why;
	reader->info->end = reader->at;
	return true;
}

static bool stop_cut_off(struct reader *reader)
{
	return stop(reader, "the file ends");
}

/* ---- Headers --------------------------------------------------------------------------------- */

static struct nunchi_error *skip_libvirt(struct reader *reader)
{
	static const char *const unpackers[] = {NULL,     "gzip -dc", "bzip2 -dc",
						"xz -dc", "lzop -dc", "zstd -dc"};
	const uint8_t *header = take(reader, LIBVIRT_HEADER_SIZE);
	uint32_t version, xml, packed;

	if (!header)
		return error_create(NUNCHI_ERROR_TRUNCATED,
				    "the file ends within libvirt's header");
	version = load_le32(header + 16);
	xml = load_le32(header + 20);
	packed = load_le32(header + 28);
	if (version > LIBVIRT_VERSION_MAX)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "libvirt's header has version %" PRIu32 "; known are 1 to %d",
				    version, LIBVIRT_VERSION_MAX);
	reader->at += xml;
	if (packed && packed < ARRAY_SIZE(unpackers))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "a libvirt save file whose stream is "
					       "compressed"),
				  "unpack the stream: tail -c +%" PRIu64 " FILE | %s >FILE.stream",
				  reader->at + 1, unpackers[packed]);
	return NULL;
}

/* Searches for the start of section "ram", and moves there. */
static struct nunchi_error *find_ram(struct reader *reader)
{
	/*
	 * The section's name, instance 0 and version 4. Before it are the type and the number of
	 * the section.
	 */
	static const uint8_t name[] = {3, 'r', 'a', 'm', 0, 0, 0, 0, 0, 0, 0, 4};
	const struct source *file = &reader->stream->file;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t size = file->size - reader->at < START_SEARCH ? (size_t)(file->size - reader->at)
							     : START_SEARCH;
	const uint8_t *found;
	struct nunchi_error *err;

	bytes = malloc(size);
	if (!bytes)
		return &error_nomem;
	err = source_read(file, reader->at, bytes, size, "the start of the stream");
	if (err)
		return err;
	for (found = bytes;
	     (found = memmem(found, size - (size_t)(found - bytes), name, sizeof(name))); found++) {
		if (found - bytes >= 5 && found[-5] == SECTION_START)
			break;
	}
	if (!found)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "a QEMU migration stream without a section of RAM in its first "
				    "%zu KiB",
				    size >> 10);
	reader->ram_id = load_be32(found - 4);
	reader->at += (uint64_t)(found - bytes) + sizeof(name);
	return NULL;
}

static struct nunchi_error *read_start(struct reader *reader)
{
	const uint8_t *start = peek(reader, 16);
	struct nunchi_error *err = NULL;

	if (start && memcmp(start, "QEVM", 4))
		err = skip_libvirt(reader);
	if (err)
		return err;
	start = take(reader, STREAM_HEADER_SIZE);
	if (!start || memcmp(start, "QEVM", 4))
		return error_create(NUNCHI_ERROR_DATA,
				    "no migration stream begins at offset 0x%" PRIx64, reader->at);
	if (load_be32(start + 4) != STREAM_VERSION)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the migration stream has version %" PRIu32 ", not %d",
				    load_be32(start + 4), STREAM_VERSION);
	return find_ram(reader);
}

/* ---- RAM blocks ------------------------------------------------------------------------------ */

/*
 * The data after a block's name and size, which depends on capabilities of the QEMU that saved the
 * guest.
 */
enum block_tail { TAIL_NONE, TAIL_ADDRESS, TAIL_MAPPED, TAIL_COUNT };

static bool take_mapped(struct reader *reader, struct block *block)
{
	const uint8_t *header = take(reader, MAPPED_HEADER_SIZE);
	const struct source *file = &reader->stream->file;

	if (!header || load_be32(header) != 1 || load_be64(header + 4) != PAGE_SIZE)
		return false;
	block->is_mapped = true;
	block->bitmap = load_be64(header + 12);
	block->pages = load_be64(header + 20);
	if (block->bitmap > file->size || block->pages > EXTENT_ADDRESS_LIMIT ||
	    block->pages < block->bitmap)
		return false;
	/* The next block, or the end of the section, follows the pages. */
	reader->at = block->pages + block->size;
	return true;
}

/* Reads the description of one block; false if these bytes are not one. */
static bool take_block(struct reader *reader, enum block_tail tail, struct block *ret)
{
	const uint8_t *bytes = take(reader, 1);
	size_t length = bytes ? *bytes : 0;

	bytes = length ? take(reader, length + 8) : NULL;
	if (!bytes)
		return false;
	*ret = (struct block){.size = load_be64(bytes + length)};
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] <= ' ' || bytes[i] > '~')
			return false;
	}
	memcpy(ret->name, bytes, length);
	if (!ret->size || ret->size & PAGE_MASK || ret->size > QEMU_STREAM_RAM_LIMIT)
		return false;
	if (tail == TAIL_ADDRESS)
		return take(reader, 8);
	return tail != TAIL_MAPPED || take_mapped(reader, ret);
}

/*
 * Reads the descriptions of the blocks, whose sizes add up to `total`; false if they do not have
 * this form.
 */
static bool take_blocks(struct reader *reader, enum block_tail tail, uint64_t total)
{
	struct stream *stream = reader->stream;
	uint64_t sum = 0;

	stream->block_count = 0;
	while (sum < total) {
		if (stream->block_count == QEMU_STREAM_BLOCK_LIMIT ||
		    !take_block(reader, tail, &stream->blocks[stream->block_count]))
			return false;
		sum += stream->blocks[stream->block_count++].size;
	}
	return sum == total && stream->block_count;
}

/*
 * Whether a block is hot-plugged memory. No part of the stream that nunchi reads contains its
 * address.
 */
static bool is_plugged(const struct block *block)
{
	return strstr(block->name, "dimm") || strstr(block->name, "virtiomem");
}

/* Whether a block is the guest's main memory, not that of a device or of firmware. */
static bool is_main(const struct block *block)
{
	static const char *const others[] = {"vram", "rom", "bios", "flash", "vga", "tpm", "pmem"};

	if (block->size < (uint64_t)1 << 20 || is_plugged(block))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (strstr(block->name, others[i]))
			return false;
	}
	return true;
}

/* Orders blocks by name, as they are numbered; QEMU sends the larger ones first. */
static int compare_blocks(const void *a, const void *b)
{
	return strcmp(((const struct block *)a)->name, ((const struct block *)b)->name);
}

static struct nunchi_error *choose_main(struct reader *reader)
{
	struct stream *stream = reader->stream;

	qsort(stream->blocks, stream->block_count, sizeof(*stream->blocks), compare_blocks);
	for (size_t i = 0; i < stream->block_count; i++) {
		struct block *block = &stream->blocks[i];

		block->is_main = is_main(block);
		block->start = stream->ram_size;
		if (block->is_main)
			stream->ram_size += block->size;
		else if (is_plugged(block))
			reader->info->unplaced += block->size;
	}
	if (!stream->ram_size || stream->ram_size > QEMU_STREAM_RAM_LIMIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the migration stream has no memory of a guest");
	stream->tables =
	    calloc(stream->ram_size / PAGE_SIZE / TABLE_ENTRIES + 1, sizeof(*stream->tables));
	return stream->tables ? NULL : &error_nomem;
}

static struct nunchi_error *read_blocks(struct reader *reader, uint64_t total)
{
	uint64_t start = reader->at;

	if (reader->stream->ram_size)
		return error_create(
		    NUNCHI_ERROR_DATA,
		    "the migration stream lists its RAM twice, at offset 0x%" PRIx64, start);
	for (enum block_tail tail = TAIL_NONE; tail < TAIL_COUNT; tail++) {
		reader->at = start;
		if (take_blocks(reader, tail, total))
			return choose_main(reader);
	}
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "the list of RAM blocks at offset 0x%" PRIx64
			    " is of a form that nunchi does not know",
			    start);
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Finds the entry of a page of the main memory; makes its table if there is none. */
static struct nunchi_error *find_entry(struct stream *stream, uint64_t page, uint64_t **ret)
{
	uint64_t **table = &stream->tables[page / TABLE_ENTRIES];
	uint64_t size = stream->file.size;
	uint64_t limit = (size > TABLES_SIZE_MIN / 2 ? size * 2 : TABLES_SIZE_MIN) / TABLE_SIZE;

	if (!*table) {
		if (stream->table_count >= limit)
			return error_create(
			    NUNCHI_ERROR_DATA,
			    "the pages of the migration stream are in more than %" PRIu64
			    " different spans of 2 MiB; for a file of %" PRIu64 " bytes, %" PRIu64
			    " is the limit",
			    stream->table_count, size, limit);
		*table = calloc(1, TABLE_SIZE);
		if (!*table)
			return &error_nomem;
		stream->table_count++;
	}
	*ret = &(*table)[page % TABLE_ENTRIES];
	return NULL;
}

static uint64_t get_entry(const struct stream *stream, uint64_t page)
{
	const uint64_t *table = stream->tables[page / TABLE_ENTRIES];

	return table ? table[page % TABLE_ENTRIES] : 0;
}

static bool take_block_name(struct reader *reader)
{
	const uint8_t *bytes = take(reader, 1);
	size_t length = bytes ? *bytes : 0;

	bytes = length ? take(reader, length) : NULL;
	reader->block = NULL;
	for (size_t i = 0; bytes && i < reader->stream->block_count; i++) {
		struct block *block = &reader->stream->blocks[i];

		if (strlen(block->name) == length && !memcmp(block->name, bytes, length))
			reader->block = block;
	}
	return reader->block;
}

/* Adds a compressed page or a difference; returns its entry, 0 if memory is short. */
static uint64_t add_packed(struct stream *stream, struct packed packed)
{
	if (!ARRAY_RESERVE(stream->packed, stream->packed_count, stream->packed_capacity, 1))
		return 0;
	stream->packed[stream->packed_count++] = packed;
	return make_entry(ENTRY_PACKED, stream->packed_count - 1);
}

/*
 * Skips the bytes of a page. *ret is its entry; 0 if the bytes are not a page, or memory is short.
 */
static bool take_page(struct reader *reader, unsigned flags, uint64_t before, uint64_t *ret)
{
	struct packed packed = {.before = before, .is_difference = flags & RAM_XBZRLE};
	const uint8_t *bytes;

	if (flags & RAM_ZERO) {
		bytes = take(reader, 1);
		*ret = bytes ? make_entry(ENTRY_FILL, *bytes) : 0;
		return bytes;
	}
	if (flags & RAM_PAGE) {
		*ret = make_entry(ENTRY_PLAIN, reader->at);
		reader->at += PAGE_SIZE;
		return reader->at <= reader->stream->file.size;
	}
	bytes = take(reader, flags & RAM_ZLIB ? 4 : 3);
	if (!bytes)
		return false;
	packed.size = flags & RAM_ZLIB ? load_be32(bytes) : load_be16(bytes + 1);
	packed.offset = reader->at;
	reader->at += packed.size;
	if (packed.size > PACKED_MAX || reader->at > reader->stream->file.size ||
	    (packed.is_difference && bytes[0] != XBZRLE_MAGIC))
		return false;
	*ret = add_packed(reader->stream, packed);
	return *ret;
}

/* Reads the page that begins with `word`; *ret_stop is true if the parsing ends here. */
static struct nunchi_error *read_page(struct reader *reader, uint64_t word, bool *ret_stop)
{
	unsigned flags = (unsigned)(word & PAGE_MASK);
	uint64_t address = word & ~(uint64_t)PAGE_MASK, entry = 0, *slot = NULL;
	uint64_t start = reader->at - 8;
	struct nunchi_error *err;

	if (!(flags & RAM_CONTINUE) && !take_block_name(reader)) {
		*ret_stop = stop(reader, "a page of a RAM block that is not listed");
		return NULL;
	}
	if (!reader->block || address >= reader->block->size) {
		*ret_stop = stop(reader, "a page outside of its RAM block");
		return NULL;
	}
	if (reader->block->is_mapped) {
		*ret_stop = stop(reader, "a page record of a mapped RAM block");
		return NULL;
	}
	if (reader->block->is_main) {
		err = find_entry(reader->stream, (reader->block->start + address) >> PAGE_SHIFT,
				 &slot);
		if (err)
			return err;
	}
	if (!take_page(reader, flags, slot ? *slot : 0, &entry)) {
		reader->at = start;
		*ret_stop = stop_cut_off(reader);
		return NULL;
	}
	if (slot) {
		reader->stream->pages_seen += !*slot;
		*slot = entry;
	}
	return NULL;
}

/* Reads section "ram" up to its end. */
static struct nunchi_error *read_ram(struct reader *reader, bool *ret_stop)
{
	while (!*ret_stop) {
		const uint8_t *bytes = take(reader, 8);
		uint64_t word = bytes ? load_be64(bytes) : 0;
		unsigned flags = (unsigned)(word & PAGE_MASK);
		struct nunchi_error *err = NULL;

		if (!bytes)
			*ret_stop = stop_cut_off(reader);
		else if (flags & RAM_END)
			return NULL;
		else if (flags & RAM_BLOCKS)
			err = read_blocks(reader, word & ~(uint64_t)PAGE_MASK);
		else if (flags & (RAM_ZERO | RAM_PAGE | RAM_XBZRLE | RAM_ZLIB) &&
			 reader->stream->ram_size)
			err = read_page(reader, word, ret_stop);
		else if (flags != RAM_FLUSH)
			*ret_stop = stop(reader, "something other than a page");
		if (err)
			return err;
	}
	return NULL;
}

/* Reads all sections of RAM, up to the first device. */
static struct nunchi_error *read_sections(struct reader *reader)
{
	bool done = false;
	struct nunchi_error *err = read_ram(reader, &done);

	while (!err && !done) {
		const uint8_t *bytes = peek(reader, 5);
		uint8_t kind = bytes ? bytes[0] : 0;

		if (!bytes) {
			done = stop_cut_off(reader);
		} else if (kind == SECTION_FOOTER) {
			reader->at += 5;
		} else if (kind == SECTION_COMMAND) {
			reader->at += 5 + (uint64_t)load_be16(bytes + 3);
		} else if ((kind == SECTION_PART || kind == SECTION_END) &&
			   load_be32(bytes + 1) == reader->ram_id) {
			reader->at += 5;
			err = read_ram(reader, &done);
		} else {
			/* The first device follows all of the RAM. */
			reader->stream->is_whole = kind == SECTION_FULL;
			if (!reader->stream->is_whole)
				stop(reader, "a section that is not of RAM");
			done = true;
		}
	}
	return err;
}

/* ---- Reading a page -------------------------------------------------------------------------- */

/* Loads a page that is not stored as a difference. */
static enum memory_fault load_base(struct stream *stream, uint64_t entry, uint8_t *page)
{
	const struct source *file = &stream->file;
	uint64_t value = entry >> 2, fault;
	uint8_t bytes[PACKED_MAX];
	enum memory_fault result;
	const struct packed *packed;

	switch ((enum entry_kind)(entry & 3)) {
	case ENTRY_NONE:
		memset(page, 0, PAGE_SIZE);
		return stream->is_whole ? MEMORY_OK : MEMORY_NOT_SAVED;
	case ENTRY_FILL:
		memset(page, (int)value, PAGE_SIZE);
		return MEMORY_OK;
	case ENTRY_PLAIN:
		return file->read(file->data, value, page, PAGE_SIZE, &fault);
	case ENTRY_PACKED:
		break;
	}
	packed = &stream->packed[value];
	result = file->read(file->data, packed->offset, bytes, packed->size, &fault);
	if (result == MEMORY_OK &&
	    !unpacker_run(stream->unpacker, KDUMP_ZLIB, bytes, packed->size, page, PAGE_SIZE))
		result = MEMORY_IO;
	return result;
}

/* Loads a page: the last complete copy, to which all later differences are applied. */
static enum memory_fault load_entry(struct stream *stream, uint64_t entry, uint8_t *page)
{
	uint64_t chain[QEMU_STREAM_DELTA_LIMIT], fault;
	const struct source *file = &stream->file;
	uint8_t bytes[PACKED_MAX];
	enum memory_fault result;
	size_t count = 0;

	while ((entry & 3) == ENTRY_PACKED && stream->packed[entry >> 2].is_difference) {
		if (count == QEMU_STREAM_DELTA_LIMIT)
			return MEMORY_IO;
		chain[count++] = entry >> 2;
		entry = stream->packed[entry >> 2].before;
	}
	result = load_base(stream, entry, page);
	while (result == MEMORY_OK && count) {
		const struct packed *packed = &stream->packed[chain[--count]];

		result = file->read(file->data, packed->offset, bytes, packed->size, &fault);
		if (result == MEMORY_OK && !xbzrle_apply(bytes, packed->size, page, PAGE_SIZE))
			result = MEMORY_IO;
	}
	return result;
}

/* Loads a page of a mapped-ram block; a page whose bit is not set is zero. */
static enum memory_fault load_mapped(struct stream *stream, const struct block *block,
				     uint64_t number, uint8_t *page)
{
	const struct source *file = &stream->file;
	uint64_t fault;
	uint8_t bits;
	enum memory_fault result =
	    file->read(file->data, block->bitmap + number / 8, &bits, 1, &fault);

	if (result != MEMORY_OK)
		return result;
	if (bits >> number % 8 & 1)
		return file->read(file->data, block->pages + number * PAGE_SIZE, page, PAGE_SIZE,
				  &fault);
	memset(page, 0, PAGE_SIZE);
	return MEMORY_OK;
}

static enum memory_fault load_page(struct stream *stream, uint64_t number)
{
	enum memory_fault result = MEMORY_NOT_SAVED;

	if (stream->recent == number)
		return MEMORY_OK;
	stream->recent = UINT64_MAX;
	for (size_t i = 0; i < stream->block_count; i++) {
		const struct block *block = &stream->blocks[i];
		uint64_t first = block->start >> PAGE_SHIFT;

		if (!block->is_main || number < first ||
		    number - first >= block->size >> PAGE_SHIFT)
			continue;
		result = block->is_mapped
			     ? load_mapped(stream, block, number - first, stream->page)
			     : load_entry(stream, get_entry(stream, number), stream->page);
	}
	if (result == MEMORY_OK)
		stream->recent = number;
	return result;
}

static enum memory_fault read_stream(void *data, uint64_t offset, void *buffer, size_t size,
				     uint64_t *fault_offset)
{
	struct stream *stream = data;

	for (size_t done = 0; done < size;) {
		uint64_t at = offset + done;
		size_t within = (size_t)(at & PAGE_MASK);
		size_t piece = PAGE_SIZE - within < size - done ? PAGE_SIZE - within : size - done;
		enum memory_fault fault =
		    at < stream->ram_size ? load_page(stream, at >> PAGE_SHIFT) : MEMORY_NOT_SAVED;

		if (fault != MEMORY_OK) {
			*fault_offset = at;
			return fault;
		}
		memcpy((uint8_t *)buffer + done, stream->page + within, piece);
		done += piece;
	}
	return MEMORY_OK;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* Counts the bytes of the main memory for which the stream has no page. */
static uint64_t count_absent(const struct stream *stream)
{
	uint64_t expected = 0;

	for (size_t i = 0; i < stream->block_count; i++) {
		if (stream->blocks[i].is_main && !stream->blocks[i].is_mapped)
			expected += stream->blocks[i].size;
	}
	return expected - (stream->pages_seen << PAGE_SHIFT);
}

static bool has_packed_pages(const struct stream *stream)
{
	for (size_t i = 0; i < stream->packed_count; i++) {
		if (!stream->packed[i].is_difference)
			return true;
	}
	return false;
}

struct nunchi_error *qemu_stream_parse(struct source *file, struct source *ret_ram,
				       struct qemu_stream_info *ret)
{
	_cleanup_(cleanup_stream_destroy_p) void *owner = calloc(1, sizeof(struct stream));
	_cleanup_free_ struct reader *reader = calloc(1, sizeof(*reader));
	struct stream *stream = owner;
	struct qemu_stream_info info = {0};
	struct nunchi_error *err;

	if (!stream || !reader)
		return &error_nomem;
	stream->file = *file;
	/* The caller owns the file until the function succeeds. */
	stream->file.destroy = NULL;
	stream->recent = UINT64_MAX;
	stream->blocks = calloc(QEMU_STREAM_BLOCK_LIMIT, sizeof(*stream->blocks));
	stream->unpacker = unpacker_create();
	if (!stream->blocks || !stream->unpacker)
		return &error_nomem;
	reader->stream = stream;
	reader->info = &info;
	err = read_start(reader);
	if (!err)
		err = read_sections(reader);
	if (!err && !stream->ram_size)
		err = error_create(NUNCHI_ERROR_TRUNCATED,
				   "the migration stream ends at offset 0x%" PRIx64
				   " before the list of its RAM",
				   reader->at);
	if (!err && has_packed_pages(stream))
		err = unpacker_load(stream->unpacker, KDUMP_ZLIB);
	if (!err && stream->is_whole)
		err =
		    qemu_device_registers(&stream->file, reader->at, &info.vcpus, &info.vcpu_count);
	if (err)
		return err;
	info.absent = count_absent(stream);
	stream->file.destroy = file->destroy;
	file->destroy = NULL;
	*ret_ram = (struct source){.read = read_stream,
				   .destroy = stream_destroy,
				   .data = no_cleanup_ptr(owner),
				   .size = stream->ram_size,
				   .fd = -1};
	*ret = info;
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static struct nunchi_error *open_qemu_stream(struct file_target *file, struct source *source)
{
	_cleanup_source_ struct source ram = {0};
	struct qemu_stream_info info;
	struct nunchi_error *err = qemu_stream_parse(source, &ram, &info);

	if (err)
		return err;
	file_take_vcpus(file, &info.vcpus, info.vcpu_count, "from the devices' state in the file");
	if (info.ending)
		target_note(&file->target,
			    "%s at offset 0x%" PRIx64 ": %s of %s of guest memory are missing, and "
			    "the registers",
			    info.ending, info.end, amount(info.absent).text, amount(ram.size).text);
	if (info.unplaced)
		target_note(&file->target,
			    "%s of memory that was plugged in later are left out: the stream does "
			    "not say at which address they are",
			    amount(info.unplaced).text);
	target_set_support(&file->target, TARGET_READ, true,
			   "from the file: a migration stream of QEMU");
	return raw_open(file, &ram);
}

const struct file_format qemu_stream_format = {
    .format = {"qemu-stream",
	       "QEMU's migration stream: virsh save, virsh dump, migrate, Proxmox vmstate"},
    .matches = qemu_stream_matches,
    .open = open_qemu_stream,
};
