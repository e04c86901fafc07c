/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A raw file does not say which guest-physical addresses its bytes have. The target of a raw file
 * opens with a guess. target_ops.arrange() gives its memory the ranges of arrangement n: guesses
 * while ram is NULL; once the guest's RAM is known, the arrangements that fit it, the most likely
 * first. After the last one it returns error_not_found. Each call invalidates the pointers of
 * memory_map().
 */
#ifndef NUNCHI_TARGET_ARRANGEMENT_H
#define NUNCHI_TARGET_ARRANGEMENT_H

#include "memory/memory.h"
#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The guest's RAM according to its kernel. Untrusted. */
struct target_ram {
	/* RAM in the firmware's map, in ascending order; may be empty */
	struct memory_range ranges[128];
	size_t count;
	/*
	 * Where the ranges of any type in that map, without a gap from address 0, end below 4 GiB;
	 * 0: unknown.
	 */
	uint64_t low_end;
	uint64_t end; /* address after the last byte of RAM */
};

/* The result of target_ops.arrange(). */
struct target_arrangement {
	bool changed;     /* the memory has other ranges than before */
	const char *name; /* for messages; static storage */
	uint64_t lacking; /* bytes of the RAM that the file does not contain */
	bool certain;     /* the size of the file fits this arrangement of the RAM and no other */
	bool sole; /* the only guess by the file's size; for another it is searched for maps */
};

#endif
