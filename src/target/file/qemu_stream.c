/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/qemu_stream.h"

#include "arch/address.h"
#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/hint.h"
#include "target/file/kdump.h"
#include "target/file/qemu_device.h"
#include "target/file/qemu_pages.h"
#include "target/file/raw.h"

#include <inttypes.h>
#include <stdio.h>
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

DEFINE_CLEANUP(void, qemu_pages_destroy)

bool qemu_stream_matches(const void *start, size_t size)
{
	return size >= 16 && (!memcmp(start, "QEVM", 4) || !memcmp(start, LIBVIRT_MAGIC, 16) ||
			      !memcmp(start, LIBVIRT_PART_MAGIC, 16));
}

/* ---- Reading from front to back -------------------------------------------------------------- */

struct reader {
	struct qemu_pages *pages;
	struct qemu_stream_info *info;
	uint64_t at;
	uint32_t ram_id; /* number of section "ram" */
	struct qemu_block *block;
	uint64_t window_start;
	size_t window_size;
	uint8_t window[WINDOW_SIZE];
};

/*
 * The next size bytes, which must be few; valid until the next call. NULL at the end of the file.
 */
static const uint8_t *peek(struct reader *reader, size_t size)
{
	const struct source *file = &reader->pages->file;
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
	char hint[96];

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
	if (packed && packed < ARRAY_SIZE(unpackers)) {
		snprintf(hint, sizeof(hint),
			 "unpack the stream: tail -c +%" PRIu64 " FILE | %s >FILE.stream",
			 reader->at + 1, unpackers[packed]);
		return file_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					      "a libvirt save file whose stream is compressed"),
				 reader->pages->file.name, hint);
	}
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
	const struct source *file = &reader->pages->file;
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

static bool take_mapped(struct reader *reader, struct qemu_block *block)
{
	const uint8_t *header = take(reader, MAPPED_HEADER_SIZE);
	const struct source *file = &reader->pages->file;

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
static bool take_block(struct reader *reader, enum block_tail tail, struct qemu_block *ret)
{
	const uint8_t *bytes = take(reader, 1);
	size_t length = bytes ? *bytes : 0;

	bytes = length ? take(reader, length + 8) : NULL;
	if (!bytes)
		return false;
	*ret = (struct qemu_block){.size = load_be64(bytes + length)};
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
	struct qemu_pages *pages = reader->pages;
	uint64_t sum = 0;

	pages->block_count = 0;
	while (sum < total) {
		if (pages->block_count == QEMU_STREAM_BLOCK_LIMIT ||
		    !take_block(reader, tail, &pages->blocks[pages->block_count]))
			return false;
		sum += pages->blocks[pages->block_count++].size;
	}
	return sum == total && pages->block_count;
}

/*
 * Whether a block is hot-plugged memory. No part of the stream that nunchi reads contains its
 * address.
 */
static bool is_plugged(const struct qemu_block *block)
{
	return strstr(block->name, "dimm") || strstr(block->name, "virtiomem");
}

/* Whether a block is the guest's main memory, not that of a device or of firmware. */
static bool is_main(const struct qemu_block *block)
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
	return strcmp(((const struct qemu_block *)a)->name, ((const struct qemu_block *)b)->name);
}

static struct nunchi_error *choose_main(struct reader *reader)
{
	struct qemu_pages *pages = reader->pages;

	qsort(pages->blocks, pages->block_count, sizeof(*pages->blocks), compare_blocks);
	for (size_t i = 0; i < pages->block_count; i++) {
		struct qemu_block *block = &pages->blocks[i];

		block->is_main = is_main(block);
		block->start = pages->ram_size;
		if (block->is_main)
			pages->ram_size += block->size;
		else if (is_plugged(block))
			reader->info->unplaced += block->size;
	}
	if (!pages->ram_size || pages->ram_size > QEMU_STREAM_RAM_LIMIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the migration stream has no memory of a guest");
	return qemu_pages_make_tables(pages);
}

static struct nunchi_error *read_blocks(struct reader *reader, uint64_t total)
{
	uint64_t start = reader->at;

