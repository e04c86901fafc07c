/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a view's provider: column selection, filters, limit, and consistency on a live guest.
 *
 * A guest that stands still, as a saved one, is streamed. A running one is read running and its
 * rows are kept until the end of the query; if rows are torn, or if it is asked for, the query runs
 * again on pages copied while the guest was paused (moment_run()), so that the pause lasts no
 * longer than the copying.
 */
#ifndef NUNCHI_VIEW_CURSOR_H
#define NUNCHI_VIEW_CURSOR_H

#include "target/target.h"
#include "view/moment.h"
#include "view/view.h"

struct view_cursor;

struct view_source {
	struct guest_kernel *kernel;
	struct target *target;
	enum nunchi_pause pause;
	bool still; /* a running guest stands still for as long as the cursor is used */
	/* With NUNCHI_PAUSE_ALWAYS: the moment that all cursors of a session see; NULL: its own. */
	struct moment *moment;
};

/* The source must outlive the cursor. query may be NULL. */
struct nunchi_error *view_cursor_create(const struct view_source *source, const struct view *view,
					const struct nunchi_query *query, struct view_cursor **ret);
void view_cursor_destroy(struct view_cursor *cursor);
const struct nunchi_column *const *view_cursor_columns(const struct view_cursor *cursor,
						       size_t *ret_count);
/* See nunchi_cursor_next(). */
struct nunchi_error *view_cursor_next(struct view_cursor *cursor,
				      const struct nunchi_cell **ret_cells, bool *ret_torn);
const char *view_cursor_warning(const struct view_cursor *cursor, size_t index);

#endif
