/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LiME, format "lime", version 1: segments, each with a header of 32 bytes (magic, version, first
 * and last address, 8 reserved bytes) and the bytes of that range. Source: LiME's doc/README.md.
 * AVML uses the same header (avml.h). LiME's formats "padded" and "raw" are read as raw files
 * (raw.h).
 */
#ifndef NUNCHI_TARGET_FILE_LIME_H
#define NUNCHI_TARGET_FILE_LIME_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIME_MAGIC       0x4c694d45 /* "EMiL" in the file */
#define LIME_VERSION     1
#define LIME_HEADER_SIZE 32
/* Limit of the segments; real files have tens, one for each range of "System RAM". */
#define LIME_SEGMENT_LIMIT 65536

struct lime_header {
	uint32_t magic;
	uint32_t version;
	uint64_t start;
	uint64_t size; /* of the range in bytes; 0 if the last address is less than the first */
};

/* Decodes and encodes the header of a segment. */
struct lime_header lime_header_decode(const uint8_t bytes[LIME_HEADER_SIZE]);
void lime_header_encode(const struct lime_header *header, uint8_t ret[LIME_HEADER_SIZE]);

struct lime {
	struct extents extents; /* normalized */
	size_t segment_count;
	uint64_t cut_off; /* bytes of the last segment that lie beyond the end of the file */
	/*
	 * Offset of bytes after the last segment that are not a segment header; 0: there are none.
	 */
	uint64_t garbage;
};

void lime_deinit(struct lime *lime);
#define _cleanup_lime_ _cleanup_(lime_deinit)

/* Whether the first size bytes of a file are those of a LiME file. */
bool lime_matches(const void *start, size_t size);
/*
 * Parses the file. A damaged header after the first segment ends the walk: see garbage and cut_off.
 */
struct nunchi_error *lime_parse(const struct source *source, struct lime *ret);

#endif
