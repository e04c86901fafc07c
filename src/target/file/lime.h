/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LiME, format "lime", version 1: segments, each a header of 32 bytes (magic, version, first and
 * last address, 8 reserved bytes) and the bytes of that range. Source: LiME's doc/README.md. The
 * header is shared with AVML (avml.h). LiME's format "padded" is raw; its "raw" cannot be placed.
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
/* Real files have some tens: one a range of "System RAM". */
#define LIME_SEGMENT_LIMIT 65536

struct lime_header {
	uint32_t magic;
	uint32_t version;
	uint64_t start;
	uint64_t size; /* of the range in bytes; 0 if the last address is before the first */
};

struct lime_header lime_header_decode(const uint8_t bytes[LIME_HEADER_SIZE]);
void lime_header_encode(const struct lime_header *header, uint8_t ret[LIME_HEADER_SIZE]);

struct lime {
	struct extents extents; /* normalized */
	size_t segment_count;
	uint64_t cut_off; /* bytes of the last segment past the end of the file */
	/* From this offset on there is no segment header though the file goes on; 0: none. */
	uint64_t garbage;
};

void lime_deinit(struct lime *lime);
#define _cleanup_lime_ _cleanup_(lime_deinit)

bool lime_matches(const void *start, size_t size);
/* A damaged header after the first segment ends the walk: see garbage and cut_off. */
struct nunchi_error *lime_parse(const struct source *source, struct lime *ret);

#endif
