/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/image.h"

#include <string.h>

#define LARGE_SHIFT 21
#define LARGE_SIZE  ((uint64_t)1 << LARGE_SHIFT)
#define ENTRIES     512
/* of a table without PAE, whose entries have 4 bytes and no bit that forbids execution */
#define NARROW_ENTRIES 1024

/* Page-table entry bits, Intel SDM volume 3, table 4-20 and following. */
#define PRESENT    ((uint64_t)1 << 0)
#define WRITABLE   ((uint64_t)1 << 1)
#define USER       ((uint64_t)1 << 2)
#define LARGE      ((uint64_t)1 << 7)
#define NO_EXECUTE ((uint64_t)1 << 63)
#define FRAME      ((uint64_t)0x000ffffffffff000)

/* Size that no kernel is below, and that no other executable mapping reaches. */
#define MIN_IMAGE ((uint64_t)4 << 20)

enum kind { KIND_NONE, KIND_TEXT, KIND_RODATA, KIND_DATA };

/* State of a scan over the mapped pages in ascending order of address. */
struct scan {
	struct linux_image image;
	uint64_t delta; /* virtual address minus physical address */
	/*
	 * The first small writable page after the read-only data that lies at a multiple of 2 MiB.
	 * The data begins there if the image is mapped by small pages, and also if only the end of
	 * the first 2 MiB of data was freed (.init in a kernel with little data).
	 */
	uint64_t small_data_start;
	uint64_t frame; /* the part of an entry that is an address */
	bool scattered;
	bool started;
};

static bool read_table(struct memory *memory, uint64_t address, uint64_t entries[ENTRIES])
{
	return memory_read(memory, gpa(address), entries, ENTRIES * sizeof(*entries), NULL) ==
	       MEMORY_OK;
}

static enum kind kind_of(uint64_t entry)
{
	if (!(entry & PRESENT))
		return KIND_NONE;
	if (!(entry & NO_EXECUTE))
		return KIND_TEXT;
	return entry & WRITABLE ? KIND_DATA : KIND_RODATA;
}

/* Adds the next mapped page or large page; false if it cannot belong to the image. */
static bool scan_piece(struct scan *scan, uint64_t virtual, uint64_t physical, uint64_t size,
		       enum kind kind)
{
	struct linux_image *image = &scan->image;

	if (kind == KIND_NONE)
		return true;
	if (!scan->started) {
		scan->started = true;
		scan->delta = virtual - physical;
		image->virtual_start = virtual;
		image->physical_start = physical;
	}
	if (!scan->scattered && virtual - physical != scan->delta)
		return false;
	image->virtual_end = virtual + size;
	if (kind == KIND_RODATA && !image->rodata_start)
		image->rodata_start = virtual & ~(LARGE_SIZE - 1);
	/*
	 * Sections begin at large pages. The gaps between sections were freed and may have been
	 * reused, writable or not; so only a whole large page marks the beginning of the data.
	 */
	if (kind == KIND_DATA && size == LARGE_SIZE && !image->data_start) {
		image->data_start = virtual;
		image->rodata_end = virtual;
	}
	/* A gap is smaller than a large page, so that no gap begins at a multiple of 2 MiB. */
	if (kind == KIND_DATA && size == PAGE_SIZE && !(virtual & (LARGE_SIZE - 1)) &&
	    image->rodata_start && !scan->small_data_start)
		scan->small_data_start = virtual;
	return true;
}

/* Scans an entry of a page directory: a large page, or a page table. */
static bool scan_entry(struct scan *scan, struct memory *memory, uint64_t virtual, uint64_t entry)
{
	uint64_t table[ENTRIES];

	if (!(entry & PRESENT))
		return true;
	if (entry & LARGE)
		return scan_piece(scan, virtual, entry & scan->frame & ~(LARGE_SIZE - 1),
				  LARGE_SIZE, kind_of(entry));
	/*
	 * A file that was cut off lacks the end of RAM, which the kernel takes its first page
	 * tables from, among them those of the 2 MiB in which sections meet. The image goes on
	 * behind them.
	 */
	if (!read_table(memory, entry & scan->frame, table))
		return scan->started;
	for (size_t i = 0; i < ENTRIES; i++) {
		if (!scan_piece(scan, virtual + (i << PAGE_SHIFT), table[i] & scan->frame,
				PAGE_SIZE, kind_of(table[i])))
			return false;
	}
	return true;
}

