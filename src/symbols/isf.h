/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types from Volatility 3's symbol tables (Intermediate Symbol Format). Inside of the type index.
 */
#ifndef NUNCHI_SYMBOLS_ISF_H
#define NUNCHI_SYMBOLS_ISF_H

#include "symbols/type_index.h"

#include <stddef.h>

/*
 * From the text of a table, schema 4.x to 6.x (volatility3/schemas/schema-6.2.0.json). Its section
 * of symbols, by far the largest, is passed over. Untrusted.
 */
struct nunchi_error *type_index_from_isf(const char *text, size_t size, struct type_index **ret);

/*
 * Unpacks .xz into memory that the caller frees. NUNCHI_ERROR_UNSUPPORTED if this build has no
 * liblzma or the file wants more memory than is sensible.
 */
struct nunchi_error *isf_unpack(const void *data, size_t size, char **ret, size_t *ret_size);

#endif
