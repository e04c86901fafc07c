/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/linux_cells.h"

/* True if there is a number to be had; else the cell says why not. */
static bool has_number(struct view_row *row, unsigned column, const struct object *object,
		       const struct field *field)
{
	bool usable = field->present && field->size <= sizeof(uint64_t);

	if (usable && object->size)
		return true;
	row_absent(row, column, usable ? NUNCHI_ABSENT_NOT_MAPPED : NUNCHI_ABSENT_NO_LAYOUT);
	return false;
}

void row_field(struct view_row *row, unsigned column, const struct object *object,
	       const struct field *field)
{
	if (has_number(row, column, object, field))
		row_integer(row, column, object_s64(object, field));
}

void row_field_unsigned(struct view_row *row, unsigned column, const struct object *object,
			const struct field *field)
{
	if (has_number(row, column, object, field))
		row_integer(row, column, (int64_t)object_u64(object, field));
}

void row_field_address(struct view_row *row, unsigned column, const struct object *object,
		       const struct field *field)
{
	if (has_number(row, column, object, field))
		row_address(row, column, object_u64(object, field));
}

void row_field_text(struct view_row *row, unsigned column, const struct object *object,
		    const struct field *field)
{
	const char *text;
	size_t length = object_text(object, field, &text);

	if (!field->present || !object->size)
		row_absent(row, column,
			   field->present ? NUNCHI_ABSENT_NOT_MAPPED : NUNCHI_ABSENT_NO_LAYOUT);
	else
		row_text(row, column, length ? text : "", length);
}
