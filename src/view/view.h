/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views: a schema, and a provider for each guest operating system. A new view takes one file, one
 * line in views.def and one in meson.build.
 *
 * A view file lists its columns once, as an X-macro:
 *
 *	#define COLUMNS(X)                                                                         \
 *		X(pid, INTEGER, "process id")                                                     \
 *		X(name, TEXT, "the kernel's name of it (comm)")
 *	enum { COLUMNS(VIEW_COLUMN_ENUM) };
 *	static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
 *	const struct view view_things = {
 *	    .schema = {"things", "one line", columns, ARRAY_SIZE(columns)},
 *	    .providers = {{&guest_linux, ...}}};
 *
 * This defines COLUMN_pid, COLUMN_name …, the column indexes for the functions below. Views and
 * columns have the names of osquery's schema (revision 5.14) if osquery has the table.
 *
 * The second word of a line is the column's type: INTEGER, REAL, ADDRESS or TEXT; for an integer
 * with a unit it is the unit: BYTES, MILLISECONDS, SECONDS, UNIX_TIME or OCTAL (enum nunchi_unit).
 */
#ifndef NUNCHI_VIEW_VIEW_H
#define NUNCHI_VIEW_VIEW_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/number_filter.h"
#include "guest/guest.h"

#define VIEW_COLUMN_ENUM(name, type, doc) COLUMN_##name,
#define VIEW_COLUMN(name, type, doc)      {#name, VIEW_COLUMN_##type(doc)},
#define VIEW_MAX_COLUMNS                  64
#define VIEW_MAX_SYSTEMS                  4

#define VIEW_COLUMN_INTEGER(doc)      NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_NONE
#define VIEW_COLUMN_REAL(doc)         NUNCHI_TYPE_REAL, doc, NUNCHI_UNIT_NONE
#define VIEW_COLUMN_ADDRESS(doc)      NUNCHI_TYPE_ADDRESS, doc, NUNCHI_UNIT_NONE
#define VIEW_COLUMN_TEXT(doc)         NUNCHI_TYPE_TEXT, doc, NUNCHI_UNIT_NONE
#define VIEW_COLUMN_BYTES(doc)        NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_BYTES
#define VIEW_COLUMN_MILLISECONDS(doc) NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_MILLISECONDS
#define VIEW_COLUMN_SECONDS(doc)      NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_SECONDS
#define VIEW_COLUMN_UNIX_TIME(doc)    NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_UNIX_TIME
#define VIEW_COLUMN_OCTAL(doc)        NUNCHI_TYPE_INTEGER, doc, NUNCHI_UNIT_OCTAL

/* A condition on the cells of a column; an absent cell does not meet it. */
struct view_constraint {
	unsigned column;
	enum nunchi_operator op;
	/*
	 * of the column's type, in ascending order; NUNCHI_IN may have several, other operators
	 * have one
	 */
	const struct nunchi_cell *values;
	size_t count;
};

/*
 * The request that a provider serves. The cursor tests each row against the constraints; a provider
 * may use them to read less (with constraints on the process id, only these processes).
 */
struct view_request {
	uint64_t columns; /* a bit for each column that is needed */
	/*
	 * For an INTEGER column with constraints, the values that meet all of them; NULL: all
	 * values.
	 */
	const struct number_filter *numbers[VIEW_MAX_COLUMNS];
	const struct view_constraint *constraints;
	size_t constraint_count;
	uint64_t limit; /* greatest number of rows, 0: no limit; a provider may ignore it */
};

static inline bool view_wants(const struct view_request *request, unsigned column)
{
	return request->columns >> column & 1;
}

/* A row that a provider fills. All cells are NUNCHI_ABSENT_NOT_COMPUTED at first. */
struct view_row;
/* A cell as it is now. */
const struct nunchi_cell *row_cell(const struct view_row *row, unsigned column);
/* Set a cell to a value of the column's type. */
void row_integer(struct view_row *row, unsigned column, int64_t value);
void row_real(struct view_row *row, unsigned column, double value);
void row_address(struct view_row *row, unsigned column, uint64_t value);
/* These two copy the bytes. */
void row_text(struct view_row *row, unsigned column, const void *text, size_t size);
void row_string(struct view_row *row, unsigned column, const char *string);
/* Sets a cell to an absence. */
void row_absent(struct view_row *row, unsigned column, enum nunchi_absence why);
/* Set a cell to the value that was read, or to the absence that corresponds to the result. */
void row_read_integer(struct view_row *row, unsigned column, enum read_result result,
		      int64_t value);
void row_read_address(struct view_row *row, unsigned column, enum read_result result,
		      uint64_t value);
void row_read_text(struct view_row *row, unsigned column, enum read_result result,
		   const struct buffer *text);
/*
 * Sets a cell to the absence that corresponds to a result other than READ_OK. READ_NO_MEMORY makes
 * the query fail with NUNCHI_ERROR_NOMEM instead.
 */
void row_unread(struct view_row *row, unsigned column, enum read_result why);
/*
 * Marks the row as torn: the guest changed it during each try. A provider that returns &error_stop
 * after this says that the list changed too fast to be read to its end.
 */
void row_torn(struct view_row *row);
/*
 * For fill() of row_settle(): the object became another one while it was read, so that this try
 * does not count.
 */
void row_changed(struct view_row *row);
/* Clears the row for another try. */
void row_reset(struct view_row *row);
/*
 * Adds a warning about something that cannot be shown (a list that is cut short …). Equal texts are
 * kept once, at most 16 in all.
 */
void row_warn(struct view_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Fills a row by fill(). On a running guest, fills it again until two tries give the same row, and
 * marks it as torn if none do. fill() gets an empty row; it returns false if the object does not
 * exist any more, and then row_settle() returns false, too. Only the columns in `stable` are
 * compared; it should not contain columns that change all the time (times, sizes).
 */
bool row_settle(struct view_row *row, struct guest_kernel *kernel, uint64_t stable,
		bool (*fill)(void *state, struct view_row *row), void *state);
#define VIEW_COLUMN_BIT(column) ((uint64_t)1 << (column))

/* A pull cursor for guests of one operating system. */
struct view_provider {
	const struct guest_system *system; /* NULL: the end of the list of providers */
	/* size of the cursor's state in bytes; the state is zeroed at first */
	size_t size;
	/* If it fails, it frees what it has allocated; close() is not called. */
	struct nunchi_error *(*open)(void *state, struct guest_kernel *kernel,
				     const struct view_request *request);
	/* Fills the next row; fails with &error_stop at the end. May add warnings in both cases. */
	struct nunchi_error *(*next)(void *state, struct view_row *row);
	void (*close)(void *state);
};

struct view {
	struct nunchi_view schema;
	struct view_provider providers[VIEW_MAX_SYSTEMS];
};

/* All views in the order of views.def, which is alphabetical. */
const struct view *const *view_registry(size_t *ret_count);
/* The view with this name, or NULL. */
const struct view *view_find(const char *name);

#endif
