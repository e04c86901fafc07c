/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * makedumpfile's flattened form, made for pipes and written by QEMU for kdump: a header of 4096
 * bytes, then records (offset and size as big-endian 64-bit numbers, and the bytes that belong
 * there), ended by a record of -1, -1. What is inside is a kdump file or an ELF core. A later
 * record replaces what earlier ones put there; what no record gives is zero.
 *
 * Sources: makedumpfile's IMPLEMENTATION and makedumpfile.h, QEMU's dump/dump.c.
 */
#ifndef NUNCHI_TARGET_FILE_FLATTENED_H
#define NUNCHI_TARGET_FILE_FLATTENED_H

#include "core/error.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLATTENED_SIGNATURE   "makedumpfile"
#define FLATTENED_HEADER_SIZE 4096
/* QEMU and makedumpfile write some 16 KiB a record; an entry costs 24 bytes. */
#define FLATTENED_RECORD_LIMIT ((size_t)1 << 22)

struct flattened_info {
	size_t record_count;
	bool cut_off; /* the end record is missing */
};

bool flattened_matches(const void *start, size_t size);

/*
 * Indexes the records of file, which it takes over unless it fails, and gives a source of the
 * bytes they make up (owned by the caller). Past the last byte given, it reads as not saved.
 */
struct nunchi_error *flattened_parse(struct source *file, struct source *ret_source,
				     struct flattened_info *ret_info);

#endif
