/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/ram.h"

#include "core/io.h"
#include "target/qemu/mounts.h"
#include "target/qemu/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define HUGETLBFS_MAGIC 0x958458f6
/* Number of pages that are looked up and read at once. */
#define BATCH 512
/* Bits of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)

struct ram_host {
	unsigned references;
	pid_t pid;
	/* The device asked about last, and whether its file system is local. */
	struct mounts_device device;
	bool device_known, device_local;
	char device_type[32];
	int pagemap; /* -1: cannot be read */
	/*
	 * /proc/PID/mem; -1: may not be read. The descriptor stays bound to the process for which
	 * it was opened, and reads as empty when that has ended or executed another program.
	 */
	int memory;
	bool has_maps;
	struct maps maps;
};

/* ---- The process ----------------------------------------------------------------------------- */

struct nunchi_error *ram_host_create(pid_t pid, struct ram_host **ret)
{
	struct ram_host *host = calloc(1, sizeof(*host));
	struct nunchi_error *err;
	char path[64];

	if (!host)
		return &error_nomem;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	host->references = 1;
	host->pid = pid;
	host->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	host->memory = open(path, O_RDONLY | O_CLOEXEC);
	err = process_maps(pid, &host->maps);
	host->has_maps = !err;
	nunchi_error_destroy(err);
	*ret = host;
	return NULL;
}

void ram_host_unref(struct ram_host *host)
{
	if (!host || --host->references)
		return;
	if (host->pagemap >= 0)
		close(host->pagemap);
	if (host->memory >= 0)
		close(host->memory);
	maps_deinit(&host->maps);
	free(host);
}

const struct maps *ram_host_maps(const struct ram_host *host)
{
	return host->has_maps ? &host->maps : NULL;
}

/*
 * Whether the mapping may be read without waiting for a stranger: it has no file, or one that the
 * kernel itself reads. Neither the file nor its pages are touched to find that out.
 */
static bool is_local(struct ram_host *host, const struct mapping *mapping)
{
	struct mounts_device device = {mapping->major, mapping->minor};

	if (!mapping->inode)
		return true;
	if (!host->device_known || host->device.major != device.major ||
	    host->device.minor != device.minor) {
		host->device = device;
		host->device_known = true;
		host->device_local = mounts_device_is_local(host->pid, device, host->device_type,
							    sizeof(host->device_type));
	}
	return host->device_local;
}

/* ---- Files behind mappings ------------------------------------------------------------------- */

/*
 * Whether fd is the file of the mapping. Some file systems (btrfs, overlayfs) give stat(2) another
 * device number than the mapping has; then the path must agree.
 */
static bool is_file_of(int fd, const char *link, const struct mapping *mapping)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_ino != mapping->inode || !S_ISREG(st.st_mode))
		return false;
	return (major(st.st_dev) == mapping->major && minor(st.st_dev) == mapping->minor) ||
	       !strcmp(link, mapping->path);
}

