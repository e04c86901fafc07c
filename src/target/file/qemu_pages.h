/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pages of a migration stream: where in the file each page of the main memory is, and how it is
 * read from there. qemu_stream.c reads the stream and fills this in.
 */
#ifndef NUNCHI_TARGET_FILE_QEMU_PAGES_H
#define NUNCHI_TARGET_FILE_QEMU_PAGES_H

#include "arch/address.h"
#include "core/error.h"
#include "target/file/source.h"
#include "target/file/unpack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* zlib makes a page of random bytes slightly longer. */
#define QEMU_PACKED_MAX 8192
/* Limit of the number of times that a page is sent as a difference (XBZRLE). */
#define QEMU_STREAM_DELTA_LIMIT 4096

/*
 * An entry of a page: the kind in the low two bits; the other bits are a byte, an offset or an
 * index.
 */
enum qemu_entry_kind { QEMU_ENTRY_NONE, QEMU_ENTRY_FILL, QEMU_ENTRY_PLAIN, QEMU_ENTRY_PACKED };

static inline uint64_t qemu_entry(enum qemu_entry_kind kind, uint64_t value)
{
	return value << 2 | kind;
}

/* A page that is compressed, or stored as the difference from its earlier content. */
struct qemu_packed {
	uint64_t offset;
	uint64_t before; /* the entry of the earlier content */
	uint32_t size;
	bool is_difference;
};

struct qemu_block {
	char name[256];
	uint64_t size;
	uint64_t start; /* offset of its bytes in the main memory */
	bool is_main;
	bool is_mapped;
	uint64_t bitmap, pages; /* for a mapped-ram block: their offsets in the file */
};

struct qemu_pages {
	struct source file;
	struct unpacker *unpacker;
	struct qemu_block *blocks;
	size_t block_count;
	uint64_t ram_size;
	uint64_t **tables;    /* of entries; each is allocated when it is first needed */
	uint64_t table_count; /* number of tables that are allocated */
	struct qemu_packed *packed;
	size_t packed_count, packed_capacity;
	uint64_t pages_seen; /* number of pages of the main memory that were read */
	/* the stream is complete, so that a page that it does not contain is zero */
	bool is_whole;
	uint64_t recent; /* number of the page in `page`; UINT64_MAX: none */
	uint8_t page[PAGE_SIZE];
};

/* Takes a struct qemu_pages, or NULL. */
void qemu_pages_destroy(void *data);

/* Makes the tables for a main memory of ram_size bytes. */
struct nunchi_error *qemu_pages_make_tables(struct qemu_pages *pages);
/*
 * Finds the entry of a page of the main memory; makes its table if there is none. Fails with
 * NUNCHI_ERROR_DATA at the limit of the tables.
 */
struct nunchi_error *qemu_pages_find(struct qemu_pages *pages, uint64_t page, uint64_t **ret);
/* Adds a compressed page or a difference; returns its entry, 0 if memory is short. */
uint64_t qemu_pages_add(struct qemu_pages *pages, struct qemu_packed packed);

/* Reads the main memory; the function of a struct source. */
enum memory_fault qemu_pages_read(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset);

#endif
