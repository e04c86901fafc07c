/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/files.h"

/*
 * Descriptors in a row that are in use without a file. There is one for each thread that is just
 * opening a file; more than this is no table.
 */
#define MAX_EMPTY 4096

enum memory_fault linux_files_init(struct linux_files *walk, struct linux_kernel *kernel,
				   uint64_t files)
{
	const struct layout *layout = &kernel->layout;
	enum memory_fault fault;
	uint64_t table, count;

	*walk = (struct linux_files){.kernel = kernel, .files = files};
	if (!files)
		return MEMORY_NOT_MAPPED;
	fault = linux_read_field(kernel, files, &layout->files_fdt, &table);
	if (fault == MEMORY_OK)
		fault = linux_read_object(kernel, LAYOUT_fdtable, table, &walk->table);
	if (fault != MEMORY_OK)
		return fault;
	if (!layout->fdtable_max_fds.present || !layout->fdtable_fd.present ||
	    !layout->fdtable_open_fds.present)
		return MEMORY_IO;
	count = object_u64(&walk->table, &layout->fdtable_max_fds);
	walk->limited = count > LINUX_MAX_FDS;
	walk->count = walk->limited ? LINUX_MAX_FDS : count;
	return MEMORY_OK;
}

void linux_files_deinit(struct linux_files *walk)
{
	object_deinit(&walk->table);
}

/* Copies the block of the bitmap that holds walk->next. */
static bool read_bits(struct linux_files *walk)
{
	uint64_t bitmap = object_u64(&walk->table, &walk->kernel->layout.fdtable_open_fds);
	uint64_t first = walk->next - walk->next % LINUX_FILES_BITS;
	uint64_t size = walk->count - first;

	if (size > LINUX_FILES_BITS)
		size = LINUX_FILES_BITS;
	size = (size + 7) / 8;
	if (linux_read(walk->kernel, bitmap + first / 8, walk->bits, size) != MEMORY_OK) {
		walk->broken = true;
		return false;
	}
	walk->has_bits = true;
	return true;
}

bool linux_files_next(struct linux_files *walk, uint64_t *ret)
{
	while (walk->next < walk->count && !walk->broken &&
	       !cancel_requested(walk->kernel->guest.cancel)) {
		uint64_t fd = walk->next, place = fd % LINUX_FILES_BITS;

		if (walk->empty > MAX_EMPTY) {
			walk->broken = true;
			return false;
		}
		if (!walk->has_bits && !read_bits(walk))
			return false;
		/* Whole bytes without a descriptor are passed over at once. */
		walk->next += walk->bits[place / 8] || place % 8 ? 1 : 8;
		if (walk->next % LINUX_FILES_BITS == 0)
			walk->has_bits = false;
		if (walk->bits[place / 8] >> place % 8 & 1) {
			*ret = fd;
			return true;
		}
	}
	return false;
}

/* A bit of a bitmap of the table. Bits are numbered from the lowest of the first byte on. */
static bool table_bit(struct linux_files *walk, const struct field *bitmap, uint64_t fd)
{
	uint64_t place = object_u64(&walk->table, bitmap);
	uint8_t byte;

	return linux_read(walk->kernel, place + fd / 8, &byte, 1) == MEMORY_OK &&
	       byte >> fd % 8 & 1;
}

bool linux_files_get(struct linux_files *walk, uint64_t fd, struct object *file,
		     struct linux_open_file *ret)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t place = object_u64(&walk->table, &layout->fdtable_fd);
	uint64_t inode;

	walk->empty++;
	if (linux_read_word(kernel, place + fd * kernel->word_size, &ret->file) != MEMORY_OK ||
	    !ret->file || linux_read_object(kernel, LAYOUT_file, ret->file, file) != MEMORY_OK)
		return false;
	walk->empty = 0;
	ret->offset = object_s64(file, &layout->file_pos);
	ret->flags = object_u64(file, &layout->file_flags) & ~(uint64_t)LINUX_O_CLOEXEC;
	if (table_bit(walk, &layout->fdtable_close_on_exec, fd))
		ret->flags |= LINUX_O_CLOEXEC;
	inode = object_u64(file, &layout->file_inode);
	ret->has_inode =
	    linux_read_field(kernel, inode, &layout->inode_ino, &ret->inode) == MEMORY_OK;
	return true;
}
