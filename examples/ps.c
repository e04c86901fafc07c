/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists the processes of a guest: ps TARGET. C99 and C++.
 *
 *	cc ps.c $(pkg-config --cflags --libs nunchi) -o ps && ./ps xen:web
 */
#include <nunchi/nunchi.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int fail(struct nunchi_error *err)
{
	fprintf(stderr, "%s\n", nunchi_error_message(err));
	if (nunchi_error_hint(err))
		fprintf(stderr, "  hint: %s\n", nunchi_error_hint(err));
	nunchi_error_destroy(err);
	return 1;
}

static void print_process(const struct nunchi_cell *cells, bool torn)
{
	/* Names are the guest's own words: never print them as they are. */
	char name[128] = "?";

	if (cells[2].kind == NUNCHI_CELL_VALUE)
		nunchi_escape(cells[2].text, cells[2].text_size, name, sizeof(name));
	printf("%6" PRId64 " %6" PRId64 " %s%s\n", cells[0].integer, cells[1].integer, name,
	       torn ? " (changed while it was read)" : "");
}

static int list_processes(struct nunchi_guest *guest)
{
	const char *columns[] = {"pid", "parent", "name"};
	struct nunchi_query query;
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	bool torn;

	memset(&query, 0, sizeof(query));
	query.size = sizeof(query);
	query.columns = columns;
	query.column_count = 3;
	err = nunchi_cursor_open(guest, nunchi_view_find("processes"), &query, &cursor);
	if (err)
		return fail(err);
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)))
		print_process(cells, torn);
	nunchi_cursor_close(cursor);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return fail(err);
	nunchi_error_destroy(err);
	return 0;
}

int main(int argc, char **argv)
{
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_error *err;
	int status;

	if (argc != 2) {
		fprintf(stderr, "usage: %s TARGET\n", argv[0]);
		return 2;
	}
	err = nunchi_context_create(0, &context);
	if (err)
		return fail(err);
	err = nunchi_guest_open(context, argv[1], NULL, &guest);
	if (err) {
		status = fail(err);
	} else {
		status = list_processes(guest);
		nunchi_guest_close(guest);
	}
	nunchi_context_destroy(context);
	return status;
}
