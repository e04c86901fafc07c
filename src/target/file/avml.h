/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AVML, version 2. The file consists of blocks: a header like LiME's (magic "AVML", version 2), a
 * stream in snappy's framing format, and the length of that stream in 8 bytes. A block has 16 MiB
 * of guest memory (in early versions, a whole range). A block that would be all zeros is left out.
 *
 * The blocks are found from the end of the file by the lengths after the streams. The frames of a
 * block are indexed when the block is first read.
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
/* Greatest decompressed size of a frame. */
#define AVML_FRAME_SIZE 65536

struct avml_info {
	size_t block_count;
	/* Total size of the gaps that count as all-zero blocks that AVML left out. */
	uint64_t zero;
	/* Why the blocks end too early, in static storage; NULL: they end as they should. */
	const char *ending;
	uint64_t cut_off; /* decompressed bytes missing in the last block */
	uint64_t end;     /* file offset of the end of the last complete block */
};

/* Whether the first size bytes of a file are those of an AVML file. */
bool avml_matches(const void *start, size_t size);

/*
 * Finds the blocks of file, and takes over file unless it fails. Stores a source of the
 * decompressed bytes (owned by the caller), and the addresses of these bytes as normalized extents.
 */
struct nunchi_error *avml_parse(struct source *file, struct source *ret_source,
				struct extents *ret_extents, struct avml_info *ret_info);

#endif
