/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libsnappy, for code that is built with it (HAVE_SNAPPY). */
#ifndef NUNCHI_TARGET_FILE_SNAPPY_LIBRARY_H
#define NUNCHI_TARGET_FILE_SNAPPY_LIBRARY_H

#include "core/library.h"

#include <snappy-c.h>

#define SNAPPY_FUNCTIONS(FUNCTION)                                                                 \
	FUNCTION(snappy_uncompress)                                                                \
	FUNCTION(snappy_uncompressed_length)

struct snappy_library {
	void *handle;
	SNAPPY_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *snappy_library_load(struct snappy_library *ret);
/* Accepts a structure of zeros. */
void snappy_library_unload(struct snappy_library *library);

#endif
