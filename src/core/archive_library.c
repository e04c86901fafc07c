/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/archive_library.h"

#ifdef HAVE_LIBARCHIVE

#include <assert.h>

#define FUNCTION(name) LIBRARY_FUNCTION(struct archive_library, name)
static const struct library_function functions[] = {ARCHIVE_FUNCTIONS(FUNCTION)};
LIBRARY(libarchive, functions, "libarchive.so.13", "bundles, compressed initramfs and saved guests",
	ARCHIVE_PACKAGES);
static_assert(ARCHIVE_VERSION_NUMBER / 1000000 == 3, "the SONAME is of another version");

struct nunchi_error *archive_library_load(struct archive_library *ret)
{
	return library_load(&libarchive, ret, &ret->handle);
}

void archive_library_unload(struct archive_library *library)
{
	library_unload(&library->handle);
}

#endif
