/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that contains guest memory, mapped once and read-only for all windows on it. Private to
 * memory/.
 *
 * Touching a hole of a tmpfs file through a mapping allocates a page. So for a file on tmpfs, or of
 * a running guest, a page is touched only if the kernel said in this generation that the file has
 * data there. Holes read as zeros; pages about which the kernel says nothing are read with pread(),
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
 * The known states of 2 MiB of pages of a careful file. The number of chunks is fixed, enough for
 * 16 GiB; a chunk whose number or generation differs contains no information.
 */
#define WINDOW_CHUNKS ((size_t)8192)
struct window_chunk {
	uint64_t generation;
	uint64_t number; /* page number in the mapping, divided by WINDOW_CHUNK_PAGES */
	uint64_t data[WINDOW_CHUNK_WORDS]; /* a bit for each page: has data, may be touched */
	uint64_t hole[WINDOW_CHUNK_WORDS]; /* a bit for each page: is a hole, must not be touched */
};

enum window_state { WINDOW_DATA, WINDOW_HOLE, WINDOW_UNKNOWN };

struct window_file {
	int fd;
	dev_t device;
	ino_t inode;
	bool live; /* of a running guest: holes may appear and disappear */
	bool tmpfs;
	bool careful; /* holes must not be touched: the file is live or on tmpfs */
	bool guarded;
	bool mappable;      /* false: mmap() fails or would do harm; use pread() only */
	bool tried;         /* mmap() was tried */
	uint64_t size;      /* in bytes; UINT64_MAX if the kernel does not say */
	uint64_t low, high; /* the windows lie between these file offsets */
	uint8_t *map;
	uint64_t map_offset; /* file offset at which map begins */
	size_t map_size;
	atomic_bool gone; /* zeros replaced bytes of the file in the mapping */
	struct sigbus_region *region;
	struct window_chunk *chunks; /* array of WINDOW_CHUNKS; for careful files only */
	/*
	 * The extent that window_file_next_data() found last, and the offset from which it
	 * searched.
	 */
	uint64_t extent_generation, extent_from, extent_start, extent_end;
};

/* Creates the object for a file. fd is duplicated. */
struct nunchi_error *window_file_create(int fd, bool live, bool guarded, struct window_file **ret);
void window_file_destroy(struct window_file *file);
/* Whether fd is this file. */
bool window_file_is(const struct window_file *file, int fd, bool live);
/* Maps the file from low to high; false if only window_file_read() can be used. */
bool window_file_map(struct window_file *file);

/*
 * The address at which the byte at a file offset is mapped; the offset must lie between low and
 * high.
 */
static inline const uint8_t *window_file_at(const struct window_file *file, uint64_t offset)
{
	return file->map + (offset - file->map_offset);
}

static inline bool window_file_gone(const struct window_file *file)
{
	return __builtin_expect(atomic_load_explicit(&file->gone, memory_order_relaxed), false);
}

/* Whether the bytes lie in one page that is known to be data. */
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
 * The number of bytes from offset, at most size, that have the same state, which is stored in *ret:
 * data may be touched, a hole reads as zeros, and unknown bytes have to be read with
 * window_file_read(). Asks the kernel about pages that are not known yet. Only for careful files
 * that are mapped.
 */
size_t window_file_run(struct window_file *file, uint64_t generation, uint64_t offset, size_t size,
		       enum window_state *ret);
/*
 * Copies bytes with pread(). Returns MEMORY_OK, _IO or _GONE; *fault_offset is the first file
 * offset that could not be read.
 */
enum memory_fault window_file_read(struct window_file *file, uint64_t offset, void *buffer,
				   size_t size, uint64_t *fault_offset);
/*
 * Finds the first extent of data at or after offset and before end; false if there is none. If the
 * file system cannot tell, all bytes count as data.
 */
bool window_file_next_data(struct window_file *file, uint64_t generation, uint64_t offset,
			   uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

#endif
