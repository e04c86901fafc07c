/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints how many rows a view of a guest has: rows TARGET VIEW. */
#include <nunchi/nunchi.h>

#include <stdio.h>
#include <string.h>

static struct nunchi_error *count_rows(struct nunchi_guest *guest, const char *view,
				       unsigned long *ret)
{
	struct nunchi_query query;
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	bool torn;

	memset(&query, 0, sizeof(query));
	query.size = sizeof(query);
	err = nunchi_cursor_open(guest, nunchi_view_find(view), &query, &cursor);
	if (err)
		return err;
	*ret = 0;
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)))
		(*ret)++;
	nunchi_cursor_close(cursor);
	return err;
}

int main(int argc, char **argv)
{
	struct nunchi_context *context = NULL;
	struct nunchi_guest *guest = NULL;
	struct nunchi_error *err;
	unsigned long rows;

	if (argc != 3)
		return 2;
	err = nunchi_context_create(0, &context);
	if (!err)
		err = nunchi_guest_open(context, argv[1], NULL, &guest);
	if (!err)
		err = count_rows(guest, argv[2], &rows);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP) {
		fprintf(stderr, "%s\n", nunchi_error_message(err));
		return 1;
	}
	nunchi_error_destroy(err);
	nunchi_guest_close(guest);
	nunchi_context_destroy(context);
	printf("%lu\n", rows);
	return 0;
}
