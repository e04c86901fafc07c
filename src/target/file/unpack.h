/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decompresses single pages of kdump files with the libraries for which the build has support; a
 * library is loaded when it is first needed.
 */
#ifndef NUNCHI_TARGET_FILE_UNPACK_H
#define NUNCHI_TARGET_FILE_UNPACK_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct unpacker;

/* Creates an unpacker; NULL if memory is short. */
struct unpacker *unpacker_create(void);
void unpacker_destroy(struct unpacker *unpacker);
/* The bits of enum kdump_compression that this build supports. */
unsigned unpacker_supports(void);
/*
 * Loads the libraries for these methods, to find out whether they are installed.
 * NUNCHI_ERROR_UNSUPPORTED names the package to install if one is not.
 */
struct nunchi_error *unpacker_load(struct unpacker *unpacker, unsigned methods);
/* Loads the libraries for these methods for good; those that cannot be loaded are passed over. */
void unpacker_preload(unsigned methods);
/*
 * Decompresses in_size bytes to exactly out_size bytes; method is one bit of enum
 * kdump_compression. False if the bytes are damaged or have another size, or if the library cannot
 * be loaded.
 */
bool unpacker_run(struct unpacker *unpacker, unsigned method, const void *in, size_t in_size,
		  void *out, size_t out_size);

#endif
