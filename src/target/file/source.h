/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes by offset: of a file, of a buffer, or the decompressed content of a container. The parsers
 * of saved guests read from sources only, so that they can be tested and fuzzed.
 */
#ifndef NUNCHI_TARGET_FILE_SOURCE_H
#define NUNCHI_TARGET_FILE_SOURCE_H

#include "core/cleanup.h"
#include "core/error.h"
#include "memory/memory.h"

#include <stddef.h>
#include <stdint.h>

struct source {
	/*
	 * MEMORY_NOT_SAVED beyond the end; MEMORY_IO if the host cannot read the bytes or they are
	 * damaged.
	 */
	memory_read_fn *read;
	void (*destroy)(void *data); /* NULL: data is not owned */
	void *data;
	uint64_t size;
	/* a file that contains exactly these bytes at these offsets (owned by the caller), or -1 */
	int fd;
	const char *name; /* of that file, for hints (owned by the caller), or NULL */
};

/*
 * Makes a source that reads from fd with pread(). The caller keeps fd, which must outlive the
 * source.
 */
struct source source_of_fd(int fd, uint64_t size);
/* Bytes in memory. The structure and the bytes must exist as long as a source of them. */
struct source_bytes {
	const void *start;
	size_t size;
};
/* Makes a source of bytes in memory. */
struct source source_of_bytes(struct source_bytes *bytes);
void source_deinit(struct source *source);

#define _cleanup_source_ _cleanup_(source_deinit)

/*
 * Reads size bytes at offset. Fails with NUNCHI_ERROR_TRUNCATED (the file ends before), _DATA (the
 * bytes are damaged) or _IO; the error names `what`.
 */
struct nunchi_error *source_read(const struct source *source, uint64_t offset, void *buffer,
				 size_t size, const char *what);

#endif
