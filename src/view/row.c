/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/row.h"
#include "core/hash.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

/*
 * Limit of the text of all cells of one row; environments and command lines have limits of their
 * own.
 */
#define ROW_TEXT_LIMIT ((size_t)16 << 20)

void row_init(struct view_row *row, const struct nunchi_view *schema)
{
	memset(row, 0, sizeof(*row));
	row->schema = schema;
	for (size_t i = 0; i < schema->column_count; i++)
		row->blank[i] = (struct nunchi_cell){
		    .kind = NUNCHI_CELL_ABSENT,
		    .type = schema->columns[i].type,
		    .absence = NUNCHI_ABSENT_NOT_COMPUTED,
		};
	buffer_init(&row->text, ROW_TEXT_LIMIT);
	row_reset(row);
}

void row_deinit(struct view_row *row)
{
	buffer_deinit(&row->text);
	for (size_t i = 0; i < row->warning_count; i++)
		free(row->warnings[i]);
	row->warning_count = 0;
}

void row_reset(struct view_row *row)
{
	buffer_clear(&row->text);
	row->torn = false;
	row->changed = false;
	row->no_memory = false;
	row->texts = 0;
	memcpy(row->cells, row->blank, row->schema->column_count * sizeof(*row->cells));
}

const struct nunchi_cell *row_cell(const struct view_row *row, unsigned column)
{
	return &row->cells[column];
}

void row_integer(struct view_row *row, unsigned column, int64_t value)
{
	row->cells[column].kind = NUNCHI_CELL_VALUE;
	row->cells[column].integer = value;
}

void row_real(struct view_row *row, unsigned column, double value)
{
	row->cells[column].kind = NUNCHI_CELL_VALUE;
	row->cells[column].real = value;
}

void row_address(struct view_row *row, unsigned column, uint64_t value)
{
	row->cells[column].kind = NUNCHI_CELL_VALUE;
	row->cells[column].address = value;
}

void row_text(struct view_row *row, unsigned column, const void *text, size_t size)
{
	row->text_offset[column] = row->text.size;
	row->texts |= VIEW_COLUMN_BIT(column);
	if (!buffer_append(&row->text, text, size)) {
		row_absent(row, column, NUNCHI_ABSENT_LIMIT);
		return;
	}
	row->cells[column].kind = NUNCHI_CELL_VALUE;
	row->cells[column].text_size = size;
}

void row_string(struct view_row *row, unsigned column, const char *string)
{
	row_text(row, column, string, strlen(string));
}

void row_absent(struct view_row *row, unsigned column, enum nunchi_absence why)
{
	row->cells[column].kind = NUNCHI_CELL_ABSENT;
	row->cells[column].absence = why;
	row->cells[column].text_size = 0;
}

enum nunchi_absence row_absence_of(enum read_result why)
{
	switch (why) {
	case READ_NONE:
		return NUNCHI_ABSENT_NOT_APPLICABLE;
	case READ_PAGED_OUT:
		return NUNCHI_ABSENT_PAGED_OUT;
	case READ_NOT_SAVED:
		return NUNCHI_ABSENT_NOT_SAVED;
	case READ_NOT_MAPPED:
	case READ_NO_RAM:
		return NUNCHI_ABSENT_NOT_MAPPED;
	case READ_NO_LAYOUT:
		return NUNCHI_ABSENT_NO_LAYOUT;
	case READ_NO_SYMBOL:
		return NUNCHI_ABSENT_NO_SYMBOL;
	case READ_LIMIT:
		return NUNCHI_ABSENT_LIMIT;
	case READ_BAD_DATA:
		return NUNCHI_ABSENT_BAD_DATA;
	default:
		return NUNCHI_ABSENT_IO;
	}
}

void row_unread(struct view_row *row, unsigned column, enum read_result why)
{
	row->no_memory |= why == READ_NO_MEMORY;
	row_absent(row, column, row_absence_of(why));
}

void row_read_integer(struct view_row *row, unsigned column, enum read_result result, int64_t value)
{
	if (result == READ_OK)
		row_integer(row, column, value);
	else
		row_unread(row, column, result);
}

void row_read_address(struct view_row *row, unsigned column, enum read_result result,
		      uint64_t value)
{
	if (result == READ_OK)
		row_address(row, column, value);
	else
		row_unread(row, column, result);
}

