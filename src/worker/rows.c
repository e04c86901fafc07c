/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/rows.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* For reading one view of a running guest, and for what is kept of its rows. */
#define MOST_MS    2000
#define MOST_BYTES ((size_t)64 << 20)

static struct nunchi_error *drain(struct nunchi_cursor *cursor, const struct rows_query *query)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	const char *warning;
	bool torn;

	do {
		err = nunchi_cursor_next(cursor, &cells, &torn);
		if (!err)
			query->take(query->data, cells, query->count, torn);
	} while (!err);
	for (size_t i = 0; (warning = nunchi_cursor_warning(cursor, i)); i++)
		query->warn(query->data, warning);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

struct nunchi_error *rows_read(struct nunchi_guest *guest, const struct rows_query *query)
{
	const struct nunchi_query wanted = {
	    .size = sizeof(wanted),
	    .columns = query->columns,
	    .column_count = query->count,
	    .constraints = query->where,
	    .constraint_count = query->where ? 1 : 0,
	    .limit = query->limit,
	    .max_ms = query->live ? MOST_MS : 0,
	    .max_bytes = MOST_BYTES,
	};
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_error *err =
	    nunchi_cursor_open(guest, nunchi_view_find(query->view), &wanted, &cursor);

	if (!err)
		err = drain(cursor, query);
	nunchi_cursor_close(cursor);
	return err;
}

bool rows_error_is_of_guest(const struct nunchi_error *err)
{
	switch (nunchi_error_code(err)) {
	case NUNCHI_ERROR_UNSUPPORTED:
	case NUNCHI_ERROR_FAULT:
	case NUNCHI_ERROR_DATA:
	case NUNCHI_ERROR_NOT_FOUND:
	case NUNCHI_ERROR_ARGUMENT:
		return false;
	default:
		return true;
	}
}

struct nunchi_error *rows_open_guest(const char *target, const struct nunchi_guest_options *given,
				     struct nunchi_context **ret_context, struct nunchi_guest **ret)
{
	struct nunchi_guest_options options = *given;
	struct nunchi_error *err = nunchi_context_create(0, ret_context);

	/* What the C library would open when it is first asked: a confined process may not. */
	tzset();
	(void)strerror(EIO);
	options.pause = NUNCHI_PAUSE_NEVER;
	return err ? err : nunchi_guest_open(*ret_context, target, &options, ret);
}
