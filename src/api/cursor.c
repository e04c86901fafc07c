/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/cursor.h"
#include "api/guest.h"
#include "core/options.h"

struct nunchi_cursor {
	struct nunchi_guest *guest;
	struct view_cursor *cursor;
	/* number of the session in which it was opened; 0: outside of a session */
	uint64_t session;
	bool timed;                            /* the time of each nunchi_cursor_next() counts */
	struct nunchi_cursor *before, *behind; /* other cursors of the guest */
};

static void link_cursor(struct nunchi_cursor *cursor)
{
	struct nunchi_guest *guest = cursor->guest;

	cursor->behind = guest->cursors;
	if (guest->cursors)
		guest->cursors->before = cursor;
	guest->cursors = cursor;
}

static void unlink_cursor(struct nunchi_cursor *cursor)
{
	if (cursor->before)
		cursor->before->behind = cursor->behind;
	else if (cursor->guest)
		cursor->guest->cursors = cursor->behind;
	if (cursor->behind)
		cursor->behind->before = cursor->before;
}

void guest_leave_cursors(struct nunchi_guest *guest)
{
	while (guest->cursors) {
		struct nunchi_cursor *cursor = guest->cursors;

		unlink_cursor(cursor);
		view_cursor_destroy(cursor->cursor);
		/* What is left can only be closed. */
		*cursor = (struct nunchi_cursor){.guest = NULL};
	}
}

const struct nunchi_view *const *nunchi_views(size_t *ret_count)
{
	/* struct view begins with its schema, so both have the same address. */
	_Static_assert(offsetof(struct view, schema) == 0, "schema comes first");
	return (const struct nunchi_view *const *)view_registry(ret_count);
}

const struct nunchi_view *nunchi_view_find(const char *name)
{
	const struct view *view = name ? view_find(name) : NULL;

	return view ? &view->schema : NULL;
}

/*
 * The view to which a schema from nunchi_views() or nunchi_view_find() belongs; NULL for any other
 * schema.
 */
static const struct view *own_view(const struct nunchi_view *view)
{
	const struct view *own = view ? view_find(view->name) : NULL;

	return own && &own->schema == view ? own : NULL;
}

/* Fills in how a cursor reads the guest. */
static struct nunchi_error *take_source(struct nunchi_guest *guest, struct view_source *ret)
{
	struct nunchi_session *session = &guest->session;

	*ret = (struct view_source){
	    .target = guest->target,
	    .pause = guest->pause,
	    .still = session->holds,
	    .moment = session->open && session_captures(guest) ? &session->moment : NULL,
	};
	return guest_kernel(guest, &ret->kernel);
}

struct nunchi_error *nunchi_cursor_open(struct nunchi_guest *guest, const struct nunchi_view *view,
					const struct nunchi_query *query,
					struct nunchi_cursor **ret)
{
	API_REQUIRE(guest && ret);

	struct nunchi_query own_query = {0};
	struct nunchi_error *err = NULL;
	struct nunchi_cursor *cursor;
	struct view_source source;
	double start;

	if (query)
		err = options_take("nunchi_query", query, query->size,
				   offsetof(struct nunchi_query, columns), &own_query,
				   sizeof(own_query));
	if (!err && !own_view(view))
		err = error_create(NUNCHI_ERROR_ARGUMENT, "the view is not one of nunchi_views()");
	if (!err)
		err = take_source(guest, &source);
	if (err)
		return err;
	start = guest_clock_ms();
	cursor = calloc(1, sizeof(*cursor));
	if (!cursor)
		return &error_nomem;
	cursor->guest = guest;
	cursor->session = guest->session.open ? guest->session.serial : 0;
	/*
	 * Rows of a running guest were read before, or the session holds it. In both cases reading
	 * the clock may take longer than a row: in Xen's dom0 it is a system call.
	 */
	cursor->timed = !guest->target->live;
	err = view_cursor_create(&source, own_view(view), &own_query, &cursor->cursor);
	guest->query_ms += guest_clock_ms() - start;
	if (err) {
		free(cursor);
		return guest_error(guest, err);
	}
	link_cursor(cursor);
	*ret = cursor;
	return NULL;
}

const struct nunchi_column *const *nunchi_cursor_columns(const struct nunchi_cursor *cursor,
							 size_t *ret_count)
{
	*ret_count = 0;
	return cursor->cursor ? view_cursor_columns(cursor->cursor, ret_count) : NULL;
}

struct nunchi_error *nunchi_cursor_next(struct nunchi_cursor *cursor,
					const struct nunchi_cell **ret_cells, bool *ret_torn)
{
	API_REQUIRE(cursor && ret_cells && ret_torn);

	struct nunchi_guest *guest = cursor->guest;
	struct nunchi_error *err;
	double start;

	if (!guest)
		return error_create(NUNCHI_ERROR_ARGUMENT, "the guest of this cursor was closed");
	if (cursor->session && !(guest->session.open && guest->session.serial == cursor->session))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: the session of this cursor was closed",
				    guest->target->name);
	if (!cursor->timed)
		return view_cursor_next(cursor->cursor, ret_cells, ret_torn);
	start = guest_clock_ms();
	err = view_cursor_next(cursor->cursor, ret_cells, ret_torn);
	guest->query_ms += guest_clock_ms() - start;
	return err;
}

const char *nunchi_cursor_warning(const struct nunchi_cursor *cursor, size_t index)
{
	return cursor->cursor ? view_cursor_warning(cursor->cursor, index) : NULL;
}

void nunchi_cursor_close(struct nunchi_cursor *cursor)
{
	if (!cursor)
		return;
	unlink_cursor(cursor);
	view_cursor_destroy(cursor->cursor);
	free(cursor);
}
