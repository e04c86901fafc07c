/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that were packed as a whole, as by gzip: told by their first bytes, and unpacked into a
 * temporary file without a name, in which pages of zeros take no room.
 */
#ifndef NUNCHI_TARGET_FILE_PACKED_H
#define NUNCHI_TARGET_FILE_PACKED_H

#include "core/cancel.h"
#include "core/error.h"
#include "target/file/packed_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that are unpacked, zeros included. */
#define PACKED_MOST ((uint64_t)64 << 30)

struct packing {
	const char *magic;
	size_t size;
	enum packed_method method;
	const char *what; /* "a gzip file" */
	const char *hint; /* the command that unpacks it, for file_hint() */
};

/* How a file that starts with these bytes is packed; NULL: it is not. */
const struct packing *packing_find(const void *start, size_t size);
/* An error that says what the file of this name is, and the command that unpacks it. */
struct nunchi_error *packing_refuse(const struct packing *packing, const char *name);
/* The same of a file whose content nunchi does not read either, for the reason of this error. */
struct nunchi_error *packing_refuse_content(const struct packing *packing, const char *name,
					    const struct nunchi_error *content);

struct packed;

struct packed_options {
	uint64_t most; /* PACKED_MOST, but in tests */
	const struct cancel *cancel;
};

struct packed_result {
	int fd; /* the temporary file; the caller's */
	uint64_t size;
	uint64_t behind; /* at least so many bytes of the file follow the end of what is packed */
	bool cut;        /* the packed file ends too early: what could be unpacked is there */
};

/*
 * Opens all that unpacking the file needs, the library and the temporary file, and reads nothing:
 * so packed_run() works in a process that may not open files any more. The caller keeps fd, and
 * name, which the errors' hints have.
 */
struct nunchi_error *packed_prepare(const struct packing *packing, int fd, uint64_t size,
				    const char *name, const struct packed_options *options,
				    struct packed **ret);
struct nunchi_error *packed_run(struct packed *packed, struct packed_result *ret);
void packed_destroy(struct packed *packed);

DEFINE_CLEANUP(struct packed, packed_destroy)
#define _cleanup_packed_ _cleanup_(cleanup_packed_destroy_p)

#endif
