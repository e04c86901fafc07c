/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that backs guest memory: mapped once, read-only, for all windows on it. Private to
 * memory/.
 *
 * On a live guest's file a page is touched through the mapping only if the file was found to have
 * data there in this generation; everything else is read with pread(), which gives zeros for a
 * hole and allocates nothing.
 */
#ifndef NUNCHI_MEMORY_WINDOW_H
#define NUNCHI_MEMORY_WINDOW_H

#include "memory/memory.h"

#include <stdatomic.h>
#include <sys/types.h>

struct sigbus_region;
struct window_chunk;

struct window_file {
	int fd;
	dev_t device;
	ino_t inode;
	bool live;
	bool guarded;
	bool mappable;      /* false: mmap() is refused or would do harm; only pread() */
	bool tried;         /* to map it */
	uint64_t size;      /* bytes; UINT64_MAX if the kernel does not say */
	uint64_t low, high; /* file offsets between which the windows lie */
	uint8_t *map;
	uint64_t map_offset; /* file offset of map */
	size_t map_size;
	atomic_bool gone; /* zeros stand in the mapping for bytes of the file */
	struct sigbus_region *region;
	struct window_chunk *chunks; /* what is known of holes; live only */
	size_t chunks_size;          /* bytes */
};

/* Duplicates fd. */
struct nunchi_error *window_file_create(int fd, bool live, bool guarded, struct window_file **ret);
void window_file_destroy(struct window_file *file);
/* True if fd is that file. */
bool window_file_is(const struct window_file *file, int fd, bool live);
/* Maps the file from low to high; false if only window_file_read() can be used. */
bool window_file_map(struct window_file *file);

/* Where the byte at a file offset is mapped; only between low and high of a mapped file. */
static inline const uint8_t *window_file_at(const struct window_file *file, uint64_t offset)
{
	return file->map + (offset - file->map_offset);
}

static inline bool window_file_gone(const struct window_file *file)
{
	return __builtin_expect(atomic_load_explicit(&file->gone, memory_order_relaxed), false);
}

/*
 * Live files: true if the file was found to have data in every page of the size bytes at offset,
 * so that they can be touched. Asks the kernel about pages it does not know yet.
 */
bool window_file_has_data(struct window_file *file, uint64_t generation, uint64_t offset,
			  size_t size);
/* Copies by pread(). MEMORY_OK, _IO or _GONE with the first file offset concerned. */
enum memory_fault window_file_read(struct window_file *file, uint64_t offset, void *buffer,
				   size_t size, uint64_t *fault_offset);
/*
 * The first extent of data at or after offset and before end: false if there is none. A file
 * system that cannot tell makes everything data.
 */
bool window_file_next_data(const struct window_file *file, uint64_t offset, uint64_t end,
			   uint64_t *ret_start, uint64_t *ret_end);

#endif
