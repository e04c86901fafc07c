/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw memory: nothing but bytes. Either the offset is the guest-physical address (layout 0), or
 * the file is the RAM of a guest whose RAM stops at the PCI hole and goes on at 4 GiB; where it
 * stops depends on the machine. The file does not say; the page tables in it do, so whoever finds
 * the kernel tries the layouts.
 *
 * Sources: QEMU's hw/i386/pc_piix.c and pc_q35.c (ram_below_4g), Xen's
 * public/hvm/e820.h (HVM_BELOW_4G_RAM_END).
 */
#ifndef NUNCHI_TARGET_FILE_RAW_H
#define NUNCHI_TARGET_FILE_RAW_H

#include "core/error.h"
#include "target/file/extents.h"

#include <stdint.h>

struct raw_layout {
	uint64_t split;   /* where RAM stops below 4 GiB; 0: nowhere */
	const char *name; /* for messages: "the PCI hole of QEMU's pc taken out at 3 GiB" */
};

/* How many layouts a file of that size has: at least 1. Layout 0 is the flat one. */
unsigned raw_layout_count(uint64_t size);
/* Layout n, n < raw_layout_count(). Static storage. */
const struct raw_layout *raw_layout(uint64_t size, unsigned n);
/* Where the bytes of a file belong in layout n; a last page that is not whole is left out. */
struct nunchi_error *raw_extents(uint64_t size, unsigned n, struct extents *ret);

#endif
