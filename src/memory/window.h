/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that backs guest memory: mapped once, read-only, for all windows on it. Private to
 * memory/.
 *
 * Touching a hole of tmpfs through a mapping allocates a page. So where a file lives there, or is
 * a running guest's, a page is touched only if the file was found to have data there in this
 * generation; holes read as zeros, and what the kernel says nothing about is read with pread(),
 * which allocates nothing.
 */
#ifndef NUNCHI_MEMORY_WINDOW_H
#define NUNCHI_MEMORY_WINDOW_H

#include "memory/memory.h"

#include <stdatomic.h>
#include <sys/types.h>

struct sigbus_region;
#define WINDOW_CHUNK_PAGES 512
#define WINDOW_CHUNK_WORDS (WINDOW_CHUNK_PAGES / 64)

/*
 * What is known of 2 MiB of a careful file. A fixed number of them is kept, enough for 16 GiB; one
 * of other pages or of an older generation means nothing.
 */
#define WINDOW_CHUNKS ((size_t)8192)
struct window_chunk {
	uint64_t generation;
	uint64_t number; /* the page's number in the mapping, divided by WINDOW_CHUNK_PAGES */
	uint64_t data[WINDOW_CHUNK_WORDS]; /* a bit a page: has data, may be touched */
	uint64_t hole[WINDOW_CHUNK_WORDS]; /* a bit a page: a hole, must not be touched */
};

enum window_state { WINDOW_DATA, WINDOW_HOLE, WINDOW_UNKNOWN };

struct window_file {
	int fd;
	dev_t device;
	ino_t inode;
	bool live; /* of a running guest: holes come and go with generations */
	bool tmpfs;
	bool careful; /* holes must not be touched: live or tmpfs */
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
	struct window_chunk *chunks; /* WINDOW_CHUNKS of them; careful files only */
	/* What window_file_next_data() last found, looking from extent_from. */
	uint64_t extent_generation, extent_from, extent_start, extent_end;
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

/* True if the bytes are in one page that is known to be data. */
static inline bool window_file_is_known(const struct window_file *file, uint64_t generation,
					uint64_t offset, size_t size)
{
	uint64_t page = (offset - file->map_offset) >> PAGE_SHIFT;
	uint64_t number = page / WINDOW_CHUNK_PAGES;
	const struct window_chunk *chunk = &file->chunks[number % WINDOW_CHUNKS];

	return (offset & PAGE_MASK) + size <= PAGE_SIZE && chunk->generation == generation &&
	       chunk->number == number &&
	       chunk->data[page / 64 % WINDOW_CHUNK_WORDS] >> page % 64 & 1;
}

/*
 * How many of size bytes from offset are in the same state, and which: data may be touched, a hole
 * is zeros, and the unknown is for window_file_read(). Only careful files that are mapped. Asks
 * the kernel about pages it does not know yet.
 */
size_t window_file_run(struct window_file *file, uint64_t generation, uint64_t offset, size_t size,
		       enum window_state *ret);
/* Copies by pread(). MEMORY_OK, _IO or _GONE with the first file offset concerned. */
enum memory_fault window_file_read(struct window_file *file, uint64_t offset, void *buffer,
				   size_t size, uint64_t *fault_offset);
/*
 * The first extent of data at or after offset and before end: false if there is none. A file
 * system that cannot tell makes everything data.
 */
bool window_file_next_data(struct window_file *file, uint64_t generation, uint64_t offset,
			   uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

#endif
