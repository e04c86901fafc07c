/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The steps of linux_kernel_attach() after a candidate was found: reading its symbols, confirming
 * it by witnesses, and finding its types.
 */
#ifndef NUNCHI_GUEST_LINUX_IDENTIFY_H
#define NUNCHI_GUEST_LINUX_IDENTIFY_H

#include "guest/linux/given.h"
#include "guest/linux/linux.h"
#include "guest/linux/roots.h"
#include "symbols/vmcoreinfo.h"

/* Translates an address within the kernel's image to a guest-physical address. */
bool linux_image_physical(struct linux_kernel *kernel, uint64_t virtual, uint64_t *ret);

/*
 * Fills kernel->symbol from the given file, or from the image if none was given. Missing kallsyms
 * are not an error: see symbols_missing.
 */
struct nunchi_error *linux_identify_symbols(struct linux_kernel *kernel,
					    const struct kernel_image *rodata,
					    struct linux_given *given);
/*
 * Reads the banner through the derived page tables: at the address of its symbol, or where its text
 * was found. Fails with NUNCHI_ERROR_NO_KERNEL if there is none.
 */
struct nunchi_error *linux_identify_banner(struct linux_kernel *kernel,
					   const struct kernel_image *rodata);
/*
 * Fails with NUNCHI_ERROR_NO_KERNEL unless at least two independent witnesses agree and none
 * contradicts. whole_list: follow the list of all tasks; used if the arrangement of the memory is
 * uncertain.
 */
struct nunchi_error *linux_identify_witnesses(struct linux_kernel *kernel,
					      const struct linux_root *root, struct target *target,
					      bool whole_list);
/*
 * Finds the types, in the given file or in memory. Missing types are not an error: see
 * types_missing.
 */
struct nunchi_error *linux_identify_types(struct linux_kernel *kernel,
					  const struct kernel_image *rodata,
					  struct linux_given *given, const struct target *target);
/*
 * Adds to kernel->symbol the variables that a VMCOREINFO note names, if they are missing there.
 * `how` says where the note was found. False if the note belongs to another kernel.
 */
bool linux_identify_noted(struct linux_kernel *kernel, const struct vmcoreinfo *info,
			  const char *how);

#endif
