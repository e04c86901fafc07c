/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Views: a schema and a provider per guest operating system. Adding a view is one file, one line
 * in views.def and one in meson.build.
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
 * which makes COLUMN_pid, COLUMN_name … the indexes for the calls below. Names follow osquery's
 * schema (revision 5.14) where it has the table.
 *
 * The second word of a line is the column's type, INTEGER, REAL, ADDRESS or TEXT, or for an integer
 * with a unit the unit: BYTES, MILLISECONDS, SECONDS, UNIX_TIME or OCTAL (enum nunchi_unit).
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

/* A condition on a column's cell; an absent cell meets none. */
struct view_constraint {
	unsigned column;
	enum nunchi_operator op;
	const struct nunchi_cell *values; /* of the column's type, ascending; one, but for IN */
	size_t count;
};

/*
 * What is asked for. The cursor checks each row against the constraints; a provider uses them to
 * read less, as those on a process id to walk only these processes.
 */
struct view_request {
	uint64_t columns; /* a bit for each column whose cell will be looked at */
	/* Which values of an INTEGER column meet all its constraints; NULL: all of them. */
	const struct number_filter *numbers[VIEW_MAX_COLUMNS];
	const struct view_constraint *constraints;
	size_t constraint_count;
	uint64_t limit; /* rows, 0: none; a provider may ignore it */
};

static inline bool view_wants(const struct view_request *request, unsigned column)
{
	return request->columns >> column & 1;
}

/* A row being filled; cells start as NOT_COMPUTED. */
struct view_row;
void row_integer(struct view_row *row, unsigned column, int64_t value);
void row_real(struct view_row *row, unsigned column, double value);
void row_address(struct view_row *row, unsigned column, uint64_t value);
/* Copies the bytes. */
void row_text(struct view_row *row, unsigned column, const void *text, size_t size);
void row_string(struct view_row *row, unsigned column, const char *string);
void row_absent(struct view_row *row, unsigned column, enum nunchi_absence why);
/* What was read, or the absence for the reason why it was not. */
void row_read_integer(struct view_row *row, unsigned column, enum read_result result,
		      int64_t value);
void row_read_address(struct view_row *row, unsigned column, enum read_result result,
		      uint64_t value);
void row_read_text(struct view_row *row, unsigned column, enum read_result result,
		   const struct buffer *text);
/*
 * The absence for a reason other than READ_OK. READ_NO_MEMORY is none: it ends the query with
 * NUNCHI_ERROR_NOMEM.
 */
void row_unread(struct view_row *row, unsigned column, enum read_result why);
/*
 * The guest changed the row while it was read, in every try. Given with &error_stop: what is listed
 * changed too fast to be followed to its end.
 */
void row_torn(struct view_row *row);
/* For row_settle()'s fill: what is shown became another thing meanwhile; this try does not count.
 */
void row_changed(struct view_row *row);
/* Empties the row for another try. */
void row_reset(struct view_row *row);
/* Says what could not be shown (a list cut short …); kept once for each text, at most 16. */
void row_warn(struct view_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Fills a row and, on a live guest, fills it again until it comes out the same twice; marks it torn
 * if it never does. fill sets the cells (of a row just emptied) and returns false if the thing
 * shown is gone: then so does row_settle(). Only the columns in stable are compared: leave out
 * what changes by itself (times, sizes).
 */
bool row_settle(struct view_row *row, struct guest_kernel *kernel, uint64_t stable,
		bool (*fill)(void *state, struct view_row *row), void *state);
#define VIEW_COLUMN_BIT(column) ((uint64_t)1 << (column))

/* A pull cursor over the guests of one operating system. */
struct view_provider {
	const struct guest_system *system; /* NULL: no provider, and none behind it */
	size_t size;                       /* bytes of the cursor's own state, given zeroed */
	/* On failure close is not called; clean up. */
	struct nunchi_error *(*open)(void *state, struct guest_kernel *kernel,
				     const struct view_request *request);
	/* Fills the next row; &error_stop at the end. Warnings may be given with either. */
	struct nunchi_error *(*next)(void *state, struct view_row *row);
	void (*close)(void *state);
};

struct view {
	struct nunchi_view schema;
	struct view_provider providers[VIEW_MAX_SYSTEMS];
};

/* All views in views.def's order, which is alphabetical. */
const struct view *const *view_registry(size_t *ret_count);
const struct view *view_find(const char *name);

#endif
