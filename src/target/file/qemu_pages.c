/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/qemu_pages.h"

#include "core/array.h"
#include "target/file/kdump.h"
#include "target/file/xbzrle.h"

#include <inttypes.h>
#include <string.h>

#define TABLE_ENTRIES 512
#define TABLE_SIZE    (TABLE_ENTRIES * sizeof(uint64_t))
/*
 * Limit of the bytes of all tables: this number, or twice the size of the file if that is more. A
 * record of a page has at least 9 bytes, so that QEMU, which sends each page of the memory, writes
 * at least 4,608 bytes for each table.
 */
#define TABLES_SIZE_MIN ((uint64_t)64 << 20)

void qemu_pages_destroy(void *data)
{
	struct qemu_pages *pages = data;

	if (!pages)
		return;
	for (uint64_t i = 0; pages->tables && i < pages->ram_size / PAGE_SIZE; i += TABLE_ENTRIES)
		free(pages->tables[i / TABLE_ENTRIES]);
	free(pages->tables);
	free(pages->packed);
	free(pages->blocks);
	unpacker_destroy(pages->unpacker);
	source_deinit(&pages->file);
	free(pages);
}

struct nunchi_error *qemu_pages_make_tables(struct qemu_pages *pages)
{
	pages->tables =
	    calloc(pages->ram_size / PAGE_SIZE / TABLE_ENTRIES + 1, sizeof(*pages->tables));
	return pages->tables ? NULL : &error_nomem;
}

struct nunchi_error *qemu_pages_find(struct qemu_pages *pages, uint64_t page, uint64_t **ret)
{
	uint64_t **table = &pages->tables[page / TABLE_ENTRIES];
	uint64_t size = pages->file.size;
	uint64_t limit = (size > TABLES_SIZE_MIN / 2 ? size * 2 : TABLES_SIZE_MIN) / TABLE_SIZE;

	if (!*table) {
		if (pages->table_count >= limit)
			return error_create(
			    NUNCHI_ERROR_DATA,
			    "the pages of the migration stream are in more than %" PRIu64
			    " different spans of 2 MiB; for a file of %" PRIu64 " bytes, %" PRIu64
			    " is the limit",
			    pages->table_count, size, limit);
		*table = calloc(1, TABLE_SIZE);
		if (!*table)
			return &error_nomem;
		pages->table_count++;
	}
	*ret = &(*table)[page % TABLE_ENTRIES];
	return NULL;
}

static uint64_t get_entry(const struct qemu_pages *pages, uint64_t page)
{
	const uint64_t *table = pages->tables[page / TABLE_ENTRIES];

	return table ? table[page % TABLE_ENTRIES] : 0;
}

uint64_t qemu_pages_add(struct qemu_pages *pages, struct qemu_packed packed)
{
	if (!ARRAY_RESERVE(pages->packed, pages->packed_count, pages->packed_capacity, 1))
		return 0;
	pages->packed[pages->packed_count++] = packed;
	return qemu_entry(QEMU_ENTRY_PACKED, pages->packed_count - 1);
}

/* ---- Reading a page -------------------------------------------------------------------------- */

/* Loads a page that is not stored as a difference. */
static enum memory_fault load_base(struct qemu_pages *pages, uint64_t entry, uint8_t *page)
{
	const struct source *file = &pages->file;
	uint64_t value = entry >> 2, fault;
	uint8_t bytes[QEMU_PACKED_MAX];
	enum memory_fault result;
	const struct qemu_packed *packed;

	switch ((enum qemu_entry_kind)(entry & 3)) {
	case QEMU_ENTRY_NONE:
		memset(page, 0, PAGE_SIZE);
		return pages->is_whole ? MEMORY_OK : MEMORY_NOT_SAVED;
	case QEMU_ENTRY_FILL:
		memset(page, (int)value, PAGE_SIZE);
		return MEMORY_OK;
	case QEMU_ENTRY_PLAIN:
		return file->read(file->data, value, page, PAGE_SIZE, &fault);
	case QEMU_ENTRY_PACKED:
		break;
	}
	packed = &pages->packed[value];
	result = file->read(file->data, packed->offset, bytes, packed->size, &fault);
	if (result == MEMORY_OK &&
	    !unpacker_run(pages->unpacker, KDUMP_ZLIB, bytes, packed->size, page, PAGE_SIZE))
		result = MEMORY_IO;
	return result;
}

/* Loads a page: the last complete copy, to which all later differences are applied. */
static enum memory_fault load_entry(struct qemu_pages *pages, uint64_t entry, uint8_t *page)
{
	uint64_t chain[QEMU_STREAM_DELTA_LIMIT], fault;
	const struct source *file = &pages->file;
	uint8_t bytes[QEMU_PACKED_MAX];
	enum memory_fault result;
	size_t count = 0;

	while ((entry & 3) == QEMU_ENTRY_PACKED && pages->packed[entry >> 2].is_difference) {
		if (count == QEMU_STREAM_DELTA_LIMIT)
			return MEMORY_IO;
		chain[count++] = entry >> 2;
		entry = pages->packed[entry >> 2].before;
	}
	result = load_base(pages, entry, page);
	while (result == MEMORY_OK && count) {
		const struct qemu_packed *packed = &pages->packed[chain[--count]];

		result = file->read(file->data, packed->offset, bytes, packed->size, &fault);
		if (result == MEMORY_OK && !xbzrle_apply(bytes, packed->size, page, PAGE_SIZE))
			result = MEMORY_IO;
	}
	return result;
}

/* Loads a page of a mapped-ram block; a page whose bit is not set is zero. */
static enum memory_fault load_mapped(struct qemu_pages *pages, const struct qemu_block *block,
				     uint64_t number, uint8_t *page)
{
	const struct source *file = &pages->file;
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

static enum memory_fault load_page(struct qemu_pages *pages, uint64_t number)
{
	enum memory_fault result = MEMORY_NOT_SAVED;

	if (pages->recent == number)
		return MEMORY_OK;
	pages->recent = UINT64_MAX;
	for (size_t i = 0; i < pages->block_count; i++) {
		const struct qemu_block *block = &pages->blocks[i];
		uint64_t first = block->start >> PAGE_SHIFT;

		if (!block->is_main || number < first ||
		    number - first >= block->size >> PAGE_SHIFT)
			continue;
		result = block->is_mapped
			     ? load_mapped(pages, block, number - first, pages->page)
			     : load_entry(pages, get_entry(pages, number), pages->page);
	}
	if (result == MEMORY_OK)
		pages->recent = number;
	return result;
}

enum memory_fault qemu_pages_read(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	struct qemu_pages *pages = data;

	for (size_t done = 0; done < size;) {
		uint64_t at = offset + done;
		size_t within = (size_t)(at & PAGE_MASK);
		size_t piece = PAGE_SIZE - within < size - done ? PAGE_SIZE - within : size - done;
		enum memory_fault fault =
		    at < pages->ram_size ? load_page(pages, at >> PAGE_SHIFT) : MEMORY_NOT_SAVED;

		if (fault != MEMORY_OK) {
			*fault_offset = at;
			return fault;
		}
		memcpy((uint8_t *)buffer + done, pages->page + within, piece);
		done += piece;
	}
	return MEMORY_OK;
}