static bool finish(struct scan *scan, struct linux_image *ret)
{
	struct linux_image *image = &scan->image;

	if (!scan->started || image->virtual_end - image->virtual_start < MIN_IMAGE)
		return false;
	if (scan->small_data_start &&
	    (!image->data_start || scan->small_data_start < image->data_start))
		image->data_start = image->rodata_end = scan->small_data_start;
	if (!image->rodata_start || image->rodata_start >= image->rodata_end) {
		image->rodata_start = image->virtual_start;
		image->rodata_end = image->data_start ? image->data_start : image->virtual_end;
	}
	*ret = *image;
	return true;
}

uint64_t linux_encryption_bit(const struct memory *memory, uint64_t entry)
{
	uint64_t frame = entry & FRAME, end = memory_end(memory).v, bit;

	/* Processors have had it at 43, 47 and 51. A file of a part of the RAM ends lower, too. */
	if (frame < end || frame >> 43 == 0)
		return 0;
	bit = (uint64_t)1 << (63 - __builtin_clzll(frame));
	return (frame & ~bit) < end ? bit : 0;
}

void linux_find_encryption(struct memory *memory, struct x86_paging *paging)
{
	uint64_t entry;

	if (paging->mode != X86_MODE_4LEVEL && paging->mode != X86_MODE_5LEVEL)
		return;
	/* CR3 has the bit, too. */
	paging->encryption = linux_encryption_bit(memory, paging->root.v);
	paging->root.v &= ~paging->encryption;
	if (!paging->encryption &&
	    memory_read(memory, gpa(paging->root.v + 511 * sizeof(entry)), &entry, sizeof(entry),
			NULL) == MEMORY_OK &&
	    entry & PRESENT)
		paging->encryption = linux_encryption_bit(memory, entry);
}

/* Finds the image of a 64-bit kernel, which has a gigabyte of the address space for itself. */
static bool find_64(struct memory *memory, const struct x86_paging *paging, bool scattered,
		    struct linux_image *ret)
{
	static const unsigned path_4[] = {511, 510}, path_5[] = {511, 511, 510};
	bool five = paging->mode == X86_MODE_5LEVEL;
	const unsigned *path = five ? path_5 : path_4;
	uint64_t table = paging->root.v, directory[ENTRIES];
	struct scan scan = {.frame = FRAME & ~paging->encryption, .scattered = scattered};

	for (size_t i = 0; i < (five ? 3 : 2); i++) {
		uint64_t entry;

		if (memory_read(memory, gpa(table + path[i] * 8), &entry, 8, NULL) != MEMORY_OK ||
		    !(entry & PRESENT) || entry & LARGE)
			return false;
		table = entry & scan.frame;
	}
	if (!read_table(memory, table, directory))
		return false;
	for (size_t i = 0; i < ENTRIES; i++) {
		if (!scan_entry(&scan, memory, LINUX_KERNEL_MAP + (i << LARGE_SHIFT), directory[i]))
			break;
	}
	/* _text is aligned to CONFIG_PHYSICAL_ALIGN, at least 2 MiB on x86-64. */
	if (scan.image.virtual_start & (LARGE_SIZE - 1) ||
	    (!scattered && scan.image.physical_start & (LARGE_SIZE - 1)))
		return false;
	return finish(&scan, ret);
}

/*
 * The writable data of a 32-bit kernel, with its page tables, ends within this distance from its
 * start.
 */
#define MAX_DATA_32 ((uint64_t)32 << 20)

#define LOWEST_SPLIT 0x40000000

uint64_t linux_split_below(uint64_t address)
{
	static const uint64_t splits[] = {0xc0000000, 0xb0000000, 0x80000000, 0x78000000,
					  LOWEST_SPLIT};

	for (size_t i = 0; i < ARRAY_SIZE(splits); i++) {
		if (address >= splits[i])
			return splits[i];
	}
	return 0;
}

/* Scans the next page of the linear map of a 32-bit kernel; false when the image is complete. */
static bool scan_piece_32(struct scan *scan, uint64_t virtual, uint64_t physical, uint64_t size,
			  uint64_t entry)
{
	/* A split may be below: then what processes map at higher addresses comes before. */
	bool writable = entry & (WRITABLE | USER) || !(entry & PRESENT);

	if (!scan->image.data_start && writable && scan->started) {
		if (scan->image.virtual_end - scan->image.virtual_start >= MIN_IMAGE)
			scan->image.data_start = scan->image.rodata_end = virtual;
		else
			*scan = (struct scan){0};
	}
	/* Pages before the image and after its data are free memory with any flags. */
	if (!scan->started && (writable || virtual & (LARGE_SIZE - 1)))
		return true;
	if (scan->image.data_start && virtual - scan->image.data_start >= MAX_DATA_32)
		return false;
	return scan_piece(scan, virtual, physical, size,
			  !writable && !(entry & NO_EXECUTE) ? KIND_TEXT
			  : writable                         ? KIND_DATA
							     : KIND_RODATA);
}

