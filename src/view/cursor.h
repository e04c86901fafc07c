/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a view's provider: selects columns, applies constraints and the limit, and makes the result
 * of a running guest consistent.
 *
 * If the guest does not change (a saved guest, for example), rows are read as they are requested.
 * Otherwise all rows are read while the guest runs, and kept until the query is complete. If rows
 * are torn, or if the pause option asks for it, the query runs again on pages that are copied while
 * the guest is paused (moment_run()), so that the pause lasts no longer than the copying.
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
	bool still; /* a running guest is paused for as long as the cursor is used */
	/*
	 * With NUNCHI_PAUSE_ALWAYS: the moment that all cursors of a session share; NULL: a moment
	 * of its own.
	 */
	struct moment *moment;
};

/* Creates a cursor. The source must outlive it. query may be NULL. */
struct nunchi_error *view_cursor_create(const struct view_source *source, const struct view *view,
					const struct nunchi_query *query, struct view_cursor **ret);
void view_cursor_destroy(struct view_cursor *cursor);
/* See nunchi_cursor_columns(). */
const struct nunchi_column *const *view_cursor_columns(const struct view_cursor *cursor,
						       size_t *ret_count);
/* See nunchi_cursor_next(). */
struct nunchi_error *view_cursor_next(struct view_cursor *cursor,
				      const struct nunchi_cell **ret_cells, bool *ret_torn);
/* See nunchi_cursor_warning(). */
const char *view_cursor_warning(const struct view_cursor *cursor, size_t index);

#endif
