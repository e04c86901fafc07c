/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every view over a guest whose memory is the input: whatever address is followed leads somewhere
 * into it, so that all walks go through arbitrary structures, lists and trees. The first byte
 * chooses the view and whether the guest runs (then what is read changes now and then), the second
 * the process asked for; the rest is memory, over and over.
 */
#include "input_guest.h"
#include "view/cursor.h"

#include <stdio.h>

/* Rows that one input may make: walks are bounded by themselves, but 4 million rows take long. */
#define MAX_ROWS 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* column: the only one asked for, or NULL for all of them. */
static void run_view(struct view_source *source, const struct view *view, const char *pid,
		     const char *column)
{
	struct nunchi_constraint constraint = {"pid", pid};
	struct nunchi_query query = {.size = sizeof(query),
				     .columns = column ? &column : NULL,
				     .column_count = column != NULL,
				     .limit = MAX_ROWS};
	const struct nunchi_cell *cells;
	struct view_cursor *cursor;
	struct nunchi_error *err;
	bool torn;

	if (pid[0] && !strcmp(view->schema.columns[0].name, "pid")) {
		query.constraints = &constraint;
		query.constraint_count = 1;
	}
	err = view_cursor_create(source, view, &query, &cursor);
	if (!err) {
		while (!(err = view_cursor_next(cursor, &cells, &torn)))
			;
		view_cursor_destroy(cursor);
	}
	nunchi_error_destroy(err);
}

static void run_input(const struct view *view, const char *pid, const struct input *input)
{
	struct input_guest guest;
	struct view_source source = {
	    .kernel = &guest.kernel.guest, .target = &guest.target, .pause = NUNCHI_PAUSE_NEVER};

	input_guest_init(&guest, input, NULL, 0);
	run_view(&source, view, pid, NULL);
	/* Less is read then, which must do. */
	run_view(&source, view, pid,
		 view->schema.columns[input->size % view->schema.column_count].name);
	input_guest_deinit(&guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct view *const *views;
	char pid[8] = "";
	size_t count;

	if (size < 10)
		return 0;
	views = view_registry(&count);
	if (data[1] & 1)
		snprintf(pid, sizeof(pid), "%u", data[1] >> 1);
	run_input(views[(data[0] & 127) % count], pid,
		  &(struct input){.data = data + 2, .size = size - 2, .live = data[0] >> 7});
	return 0;
}
