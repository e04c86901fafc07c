/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The steps of linux_kernel_attach() after a candidate was found: its symbols, the witnesses that
 * it is what it seems, and its types.
 */
#ifndef NUNCHI_GUEST_LINUX_IDENTIFY_H
#define NUNCHI_GUEST_LINUX_IDENTIFY_H

#include "guest/linux/linux.h"
#include "guest/linux/roots.h"
#include "symbols/vmcoreinfo.h"

/* The guest-physical address of an address within the kernel's image. */
bool linux_image_physical(struct linux_kernel *kernel, uint64_t virtual, uint64_t *ret);

/* Fills kernel->symbol from a file or the image. Missing kallsyms is no error: see symbols_missing.
 */
struct nunchi_error *linux_identify_symbols(struct linux_kernel *kernel,
					    const struct kernel_image *rodata, const char *path);
/*
 * NUNCHI_ERROR_NO_KERNEL unless two independent witnesses agree and none contradicts. whole_list:
 * follow the list of all tasks, where it is in doubt how the memory is laid out.
 */
struct nunchi_error *linux_identify_witnesses(struct linux_kernel *kernel,
					      const struct linux_root *root, struct target *target,
					      const struct kernel_image *rodata, bool whole_list);
/* Finds the types. Missing types are no error: see types_missing. */
struct nunchi_error *linux_identify_types(struct linux_kernel *kernel,
					  const struct kernel_image *rodata, const char *path);
/*
 * Takes from a VMCOREINFO note what kernel->symbol lacks of the few variables that it names; how is
 * where the note was found. False if it is another kernel's.
 */
bool linux_identify_noted(struct linux_kernel *kernel, const struct vmcoreinfo *info,
			  const char *how);

#endif
