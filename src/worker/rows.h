/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In the process that reads a guest: the rows of a view, given to a function. */
#ifndef NUNCHI_WORKER_ROWS_H
#define NUNCHI_WORKER_ROWS_H

#include <nunchi/nunchi.h>

struct rows_query {
	const char *view;
	const char *const *columns;
	size_t count;
	const struct nunchi_constraint *where; /* one of them; NULL: none */
	uint64_t limit;                        /* of rows; 0: none */
	bool live;                             /* the guest runs: a view may take two seconds */
	void (*take)(void *data, const struct nunchi_cell *cells, size_t count, bool torn);
	void (*warn)(void *data, const char *text);
	void *data;
};

/* Calls take() for each row, then warn() for each warning. */
struct nunchi_error *rows_read(struct nunchi_guest *guest, const struct rows_query *query);
/* Whether the guest itself is the trouble, and not one view of it. */
bool rows_error_is_of_guest(const struct nunchi_error *err);
/* Opens the guest in a context of its own, never to be paused, whatever the options say. */
struct nunchi_error *rows_open_guest(const char *target, const struct nunchi_guest_options *given,
				     struct nunchi_context **ret_context,
				     struct nunchi_guest **ret);

#endif