/* Opens the file of a mapping through the descriptors of the process. */
static int open_descriptor(pid_t pid, const struct mapping *mapping)
{
	char path[64], link[4096];
	struct dirent *entry;
	int found = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && found < 0 && (entry = readdir(dir))) {
		struct stat st;
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

		/*
		 * Tested before it is opened, because opening a pipe or a terminal may have side
		 * effects.
		 */
		if (n <= 0 || fstatat(dirfd(dir), entry->d_name, &st, 0) ||
		    st.st_ino != mapping->inode || !S_ISREG(st.st_mode))
			continue;
		link[n] = '\0';
		found = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (found >= 0 && !is_file_of(found, link, mapping)) {
			close(found);
			found = -1;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Opens the file that is mapped, read-only; -1 if that fails. */
static int open_mapped(pid_t pid, const struct mapping *mapping)
{
	char path[128];
	int fd;

	/*
	 * This link identifies exactly this mapping, but only root may use it
	 * (CAP_CHECKPOINT_RESTORE).
	 */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, mapping->start,
		 mapping->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	fd = open_descriptor(pid, mapping);
	if (fd >= 0)
		return fd;
	if (mapping->path[0] != '/')
		return -1;
	fd = open(mapping->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !is_file_of(fd, mapping->path, mapping)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Whether the file system distinguishes holes from data. hugetlbfs and others report all bytes as
 * data; touching a hole would allocate it.
 */
static bool shows_holes(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fs.f_type == HUGETLBFS_MAGIC || fstat(fd, &st))
		return false;
	/* If there are fewer blocks than the reported data needs, the report is wrong. */
	return lseek(fd, 0, SEEK_HOLE) < st.st_size || st.st_blocks * 512 >= st.st_size;
}

/* ---- Readers --------------------------------------------------------------------------------- */

enum absent {
	ABSENT_ZERO, /* anonymous memory: a page that the process does not have is zero */
	/* private mapping of a file: a page that the process does not have is in the file */
	ABSENT_FILE,
	ABSENT_TOUCH, /* unknown: read the page from the process, even if that allocates it */
};

struct reader {
	struct ram_host *host;
	uint64_t base; /* address of offset 0 in QEMU's process */
	int fd;        /* of the file of the mapping, or -1 */
	uint64_t file_base;
	enum absent absent;
	/*
	 * A bit for each page that the process was found to have: reading such a page again needs
	 * no pagemap. If the process has given it back since then, it still reads as zeros.
	 */
	uint8_t *seen;
};

static void destroy_reader(void *data)
{
	struct reader *reader = data;

	ram_host_unref(reader->host);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->seen);
	free(reader);
}

/* Reads from the file. Holes, and bytes beyond the end, read as zeros without being allocated. */
static enum memory_fault read_file(const struct reader *reader, uint64_t offset, void *buffer,
				   size_t size, uint64_t *fault_offset)
{
	ssize_t n = io_pread_full(reader->fd, buffer, size, reader->file_base + offset);

	if (n < 0) {
		*fault_offset = offset;
		return MEMORY_IO;
	}
	memset((char *)buffer + n, 0, size - (size_t)n);
	return MEMORY_OK;
}

static enum memory_fault read_whole_file(void *data, uint64_t offset, void *buffer, size_t size,
					 uint64_t *fault_offset)
{
	return read_file(data, offset, buffer, size, fault_offset);
}

/* Reads pages that the process has. The kernel copies them page by page, up to one it cannot read.
 */
static enum memory_fault read_present(const struct reader *reader, uint64_t offset, char *buffer,
				      size_t size, uint64_t *fault_offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(reader->host->memory, buffer + done, size - done,
				  (off_t)(reader->base + offset + done));

		if (n > 0) {
			done += (size_t)n;
		} else if (!n || errno != EINTR) {
			*fault_offset = offset + done;
			return n ? MEMORY_IO : MEMORY_GONE;
		}
	}
	return MEMORY_OK;
}

/* Reads pages that the process does not have. */
static enum memory_fault read_absent(const struct reader *reader, uint64_t offset, char *buffer,
				     size_t size, uint64_t *fault_offset)
{
	if (reader->absent == ABSENT_FILE)
		return read_file(reader, offset, buffer, size, fault_offset);
	memset(buffer, 0, size);
	return MEMORY_OK;
}

/*
 * Finds out which of count pages from address the process has: a page that is in memory or in swap
 * is read from the process. MEMORY_GONE if the process has ended, even if another process has its
 * id now.
 */
static enum memory_fault look_up(const struct reader *reader, uint64_t address, size_t count,
				 uint64_t *entries)
{
	ssize_t n;

	if (reader->host->pagemap < 0 || reader->absent == ABSENT_TOUCH) {
		memset(entries, 0xff, count * sizeof(*entries));
		return MEMORY_OK;
	}
	n = pread(reader->host->pagemap, entries, count * sizeof(*entries),
		  (off_t)(address / PAGE_SIZE * sizeof(*entries)));
	return n == (ssize_t)(count * sizeof(*entries)) ? MEMORY_OK : MEMORY_GONE;
}

static bool is_present(uint64_t entry)
{
	return entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED);
}

static void mark_seen(const struct reader *reader, uint64_t page, const uint64_t *entries,
		      size_t count)
{
	for (size_t i = 0; i < count; i++, page++) {
		if (is_present(entries[i]))
			reader->seen[page / 8] |= (uint8_t)(1 << page % 8);
	}
}

/* Reads a batch of at most BATCH pages; only parts of the first and the last page may be wanted. */
static enum memory_fault read_batch(const struct reader *reader, uint64_t offset, char *buffer,
				    size_t size, uint64_t *fault_offset)
{
	uint64_t entries[BATCH], address = reader->base + offset;
	size_t pages = (size_t)(((address & PAGE_MASK) + size + PAGE_MASK) / PAGE_SIZE);
	enum memory_fault fault = look_up(reader, address, pages, entries);
	size_t done = 0;

	*fault_offset = offset;
	mark_seen(reader, offset / PAGE_SIZE, entries, fault ? 0 : pages);
	for (size_t i = 0, next; !fault && i < pages; i = next) {
		bool present = is_present(entries[i]);
		uint64_t end;
		size_t part;

		for (next = i + 1; next < pages && is_present(entries[next]) == present; next++)
			;
		end = (address & ~PAGE_MASK) + next * PAGE_SIZE - address;
		part = (end < size ? (size_t)end : size) - done;
		fault = present
			    ? read_present(reader, offset + done, buffer + done, part, fault_offset)
			    : read_absent(reader, offset + done, buffer + done, part, fault_offset);
		done += part;
	}
	return fault;
}

