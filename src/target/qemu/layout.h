/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a PC machine of QEMU's puts its RAM, by rule: for guests that cannot be asked. Pure.
 */
#ifndef NUNCHI_TARGET_QEMU_LAYOUT_H
#define NUNCHI_TARGET_QEMU_LAYOUT_H

#include "core/error.h"
#include "target/qemu/cmdline.h"

#include <stddef.h>
#include <stdint.h>

/* A range of guest-physical addresses and where it lies in the RAM as a whole. */
struct layout_range {
	uint64_t start;
	uint64_t size;
	uint64_t offset;
};

/*
 * The RAM at start-up: 1 or 2 ranges. NUNCHI_ERROR_UNSUPPORTED for a machine whose rule is not
 * known.
 */
struct nunchi_error *layout_of(const struct cmdline *cmdline, struct layout_range ret[2],
			       size_t *ret_count);

#endif
