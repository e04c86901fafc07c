/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells from fields of Linux's structures.
 */
#ifndef NUNCHI_VIEW_LINUX_CELLS_H
#define NUNCHI_VIEW_LINUX_CELLS_H

#include "guest/linux/linux.h"
#include "view/view.h"

/*
 * A number from a field of a copied structure, or the reason why there is none: the kernel's types
 * lack the field, or the structure could not be read.
 */
void row_field(struct view_row *row, unsigned column, const struct object *object,
	       const struct field *field);
/* The same without a sign, as of an id. */
void row_field_unsigned(struct view_row *row, unsigned column, const struct object *object,
			const struct field *field);
/* The same of an address. */
void row_field_address(struct view_row *row, unsigned column, const struct object *object,
		       const struct field *field);
/* The same of a character array, up to its first NUL. */
void row_field_text(struct view_row *row, unsigned column, const struct object *object,
		    const struct field *field);

#endif
