/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/window.h"

#include "core/io.h"
#include "memory/sigbus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define CHUNK_PAGES WINDOW_CHUNK_PAGES

/*
 * With at least this many unknown pages, asking the kernel about all of them in one call saves
 * time.
 */
#define ASK_TOGETHER 4

/*
 * The C library's headers may not have cachestat(2) yet; its number is the same on all
 * architectures.
 */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/*
 * The size of the file: regular files have one, block devices have an end; UINT64_MAX for other
 * devices.
 */
static uint64_t size_of_file(int fd, const struct stat *st)
{
	off_t end;

	if (S_ISREG(st->st_mode))
		return (uint64_t)st->st_size;
	end = S_ISBLK(st->st_mode) ? lseek(fd, 0, SEEK_END) : -1;
	return end > 0 ? (uint64_t)end : UINT64_MAX;
}

struct nunchi_error *window_file_create(int fd, bool live, bool guarded, struct window_file **ret)
{
	_cleanup_free_ struct window_file *file = calloc(1, sizeof(*file));
	struct stat st;
	struct statfs fs;

	if (!file)
		return &error_nomem;
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return error_create_errno(errno, "cannot examine the file of guest memory");
	if (S_ISDIR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "guest memory must be a file or a device"),
				  "give a memory image, not a directory, pipe or socket");
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0)
		return error_create_errno(errno, "cannot duplicate the file of guest memory");
	file->device = st.st_dev;
	file->inode = st.st_ino;
	file->live = live;
	file->guarded = guarded;
	file->tmpfs = fs.f_type == TMPFS_MAGIC;
	file->careful = live || file->tmpfs;
	/*
	 * On hugetlbfs a hole cannot be distinguished from data (there is no SEEK_HOLE), and
	 * touching a hole takes a huge page from the pool; pread() returns zeros instead (Linux,
	 * fs/hugetlbfs/inode.c, hugetlbfs_read_iter()).
	 */
	file->mappable = !(live && fs.f_type == HUGETLBFS_MAGIC);
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
	free(file->chunks);
	close(file->fd);
	free(file);
}

bool window_file_is(const struct window_file *file, int fd, bool live)
{
	struct stat st;

	return file->live == live && fstat(fd, &st) == 0 && st.st_dev == file->device &&
	       st.st_ino == file->inode;
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
		_cleanup_error_ struct nunchi_error *err =
		    sigbus_guard_add(map, file->map_size, &file->gone, &file->region);

		if (err)
			return false;
	}
	if (file->careful)
		file->chunks = calloc(WINDOW_CHUNKS, sizeof(*file->chunks));
	return !file->careful || file->chunks;
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
	ssize_t n = io_pread_full(file->fd, buffer, size, offset);

	if (n == (ssize_t)size)
		return MEMORY_OK;
	*fault_offset = offset;
	if (n < 0)
		return MEMORY_IO;
	*fault_offset += (uint64_t)n;
	/* The byte was in the file when the memory was sealed, so the file has become shorter. */
	atomic_store(&file->gone, true);
	return MEMORY_GONE;
}

/* Sets the bits of the pages first..end-1, which must lie in the chunk. */
static void mark(uint64_t *bits, uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end; page++)
		bits[page / 64 % WINDOW_CHUNK_WORDS] |= (uint64_t)1 << page % 64;
}

static uint64_t offset_of(const struct window_file *file, uint64_t page)
{
	return file->map_offset + (page << PAGE_SHIFT);
}

/*
 * The first page after `page`, at most `end`, that contains a hole; page + 1 if the kernel does not
 * tell.
 */
static uint64_t seek_hole(const struct window_file *file, uint64_t page, uint64_t end)
{
	off_t hole = lseek(file->fd, (off_t)offset_of(file, page), SEEK_HOLE);
	uint64_t first;

	if (hole < 0 || (uint64_t)hole <= offset_of(file, page))
		return page + 1;
	/* A page that is partly data counts as data. */
	first = ((uint64_t)hole - file->map_offset + PAGE_MASK) >> PAGE_SHIFT;
	return first < end ? first : end;
}

/*
 * Whether tmpfs has all these pages, in RAM or swapped out. SEEK_HOLE of tmpfs examines every page
 * up to the next hole (8 ms per GiB), which may be at the end of the file, whereas cachestat(2)
 * examines only the given pages (Linux 6.5, mm/filemap.c, filemap_cachestat()). *ret_told is false
 * if the host's kernel lacks the call or does not permit it.
 */
