/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/window.h"

#include "memory/sigbus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CHUNK_PAGES 512
#define CHUNK_WORDS (CHUNK_PAGES / 64)
#define CHUNK_SHIFT (PAGE_SHIFT + 9)

/* What is known of 2 MiB of a live file. Zeros, and what an older generation left, mean nothing. */
struct window_chunk {
	uint64_t generation;
	uint64_t data[CHUNK_WORDS]; /* a bit a page: has data, may be touched */
	uint64_t hole[CHUNK_WORDS]; /* a bit a page: a hole, must not be touched */
};

/* Regular files have a size; block devices tell their end; other devices do not say. */
static uint64_t size_of_file(int fd, const struct stat *st)
{
	off_t end;

	if (S_ISREG(st->st_mode))
		return (uint64_t)st->st_size;
	end = S_ISBLK(st->st_mode) ? lseek(fd, 0, SEEK_END) : -1;
	return end > 0 ? (uint64_t)end : UINT64_MAX;
}

/*
 * A hole of hugetlbfs cannot be told from data (it has no SEEK_HOLE), and touching it takes a huge
 * page from the pool; pread() gives zeros there (fs/hugetlbfs/inode.c, hugetlbfs_read_iter()).
 */
static bool may_be_mapped(int fd, bool live)
{
	struct statfs fs;

	return !(live && fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC);
}

struct nunchi_error *window_file_create(int fd, bool live, bool guarded, struct window_file **ret)
{
	_cleanup_free_ struct window_file *file = calloc(1, sizeof(*file));
	struct stat st;

	if (!file)
		return &error_nomem;
	if (fstat(fd, &st))
		return error_create_errno(errno, "cannot examine the file of guest memory");
	if (S_ISDIR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "guest memory must be a file or a device"),
				  "Name a memory image, not a directory, pipe or socket.");
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0)
		return error_create_errno(errno, "cannot duplicate the file of guest memory");
	file->device = st.st_dev;
	file->inode = st.st_ino;
	file->live = live;
	file->guarded = guarded;
	file->mappable = may_be_mapped(fd, live);
	file->size = size_of_file(fd, &st);
	file->low = UINT64_MAX;
	*ret = no_cleanup_ptr(file);
	return NULL;
}

void window_file_destroy(struct window_file *file)
{
	if (!file)
		return;
	sigbus_guard_remove(file->region);
	if (file->map)
		munmap(file->map, file->map_size);
	if (file->chunks)
		munmap(file->chunks, file->chunks_size);
	close(file->fd);
	free(file);
}

bool window_file_is(const struct window_file *file, int fd, bool live)
{
	struct stat st;

	return file->live == live && fstat(fd, &st) == 0 && st.st_dev == file->device &&
	       st.st_ino == file->inode;
}

/* Address space only; a chunk's memory is taken when something in it is first looked up. */
static bool map_chunks(struct window_file *file)
{
	uint64_t pages = file->map_size >> PAGE_SHIFT;
	void *map;

	file->chunks_size = (pages / CHUNK_PAGES + 1) * sizeof(struct window_chunk);
	map = mmap(NULL, file->chunks_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return false;
	file->chunks = map;
	return true;
}

static bool map_file(struct window_file *file)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size;
	void *map;

	file->map_offset = file->low & ~(page - 1);
	size = file->high - file->map_offset;
	if (file->low >= file->high || size > SIZE_MAX / 2)
		return false;
	file->map_size = (size_t)size;
	map = mmap(NULL, file->map_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, file->fd,
		   (off_t)file->map_offset);
	if (map == MAP_FAILED)
		return false;
	file->map = map;
	if (file->guarded) {
		_cleanup_error_ struct nunchi_error *err = sigbus_guard_add(
		    map, file->map_size, file->fd, file->map_offset, &file->gone, &file->region);

		if (err)
			return false;
	}
	return !file->live || map_chunks(file);
}

bool window_file_map(struct window_file *file)
{
	if (!file->tried) {
		file->tried = true;
		file->mappable = file->mappable && map_file(file);
	}
	return file->mappable;
}

enum memory_fault window_file_read(struct window_file *file, uint64_t offset, void *buffer,
				   size_t size, uint64_t *fault_offset)
{
	uint8_t *to = buffer;

	while (size) {
		ssize_t n = pread(file->fd, to, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*fault_offset = offset;
			if (n < 0)
				return MEMORY_IO;
			/* It was there when the memory was sealed: the file shrank. */
			atomic_store(&file->gone, true);
			return MEMORY_GONE;
		}
		to += n;
		offset += (size_t)n;
		size -= (size_t)n;
	}
	return MEMORY_OK;
}

/* Finds out about one page; a hole is noted as far as it goes within the chunk. */
static bool learn_page(struct window_file *file, struct window_chunk *chunk, uint64_t page)
{
	uint64_t offset = file->map_offset + (page << PAGE_SHIFT);
	uint64_t end = (page | (CHUNK_PAGES - 1)) + 1;
	off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);
	uint64_t first;

	if (data >= 0 && (uint64_t)data < offset + PAGE_SIZE) {
		chunk->data[page / 64 % CHUNK_WORDS] |= (uint64_t)1 << page % 64;
		return true;
	}
	/* Past the last data, or an error: then nothing is certain but that it is not data. */
	first = data >= 0 ? ((uint64_t)data - file->map_offset) >> PAGE_SHIFT : end;
	for (uint64_t i = page; i < first && i < end; i++)
		chunk->hole[i / 64 % CHUNK_WORDS] |= (uint64_t)1 << i % 64;
	return false;
}

static bool page_has_data(struct window_file *file, uint64_t generation, uint64_t page)
{
	struct window_chunk *chunk = &file->chunks[page / CHUNK_PAGES];
	uint64_t bit = (uint64_t)1 << page % 64;
	unsigned word = page / 64 % CHUNK_WORDS;

	if (chunk->generation != generation)
		*chunk = (struct window_chunk){.generation = generation};
	if (chunk->data[word] & bit)
		return true;
	if (chunk->hole[word] & bit)
		return false;
	return learn_page(file, chunk, page);
}

bool window_file_has_data(struct window_file *file, uint64_t generation, uint64_t offset,
			  size_t size)
{
	uint64_t page = (offset - file->map_offset) >> PAGE_SHIFT;
	uint64_t last = (offset - file->map_offset + size - 1) >> PAGE_SHIFT;

	for (; page <= last; page++) {
		if (!page_has_data(file, generation, page))
			return false;
	}
	return true;
}

bool window_file_next_data(const struct window_file *file, uint64_t offset, uint64_t end,
			   uint64_t *ret_start, uint64_t *ret_end)
{
	off_t start = lseek(file->fd, (off_t)offset, SEEK_DATA);
	off_t stop;

	if (start < 0 && errno == ENXIO)
		return false;
	if (start < 0) {
		*ret_start = offset;
		*ret_end = end;
		return true;
	}
	if ((uint64_t)start >= end)
		return false;
	stop = lseek(file->fd, start, SEEK_HOLE);
	*ret_start = (uint64_t)start;
	*ret_end = stop > start && (uint64_t)stop < end ? (uint64_t)stop : end;
	return true;
}
