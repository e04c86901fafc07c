/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacks single pages of kdump files, with whatever libraries the build has. */
#ifndef NUNCHI_TARGET_FILE_UNPACK_H
#define NUNCHI_TARGET_FILE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

struct unpacker;

/* NULL if memory is short. */
struct unpacker *unpacker_create(void);
void unpacker_destroy(struct unpacker *unpacker);
/* The kdump_compression bits that this build can unpack. */
unsigned unpacker_supports(void);
/*
 * Unpacks in_size bytes into exactly out_size, by one bit of enum kdump_compression. False if the
 * bytes are damaged, give another size, or the build lacks the method.
 */
bool unpacker_run(struct unpacker *unpacker, unsigned method, const void *in, size_t in_size,
		  void *out, size_t out_size);

#endif
