/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The row that a provider fills and a cursor returns. */
#ifndef NUNCHI_VIEW_ROW_H
#define NUNCHI_VIEW_ROW_H

#include "view/view.h"

#define ROW_MAX_WARNINGS 16

struct view_row {
	const struct nunchi_view *schema;
	struct nunchi_cell cells[VIEW_MAX_COLUMNS]; /* by the index of the column in the schema */
	struct nunchi_cell blank[VIEW_MAX_COLUMNS]; /* the cells of a row that is not filled yet */
	uint64_t texts;                             /* bits of the columns that were given a text */
	/* in the buffer `text`, whose address changes while it grows */
	size_t text_offset[VIEW_MAX_COLUMNS];
	struct buffer text;
	bool torn;
	bool changed;      /* see row_changed() */
	bool no_memory;    /* this process ran out of memory while the row was filled */
	bool warning_lost; /* the same for a warning, which belongs to no row */
	char *warnings[ROW_MAX_WARNINGS];
	size_t warning_count;
};

void row_init(struct view_row *row, const struct nunchi_view *schema);
void row_deinit(struct view_row *row);
/* Sets the pointers of text cells. NUNCHI_ERROR_NOMEM if a text could not be stored. */
struct nunchi_error *row_finish(struct view_row *row);
/*
 * Compares two cells that have values of the same type, for qsort(): numbers by value, texts byte
 * by byte.
 */
int row_compare_cells(const void *a, const void *b);
/* Whether the cell has a value and meets the constraint. */
bool row_cell_meets(const struct nunchi_cell *cell, const struct view_constraint *constraint);
/*
 * Converts the text of a constraint to a column's type: numbers in decimal or with 0x (of a
 * column in octal also with a leading 0), with a decimal point in every locale. The cell borrows
 * the text.
 */
struct nunchi_error *row_parse_cell(const struct nunchi_column *column, const char *value,
				    struct nunchi_cell *ret);
/* The reason of an absence for a read that failed. */
enum nunchi_absence row_absence_of(enum read_result why);

#endif
