/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal. */
#ifndef NUNCHI_TOP_SCREEN_H
#define NUNCHI_TOP_SCREEN_H

#include "top/curses.h"
#include "top/run.h"

/* What keys are for. */
enum top_typing { TOP_KEYS, TOP_TYPES_FILTER, TOP_TYPES_SEARCH };

struct top_screen {
	struct curses_library curses;
	struct top *top;
	SCREEN *terminal;
	WINDOW *window;
	int width, height;
	bool utf8, color;
	size_t active; /* the pane that keys are for */
	enum top_typing typing;
	bool help;
};

/* Whether all guests stand side by side; otherwise one is seen, and Tab goes to the next. */
bool top_screen_is_split(const struct top_screen *screen);
/* Takes the size of the terminal. */
void top_screen_measure(struct top_screen *screen);

#endif
