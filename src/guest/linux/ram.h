/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a Linux kernel knows of its machine's RAM: the firmware's e820 map and max_pfn.
 *
 * Sources: arch/x86/kernel/e820.c (e820_table_firmware, e820_table; up to 4.11 e820_saved, e820).
 */
#ifndef NUNCHI_GUEST_LINUX_RAM_H
#define NUNCHI_GUEST_LINUX_RAM_H

#include "guest/linux/linux.h"
#include "target/arrangement.h"

/*
 * Reads the firmware's map, which mem= does not shorten, and where it cannot be read (it may lie in
 * memory that has other addresses yet) max_pfn alone. Needs symbols, no types. False if the kernel
 * tells neither.
 */
bool linux_ram_read(struct linux_kernel *kernel, struct target_ram *ret);

#endif
