/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes by offset: a file, a buffer, or what a container (flattened, compressed) unpacks to. The
 * parsers of saved guests read from a source alone, so that they can be tested and fuzzed.
 */
#ifndef NUNCHI_TARGET_FILE_SOURCE_H
#define NUNCHI_TARGET_FILE_SOURCE_H

#include "core/cleanup.h"
#include "core/error.h"
#include "memory/memory.h"

#include <stddef.h>
#include <stdint.h>

struct source {
	/* MEMORY_NOT_SAVED past the end; MEMORY_IO where the host refuses or bytes are damaged. */
	memory_read_fn *read;
	void (*destroy)(void *data); /* NULL: data is not owned */
	void *data;
	uint64_t size;
	int fd; /* the bytes lie just so in this file (owned by the caller), or -1 */
};

/* Reads of fd with pread(); fd stays the caller's and must outlive the source. */
struct source source_of_fd(int fd, uint64_t size);
/* The bytes from start stay the caller's. */
struct source source_of_bytes(const void *start, size_t size);
void source_deinit(struct source *source);

#define _cleanup_source_ _cleanup_(source_deinit)

/*
 * Reads all of size bytes at offset or fails, naming what was wanted, with NUNCHI_ERROR_TRUNCATED
 * (the file ends before), _DATA (damaged there) or _IO.
 */
struct nunchi_error *source_read(const struct source *source, uint64_t offset, void *buffer,
				 size_t size, const char *what);

#endif
