/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the forms of output share. A form is a struct writer_ops over one struct nunchi_writer.
 *
 * How each keeps a value, an absence and a torn row apart:
 *
 *  * table: "-" for not applicable, "<paged out>" and so on for the other absences; a torn row ends
 *    in " ~", which a last line explains;
 *  * line ("name = value", one value a line): the same; a torn row has a last line "torn = 1";
 *  * CSV (RFC 4180, lines end in a newline alone): the same words; a last column `torn` is 0 or 1,
 *    left out where rows cannot be torn;
 *  * JSON (one object a line): "column":null, with the reason in "absent":{"column":"paged out"};
 *    "torn":true in a torn row only, "remains":true in each row of a kernel that does not run.
 *
 * Text that would look like one of these marks is escaped (see escape.h).
 */
#ifndef NUNCHI_OUTPUT_WRITER_H
#define NUNCHI_OUTPUT_WRITER_H

#include "core/buffer.h"
#include "core/error.h"

#include <nunchi/nunchi.h>

struct writer_ops {
	/* Appends what opens the output. */
	void (*begin)(struct nunchi_writer *writer);
	struct nunchi_error *(*row)(struct nunchi_writer *writer, const struct nunchi_cell *cells,
				    bool torn);
	struct nunchi_error *(*finish)(struct nunchi_writer *writer);
};

struct writer_column {
	char *name;   /* owned */
	char *key;    /* JSON: the name as it is written before each value; owned */
	size_t width; /* table: columns it takes on the screen */
	enum nunchi_type type;
	enum nunchi_unit unit;
	bool is_text;
};

struct writer_cell {
	size_t offset; /* in held */
	size_t size;
	size_t width;
};

struct nunchi_writer {
	const struct writer_ops *ops;
	struct nunchi_writer_options options;
	struct writer_column *columns;
	size_t column_count;
	bool (*write)(const char *data, size_t size, void *data2);
	void *data;
	bool finished;
	struct buffer out; /* finished bytes on their way out */

	/* Of the table: what is held back. */
	struct buffer held;
	struct writer_cell *cells; /* row after row */
	bool *torn;
	size_t row_count;
	size_t row_capacity;
	size_t shown; /* columns that fit; in lines, the width of the widest name */
	bool laid_out;
	bool any_torn;
};

extern const struct writer_ops writer_table;
extern const struct writer_ops writer_json;
extern const struct writer_ops writer_csv;
extern const struct writer_ops writer_line;

/* Gives the finished bytes to the caller's write(). */
struct nunchi_error *writer_flush(struct nunchi_writer *writer);

/* Numbers and addresses, whatever the process's locale. The cell holds a value, not text. */
void writer_append_number(struct buffer *out, const struct nunchi_cell *cell);

/* The cell as a table and CSV show it. */
void writer_append_cell(struct buffer *out, const struct nunchi_cell *cell);

/* A number with a unit as people read it ("256 MiB"), any other cell as CSV has it. */
void writer_append_for_people(struct buffer *out, const struct writer_column *column,
			      const struct nunchi_cell *cell);

/* Whether the cell has no value to show (absent, NaN or infinite), and why. */
bool writer_is_absent(const struct nunchi_cell *cell, enum nunchi_absence *ret);

#endif
