/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Structures of options in the public headers, whose first member is their size. */
#ifndef NUNCHI_CORE_OPTIONS_H
#define NUNCHI_CORE_OPTIONS_H

#include "core/error.h"

#include <stddef.h>

/*
 * Copies a structure of options from a caller whose header may be of another version, so that its
 * structure is shorter or longer than the library's. Members that the caller's structure lacks are
 * left unchanged in ret. `first` is the offset of the first member after `size`.
 * NUNCHI_ERROR_ARGUMENT, with the structure's name, if size is not greater than first or above
 * 4096, or if a byte after ret_size, which this library does not know, is not zero.
 */
struct nunchi_error *options_take(const char *name, const void *from, size_t size, size_t first,
				  void *ret, size_t ret_size);

#endif
