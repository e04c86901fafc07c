/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AVML, version 2: blocks, each a header like LiME's (magic "AVML", version 2), a stream in
 * snappy's framing format, and the length of that stream in 8 bytes. A block holds 16 MiB of
 * guest memory (all of a range in early versions). A block that would be all zeros is left out.
 *
 * The lengths behind the streams let the blocks be found from the end of the file, without
 * walking the frames; these are indexed when a block is first read.
 *
 * Sources: AVML's src/image.rs and src/io/snappy.rs, snappy's framing_format.txt.
 */
#ifndef NUNCHI_TARGET_FILE_AVML_H
#define NUNCHI_TARGET_FILE_AVML_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AVML_MAGIC      0x4c4d5641 /* "AVML" in the file */
#define AVML_VERSION    2
#define AVML_BLOCK_SIZE ((uint64_t)0x1000 * 0x1000)
/* 16 TiB in blocks of 16 MiB. */
#define AVML_BLOCK_LIMIT ((size_t)1 << 20)
/* Most bytes that a frame unpacks to. */
#define AVML_FRAME_SIZE 65536

struct avml_info {
	size_t block_count;
	/* Bytes between blocks taken for all-zero blocks that AVML left out. */
	uint64_t zero;
	/* Why the blocks end before the file does or should; NULL: they end well. Static. */
	const char *ending;
	uint64_t cut_off; /* unpacked bytes that the last block lacks */
	uint64_t end;     /* offset in the file at which the last whole block ends */
};

bool avml_matches(const void *start, size_t size);

/*
 * Finds the blocks of file, which it takes over unless it fails. Gives a source of the unpacked
 * bytes (owned by the caller) and which addresses lie where in it, normalized.
 */
struct nunchi_error *avml_parse(struct source *file, struct source *ret_source,
				struct extents *ret_extents, struct avml_info *ret_info);

#endif
