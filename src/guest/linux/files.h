/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The open files of a process. Source: fs/file.c, fs/proc/fd.c.
 */
#ifndef NUNCHI_GUEST_LINUX_FILES_H
#define NUNCHI_GUEST_LINUX_FILES_H

#include "guest/linux/linux.h"

#define LINUX_MAX_FDS    ((uint64_t)1 << 20) /* sysctl_nr_open's default */
#define LINUX_O_CLOEXEC  02000000            /* include/uapi/asm-generic/fcntl.h */
#define LINUX_FILES_BITS 4096                /* descriptors looked at in one read */

struct linux_files {
	struct linux_kernel *kernel;
	uint64_t files; /* address of the files_struct */
	struct object table;
	uint64_t count; /* descriptors that the table has room for, at most LINUX_MAX_FDS */
	uint64_t next;  /* descriptor to look at */
	unsigned empty; /* descriptors in use without a file since the last one with one */
	bool limited;   /* the table has room for more */
	enum read_result broken;            /* why the table was not read to its end, or READ_OK */
	uint8_t bits[LINUX_FILES_BITS / 8]; /* of the block that holds next */
	bool has_bits;
};

struct linux_open_file {
	uint64_t file; /* address of the struct file, or 0 if the table cannot be read there */
	enum read_result result; /* of that, and of reading the struct file */
	int64_t offset;          /* bytes */
	uint64_t flags;          /* as in /proc/PID/fdinfo: O_CLOEXEC is the descriptor's */
	enum read_result flags_result;
	uint64_t inode; /* number */
	enum read_result inode_result;
};

/* files: task.files. A fault if the table cannot be read. */
enum read_result linux_files_init(struct linux_files *walk, struct linux_kernel *kernel,
				  uint64_t files);
/*
 * The same of a task by a copy of its task_struct. READ_NONE if it has no files, as a zombie, or
 * has got others since it was copied.
 */
enum read_result linux_task_files(struct linux_files *walk, struct linux_kernel *kernel,
				  const struct object *task);
/* Whether the files are still those of the task. */
bool linux_files_belong(const struct linux_files *walk, const struct object *task);
/* NUNCHI_ERROR_UNSUPPORTED names the structures that this kernel's types lack a field of. */
struct nunchi_error *linux_files_check(struct linux_kernel *kernel);
void linux_files_deinit(struct linux_files *walk);
/* The next descriptor that is in use; false at the end. */
bool linux_files_next(struct linux_files *walk, uint64_t *ret);
/* What the descriptor refers to now; false if it is not open. file is scratch. */
bool linux_files_get(struct linux_files *walk, uint64_t fd, struct object *file,
		     struct linux_open_file *ret);

#endif
