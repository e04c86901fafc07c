/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Raw memory: nothing but bytes, and no word on which addresses they have. Three ways are common:
 *
 *  - flat: the offset in the file is the guest-physical address (dd of /dev/mem, LiME "padded", our
 *    own snapshots);
 *  - hole: the file is the guest's RAM as the hypervisor holds it. RAM ends at a split below 4 GiB,
 *    before the PCI hole, and goes on at 4 GiB (QEMU's memory backend files, Firecracker's);
 *  - packed: only what /proc/iomem calls System RAM, one range behind the other (LiME "raw").
 *
 * Until a kernel is found in it an arrangement is guessed. The kernel knows the firmware's memory
 * map; from that and the file's size the arrangement is computed. Pure functions.
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
	uint64_t split;    /* hole: where RAM ends below 4 GiB */
	uint64_t low_end;  /* packed, RAM not known: where the first range ends below 1 MiB */
	uint64_t expected; /* bytes that the file would have if it were whole; 0: not known */
};

/* Guess n, in order of likelihood, before anything is known; false past the last. */
bool raw_guess(uint64_t size, unsigned n, struct raw_layout *ret);
/*
 * Layout n of a file of that size of a guest with such RAM, the nearest in size first; false past
 * the last. packed: the guess in which the kernel was found, which is either packed or not.
 */
bool raw_fit(uint64_t size, const struct target_ram *ram, bool packed, unsigned n,
	     struct raw_layout *ret);
/*
 * Which addresses the bytes of a file have in a layout, normalized. RAM (NULL: not known) that the
 * file ends before is missing in it. What the file has behind the RAM is added to the last range,
 * up to its last whole page; a packed file of known RAM has no place for it.
 */
struct nunchi_error *raw_extents(uint64_t size, const struct raw_layout *layout,
				 const struct target_ram *ram, struct extents *ret);

struct file_target;

/*
 * Makes a target of RAM that has no addresses: a raw file, or the RAM in a container. Takes the
 * source over, also on failure. The memory opens in guess 0; see target_ops.arrange().
 */
struct nunchi_error *raw_open(struct file_target *file, struct source *source);

#endif
