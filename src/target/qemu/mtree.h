/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses the guest-physical memory map in the output of QEMU's `info mtree -f`. Pure functions.
 *
 * A flat view is a list of ranges. Each range is a piece of a memory region at an offset in the
 * region:
 *
 *	FlatView #0
 *	 AS "memory", root: system
 *	 Root memory region: system
 *	  0000000000100000-00000000bfffffff (prio 0, ram): pc.ram @0000000000100000
 *
 * A line may end in " KVM" or an owner. Source: mtree_print_flatview() in QEMU's memory.c, 4.0 to
 * 10.0 (system/memory.c, softmmu/memory.c before).
 */
#ifndef NUNCHI_TARGET_QEMU_MTREE_H
#define NUNCHI_TARGET_QEMU_MTREE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTREE_NAME_MAX 128

struct mtree_range {
	uint64_t start;  /* guest-physical */
	uint64_t size;   /* bytes */
	uint64_t offset; /* in the memory region */
	char region[MTREE_NAME_MAX];
};

struct mtree {
	struct mtree_range *ranges; /* in ascending order, without overlaps */
	size_t count;
};

/*
 * Stores the ranges of the vCPUs' view of memory (the address space "memory") that are RAM or ROM,
 * as whole pages. RAM that the chipset makes read-only for the guest, as below 1 MiB, counts as ROM
 * here; its region distinguishes it from real ROM (mtree_select()).
 */
struct nunchi_error *mtree_parse(const char *text, size_t size, struct mtree *ret);

/* Keeps the ranges for whose region wanted() returns true, and joins contiguous ones. */
void mtree_select(struct mtree *mtree, bool (*wanted)(const char *region, void *data), void *data);

/* The region at address 0, which is the main memory of a PC; or NULL. */
const char *mtree_main_region(const struct mtree *mtree);

void mtree_deinit(struct mtree *mtree);
#define _cleanup_mtree_ _cleanup_(mtree_deinit)

#endif
