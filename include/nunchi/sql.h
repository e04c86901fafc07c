/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SQL over the views of guests: each view of nunchi_views() is a table with the view's own columns,
 * which can be read and not changed. The dialect is that of SQLite 3.38 or later.
 *
 * The rules of nunchi.h hold here too: for errors, ownership, threads, and fork(). A struct
 * nunchi_sql with its statements and guests is used by one thread at a time.
 *
 * Values: integers and real numbers are numbers of SQLite, texts are bytes. An address is the
 * 64-bit integer with the same bits: addresses of a kernel are negative, and 0xffffffff81000000 is
 * written as that. A cell without a value is NULL. Its reason stays with it as long as it is the
 * plain column of a table; it is lost where SQLite sorts, groups or stores rows.
 *
 * Functions besides those of SQLite: absence(COLUMN) is the reason of a NULL as a text, NULL for a
 * value, "null" for a NULL whose reason is not known; symbol(ADDRESS) is "name+0x12", with
 * " [module]" behind it for a module, of the first guest; hex(INTEGER) is "0x12", of anything else
 * what SQLite gives; split(TEXT, SEPARATORS, INDEX) is one of the parts, which any of the
 * separators divide, without empty ones, and then without blanks around them; regex_match(TEXT,
 * PATTERN, INDEX) is a group of the first match (0: all of it), regex_split(TEXT, PATTERN, INDEX)
 * one of the parts between matches, both by PCRE2; print(EXPRESSION) is the value of an expression,
 * as nunchi_print() has it, of the first guest: a number, a text, or for others what is shown. NULL
 * where memory cannot be read. The table each(EXPRESSION), which each schema has, has a row for
 * what the expression gives, or with each() in it for each element: value, type, address, error.
 */
#ifndef NUNCHI_SQL_H
#define NUNCHI_SQL_H

#include <nunchi/nunchi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nunchi_sql;

struct nunchi_sql_options {
	size_t size; /* sizeof(struct nunchi_sql_options) */
	/*
	 * For running guests that were opened with NUNCHI_PAUSE_ALWAYS: before a statement gives
	 * its first row, it is executed until the session's copies hold all pages that it needs, so
	 * that all tables show one moment. A statement is executed twice or more then.
	 */
	bool one_moment;
	/*
	 * The memory that SQLite may take, in bytes; 0: no limit. SQLite has one such limit in a
	 * process (sqlite3_hard_heap_limit64()), which this sets. A statement that needs more fails
	 * with NUNCHI_ERROR_NOMEM.
	 */
	uint64_t max_bytes;
};

/*
 * Loads SQLite and creates a database without tables. A context that is cancelled ends statements.
 * Call this before a guest is opened with nunchi_guest_options.confine: a confined process cannot
 * load libraries. options may be NULL. The caller frees the result by nunchi_sql_destroy(), before
 * the context. Fails with NUNCHI_ERROR_UNSUPPORTED if this build of nunchi has no SQL, or SQLite is
 * not installed.
 */
NUNCHI_API struct nunchi_error *nunchi_sql_create(struct nunchi_context *context,
						  const struct nunchi_sql_options *options,
						  struct nunchi_sql **ret);
/*
 * Makes the views of a guest tables of the schema with this name, of letters, digits and "_". The
 * schema "main" is there from the start. A table's name without a schema means that of the schema
 * that was added first, which alone may be called "main". The guest is not read before a statement
 * does; close it after nunchi_sql_destroy(), also if this call fails. Fails with
 * NUNCHI_ERROR_ARGUMENT if the name is taken or not allowed, or there are 10 schemas besides
 * "main".
 */
NUNCHI_API struct nunchi_error *nunchi_sql_add(struct nunchi_sql *sql, const char *schema,
					       struct nunchi_guest *guest);
/*
 * Asks the statement that runs to end soon with NUNCHI_ERROR_CANCELLED. Later statements run as
 * usual: nunchi_sql_prepare() forgets the request. Async-signal-safe; may be called from any thread
 * until the database is destroyed.
 */
NUNCHI_API void nunchi_sql_cancel(struct nunchi_sql *sql);
/* Frees the database. All its statements must be closed before. NULL is accepted. */
NUNCHI_API void nunchi_sql_destroy(struct nunchi_sql *sql);

/* ---- Statements ------------------------------------------------------------------------------ */

struct nunchi_statement;

/*
 * Prepares the first statement of a text: SELECT, VALUES, WITH or EXPLAIN; anything else fails with
 * NUNCHI_ERROR_PERMISSION. *ret_rest, if not NULL, is where the text goes on behind it. *ret is
 * NULL if there are only blanks and comments. The caller frees the statement by
 * nunchi_statement_close(). Fails with NUNCHI_ERROR_ARGUMENT for what SQLite does not understand or
 * find; nunchi_sql_error_offset() then says where.
 */
NUNCHI_API struct nunchi_error *nunchi_sql_prepare(struct nunchi_sql *sql, const char *text,
						   struct nunchi_statement **ret,
						   const char **ret_rest);
/*
 * Where in its text the last nunchi_sql_prepare() failed, in bytes from the text's start. False if
 * it did not fail, or no place is known.
 */
NUNCHI_API bool nunchi_sql_error_offset(const struct nunchi_sql *sql, size_t *ret);

/*
 * The statement's columns. The name of a column that has the name of an earlier one gets a number
 * (pid, pid:1). A plain column of a view has its type and unit; any other has the type of its value
 * in the first row, which is known after the first nunchi_statement_next(). Owned by the statement.
 */
NUNCHI_API const struct nunchi_column *const *
nunchi_statement_columns(const struct nunchi_statement *statement, size_t *ret_count);
/*
 * Gets the next row: one cell for each column, valid until the next call on this statement. Fails
 * with NUNCHI_ERROR_STOP when there are no more rows. From the first row to the end of the
 * statement each guest whose tables are read has a session (nunchi_session_open()), so that no
 * other may be open. A cell's type is that of its value, which need not be that of the column.
 */
NUNCHI_API struct nunchi_error *nunchi_statement_next(struct nunchi_statement *statement,
						      const struct nunchi_cell **ret_cells);
/*
 * Whether all rows that were read of a guest's tables are of one moment: false if the guest ran on
 * while more than one table, or one more than once, was read. Ask after the last row.
 */
NUNCHI_API bool nunchi_statement_is_one_moment(const struct nunchi_statement *statement);
/*
 * How many rows of views were torn, as nunchi_cursor_next() says, of those that the statement read.
 * Ask after the last row.
 */
NUNCHI_API uint64_t nunchi_statement_torn(const struct nunchi_statement *statement);
/*
 * Warning number `index`, counted from 0, about rows or cells that could not be read; NULL if there
 * are no more; it begins with the schema if there are several. Equal texts are kept once, at most
 * 64 in all. Ask after the last row. Owned by the statement.
 */
NUNCHI_API const char *nunchi_statement_warning(const struct nunchi_statement *statement,
						size_t index);
/* Ends the statement and frees it. NULL is accepted. */
NUNCHI_API void nunchi_statement_close(struct nunchi_statement *statement);

#ifdef __cplusplus
}
#endif

#endif
