/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/files.h"
#include "core/bytes.h"
#include "guest/linux/mm.h"

#include <string.h>

/*
 * Limit of consecutive descriptors that are in use but have no readable file. A descriptor is in
 * use without a file while a thread opens a file, so that a real table has at most one such
 * descriptor for each thread.
 */
#define MAX_EMPTY 4096

enum read_result linux_files_init(struct linux_files *walk, struct linux_kernel *kernel,
				  uint64_t files)
{
	const struct layout *layout = &kernel->layout;
	enum read_result fault;
	uint64_t table, count;

	*walk = (struct linux_files){.kernel = kernel, .files = files};
	if (!files)
		return READ_NOT_MAPPED;
	fault = linux_read_field(kernel, files, &layout->files_fdt, &table);
	if (fault == READ_OK)
		fault = linux_read_object(kernel, LAYOUT_fdtable, table, &walk->table);
	if (fault != READ_OK)
		return fault;
	if (!layout->fdtable_max_fds.present || !layout->fdtable_fd.present ||
	    !layout->fdtable_open_fds.present)
		return READ_NO_LAYOUT;
	count = object_u64(&walk->table, &layout->fdtable_max_fds);
	walk->limited = count > LINUX_MAX_FDS;
	/* A bitmap consists of whole words (alloc_fdtable() in fs/file.c). */
	walk->odd_size = !count || count % (8 * kernel->word_size);
	walk->count = walk->limited ? LINUX_MAX_FDS : count;
	return READ_OK;
}

enum read_result linux_task_files(struct linux_files *walk, struct linux_kernel *kernel,
				  const struct object *task)
{
	uint64_t files = object_u64(task, &kernel->layout.task_files);
	enum read_result result = linux_task_lacks(kernel, task, false);

	*walk = (struct linux_files){0};
	if (files)
		result = linux_files_init(walk, kernel, files);
	if (result != READ_OK && !linux_task_keeps(kernel, task, &kernel->layout.task_files))
		return READ_NONE;
	return result;
}

bool linux_files_belong(const struct linux_files *walk, const struct object *task)
{
	return linux_task_keeps(walk->kernel, task, &walk->kernel->layout.task_files);
}

struct nunchi_error *linux_files_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_files);

	if (layout->task_files.present && layout->files_fdt.present && layout->fdtable_fd.present &&
	    layout->fdtable_open_fds.present && linux_has_field(kernel, &layout->file_path))
		return NULL;
	return linux_lacks_fields("open files cannot be walked",
				  "a field of task_struct, files_struct, fdtable or file");
}

void linux_files_deinit(struct linux_files *walk)
{
	object_deinit(&walk->table);
}

/* Copies the block of the bitmap that contains the bit of walk->next. */
static bool read_bits(struct linux_files *walk)
{
	uint64_t bitmap = object_u64(&walk->table, &walk->kernel->layout.fdtable_open_fds);
	uint64_t first = walk->next - walk->next % LINUX_FILES_BITS;
	uint64_t size = walk->count - first;

	if (size > LINUX_FILES_BITS)
		size = LINUX_FILES_BITS;
	size = (size + 7) / 8;
	walk->broken = linux_read(walk->kernel, bitmap + first / 8, walk->bits, size);
	walk->has_bits = !walk->broken;
	return walk->has_bits;
}

/*
 * Whether the table has a file for a descriptor whose bit says that it is not in use. On a running
 * guest the two are not compared: the kernel changes one after the other.
 */
static bool has_file(struct linux_files *walk, uint64_t fd)
{
	const struct linux_kernel *kernel = walk->kernel;
	uint64_t table = object_u64(&walk->table, &kernel->layout.fdtable_fd);
	uint64_t first = fd - fd % LINUX_FILES_ENTRIES, left = walk->count - first;
	size_t count = left < LINUX_FILES_ENTRIES ? (size_t)left : LINUX_FILES_ENTRIES;
	const uint8_t *entry;

	if (kernel->guest.live)
		return false;
	if (!walk->has_entries || walk->first_entry != first) {
		memset(walk->entries, 0, sizeof(walk->entries));
		/* If they cannot be read, the bits decide. */
		(void)linux_read(walk->kernel, table + first * kernel->word_size, walk->entries,
				 count * kernel->word_size);
		walk->first_entry = first;
		walk->has_entries = true;
	}
	entry = walk->entries + fd % LINUX_FILES_ENTRIES * kernel->word_size;
	return kernel->word_size == 4 ? load_le32(entry) : load_le64(entry);
}

bool linux_files_next(struct linux_files *walk, uint64_t *ret)
{
	while (walk->next < walk->count && !walk->broken &&
	       !cancel_requested(walk->kernel->guest.cancel)) {
		uint64_t fd = walk->next, place = fd % LINUX_FILES_BITS;

		if (walk->empty > MAX_EMPTY) {
			walk->broken = READ_BAD_DATA;
			return false;
		}
		if (!walk->has_bits && !read_bits(walk))
			return false;
		/* On a running guest skip eight descriptors at once if none of them is in use. */
		walk->next +=
		    walk->bits[place / 8] || place % 8 || !walk->kernel->guest.live ? 1 : 8;
		if (walk->next % LINUX_FILES_BITS == 0)
			walk->has_bits = false;
		if (walk->bits[place / 8] >> place % 8 & 1 || has_file(walk, fd)) {
			*ret = fd;
			return true;
		}
	}
	return false;
}

/* Reads a bit of a bitmap of the table. Bits are numbered from the lowest bit of the first byte. */
static enum read_result table_bit(struct linux_files *walk, const struct field *bitmap, uint64_t fd,
				  bool *ret)
{
	uint64_t place = object_u64(&walk->table, bitmap);
	enum read_result result;
	uint8_t byte = 0;

	if (!bitmap->present)
		return READ_NO_LAYOUT;
	result = linux_read(walk->kernel, place + fd / 8, &byte, 1);
	*ret = byte >> fd % 8 & 1;
	return result;
}

bool linux_files_get(struct linux_files *walk, uint64_t fd, struct object *file,
		     struct linux_open_file *ret)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t place = object_u64(&walk->table, &layout->fdtable_fd);
	bool close_on_exec = false;

	*ret = (struct linux_open_file){0};
	walk->empty++;
	ret->result = linux_read_word(kernel, place + fd * kernel->word_size, &ret->file);
	if (ret->result == READ_OK && !ret->file) {
		walk->reserved++;
		return false;
	}
	if (ret->result == READ_OK)
		ret->result = linux_read_object(kernel, LAYOUT_file, ret->file, file);
	ret->flags_result = ret->inode_result = ret->result;
	if (ret->result != READ_OK)
		return true;
	walk->empty = 0;
	ret->offset = object_s64(file, &layout->file_pos);
	ret->flags = object_u64(file, &layout->file_flags) & ~(uint64_t)LINUX_O_CLOEXEC;
	ret->flags_result = table_bit(walk, &layout->fdtable_close_on_exec, fd, &close_on_exec);
	if (close_on_exec)
		ret->flags |= LINUX_O_CLOEXEC;
	ret->inode_result = linux_read_field(kernel, object_u64(file, &layout->file_inode),
					     &layout->inode_ino, &ret->inode);
	return true;
}