void row_read_text(struct view_row *row, unsigned column, enum read_result result,
		   const struct buffer *text)
{
	if (result == READ_OK)
		row_text(row, column, buffer_string(text), text->size);
	else
		row_unread(row, column, result);
}

void row_torn(struct view_row *row)
{
	row->torn = true;
}

void row_changed(struct view_row *row)
{
	row->changed = true;
}

void row_warn(struct view_row *row, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (row->warning_count == ROW_MAX_WARNINGS)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (!text) {
		row->warning_lost = true;
		return;
	}
	for (size_t i = 0; i < row->warning_count; i++) {
		if (!strcmp(row->warnings[i], text)) {
			free(text);
			return;
		}
	}
	row->warnings[row->warning_count++] = text;
}

struct nunchi_error *row_finish(struct view_row *row)
{
	if (row->no_memory || row->warning_lost || row->text.no_memory)
		return &error_nomem;
	for (uint64_t left = row->texts; left; left &= left - 1) {
		int column = __builtin_ctzll(left);
		struct nunchi_cell *cell = &row->cells[column];

		if (cell->kind == NUNCHI_CELL_VALUE)
			cell->text = buffer_string(&row->text) + row->text_offset[column];
	}
	return NULL;
}

int row_compare_cells(const void *a, const void *b)
{
	const struct nunchi_cell *x = a, *y = b;
	size_t least = x->text_size < y->text_size ? x->text_size : y->text_size;
	int order;

	switch (x->type) {
	case NUNCHI_TYPE_INTEGER:
		return (x->integer > y->integer) - (x->integer < y->integer);
	case NUNCHI_TYPE_REAL:
		return (x->real > y->real) - (x->real < y->real);
	case NUNCHI_TYPE_ADDRESS:
		return (x->address > y->address) - (x->address < y->address);
	case NUNCHI_TYPE_TEXT:
		break;
	}
	order = least ? memcmp(x->text, y->text, least) : 0;
	return order ? order : (x->text_size > y->text_size) - (x->text_size < y->text_size);
}

bool row_cell_meets(const struct nunchi_cell *cell, const struct view_constraint *constraint)
{
	const struct nunchi_cell *value = constraint->values;

	if (cell->kind != NUNCHI_CELL_VALUE)
		return false;
	switch (constraint->op) {
	case NUNCHI_EQUAL:
		return !row_compare_cells(cell, value);
	case NUNCHI_LESS:
		return row_compare_cells(cell, value) < 0;
	case NUNCHI_LESS_EQUAL:
		return row_compare_cells(cell, value) <= 0;
	case NUNCHI_GREATER:
		return row_compare_cells(cell, value) > 0;
	case NUNCHI_GREATER_EQUAL:
		return row_compare_cells(cell, value) >= 0;
	case NUNCHI_IN:
		return bsearch(cell, value, constraint->count, sizeof(*value), row_compare_cells);
	case NUNCHI_PREFIX:
		return cell->text_size >= value->text_size &&
		       !memcmp(cell->text, value->text, value->text_size);
	}
	return false;
}

/*
 * As strtod() in the C locale: in other locales, which the calling program may have set, the
 * fraction begins with a comma.
 */
static double parse_real(const char *value, char **ret_end)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	double real = 0;

	*ret_end = (char *)value;
	if (c) {
		real = strtod_l(value, ret_end, c);
		freelocale(c);
	}
	return real;
}

/*
 * Parses the whole text as a number. 010 is eight in a column that tables show in octal, ten in any
 * other.
 */
static bool parse_number(const struct nunchi_column *column, const char *value,
			 struct nunchi_cell *ret)
{
	enum nunchi_type type = column->type;
	const char *digits = value + (*value == '-' && type != NUNCHI_TYPE_ADDRESS);
	int base = 10;
	char *end = NULL;

	if (digits[0] == '0' && (digits[1] | 0x20) == 'x')
		base = 16;
	else if (digits[0] == '0' && column->unit == NUNCHI_UNIT_OCTAL)
		base = 8;

