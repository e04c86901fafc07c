/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The open files of a process. Source: fs/file.c, fs/proc/fd.c.
 */
#ifndef NUNCHI_GUEST_LINUX_FILES_H
#define NUNCHI_GUEST_LINUX_FILES_H

#include "guest/linux/linux.h"

#define LINUX_MAX_FDS    ((uint64_t)1 << 20) /* sysctl_nr_open's default */
#define LINUX_O_CLOEXEC  02000000            /* include/uapi/asm-generic/fcntl.h */
#define LINUX_FILES_BITS 4096                /* number of descriptors examined in one read */

#define LINUX_FILES_ENTRIES 512 /* number of entries of the table read at once */

struct linux_files {
	struct linux_kernel *kernel;
	uint64_t files; /* address of the files_struct */
	struct object table;
	uint64_t count;          /* size of the table in descriptors, at most LINUX_MAX_FDS */
	uint64_t next;           /* next descriptor to examine */
	unsigned empty;          /* consecutive descriptors in use for which no file was found */
	bool limited;            /* the table is larger than LINUX_MAX_FDS */
	enum read_result broken; /* why the table was not read to its end, or READ_OK */
	uint8_t bits[LINUX_FILES_BITS / 8]; /* of the block that contains the bit of `next` */
	bool has_bits;
	/* Some entries of the table, from this descriptor on; for a guest that stands still. */
	uint8_t entries[LINUX_FILES_ENTRIES * sizeof(uint64_t)];
	uint64_t first_entry;
	bool has_entries;
	uint64_t reserved; /* number of descriptors in use for which the table has no file */
	bool odd_size;     /* the table has a size that the kernel does not make */
};

struct linux_open_file {
	uint64_t file; /* address of the struct file; 0 if the table's entry cannot be read */
	enum read_result result; /* of reading the entry and the struct file */
	int64_t offset;          /* in bytes */
	uint64_t flags;          /* as in /proc/PID/fdinfo; O_CLOEXEC is that of the descriptor */
	enum read_result flags_result;
	uint64_t inode; /* inode number */
	enum read_result inode_result;
};

/*
 * Begins a walk over the table at `files` (task.files). Returns a fault if the table cannot be
 * read.
 */
enum read_result linux_files_init(struct linux_files *walk, struct linux_kernel *kernel,
				  uint64_t files);
/*
 * Begins a walk over the files of the task that was copied. READ_NONE if the task has no files (a
 * zombie), or got another table since it was copied.
 */
enum read_result linux_task_files(struct linux_files *walk, struct linux_kernel *kernel,
				  const struct object *task);
/* Whether the table is still that of the task. */
bool linux_files_belong(const struct linux_files *walk, const struct object *task);
/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * structures that lack a field.
 */
struct nunchi_error *linux_files_check(struct linux_kernel *kernel);
void linux_files_deinit(struct linux_files *walk);
/* Gets the next descriptor that is in use; false at the end. */
bool linux_files_next(struct linux_files *walk, uint64_t *ret);
/* Reads what the descriptor refers to now; false if it is not open. file is scratch space. */
bool linux_files_get(struct linux_files *walk, uint64_t fd, struct object *file,
		     struct linux_open_file *ret);

#endif