	if (reader->pages->ram_size)
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

static bool take_block_name(struct reader *reader)
{
	const uint8_t *bytes = take(reader, 1);
	size_t length = bytes ? *bytes : 0;

	bytes = length ? take(reader, length) : NULL;
	reader->block = NULL;
	for (size_t i = 0; bytes && i < reader->pages->block_count; i++) {
		struct qemu_block *block = &reader->pages->blocks[i];

		if (strlen(block->name) == length && !memcmp(block->name, bytes, length))
			reader->block = block;
	}
	return reader->block;
}

/*
 * Skips the bytes of a page. *ret is its entry; 0 if the bytes are not a page, or memory is short.
 */
static bool take_page(struct reader *reader, unsigned flags, uint64_t before, uint64_t *ret)
{
	struct qemu_packed packed = {.before = before, .is_difference = flags & RAM_XBZRLE};
	const uint8_t *bytes;

	if (flags & RAM_ZERO) {
		bytes = take(reader, 1);
		*ret = bytes ? qemu_entry(QEMU_ENTRY_FILL, *bytes) : 0;
		return bytes;
	}
	if (flags & RAM_PAGE) {
		*ret = qemu_entry(QEMU_ENTRY_PLAIN, reader->at);
		reader->at += PAGE_SIZE;
		return reader->at <= reader->pages->file.size;
	}
	bytes = take(reader, flags & RAM_ZLIB ? 4 : 3);
	if (!bytes)
		return false;
	packed.size = flags & RAM_ZLIB ? load_be32(bytes) : load_be16(bytes + 1);
	packed.offset = reader->at;
	reader->at += packed.size;
	if (packed.size > QEMU_PACKED_MAX || reader->at > reader->pages->file.size ||
	    (packed.is_difference && bytes[0] != XBZRLE_MAGIC))
		return false;
	*ret = qemu_pages_add(reader->pages, packed);
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
		err = qemu_pages_find(reader->pages, (reader->block->start + address) >> PAGE_SHIFT,
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
		reader->pages->pages_seen += !*slot;
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
			 reader->pages->ram_size)
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
			reader->pages->is_whole = kind == SECTION_FULL;
			if (!reader->pages->is_whole)
				stop(reader, "a section that is not of RAM");
			done = true;
		}
	}
	return err;
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* Counts the bytes of the main memory for which the stream has no page. */
static uint64_t count_absent(const struct qemu_pages *pages)
{
	uint64_t expected = 0;

	for (size_t i = 0; i < pages->block_count; i++) {
		if (pages->blocks[i].is_main && !pages->blocks[i].is_mapped)
			expected += pages->blocks[i].size;
	}
	return expected - (pages->pages_seen << PAGE_SHIFT);
}

static bool has_packed_pages(const struct qemu_pages *pages)
{
	for (size_t i = 0; i < pages->packed_count; i++) {
		if (!pages->packed[i].is_difference)
			return true;
	}
	return false;
}

struct nunchi_error *qemu_stream_parse(struct source *file, struct source *ret_ram,
				       struct qemu_stream_info *ret)
{
	_cleanup_(cleanup_qemu_pages_destroy_p) void *owner = calloc(1, sizeof(struct qemu_pages));
	_cleanup_free_ struct reader *reader = calloc(1, sizeof(*reader));
	struct qemu_pages *pages = owner;
	struct qemu_stream_info info = {0};
	struct nunchi_error *err;

	if (!pages || !reader)
		return &error_nomem;
	pages->file = *file;
	/* The caller owns the file until the function succeeds. */
	pages->file.destroy = NULL;
	pages->recent = UINT64_MAX;
	pages->blocks = calloc(QEMU_STREAM_BLOCK_LIMIT, sizeof(*pages->blocks));
	pages->unpacker = unpacker_create();
	if (!pages->blocks || !pages->unpacker)
		return &error_nomem;
	reader->pages = pages;
	reader->info = &info;
	err = read_start(reader);
	if (!err)
		err = read_sections(reader);
	if (!err && !pages->ram_size)
		err = error_create(NUNCHI_ERROR_TRUNCATED,
				   "the migration stream ends at offset 0x%" PRIx64
				   " before the list of its RAM",
				   reader->at);
	if (!err && has_packed_pages(pages))
		err = unpacker_load(pages->unpacker, KDUMP_ZLIB);
	if (!err && pages->is_whole)
		err =
		    qemu_device_registers(&pages->file, reader->at, &info.vcpus, &info.vcpu_count);
	if (err)
		return err;
	info.absent = count_absent(pages);
	pages->file.destroy = file->destroy;
	file->destroy = NULL;
	*ret_ram = (struct source){.read = qemu_pages_read,
				   .destroy = qemu_pages_destroy,
				   .data = no_cleanup_ptr(owner),
				   .size = pages->ram_size,
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

static void load_libraries(const void *start, size_t size)
{
	(void)start;
	(void)size;
	unpacker_preload(KDUMP_ZLIB);
}

const struct file_format qemu_stream_format = {
    .format = {"qemu-stream",
	       "QEMU's migration stream: virsh save, virsh dump, migrate, Proxmox vmstate"},
    .matches = qemu_stream_matches,
    .load = load_libraries,
    .open = open_qemu_stream,
};
