/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Computes the addresses of RAM of QEMU's PC machines by the rules in QEMU's sources, for a guest
 * whose QEMU cannot be asked. Pure functions.
 */
#ifndef NUNCHI_TARGET_QEMU_LAYOUT_H
#define NUNCHI_TARGET_QEMU_LAYOUT_H

#include "core/error.h"
#include "target/qemu/cmdline.h"

#include <stddef.h>
#include <stdint.h>

/* A range of guest-physical addresses, and its offset in the RAM as a whole. */
struct layout_range {
	uint64_t start;
	uint64_t size;
	uint64_t offset;
};

/*
 * The RAM at start: 1 or 2 ranges. NUNCHI_ERROR_UNSUPPORTED for a machine type whose rules are
 * unknown.
 */
struct nunchi_error *layout_of(const struct cmdline *cmdline, struct layout_range ret[2],
			       size_t *ret_count);

#endif
