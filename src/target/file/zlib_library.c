/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/zlib_library.h"

#ifdef HAVE_ZLIB

#include <assert.h>

#define FUNCTION(name) LIBRARY_FUNCTION(struct zlib_library, name)
static const struct library_function functions[] = {ZLIB_FUNCTIONS(FUNCTION)};
LIBRARY(zlib, functions, "libz.so.1", "what is packed with zlib (gzip, kdump)",
	"zlib1g (Debian, Ubuntu) or zlib (Fedora)");
static_assert(ZLIB_VER_MAJOR == 1, "the SONAME is of another version");

struct nunchi_error *zlib_library_load(struct zlib_library *ret)
{
	return library_load(&zlib, ret, &ret->handle);
}

void zlib_library_unload(struct zlib_library *library)
{
	library_unload(&library->handle);
}

#endif
