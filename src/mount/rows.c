/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of views, and the processes among them. */
#include "core/error.h"
#include "core/hash.h"
#include "mount/served.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A running guest whose lists have no end is read no longer than that. */
#define LIVE_MS 4000

void served_warn(struct served *served, const char *path, const char *text)
{
	_cleanup_buffer_ struct buffer line = {0};
	uint64_t hash;

	buffer_printf(&line, "%s: %s", path, text);
	if (line.failed || served->told_count == SERVED_MOST_TOLD)
		return;
	hash = hash_bytes(line.data, line.size);
	for (size_t i = 0; i < served->told_count; i++)
		if (served->told[i] == hash)
			return;
	served->told[served->told_count++] = hash;
	served->options->warn(line.data, served->options->data);
	if (served->told_count == SERVED_MOST_TOLD)
		served->options->warn("there were many warnings; further ones are not shown",
				      served->options->data);
}

int served_errno(struct served *served, const char *path, struct nunchi_error *err)
{
	enum nunchi_error_code code = err ? nunchi_error_code(err) : 0;

	if (!err)
		return 0;
	/* These say that the guest is gone, whatever is read of it. */
	if (code == NUNCHI_ERROR_GONE || code == NUNCHI_ERROR_REBOOTED)
		path = served->options->directory;
	if (code != NUNCHI_ERROR_NOT_FOUND && code != NUNCHI_ERROR_UNSUPPORTED)
		served_warn(served, path, nunchi_error_message(err));
	nunchi_error_destroy(err);
	switch (code) {
	case NUNCHI_ERROR_NOT_FOUND:
		return -ENOENT;
	case NUNCHI_ERROR_UNSUPPORTED:
		return -EOPNOTSUPP;
	case NUNCHI_ERROR_NOMEM:
		return -ENOMEM;
	case NUNCHI_ERROR_CANCELLED:
		return -EINTR;
	default:
		return -EIO;
	}
}

struct nunchi_error *
served_rows(struct served *served, const char *path, const struct nunchi_view *view,
	    const struct nunchi_query *query,
	    struct nunchi_error *(*columns)(const struct nunchi_column *const *columns,
					    size_t count, void *data),
	    served_row *row, void *data)
{
	struct nunchi_query asked = *query;
	const struct nunchi_column *const *schema;
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	const char *warning;
	size_t count;
	bool torn;

	asked.size = sizeof(asked);
	asked.max_ms = served->options->live ? LIVE_MS : 0;
	err = nunchi_cursor_open(served->guest, view, &asked, &cursor);
	if (err)
		return err;
	schema = nunchi_cursor_columns(cursor, &count);
	err = columns ? columns(schema, count, data) : NULL;
	while (!err) {
		err = nunchi_cursor_next(cursor, &cells, &torn);
		if (!err)
			err = row(cells, torn, data);
	}
	for (size_t i = 0; (warning = nunchi_cursor_warning(cursor, i)); i++)
		served_warn(served, path, warning);
	nunchi_cursor_close(cursor);
	if (!error_is(err, NUNCHI_ERROR_STOP))
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

/* ---- Processes ------------------------------------------------------------------------------- */

struct listing {
	void (*give)(uint64_t pid, void *data);
	void *data;
	bool found;
};

static struct nunchi_error *take_process(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct listing *listing = data;

	(void)torn;
	if (cells[0].kind != NUNCHI_CELL_VALUE || cells[0].integer <= 0)
		return NULL;
	listing->found = true;
	if (listing->give)
		listing->give((uint64_t)cells[0].integer, listing->data);
	return NULL;
}

static int give_processes(struct served *served, const char *path, const char *pid,
			  struct listing *listing)
{
	static const char *const columns[] = {"pid"};
	const struct nunchi_constraint where = {.column = "pid", .value = pid};
	const struct nunchi_query query = {.columns = columns,
					   .column_count = 1,
					   .constraints = &where,
					   .constraint_count = pid != NULL};

	return served_errno(served, path,
			    served_rows(served, path, nunchi_view_find("processes"), &query, NULL,
					take_process, listing));
}

int served_process_find(struct served *served, const char *path, uint64_t pid)
{
	struct listing listing = {.found = false};
	char text[24];
	int result;

	snprintf(text, sizeof(text), "%" PRIu64, pid);
	result = give_processes(served, path, text, &listing);
	return result || listing.found ? result : -ENOENT;
}

int served_process_list(struct served *served, const char *path,
			void (*give)(uint64_t pid, void *data), void *data)
{
	struct listing listing = {.give = give, .data = data};

	return give_processes(served, path, NULL, &listing);
}
