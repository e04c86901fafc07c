/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw memory: the file contains only bytes, and does not say which addresses they have. Three
 * layouts are common:
 *
 *  - flat: the offset in the file is the guest-physical address (dd of /dev/mem, LiME "padded",
 *    snapshots of nunchi);
 *  - hole: the file is the guest's RAM as the hypervisor stores it. RAM ends at a split below 4
 * GiB, before the PCI hole, and continues at 4 GiB (memory backend files of QEMU and Firecracker);
 *  - packed: only the ranges that /proc/iomem calls System RAM, one after the other (LiME "raw").
 *
 * The layout is guessed until a kernel is found in the memory. The kernel has the firmware's memory
 * map; from this map and the size of the file the layout is computed. Pure functions.
 *
 * Sources: QEMU's hw/i386/pc_piix.c and pc_q35.c (ram_below_4g), Xen's public/hvm/e820.h
 * (HVM_BELOW_4G_RAM_END), Firecracker's src/vmm/src/arch/x86_64/layout.rs, LiME's src/main.c.
 */
#ifndef NUNCHI_TARGET_FILE_RAW_H
#define NUNCHI_TARGET_FILE_RAW_H

#include "core/error.h"
#include "target/arrangement.h"
#include "target/file/extents.h"

#include <stdint.h>

enum raw_kind { RAW_FLAT, RAW_HOLE, RAW_PACKED };

struct raw_layout {
	enum raw_kind kind;
	uint64_t split;    /* hole: end of RAM below 4 GiB */
	uint64_t low_end;  /* packed, if the RAM is unknown: end of the first range, below 1 MiB */
	uint64_t expected; /* size in bytes of a complete file; 0: unknown */
};

/* Guess n, the most likely first, used before a kernel is found; false after the last. */
bool raw_guess(uint64_t size, unsigned n, struct raw_layout *ret);
/*
 * Layout n of a file of this size for a guest with this RAM, the one nearest in size first; false
 * after the last. packed: whether the guess in which the kernel was found is a packed one.
 */
bool raw_fit(uint64_t size, const struct target_ram *ram, bool packed, unsigned n,
	     struct raw_layout *ret);
/*
 * Computes the addresses of a file's bytes in a layout, as normalized extents. RAM (NULL: unknown)
 * beyond the end of the file is marked as missing. Bytes of the file beyond the RAM are added to
 * the last range, up to the last complete page; in a packed file with known RAM they are left out.
 */
struct nunchi_error *raw_extents(uint64_t size, const struct raw_layout *layout,
				 const struct target_ram *ram, struct extents *ret);

struct file_target;

/*
 * Makes a target of RAM whose addresses are unknown: a raw file, or the RAM in a container. Takes
 * over the source, also on failure. The memory starts with guess 0; see target_ops.arrange().
 */
struct nunchi_error *raw_open(struct file_target *file, struct source *source);

#endif
