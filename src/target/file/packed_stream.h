/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a file that was packed as a whole, one after the other: gzip and zlib by zlib, which
 * compares gzip's checksums; bzip2, xz, zstd and lz4 by libarchive.
 */
#ifndef NUNCHI_TARGET_FILE_PACKED_STREAM_H
#define NUNCHI_TARGET_FILE_PACKED_STREAM_H

#include "core/cancel.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

enum packed_method { PACKED_ZLIB, PACKED_BZIP2, PACKED_LZ4, PACKED_XZ, PACKED_ZSTD };

enum packed_state {
	PACKED_MORE,   /* there may be more */
	PACKED_END,    /* all was unpacked */
	PACKED_CUT,    /* the file ends too early */
	PACKED_FAILED, /* the bytes are damaged, or not to be unpacked by the library */
	PACKED_CANCELLED,
};

struct packed_stream;

/*
 * Makes a stream of what is packed in the file from offset on, and loads the library that it needs;
 * reads nothing yet. The caller keeps fd and cancel, which may be NULL. NUNCHI_ERROR_UNSUPPORTED if
 * the library is not there.
 */
struct nunchi_error *packed_stream_create(enum packed_method method, int fd, uint64_t offset,
					  const struct cancel *cancel, struct packed_stream **ret);
void packed_stream_destroy(struct packed_stream *stream);
/* Unpacks up to size bytes; fewer only with another state than PACKED_MORE. */
enum packed_state packed_stream_read(struct packed_stream *stream, void *buffer, size_t size,
				     size_t *ret);
/* What the library says of PACKED_FAILED. */
const char *packed_stream_why(const struct packed_stream *stream);
/*
 * After PACKED_END: the offset in the file behind the stream, or behind the magic number that
 * follows it.
 */
uint64_t packed_stream_end(const struct packed_stream *stream);

DEFINE_CLEANUP(struct packed_stream, packed_stream_destroy)
#define _cleanup_packed_stream_ _cleanup_(cleanup_packed_stream_destroy_p)

#endif
