/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * makedumpfile's flattened format, which is used for pipes and which QEMU writes for kdump: a
 * header of 4096 bytes, then records (an offset and a size as big-endian 64-bit numbers, and the
 * bytes for that offset), and an end record of -1, -1. The unflattened file is a kdump file or an
 * ELF core. A later record replaces bytes of earlier ones; bytes that no record contains are zero.
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
/*
 * Limit of the records. QEMU and makedumpfile write about 16 KiB in one record; an entry takes 24
 * bytes here.
 */
#define FLATTENED_RECORD_LIMIT ((size_t)1 << 22)

struct flattened_info {
	size_t record_count;
	bool cut_off; /* the end record is missing */
};

/* Whether the first size bytes of a file are those of a flattened file. */
bool flattened_matches(const void *start, size_t size);

/*
 * Indexes the records of file, and takes over file unless it fails. Stores a source of the
 * unflattened bytes (owned by the caller); beyond its last byte, reads give MEMORY_NOT_SAVED.
 */
struct nunchi_error *flattened_parse(struct source *file, struct source *ret_source,
				     struct flattened_info *ret_info);

#endif
