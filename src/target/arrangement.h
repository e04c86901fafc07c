/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A raw file does not say which guest-physical addresses its bytes have. Its target opens with a
 * guess, and target_ops.arrange() gives its memory the ranges of arrangement n: guesses while ram
 * is NULL, and once the guest's RAM is known those that fit it, the likeliest first. Past the last
 * it gives error_not_found. Pointers by memory_map() end with each call.
 */
#ifndef NUNCHI_TARGET_ARRANGEMENT_H
#define NUNCHI_TARGET_ARRANGEMENT_H

#include "memory/memory.h"
#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a guest's kernel says of its RAM. Untrusted. */
struct target_ram {
	struct memory_range ranges[128]; /* RAM by the firmware's map, ascending; may be none */
	size_t count;
	/* Where that map's ranges of any type, without a gap, end below 4 GiB; 0: not known. */
	uint64_t low_end;
	uint64_t end; /* one past the last byte of RAM */
};

/* How target_ops.arrange() laid out a file. */
struct target_arrangement {
	bool changed;     /* the memory's ranges are others than before */
	const char *name; /* for people; static */
	uint64_t lacking; /* bytes of that RAM that the file does not have */
	bool certain;     /* the file has the size of that RAM laid out so, and of no other way */
};

#endif
