/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit/libedit.h"

/* el_rfunc_t has wide characters since this version. */
_Static_assert(LIBEDIT_MAJOR == 2 && LIBEDIT_MINOR >= 11, "libedit 2.11 or later");

#define PURPOSE  "line editing in nunchi sql"
#define PACKAGES "libedit2 (Debian, Ubuntu) or libedit (Fedora)"

#define FUNCTION(name) LIBRARY_FUNCTION(struct libedit, name)
static const struct library_function functions[] = {LIBEDIT_FUNCTIONS(FUNCTION)};

LIBRARY_NOTE(libedit, "\"libedit.so.2\",\"libedit.so.0\"", PURPOSE, "recommended");
/* One library under two names: Debian's and Ubuntu's, and its authors', which others keep. */
static const struct library names[] = {
    {"libedit.so.2", PURPOSE, PACKAGES, functions, ARRAY_SIZE(functions)},
    {"libedit.so.0", PURPOSE, PACKAGES, functions, ARRAY_SIZE(functions)},
};

struct nunchi_error *libedit_load(struct libedit *ret)
{
	struct nunchi_error *err = library_load(&names[0], ret, &ret->handle);
	struct nunchi_error *also;

	if (!err)
		return NULL;
	also = library_load(&names[1], ret, &ret->handle);
	nunchi_error_destroy(also ? also : err);
	return also ? err : NULL;
}