static bool has_all(const struct window_file *file, uint64_t page, uint64_t end, bool *ret_told)
{
	struct {
		uint64_t offset, length;
	} range = {offset_of(file, page), (end - page) << PAGE_SHIFT};
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} status;

	*ret_told = syscall(SYS_cachestat, file->fd, &range, &status, 0) == 0;
	return *ret_told && status.cached + status.evicted == end - page;
}

/*
 * `page` has data: finds the end of that data as far as this is cheap. wanted and end are after
 * page.
 */
static uint64_t end_of_data(const struct window_file *file, uint64_t page, uint64_t wanted,
			    uint64_t end)
{
	bool told;

	if (!file->tmpfs)
		return seek_hole(file, page, end);
	if (wanted - page < ASK_TOGETHER)
		return page + 1;
	if (has_all(file, page, wanted, &told))
		return wanted;
	/* A hole is among the wanted pages, so SEEK_HOLE examines only a few. */
	return told ? seek_hole(file, page, wanted) : page + 1;
}

/*
 * The hole after the last data ends at the first page that does not lie completely within the file;
 * the file may have become shorter.
 */
static uint64_t last_hole_end(const struct window_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) || (uint64_t)st.st_size < file->map_offset)
		return 0;
	return ((uint64_t)st.st_size - file->map_offset) >> PAGE_SHIFT;
}

/*
 * Finds out about a page, and about following pages if this costs little; pages up to `wanted` will
 * be needed.
 */
static void learn(struct window_file *file, struct window_chunk *chunk, uint64_t page,
		  uint64_t wanted)
{
	uint64_t end = (page | (CHUNK_PAGES - 1)) + 1;
	off_t data = lseek(file->fd, (off_t)offset_of(file, page), SEEK_DATA);
	uint64_t first;

	if (data >= 0 && (uint64_t)data < offset_of(file, page + 1)) {
		mark(chunk->data, page, end_of_data(file, page, wanted < end ? wanted : end, end));
	} else if (data >= 0 || errno == ENXIO) {
		first = data >= 0 ? ((uint64_t)data - file->map_offset) >> PAGE_SHIFT
				  : last_hole_end(file);
		mark(chunk->hole, page, first < end ? first : end);
	}
}

/* The state of a page of the file; `wanted` as for learn(). */
static enum window_state state_of(struct window_file *file, uint64_t generation, uint64_t page,
				  uint64_t wanted)
{
	uint64_t number = page / CHUNK_PAGES;
	struct window_chunk *chunk = &file->chunks[number % WINDOW_CHUNKS];
	uint64_t bit = (uint64_t)1 << page % 64;
	unsigned word = page / 64 % WINDOW_CHUNK_WORDS;

	if (chunk->generation != generation || chunk->number != number)
		*chunk = (struct window_chunk){.generation = generation, .number = number};
	if (!((chunk->data[word] | chunk->hole[word]) & bit))
		learn(file, chunk, page, wanted);
	if (chunk->data[word] & bit)
		return WINDOW_DATA;
	return chunk->hole[word] & bit ? WINDOW_HOLE : WINDOW_UNKNOWN;
}

size_t window_file_run(struct window_file *file, uint64_t generation, uint64_t offset, size_t size,
		       enum window_state *ret)
{
	uint64_t within = offset - file->map_offset;
	uint64_t page = within >> PAGE_SHIFT;
	uint64_t end = ((within + size - 1) >> PAGE_SHIFT) + 1;
	enum window_state state = state_of(file, generation, page, end);

	while (++page < end && state_of(file, generation, page, end) == state)
		;
	*ret = state;
	if (page == end)
		return size;
	return (size_t)((page << PAGE_SHIFT) - within);
}

/* Finds an extent of the file; it may end far after the bytes that are needed. */
static bool find_extent(const struct window_file *file, uint64_t offset, uint64_t *ret_start,
			uint64_t *ret_end)
{
	off_t start = lseek(file->fd, (off_t)offset, SEEK_DATA);
	off_t end;

	if (start < 0 && errno == ENXIO)
		return false;
	end = start < 0 ? -1 : lseek(file->fd, start, SEEK_HOLE);
	*ret_start = start < 0 ? offset : (uint64_t)start;
	*ret_end = end > start ? (uint64_t)end : UINT64_MAX;
	return true;
}

bool window_file_next_data(struct window_file *file, uint64_t generation, uint64_t offset,
			   uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	if (file->extent_generation != generation || offset < file->extent_from ||
	    offset >= file->extent_end) {
		if (!find_extent(file, offset, &file->extent_start, &file->extent_end))
			return false;
		file->extent_generation = generation;
		file->extent_from = offset;
	}
	if (file->extent_start >= end)
		return false;
	*ret_start = file->extent_start > offset ? file->extent_start : offset;
	*ret_end = file->extent_end < end ? file->extent_end : end;
	return true;
}
