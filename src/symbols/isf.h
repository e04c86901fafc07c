/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types from Volatility 3's symbol tables (Intermediate Symbol Format). Private to the type index.
 */
#ifndef NUNCHI_SYMBOLS_ISF_H
#define NUNCHI_SYMBOLS_ISF_H

#include "symbols/type_index.h"

#include <stddef.h>

/*
 * Reads the types of a table of schema 4.x to 6.x (volatility3/schemas/schema-6.2.0.json). The
 * section "symbols", by far the largest, is skipped. The text is untrusted.
 */
struct nunchi_error *type_index_from_isf(const char *text, size_t size, struct type_index **ret);

/*
 * Decompresses .xz into memory that the caller frees. Fails with NUNCHI_ERROR_UNSUPPORTED if this
 * build has no liblzma or if the decoder needs more than 128 MiB.
 */
struct nunchi_error *isf_unpack(const void *data, size_t size, char **ret, size_t *ret_size);
/* Loads liblzma for good, if it is there. */
void isf_load_library(void);

#endif
