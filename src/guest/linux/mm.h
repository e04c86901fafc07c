/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a process: reading bytes through its page table. */
#ifndef NUNCHI_GUEST_LINUX_MM_H
#define NUNCHI_GUEST_LINUX_MM_H

#include "guest/linux/linux.h"

/*
 * Gets the address space whose top-level page table is at the kernel-virtual address pgd. pgd is
 * mm_struct.pgd: with page-table isolation, the kernel's half, which also maps the process. The
 * address space is from the pool of guest_space_of().
 */
enum read_result linux_mm_space(struct linux_kernel *kernel, uint64_t pgd,
				struct address_space **ret);

/*
 * Copies bytes of a process. *ret_done (may be NULL) is the number of valid bytes at the start: all
 * with READ_OK, else those before the first page that could not be read. READ_PAGED_OUT: that page
 * is swapped out. READ_NOT_MAPPED: the process has no mapping there, or never touched the page. A
 * page that is in memory but not accessible (PROT_NONE, NUMA balancing) is read.
 */
enum read_result linux_process_read(struct linux_kernel *kernel, uint64_t pgd, uint64_t address,
				    void *buffer, size_t size, size_t *ret_done);

/*
 * Reads a piece of a process's memory, of a guest that stands still, within one page table: bytes
 * of which one result is true. READ_OK: *ret_size bytes, at most size, are in buffer. READ_NONE: no
 * page was ever there. Other results say why the bytes are not in memory. *ret_size may be larger
 * than size unless it is READ_OK: all that an entry of a directory stands for is one piece.
 */
enum read_result linux_process_piece(struct address_space *space, uint64_t address, void *buffer,
				     size_t size, uint64_t *ret_size);

/*
 * Whether the copied task is still the same process and its field (task_mm, task_files …) still has
 * the same value. If so, what was read through the field belongs to this process.
 */
bool linux_task_keeps(struct linux_kernel *kernel, const struct object *task,
		      const struct field *field);

/*
 * Why a task has none of what every task has until it exits, such as files: READ_NONE if it is
 * exiting, or if the guest runs and that may be; otherwise READ_BAD_DATA. memory: what tasks of the
 * kernel do not have.
 */
enum read_result linux_task_lacks(const struct linux_kernel *kernel, const struct object *task,
				  bool memory);

/* Whether the process of this thread-group leader has other threads. */
bool linux_task_has_other_threads(struct linux_kernel *kernel, const struct object *task);

#endif
