/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file or a pipe as plain bytes: unpacked where its first bytes say that it is compressed. */
#ifndef NUNCHI_DOCTOR_FACTS_UNPACK_H
#define NUNCHI_DOCTOR_FACTS_UNPACK_H

#include "core/cleanup.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#include <nunchi/nunchi.h>

struct unpack;

/*
 * Reads on from the descriptor, which stays the caller's and must live as long; path is for
 * messages. Known are gzip, xz, zstd, bzip2 and lz4, which need libarchive; other ways of packing
 * are refused by name (NUNCHI_ERROR_UNSUPPORTED). The context (may be NULL) cancels a wait for a
 * pipe.
 */
struct nunchi_error *unpack_open(int fd, const char *path, const struct nunchi_context *context,
				 struct unpack **ret);
void unpack_destroy(struct unpack *unpack);
/* Reads until size bytes have come or the text ends. */
struct nunchi_error *unpack_read(struct unpack *unpack, void *buffer, size_t size, size_t *ret);
/* Whether what is in the file, unpacked, begins as a text does, and not as an archive. */
bool unpack_is_text(const char *path);

DEFINE_CLEANUP(struct unpack, unpack_destroy)
#define _cleanup_unpack_ _cleanup_(cleanup_unpack_destroy_p)

#endif
