/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is used of ncurses, which is loaded when it is first needed. */
#ifndef NUNCHI_TOP_CURSES_H
#define NUNCHI_TOP_CURSES_H

/* Functions, and no macros in their place: their addresses are needed. */
#define NCURSES_NOMACROS
#define NCURSES_WIDECHAR 1

#include "core/library.h"

#include <ncurses.h>

#define CURSES_FUNCTIONS(FUNCTION)                                                                 \
	FUNCTION(cbreak)                                                                           \
	FUNCTION(clearok)                                                                          \
	FUNCTION(curs_set)                                                                         \
	FUNCTION(delscreen)                                                                        \
	FUNCTION(delwin)                                                                           \
	FUNCTION(doupdate)                                                                         \
	FUNCTION(endwin)                                                                           \
	FUNCTION(has_colors)                                                                       \
	FUNCTION(init_pair)                                                                        \
	FUNCTION(keypad)                                                                           \
	FUNCTION(newterm)                                                                          \
	FUNCTION(newwin)                                                                           \
	FUNCTION(nodelay)                                                                          \
	FUNCTION(noecho)                                                                           \
	FUNCTION(set_escdelay)                                                                     \
	FUNCTION(start_color)                                                                      \
	FUNCTION(use_default_colors)                                                               \
	FUNCTION(waddnwstr)                                                                        \
	FUNCTION(wattr_set)                                                                        \
	FUNCTION(werase)                                                                           \
	FUNCTION(wget_wch)                                                                         \
	FUNCTION(wmove)                                                                            \
	FUNCTION(wnoutrefresh)                                                                     \
	FUNCTION(wresize)

struct curses_library {
	void *handle;
	CURSES_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *curses_load(struct curses_library *ret);

#endif
