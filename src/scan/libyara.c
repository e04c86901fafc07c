/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/libyara.h"

_Static_assert(YR_MAJOR_VERSION == 4 && YR_MINOR_VERSION >= 2, "libyara 4.2 or later");

/* The SONAME changed with YARA 4.3. */
#if YR_MINOR_VERSION >= 3
#define NAME     "libyara.so.10"
#define PACKAGES "libyara10 (Debian, Ubuntu) or yara (Fedora)"
#else
#define NAME     "libyara.so.9"
#define PACKAGES "libyara9 (Debian, Ubuntu) or yara (Fedora)"
#endif

#define FUNCTION(name) LIBRARY_FUNCTION(struct libyara, name)
static const struct library_function functions[] = {LIBYARA_FUNCTIONS(FUNCTION)};

LIBRARY(yara, functions, NAME, "rules of YARA", PACKAGES);

struct nunchi_error *libyara_load(struct libyara *ret)
{
	return library_load(&yara, ret, &ret->handle);
}