/*
 * Reads at most a page of a page that was seen before, in one call; false if this is not possible.
 */
static bool read_seen(const struct reader *reader, uint64_t offset, void *buffer, size_t size)
{
	uint64_t first = offset / PAGE_SIZE;

	if ((offset + size - 1) / PAGE_SIZE != first || !(reader->seen[first / 8] & 1 << first % 8))
		return false;
	return pread(reader->host->memory, buffer, size, (off_t)(reader->base + offset)) ==
	       (ssize_t)size;
}

static enum memory_fault read_process(void *data, uint64_t offset, void *buffer, size_t size,
				      uint64_t *fault_offset)
{
	const struct reader *reader = data;
	char *to = buffer;
	size_t done = 0;

	if (size && read_seen(reader, offset, buffer, size))
		return MEMORY_OK;
	while (done < size) {
		uint64_t within = (reader->base + offset + done) & PAGE_MASK;
		size_t most = (size_t)(BATCH * PAGE_SIZE - within);
		size_t part = size - done < most ? size - done : most;
		enum memory_fault fault =
		    read_batch(reader, offset + done, to + done, part, fault_offset);

		if (fault)
			return fault;
		done += part;
	}
	return MEMORY_OK;
}

/* Adds a range that is read by a callback; takes over fd. */
static struct nunchi_error *add_reader(struct memory *memory, struct ram_host *host,
				       const struct ram_piece *piece, memory_read_fn *read, int fd,
				       uint64_t file_base, enum absent absent)
{
	struct reader *reader = malloc(sizeof(*reader));
	/* If the bit set is large, its memory is only allocated when it is written. */
	uint8_t *seen = calloc(1, piece->size / PAGE_SIZE / 8 + 1);
	struct nunchi_error *err;

	if (!reader || !seen) {
		if (fd >= 0)
			close(fd);
		free(reader);
		free(seen);
		return &error_nomem;
	}
	host->references++;
	*reader = (struct reader){.host = host,
				  .base = piece->host,
				  .fd = fd,
				  .file_base = file_base,
				  .absent = absent,
				  .seen = seen};
	err =
	    memory_add_reader(memory, gpa(piece->start), piece->size, read, destroy_reader, reader);
	if (err)
		destroy_reader(reader);
	return err;
}

/* ---- The monitor ----------------------------------------------------------------------------- */

struct monitor_reader {
	const struct ram_monitor *monitor;
	uint64_t start;
};

static enum memory_fault read_monitor(void *data, uint64_t offset, void *buffer, size_t size,
				      uint64_t *fault_offset)
{
	const struct monitor_reader *reader = data;
	char words[RAM_MONITOR_BYTES], *to = buffer;
	size_t done = 0;

	while (done < size) {
		uint64_t first = (offset + done) & ~(uint64_t)7;
		size_t skip = (size_t)(offset + done - first);
		size_t want = (skip + (size - done) + 7) & ~(size_t)7;
		enum memory_fault fault;
		size_t part;

		if (want > RAM_MONITOR_BYTES)
			want = RAM_MONITOR_BYTES;
		fault = reader->monitor->read(reader->monitor->target, reader->start + first, words,
					      want);
		if (fault) {
			*fault_offset = offset + done;
			return fault;
		}
		part = want - skip < size - done ? want - skip : size - done;
		memcpy(to + done, words + skip, part);
		done += part;
	}
	return MEMORY_OK;
}

struct nunchi_error *ram_add_monitor(struct memory *memory, const struct ram_monitor *monitor,
				     uint64_t start, uint64_t size, struct ram_ways *ways)
{
	struct monitor_reader *reader = malloc(sizeof(*reader));
	struct nunchi_error *err;

	if (!reader)
		return &error_nomem;
	*reader = (struct monitor_reader){monitor, start};
	err = memory_add_reader(memory, gpa(start), size, read_monitor, free, reader);
	if (err)
		free(reader);
	else
		ways->monitor += size;
	return err;
}

/* ---- Adding RAM ------------------------------------------------------------------------------ */

