/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes x86 page tables of every mode into a buffer that plays guest-physical memory. Written
 * from the manual's figures, apart from the walker that it tests.
 */
#ifndef NUNCHI_TESTS_PAGE_WRITER_H
#define NUNCHI_TESTS_PAGE_WRITER_H

#include "arch/x86/paging.h"

#include <assert.h>
#include <string.h>

#define WRITER_P  UINT64_C(0x1)
#define WRITER_RW UINT64_C(0x2)
#define WRITER_US UINT64_C(0x4)
#define WRITER_PS UINT64_C(0x80)
#define WRITER_NX (UINT64_C(1) << 63)

struct page_writer {
	enum x86_mode mode;
	uint8_t *ram;
	uint64_t size;
	uint64_t next; /* free page for tables */
	uint64_t root;
};

static inline unsigned writer_levels(enum x86_mode mode)
{
	static const unsigned levels[] = {2, 3, 4, 5};

	return levels[mode];
}

/* The lowest address bit that indexes the table at a level (from 1). */
static inline unsigned writer_shift(enum x86_mode mode, unsigned level)
{
	return 12 + (level - 1) * (mode == X86_MODE_32BIT ? 10 : 9);
}

static inline size_t writer_entry_size(enum x86_mode mode)
{
	return mode == X86_MODE_32BIT ? 4 : 8;
}

static inline uint64_t writer_get(const struct page_writer *writer, uint64_t address)
{
	uint64_t entry = 0;

	memcpy(&entry, writer->ram + address, writer_entry_size(writer->mode));
	return entry;
}

static inline void writer_put(struct page_writer *writer, uint64_t address, uint64_t entry)
{
	memcpy(writer->ram + address, &entry, writer_entry_size(writer->mode));
}

static inline uint64_t writer_take_page(struct page_writer *writer)
{
	uint64_t page = writer->next;

	assert(page + PAGE_SIZE <= writer->size);
	memset(writer->ram + page, 0, PAGE_SIZE);
	writer->next += PAGE_SIZE;
	return page;
}

/* Tables are written from `tables` on; PAE's root is put in the middle of a page. */
static inline void writer_init(struct page_writer *writer, enum x86_mode mode, uint8_t *ram,
			       uint64_t size, uint64_t tables)
{
	*writer = (struct page_writer){.mode = mode, .ram = ram, .size = size, .next = tables};
	writer->root = writer_take_page(writer);
	if (mode == X86_MODE_PAE)
		writer->root += 0x7e0;
}

static inline struct x86_paging writer_paging(const struct page_writer *writer)
{
	return (struct x86_paging){.mode = writer->mode, .pse = true, .root = gpa(writer->root)};
}

/* Where the entry for address stands at that level; makes the tables above it. */
static inline uint64_t writer_entry(struct page_writer *writer, uint64_t address, unsigned level)
{
	unsigned bits = writer->mode == X86_MODE_32BIT ? 10 : 9;
	uint64_t table = writer->root;

	for (unsigned n = writer_levels(writer->mode);; n--) {
		uint64_t index = address >> writer_shift(writer->mode, n);
		uint64_t at, entry;

		index &= (UINT64_C(1) << (n == 3 && writer->mode == X86_MODE_PAE ? 2 : bits)) - 1;
		at = table + index * writer_entry_size(writer->mode);
		if (n == level)
			return at;
		entry = writer_get(writer, at);
		if (!(entry & WRITER_P)) {
			entry = writer_take_page(writer) | WRITER_P;
			if (n != 3 || writer->mode != X86_MODE_PAE)
				entry |= WRITER_RW | WRITER_US;
			writer_put(writer, at, entry);
		}
		assert(!(entry & WRITER_PS));
		table = entry & UINT64_C(0xffffffffff000);
	}
}

/* Maps the page at address (of the size that the level has) to physical, with those flags. */
static inline void writer_map(struct page_writer *writer, uint64_t address, uint64_t physical,
			      unsigned level, uint64_t flags)
{
	uint64_t entry = physical | flags | WRITER_P;

	if (level > 1) {
		entry |= WRITER_PS;
		/* PSE-36: bits 39:32 of the address stand in bits 20:13. */
		if (writer->mode == X86_MODE_32BIT)
			entry = (entry & 0xffffffff) | (physical >> 32 & 0xff) << 13;
	}
	writer_put(writer, writer_entry(writer, address, level), entry);
}

/* The levels that can hold a page: 1 .. this. */
static inline unsigned writer_largest(enum x86_mode mode)
{
	return mode == X86_MODE_32BIT || mode == X86_MODE_PAE ? 2 : 3;
}

/* Any canonical linear address of the mode from a random number. */
static inline uint64_t writer_address(enum x86_mode mode, uint64_t random)
{
	static const unsigned bits[] = {32, 32, 48, 57};
	unsigned unused = 64 - bits[mode];

	if (unused == 32)
		return random & 0xffffffff;
	return (uint64_t)((int64_t)(random << unused) >> unused);
}

#endif