	errno = 0;
	/* strtoll() and the like would accept leading spaces and a second sign. */
	if (!isdigit((unsigned char)*digits) && !(type == NUNCHI_TYPE_REAL && *digits == '.'))
		return false;
	if (type == NUNCHI_TYPE_INTEGER)
		ret->integer = strtoll(value, &end, base);
	else if (type == NUNCHI_TYPE_ADDRESS)
		ret->address = strtoull(value, &end, base);
	else
		ret->real = parse_real(value, &end);
	return !errno && end != value && !*end;
}

/* Says in which form the column's numbers are compared. */
static struct nunchi_error *no_number(const struct nunchi_column *column, const char *value,
				      int errnum)
{
	static const char *const forms[] = {
	    [NUNCHI_UNIT_BYTES] = "give bytes, as --json prints them",
	    [NUNCHI_UNIT_MILLISECONDS] = "give milliseconds, as --json prints them",
	    [NUNCHI_UNIT_SECONDS] = "give seconds, as --json prints them",
	    [NUNCHI_UNIT_UNIX_TIME] = "give seconds since 1970, as --json prints them",
	    [NUNCHI_UNIT_OCTAL] = "give it in octal with a leading 0, or in decimal",
	};
	struct nunchi_error *err =
	    error_create(NUNCHI_ERROR_ARGUMENT,
			 errnum == ERANGE ? "the number for column %s is out of range: %s"
					  : "column %s takes a number, which \"%s\" is not",
			 column->name, value);

	if (column->type == NUNCHI_TYPE_ADDRESS)
		return error_hint(err, "begin hexadecimal numbers with 0x");
	/* Without a unit the caller, who knows the view, says where the numbers are explained. */
	return column->unit == NUNCHI_UNIT_NONE ? err : error_hint(err, "%s", forms[column->unit]);
}

struct nunchi_error *row_parse_cell(const struct nunchi_column *column, const char *value,
				    struct nunchi_cell *ret)
{
	struct nunchi_cell cell = {.kind = NUNCHI_CELL_VALUE, .type = column->type};

	if (column->type == NUNCHI_TYPE_TEXT) {
		cell.text = value;
		cell.text_size = strlen(value);
	} else if (!parse_number(column, value, &cell)) {
		return no_number(column, value, errno);
	}
	*ret = cell;
	return NULL;
}

/* The number of a cell, or the hash of its text with *ret_size its size. */
static uint64_t value_digest(const struct view_row *row, size_t column, uint64_t *ret_size)
{
	const struct nunchi_cell *cell = &row->cells[column];
	uint64_t bits;

	switch (cell->type) {
	case NUNCHI_TYPE_INTEGER:
		return (uint64_t)cell->integer;
	case NUNCHI_TYPE_ADDRESS:
		return cell->address;
	case NUNCHI_TYPE_REAL:
		memcpy(&bits, &cell->real, sizeof(bits));
		return bits;
	case NUNCHI_TYPE_TEXT:
		break;
	}
	*ret_size = cell->text_size;
	return hash_bytes(buffer_string(&row->text) + row->text_offset[column], cell->text_size);
}

/* A hash of the cells in the columns `stable`. */
static uint64_t digest(const struct view_row *row, uint64_t stable)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < row->schema->column_count; i++) {
		const struct nunchi_cell *cell = &row->cells[i];
		uint64_t parts[] = {hash, cell->kind, cell->absence, 0, 0};

		if (!(stable >> i & 1))
			continue;
		if (cell->kind == NUNCHI_CELL_VALUE)
			parts[3] = value_digest(row, i, &parts[4]);
		hash = hash_bytes(parts, sizeof(parts));
	}
	return hash;
}

bool row_settle(struct view_row *row, struct guest_kernel *kernel, uint64_t stable,
		bool (*fill)(void *state, struct view_row *row), void *state)
{
	uint64_t before = 0;
	bool had_before = false;

	for (int tries = 0; tries < 5; tries++) {
		uint64_t now;

		/*
		 * Discard translations of addresses of processes. During a query a page table may
		 * be reused for another process, and a second try that uses translations of the
		 * first try would prove nothing.
		 */
		if (kernel->live)
			guest_spaces_forget(&kernel->spaces);
		row_reset(row);
		if (!fill(state, row))
			return false;
		if (!kernel->live)
			return true;
		now = digest(row, stable);
		if (had_before && now == before && !row->changed)
			return true;
		had_before = !row->changed;
		before = now;
	}
	row_torn(row);
	return true;
}
