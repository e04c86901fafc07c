/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this room share: the database, the guests behind it, and its statements. */
#ifndef NUNCHI_SQL_SQL_H
#define NUNCHI_SQL_SQL_H

#include "core/cancel.h"
#include "core/error.h"
#include "sql/library.h"

#include <nunchi/sql.h>

#define SQL_MAX_SCHEMAS  11 /* "main", and as many as SQLite attaches */
#define SQL_MAX_WARNINGS 64

/* A NULL with a reason has this subtype plus enum nunchi_absence. 'J' and 'p' are SQLite's own. */
#define SQL_ABSENCE 0xa0

struct sql_regex;

/* A guest and the schema of its tables. */
struct sql_source {
	struct nunchi_sql *sql;
	char *schema; /* owned */
	struct nunchi_guest *guest;
	struct nunchi_session *session; /* NULL: no statement has read of the guest */
	uint64_t moment;                /* of the session, when the first cursor had been opened */
	uint64_t cursors;               /* that were opened in the session */
};

struct nunchi_sql {
	struct nunchi_context *context;
	sqlite3 *db;
	struct cancel cancel;
	bool one_moment;
	uint64_t max_bytes;
	struct sql_regex *regex;
	uint64_t key[2]; /* of rowids */
	struct sql_source *sources[SQL_MAX_SCHEMAS];
	size_t source_count;
	/* why a function that SQLite called has failed; the statement takes it */
	struct nunchi_error *error;
	struct nunchi_statement *running; /* that has begun and not ended; NULL: none */
	bool has_offset;
	size_t offset; /* of the last error */
};

struct nunchi_statement {
	struct nunchi_sql *sql;
	sqlite3_stmt *stmt;
	struct nunchi_column *columns;
	const struct nunchi_column **column_pointers;
	struct nunchi_cell *cells;
	size_t column_count;
	bool typed, ended, moved;
	uint64_t torn;
	char *warnings[SQL_MAX_WARNINGS];
	size_t warning_count;
};

/* ---- database.c ---- */

/* Whether the statement that runs is to end. */
bool sql_is_cancelled(const struct nunchi_sql *sql);
/* The source of a schema, NULL if there is none. */
struct sql_source *sql_find_source(const struct nunchi_sql *sql, const char *schema);

/* ---- table.c ---- */

struct nunchi_error *sql_create_module(struct nunchi_sql *sql);
/* The type and unit of a column that was declared so; false for anything else. */
bool sql_column_declared(const char *declared, struct nunchi_column *ret);

/* ---- function.c ---- */

struct nunchi_error *sql_create_functions(struct nunchi_sql *sql);

/* ---- each.c ---- */

struct nunchi_error *sql_create_each(struct nunchi_sql *sql);

/* ---- regex.c ---- */

/* Loads the library, if it is there. Call sql_regex_destroy() also if this fails. */
struct nunchi_error *sql_regex_create(struct sql_regex **ret);
/* NULL is accepted. */
void sql_regex_destroy(struct sql_regex *regex);
void sql_regex_match(sqlite3_context *context, int argument_count, sqlite3_value **values);
void sql_regex_split(sqlite3_context *context, int argument_count, sqlite3_value **values);

/* ---- statement.c ---- */

/* Keeps why a function that SQLite calls fails, and gives what that function returns. */
int sql_keep_error(struct nunchi_sql *sql, struct nunchi_error *err);
/* The error for what SQLite has returned; one that was kept comes first. */
struct nunchi_error *sql_error(struct nunchi_sql *sql, int result);
/* Opens the guest's session if the statement that runs has not done so. */
struct nunchi_error *sql_enter(struct sql_source *source);
/* Takes what a cursor has warned of. */
void sql_take_warnings(const struct sql_source *source, const struct nunchi_cursor *cursor);

#endif