/* Reads a table of 1,024 entries of 4 bytes, or of 512 entries of 8 bytes. */
static bool read_table_32(struct memory *memory, uint64_t address, bool narrow,
			  uint64_t entries[NARROW_ENTRIES])
{
	uint32_t words[NARROW_ENTRIES];

	if (!narrow)
		return read_table(memory, address, entries);
	if (memory_read(memory, gpa(address), words, sizeof(words), NULL) != MEMORY_OK)
		return false;
	for (size_t i = 0; i < NARROW_ENTRIES; i++)
		entries[i] = words[i];
	return true;
}

/* Scans an entry of a page directory, which maps 2 MiB with PAE, and 4 MiB without (narrow). */
static bool scan_entry_32(struct scan *scan, struct memory *memory, bool narrow, uint64_t virtual,
			  uint64_t entry)
{
	uint64_t size = narrow ? LARGE_SIZE * 2 : LARGE_SIZE;
	uint64_t table[NARROW_ENTRIES];

	if (!(entry & PRESENT) || entry & LARGE)
		return scan_piece_32(scan, virtual, entry & FRAME & ~(size - 1), size, entry);
	/*
	 * Tables of processes may be in high memory, which a dump with paging leaves out. One of
	 * the kernel's is missing in a file that was cut off; the image goes on behind it.
	 */
	if (!read_table_32(memory, entry & FRAME, narrow, table))
		return true;
	for (size_t i = 0; i < size >> PAGE_SHIFT; i++) {
		if (!scan_piece_32(scan, virtual + (i << PAGE_SHIFT), table[i] & FRAME, PAGE_SIZE,
				   table[i]))
			return false;
	}
	return true;
}

/*
 * Scans a page directory from the lowest address at which a kernel may be mapped; false when the
 * image is complete.
 */
static bool scan_directory_32(struct scan *scan, struct memory *memory, bool narrow,
			      uint64_t virtual, uint64_t address)
{
	size_t count = narrow ? NARROW_ENTRIES : ENTRIES;
	unsigned shift = narrow ? LARGE_SHIFT + 1 : LARGE_SHIFT;
	uint64_t directory[NARROW_ENTRIES];

	if (!read_table_32(memory, address, narrow, directory))
		return true;
	for (size_t i = 0; i < count; i++) {
		uint64_t at = virtual + (i << shift);

		if (at >= LOWEST_SPLIT && !scan_entry_32(scan, memory, narrow, at, directory[i]))
			return false;
	}
	return true;
}

/*
 * Finds the image of a 32-bit kernel. It lies in the linear map of low memory, at any split of the
 * address space, and is the first long read-only row of pages there (mark_rodata_ro()).
 */
static bool find_32(struct memory *memory, const struct x86_paging *paging, struct linux_image *ret)
{
	struct scan scan = {0};
	uint64_t pointer;

	if (paging->mode == X86_MODE_32BIT) {
		scan_directory_32(&scan, memory, true, 0, paging->root.v);
		return scan.image.data_start && finish(&scan, ret);
	}
	for (uint64_t top = 1; top < 4; top++) {
		if (memory_read(memory, gpa(paging->root.v + top * 8), &pointer, 8, NULL) ==
			MEMORY_OK &&
		    pointer & PRESENT &&
		    !scan_directory_32(&scan, memory, false, top << 30, pointer & FRAME))
			break;
	}
	return scan.image.data_start && finish(&scan, ret);
}

bool linux_image_find(struct memory *memory, const struct x86_paging *paging, bool scattered,
		      struct linux_image *ret)
{
	switch (paging->mode) {
	case X86_MODE_4LEVEL:
	case X86_MODE_5LEVEL:
		return find_64(memory, paging, scattered, ret);
	case X86_MODE_PAE:
	case X86_MODE_32BIT:
		break;
	}
	/*
	 * A 32-bit image is recognised by the linear map, which is not contiguous in machine
	 * frames.
	 */
	return !scattered && find_32(memory, paging, ret);
}
