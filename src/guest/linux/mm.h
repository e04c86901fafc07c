/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a process: bytes by its own page table, and its mappings.
 */
#ifndef NUNCHI_GUEST_LINUX_MM_H
#define NUNCHI_GUEST_LINUX_MM_H

#include "guest/linux/linux.h"

/*
 * The address space of the page table whose top is at the kernel-virtual address pgd
 * (mm_struct.pgd: with page-table isolation, the kernel's half, which maps the process as well). Of
 * the pool: see guest_space_of().
 */
enum read_result linux_mm_space(struct linux_kernel *kernel, uint64_t pgd,
				struct address_space **ret);

/*
 * Copies bytes of a process. *ret_done (may be NULL) is how many bytes from the start are valid:
 * all of them with READ_OK, else those before the first page that could not be read.
 * READ_PAGED_OUT: that page is swapped out; READ_NOT_MAPPED: the process has nothing there, or
 * never touched it. A page whose access was taken away (PROT_NONE, NUMA balancing) is in memory and
 * is read.
 */
enum read_result linux_process_read(struct linux_kernel *kernel, uint64_t pgd, uint64_t address,
				    void *buffer, size_t size, size_t *ret_done);

/*
 * Whether the task that was copied is still the same process and still has the same thing in one
 * of its fields (task_mm, task_files …): what was read through that field belongs to it then.
 */
bool linux_task_keeps(struct linux_kernel *kernel, const struct object *task,
		      const struct field *field);

/* Whether the process of that thread-group leader has more threads than this one. */
bool linux_task_has_other_threads(struct linux_kernel *kernel, const struct object *task);

#endif
