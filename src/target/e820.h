/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The firmware's map of physical memory, e820, as a guest's kernel keeps it. Pure functions.
 *
 * Sources: the ACPI specification's table of address range types; Linux's
 * arch/x86/include/asm/e820/ types.h (struct e820_table) and Documentation/arch/x86/zero-page.rst.
 */
#ifndef NUNCHI_TARGET_E820_H
#define NUNCHI_TARGET_E820_H

#include "target/arrangement.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	E820_ENTRY_SIZE = 20, /* start and size of eight bytes, a type of four; packed */
	E820_ENTRIES_MAX = 128,
	E820_MAP_SIZE = E820_ENTRIES_MAX * E820_ENTRY_SIZE,
};

/*
 * Decodes count entries, or if count is 0 as many as are sound of those that size has. False unless
 * the ranges ascend, are of known types and hold RAM to 1 MiB at least.
 */
bool e820_decode(const void *entries, size_t size, size_t count, struct target_ram *ret);

/*
 * True if an entry could be the first one of a map: RAM from 0 to where the firmware's data begin
 * below 640 KiB. For a search in memory.
 */
bool e820_is_first(const void *entry);

#endif
