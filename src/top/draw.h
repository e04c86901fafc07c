/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is drawn where: parts of a pane, from the top to the bottom. */
#ifndef NUNCHI_TOP_DRAW_H
#define NUNCHI_TOP_DRAW_H

#include "top/screen.h"

enum { PAIR_BAR = 1, PAIR_BUSY, PAIR_HEAD, PAIR_BAD };

/* Where a pane is, and the line that is written next. */
struct area {
	struct top_screen *screen;
	struct top_pane *pane;
	int x, y, width, height;
};

/*
 * Writes at a place in the area, in `width` columns: cut, or filled with blanks. What the terminal
 * cannot show is '?'.
 */
void draw_text(const struct area *area, int x, int width, attr_t look, short pair,
	       const char *text);
void draw_line(struct area *area, attr_t look, short pair, const char *text);

/* head.c */
void draw_title(struct area *area);
void draw_head(struct area *area);
/* table.c; `end` is the first line that is not theirs. */
void draw_table(struct area *area, int end);
void draw_details(struct area *area, int end);
void draw_help(struct area *area, int end);
void draw_foot(struct area *area);

#endif
