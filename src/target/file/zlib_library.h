/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* zlib: for the pages of kdump files and of QEMU's streams, and for files packed as a whole. */
#ifndef NUNCHI_TARGET_FILE_ZLIB_LIBRARY_H
#define NUNCHI_TARGET_FILE_ZLIB_LIBRARY_H

#include "target/compression.h"

#ifdef HAVE_ZLIB

#include "core/library.h"

#include <zlib.h>

/* inflateInit() and inflateInit2() are macros that call these. */
#define ZLIB_FUNCTIONS(FUNCTION)                                                                   \
	FUNCTION(inflate)                                                                          \
	FUNCTION(inflateEnd)                                                                       \
	FUNCTION(inflateInit2_)                                                                    \
	FUNCTION(inflateInit_)                                                                     \
	FUNCTION(inflateReset)

struct zlib_library {
	void *handle;
	ZLIB_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *zlib_library_load(struct zlib_library *ret);
/* Of one that is all zeros, too. */
void zlib_library_unload(struct zlib_library *library);

#endif
#endif