/* Adds a piece through the file of its mapping. *ret_added is false if that is not possible. */
static struct nunchi_error *add_shared(struct memory *memory, struct ram_host *host,
				       const struct ram_piece *piece, const struct mapping *mapping,
				       unsigned allow, struct ram_ways *ways, bool *ret_added)
{
	_cleanup_close_ int fd = open_mapped(host->pid, mapping);
	uint64_t offset = mapping->offset + (piece->host - mapping->start);
	struct nunchi_error *err;

	*ret_added = false;
	if (fd < 0)
		return NULL;
	if ((allow & RAM_ALLOW_WINDOW) && shows_holes(fd)) {
		err = memory_add_window(memory, gpa(piece->start), piece->size, fd, offset,
					MEMORY_WINDOW_LIVE);
		if (err)
			return err;
		ways->mapped += piece->size;
		*ret_added = true;
		return NULL;
	}
	if (!(allow & RAM_ALLOW_FILE))
		return NULL;
	err = add_reader(memory, host, piece, read_whole_file, no_cleanup_fd(fd), offset,
			 ABSENT_FILE);
	if (!err) {
		ways->file += piece->size;
		*ret_added = true;
	}
	return err;
}

/*
 * Adds a piece through QEMU's monitor, if there is a connection; for a process whose memory may not
 * be read.
 */
static struct nunchi_error *add_by_monitor(struct memory *memory, struct ram_host *host,
					   const struct ram_monitor *monitor,
					   const struct ram_piece *piece, unsigned allow,
					   struct ram_ways *ways)
{
	struct nunchi_error *err;

	if (monitor->read && (allow & RAM_ALLOW_MONITOR))
		return ram_add_monitor(memory, monitor, piece->start, piece->size, ways);
	err = process_check_access(host->pid);
	if (err)
		return err;
	return error_of_host(error_create_at(
	    NUNCHI_ERROR_PERMISSION, piece->start,
	    "the memory at 0x%" PRIx64 " cannot be read by this user in any way", piece->start));
}

static struct nunchi_error *add_process(struct memory *memory, struct ram_host *host,
					const struct ram_piece *piece,
					const struct mapping *mapping, struct ram_ways *ways)
{
	enum absent absent = ABSENT_ZERO;
	struct nunchi_error *err;
	uint64_t offset = 0;
	int fd = -1;

	if (mapping->inode) {
		fd = open_mapped(host->pid, mapping);
		offset = mapping->offset + (piece->host - mapping->start);
		absent = fd >= 0 ? ABSENT_FILE : ABSENT_TOUCH;
	}
	err = add_reader(memory, host, piece, read_process, fd, offset, absent);
	if (!err)
		ways->process += piece->size;
	return err;
}

/* Adds a part that lies in one mapping. */
static struct nunchi_error *add_part(struct memory *memory, struct ram_host *host,
				     const struct ram_monitor *monitor,
				     const struct ram_piece *piece, const struct mapping *mapping,
				     unsigned allow, struct ram_ways *ways)
{
	struct nunchi_error *err;
	bool added = false;

	if (!is_local(host, mapping)) {
		if (monitor->read && (allow & RAM_ALLOW_MONITOR))
			return ram_add_monitor(memory, monitor, piece->start, piece->size, ways);
		return error_create_at(
		    NUNCHI_ERROR_UNSUPPORTED, piece->start,
		    "the memory at 0x%" PRIx64 " is in a file on %s: to read it may mean to wait "
		    "for its server without end, so only QEMU itself is asked for it, over QMP",
		    piece->start, host->device_type);
	}
	if (mapping->shared && mapping->inode) {
		err = add_shared(memory, host, piece, mapping, allow, ways, &added);
		if (err || added)
			return err;
	}
	if (host->memory >= 0 && (allow & RAM_ALLOW_PROCESS))
		return add_process(memory, host, piece, mapping, ways);
	return add_by_monitor(memory, host, monitor, piece, allow, ways);
}

struct nunchi_error *ram_add(struct memory *memory, struct ram_host *host,
			     const struct ram_monitor *monitor, const struct ram_piece *piece,
			     unsigned allow, struct ram_ways *ways)
{
	uint64_t done = 0;

	if (!host->has_maps)
		return add_by_monitor(memory, host, monitor, piece, allow, ways);
	while (done < piece->size) {
		struct ram_piece part = {.start = piece->start + done, .host = piece->host + done};
		const struct mapping *mapping = maps_find(&host->maps, part.host, 1);
		struct nunchi_error *err;

		if (!mapping)
			return error_create_at(NUNCHI_ERROR_DATA, part.start,
					       "QEMU says that the memory at 0x%" PRIx64
					       " is at 0x%" PRIx64
					       " in its process, where nothing is mapped",
					       part.start, part.host);
		part.size = mapping->end - part.host;
		if (part.size > piece->size - done)
			part.size = piece->size - done;
		err = add_part(memory, host, monitor, &part, mapping, allow, ways);
		if (err)
			return err;
		done += part.size;
	}
	return NULL;
}
