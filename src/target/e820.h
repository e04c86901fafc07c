/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The firmware's map of physical memory, e820, as the guest's kernel stores it. Pure functions.
 *
 * Sources: the table of address range types in the ACPI specification;
 * arch/x86/include/asm/e820/types.h (struct e820_table) and Documentation/arch/x86/zero-page.rst of
 * Linux.
 */
#ifndef NUNCHI_TARGET_E820_H
#define NUNCHI_TARGET_E820_H

#include "target/arrangement.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	E820_ENTRY_SIZE = 20, /* packed: start and size of eight bytes each, type of four bytes */
	E820_ENTRIES_MAX = 128,
	E820_MAP_SIZE = E820_ENTRIES_MAX * E820_ENTRY_SIZE,
};

/*
 * Decodes count entries or, if count is 0, all valid entries at the start of size bytes. False
 * unless the ranges ascend, have known types, and contain RAM up to at least 1 MiB.
 */
bool e820_decode(const void *entries, size_t size, size_t count, struct target_ram *ret);

/*
 * Moves *at, a multiple of 4, to the next entry in size bytes that can be the first of a map: RAM
 * from 0 to the start of the firmware's data below 640 KiB. False if there is none.
 */
bool e820_find_first(const void *bytes, size_t size, size_t *at);

#endif
