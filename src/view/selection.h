/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a query selects of a schema: columns, and the conditions on rows. */
#ifndef NUNCHI_VIEW_SELECTION_H
#define NUNCHI_VIEW_SELECTION_H

#include "view/row.h"

struct selection {
	const char *what;                 /* "view" or "probe", for errors; static */
	const struct nunchi_view *schema; /* borrowed */
	struct view_request request;
	/* the constraints of the request; owned, with their values */
	struct view_constraint *constraints;
	struct number_filter numbers[VIEW_MAX_COLUMNS];
	/* the columns that were asked for, in that order, and their indexes in the schema */
	const struct nunchi_column *columns[VIEW_MAX_COLUMNS];
	unsigned column_index[VIEW_MAX_COLUMNS];
	size_t column_count;
};

/*
 * Checks a query against a schema, and converts its values. query may be NULL: all columns and
 * rows. Call selection_deinit() also if this fails. The request's pointers lead into the selection,
 * which must not be moved.
 */
struct nunchi_error *selection_init(struct selection *selection, const char *what,
				    const struct nunchi_view *schema,
				    const struct nunchi_query *query);
/* Zeroed storage is accepted. */
void selection_deinit(struct selection *selection);
/* Whether a row meets all constraints. */
bool selection_accepts(const struct selection *selection, const struct view_row *row);

#endif
