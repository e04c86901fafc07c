/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mount/libfuse.h"

/* fuse_set_log_func() is there since 3.7; 3.17 has another SONAME. */
_Static_assert(FUSE_MAJOR_VERSION == 3 && FUSE_MINOR_VERSION >= 7 && FUSE_MINOR_VERSION < 17,
	       "libfuse 3.7 to 3.16");

#define FUNCTION(name) LIBRARY_FUNCTION(struct libfuse, name)
static const struct library_function functions[] = {LIBFUSE_FUNCTIONS(FUNCTION)};
LIBRARY(fuse, functions, "libfuse3.so.3", "nunchi mount",
	"fuse3 and libfuse3-3 (Debian, Ubuntu) or fuse3 and fuse3-libs (Fedora)");

struct nunchi_error *libfuse_load(struct libfuse *ret)
{
	return library_load(&fuse, ret, &ret->handle);
}
