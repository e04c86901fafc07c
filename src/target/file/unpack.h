/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unpacks single pages of kdump files, with whatever libraries the build has; they are loaded when
 * they are needed.
 */
#ifndef NUNCHI_TARGET_FILE_UNPACK_H
#define NUNCHI_TARGET_FILE_UNPACK_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct unpacker;

/* NULL if memory is short. */
struct unpacker *unpacker_create(void);
void unpacker_destroy(struct unpacker *unpacker);
/* The kdump_compression bits that this build can unpack. */
unsigned unpacker_supports(void);
/*
 * Loads the libraries of some of these methods, so that it is known whether they are there.
 * NUNCHI_ERROR_UNSUPPORTED with what to install if one is not.
 */
struct nunchi_error *unpacker_load(struct unpacker *unpacker, unsigned methods);
/*
 * Unpacks in_size bytes into exactly out_size, by one bit of enum kdump_compression. False if the
 * bytes are damaged, give another size, or the method's library is not to be had.
 */
bool unpacker_run(struct unpacker *unpacker, unsigned method, const void *in, size_t in_size,
		  void *out, size_t out_size);

#endif
