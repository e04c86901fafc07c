/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/curses.h"

_Static_assert(NCURSES_VERSION_MAJOR == 6, "ncurses 6");

#define FUNCTION(name) LIBRARY_FUNCTION(struct curses_library, name)
static const struct library_function functions[] = {CURSES_FUNCTIONS(FUNCTION)};
LIBRARY(libncursesw, functions, "libncursesw.so.6", "nunchi top on a terminal",
	"libncursesw6 (Debian, Ubuntu) or ncurses-libs (Fedora)");

struct nunchi_error *curses_load(struct curses_library *ret)
{
	return library_load(&libncursesw, ret, &ret->handle);
}
