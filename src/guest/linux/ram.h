/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel knows of the machine's RAM: the firmware's e820 map, and max_pfn. */
#ifndef NUNCHI_GUEST_LINUX_RAM_H
#define NUNCHI_GUEST_LINUX_RAM_H

#include "guest/linux/linux.h"
#include "target/arrangement.h"

/*
 * Reads the firmware's map, which mem= does not shorten. If that cannot be read (in a raw file its
 * address may not be arranged correctly yet), reads max_pfn only. Needs symbols, but no types.
 * False if neither can be read.
 */
bool linux_ram_read(struct linux_kernel *kernel, struct target_ram *ret);

#endif
