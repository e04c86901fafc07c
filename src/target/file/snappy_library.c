/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#ifdef HAVE_SNAPPY

#include "target/file/snappy_library.h"

#define FUNCTION(name) LIBRARY_FUNCTION(struct snappy_library, name)
static const struct library_function functions[] = {SNAPPY_FUNCTIONS(FUNCTION)};
LIBRARY(libsnappy, functions, "libsnappy.so.1", "files packed with snappy (AVML, kdump)",
	"libsnappy1v5 (Debian, Ubuntu) or snappy (Fedora)");

struct nunchi_error *snappy_library_load(struct snappy_library *ret)
{
	return library_load(&libsnappy, ret, &ret->handle);
}

void snappy_library_unload(struct snappy_library *library)
{
	library_unload(&library->handle);
}

#endif
