/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The row that a provider fills and the cursor hands out.
 */
#ifndef NUNCHI_VIEW_ROW_H
#define NUNCHI_VIEW_ROW_H

#include "view/view.h"

#define ROW_MAX_WARNINGS 16

struct view_row {
	const struct view *view;
	struct nunchi_cell cells[VIEW_MAX_COLUMNS]; /* by the schema's column index */
	size_t text_offset[VIEW_MAX_COLUMNS];       /* in text, which moves while it grows */
	struct buffer text;
	bool torn;
	bool changed;   /* while it was filled, see row_changed() */
	bool no_memory; /* our own memory was exhausted while it was filled */
	char *warnings[ROW_MAX_WARNINGS];
	size_t warning_count;
};

void row_init(struct view_row *row, const struct view *view);
void row_deinit(struct view_row *row);
/* Points the text cells at their bytes. NUNCHI_ERROR_NOMEM if storing them had failed. */
struct nunchi_error *row_finish(struct view_row *row);
/*
 * Compares two struct nunchi_cell that are values of the same type, for qsort(): numbers by their
 * value, texts byte by byte.
 */
int row_compare_cells(const void *a, const void *b);
/* True if the cell is a value that meets the constraint. */
bool row_cell_meets(const struct nunchi_cell *cell, const struct view_constraint *constraint);
/*
 * Reads a constraint's text as a column's type: numbers in decimal or with 0x, with a point before
 * the fraction whatever the locale. The cell borrows the text.
 */
struct nunchi_error *row_parse_cell(const struct nunchi_column *column, const char *value,
				    struct nunchi_cell *ret);

#endif
