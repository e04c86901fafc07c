/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guests that are shown, and the loop around them. */
#ifndef NUNCHI_TOP_RUN_H
#define NUNCHI_TOP_RUN_H

#include "top/source.h"
#include "top/text.h"
#include "top/top.h"

enum top_details { TOP_NO_DETAILS, TOP_FILES, TOP_MAPS };

/* A guest, and what of it is shown. */
struct top_pane {
	const char *target;
	struct top_source source;
	struct top_model model;
	struct top_order order;
	char filter[64], search[64];
	bool threads;
	enum top_details details;
	int64_t details_pid;
	int64_t chosen; /* id of the task that the cursor stays on; -1: it stays on the first row */
	size_t at;      /* index of that row */
	size_t first;   /* the first row that is seen */
	size_t detail_first;
	size_t rows_seen; /* how many fit */
	uint64_t refreshes;
	bool failed; /* the last of these was an error */
	bool again;  /* something else is to be read before the next interval */
};

struct top {
	const struct top_options *options;
	struct top_pane panes[TOP_MOST_TARGETS];
	size_t count;
	uint64_t interval_us, next_at;
	bool hung_up; /* the terminal is gone */
};

/* Puts the rows of the newest reading in order; the cursor stays on its task. */
void top_pane_update(struct top_pane *pane);

/* ---- screen.c, or without.c ------------------------------------------------------------------ */

struct top_screen;

struct nunchi_error *top_screen_open(struct top *top, struct top_screen **ret);
/* Gives the terminal back as it was. NULL is accepted. */
void top_screen_close(struct top_screen *screen);
void top_screen_draw(struct top_screen *screen);
/* Takes the keys that were pressed; false if the user wants to end. */
bool top_screen_keys(struct top_screen *screen);

#endif
