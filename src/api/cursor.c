/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/cursor.h"
#include "api/guest.h"

struct nunchi_cursor {
	struct nunchi_guest *guest;
	struct view_cursor *cursor;
};

const struct nunchi_view *const *nunchi_views(size_t *ret_count)
{
	/* struct view begins with its schema, so its address is the schema's. */
	_Static_assert(offsetof(struct view, schema) == 0, "schema comes first");
	return (const struct nunchi_view *const *)view_registry(ret_count);
}

const struct nunchi_view *nunchi_view_find(const char *name)
{
	const struct view *view = view_find(name);

	return view ? &view->schema : NULL;
}

/* The view behind a schema that nunchi_views() or nunchi_view_find() gave; NULL for any other. */
static const struct view *own_view(const struct nunchi_view *view)
{
	const struct view *own = view ? view_find(view->name) : NULL;

	return own && &own->schema == view ? own : NULL;
}

static struct nunchi_error *take_query(const struct nunchi_query *from, struct nunchi_query *ret)
{
	if (from && !guest_take_options(from, from->size, offsetof(struct nunchi_query, columns),
					ret, sizeof(*ret)))
		return error_create(NUNCHI_ERROR_ARGUMENT, "nunchi_query.size is not set");
	return NULL;
}

struct nunchi_error *nunchi_cursor_open(struct nunchi_guest *guest, const struct nunchi_view *view,
					const struct nunchi_query *query,
					struct nunchi_cursor **ret)
{
	struct view_source source = {.target = guest->target, .pause = guest->pause};
	struct nunchi_query own_query = {0};
	struct nunchi_error *err = take_query(query, &own_query);
	struct nunchi_cursor *cursor;
	double start;

	if (!err && !own_view(view))
		err = error_create(NUNCHI_ERROR_ARGUMENT, "that is no view of nunchi_views()");
	if (!err)
		err = guest_kernel(guest, &source.kernel);
	if (err)
		return err;
	start = guest_clock_ms();
	cursor = calloc(1, sizeof(*cursor));
	if (!cursor)
		return &error_nomem;
	cursor->guest = guest;
	err = view_cursor_create(&source, own_view(view), &own_query, &cursor->cursor);
	guest->query_ms += guest_clock_ms() - start;
	if (err) {
		free(cursor);
		return guest_error(guest, err);
	}
	*ret = cursor;
	return NULL;
}

const struct nunchi_column *const *nunchi_cursor_columns(const struct nunchi_cursor *cursor,
							 size_t *ret_count)
{
	return view_cursor_columns(cursor->cursor, ret_count);
}

struct nunchi_error *nunchi_cursor_next(struct nunchi_cursor *cursor,
					const struct nunchi_cell **ret_cells, bool *ret_torn)
{
	double start = guest_clock_ms();
	struct nunchi_error *err = view_cursor_next(cursor->cursor, ret_cells, ret_torn);

	cursor->guest->query_ms += guest_clock_ms() - start;
	return err;
}

const char *nunchi_cursor_warning(const struct nunchi_cursor *cursor, size_t index)
{
	return view_cursor_warning(cursor->cursor, index);
}

void nunchi_cursor_close(struct nunchi_cursor *cursor)
{
	if (!cursor)
		return;
	view_cursor_destroy(cursor->cursor);
	free(cursor);
}
