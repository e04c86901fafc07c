/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "sql/sql.h"

#include <stdio.h>
#include <string.h>

/* How often a statement is executed at most until the copies of a guest hold all that it reads. */
#define MAX_REHEARSALS 6

/* ---- Errors ---------------------------------------------------------------------------------- */

int sql_keep_error(struct nunchi_sql *sql, struct nunchi_error *err)
{
	int result = nunchi_error_code(err) == NUNCHI_ERROR_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;

	if (sql->error)
		nunchi_error_destroy(err);
	else
		sql->error = err;
	return result;
}

static struct nunchi_error *no_memory(const struct nunchi_sql *sql)
{
	if (!sql->max_bytes)
		return &error_nomem;
	return error_create(NUNCHI_ERROR_NOMEM,
			    "the statement needs more memory than SQLite may take (%llu MiB)",
			    (unsigned long long)(sql->max_bytes >> 20));
}

struct nunchi_error *sql_error(struct nunchi_sql *sql, int result)
{
	struct nunchi_error *kept = no_cleanup_ptr(sql->error);

	if (kept)
		return kept;
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return no_memory(sql);
	case SQLITE_INTERRUPT:
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	case SQLITE_AUTH:
		return error_hint(
		    error_create(NUNCHI_ERROR_PERMISSION, "the statement does more than read: %s",
				 sqlite.sqlite3_errmsg(sql->db)),
		    "a statement is SELECT, VALUES, WITH or EXPLAIN; guests are never "
		    "changed");
	default:
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s", sqlite.sqlite3_errmsg(sql->db));
	}
}

/* ---- Sessions -------------------------------------------------------------------------------- */

struct nunchi_error *sql_enter(struct sql_source *source)
{
	if (source->session)
		return NULL;
	source->cursors = 0;
	return nunchi_session_open(source->guest, NULL, &source->session);
}

/* Whether all that was read of a guest since its session was opened is of one moment. */
static bool is_one_moment(const struct sql_source *source)
{
	uint64_t moment;

	if (!source->session || source->cursors < 2)
		return true;
	moment = nunchi_session_moment(source->session);
	return moment && moment == source->moment;
}

/* Ends the statement that runs: the sessions of its guests are closed. */
static struct nunchi_error *leave(struct nunchi_statement *statement)
{
	struct nunchi_sql *sql = statement->sql;
	struct nunchi_error *first = NULL;

	if (sql->running != statement)
		return NULL;
	sql->running = NULL;
	for (size_t i = 0; i < sql->source_count; i++) {
		struct sql_source *source = sql->sources[i];
		struct nunchi_error *err;

		statement->moved |= !is_one_moment(source);
		err = nunchi_session_close(source->session);
		source->session = NULL;
		if (first)
			nunchi_error_destroy(err);
		else
			first = err;
	}
	return first;
}

/* Keeps a text, which the statement then owns, unless it has it already or too many. */
static void keep_warning(struct nunchi_statement *statement, char *text)
{
	size_t i = 0;

	while (i < statement->warning_count && strcmp(statement->warnings[i], text) != 0)
		i++;
	if (i < statement->warning_count || i == SQL_MAX_WARNINGS)
		free(text);
	else
		statement->warnings[statement->warning_count++] = text;
}

void sql_take_warnings(const struct sql_source *source, const struct nunchi_cursor *cursor)
{
	struct nunchi_statement *statement = source->sql->running;
	const char *text;

	for (size_t n = 0; statement && (text = nunchi_cursor_warning(cursor, n)); n++) {
		char *own;

		if (source->sql->source_count == 1)
			own = strdup(text);
		else if (asprintf(&own, "%s: %s", source->schema, text) < 0)
			own = NULL;
		if (own)
			keep_warning(statement, own);
	}
}

static void drop_warnings(struct nunchi_statement *statement)
{
	for (size_t i = 0; i < statement->warning_count; i++)
		free(statement->warnings[i]);
	statement->warning_count = 0;
}

/* ---- Preparing ------------------------------------------------------------------------------- */

/* A copy of the column's name, different from those before it. */
static char *own_name(const struct nunchi_statement *statement, size_t column)
{
	const char *name = sqlite.sqlite3_column_name(statement->stmt, (int)column);
	char *own = name ? strdup(name) : NULL;
	unsigned number = 0;

	for (size_t i = 0; own && i < column; i++) {
		if (strcmp(statement->columns[i].name, own) != 0)
			continue;
		free(own);
		if (asprintf(&own, "%s:%u", name, ++number) < 0)
			return NULL;
		i = (size_t)-1; /* The new name is compared with all of them. */
	}
	return own;
}

static struct nunchi_error *take_columns(struct nunchi_statement *statement)
{
	size_t count = (size_t)sqlite.sqlite3_column_count(statement->stmt);

	statement->columns = calloc(count + 1, sizeof(*statement->columns));
	statement->column_pointers = calloc(count + 1, sizeof(*statement->column_pointers));
	statement->cells = calloc(count + 1, sizeof(*statement->cells));
	if (!statement->columns || !statement->column_pointers || !statement->cells)
		return &error_nomem;
	for (size_t i = 0; i < count; i++) {
		struct nunchi_column *column = &statement->columns[i];
		const char *declared = sqlite.sqlite3_column_decltype(statement->stmt, (int)i);

		column->name = own_name(statement, i);
		if (!column->name)
			return &error_nomem;
		column->description = "";
		if (!sql_column_declared(declared, column))
			column->type = NUNCHI_TYPE_TEXT;
		statement->column_pointers[i] = column;
		statement->column_count = i + 1;
	}
	return NULL;
}

struct nunchi_error *nunchi_sql_prepare(struct nunchi_sql *sql, const char *text,
					struct nunchi_statement **ret, const char **ret_rest)
{
	struct nunchi_statement *statement;
	struct nunchi_error *err = NULL;
	const char *rest = NULL;
	int result;

	if (!sql || !text || !ret)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_sql_prepare() was given NULL; it needs a text");
	cancel_clear(&sql->cancel);
	sql->has_offset = false;
	statement = calloc(1, sizeof(*statement));
	if (!statement)
		return &error_nomem;
	statement->sql = sql;
	result = sqlite.sqlite3_prepare_v2(sql->db, text, -1, &statement->stmt, &rest);
	if (result) {
		int offset = sqlite.sqlite3_error_offset(sql->db);

		sql->has_offset = offset >= 0;
		sql->offset = offset >= 0 ? (size_t)offset : 0;
		err = sql_error(sql, result);
	} else if (statement->stmt) {
		err = take_columns(statement);
	}
	if (err || !statement->stmt) {
		nunchi_statement_close(statement);
		statement = NULL;
	}
	if (err)
		return err;
	*ret = statement;
	if (ret_rest)
		*ret_rest = rest;
	return NULL;
}

bool nunchi_sql_error_offset(const struct nunchi_sql *sql, size_t *ret)
{
	if (sql->has_offset)
		*ret = sql->offset;
	return sql->has_offset;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/*
 * Executes the statement without giving its rows until all that it reads is of one moment: by then
 * the copies of the guests' pages hold all of it.
 */
static struct nunchi_error *rehearse(struct nunchi_statement *statement)
{
	struct nunchi_sql *sql = statement->sql;

	for (unsigned round = 0; round < MAX_REHEARSALS; round++) {
		bool moved = false;
		int result;

		for (size_t i = 0; i < sql->source_count; i++)
			sql->sources[i]->cursors = 0;
		do
			result = sqlite.sqlite3_step(statement->stmt);
		while (result == SQLITE_ROW);
		sqlite.sqlite3_reset(statement->stmt);
		drop_warnings(statement);
		statement->torn = 0;
		if (result != SQLITE_DONE)
			return sql_error(sql, result);
		for (size_t i = 0; i < sql->source_count; i++)
			moved |= !is_one_moment(sql->sources[i]);
		if (!moved)
			break;
	}
	return NULL;
}

static struct nunchi_error *begin(struct nunchi_statement *statement)
{
	struct nunchi_sql *sql = statement->sql;

	sql->running = statement;
	return sql->one_moment ? rehearse(statement) : NULL;
}

static struct nunchi_cell take_cell(const struct nunchi_statement *statement, int i)
{
	const struct nunchi_column *column = &statement->columns[i];
	struct nunchi_cell cell = {.kind = NUNCHI_CELL_VALUE};
	unsigned reason;

	switch (sqlite.sqlite3_column_type(statement->stmt, i)) {
	case SQLITE_INTEGER:
		cell.type = NUNCHI_TYPE_INTEGER;
		cell.integer = sqlite.sqlite3_column_int64(statement->stmt, i);
		if (column->type != NUNCHI_TYPE_ADDRESS)
			break;
		cell.type = NUNCHI_TYPE_ADDRESS;
		cell.address = (uint64_t)cell.integer;
		break;
	case SQLITE_FLOAT:
		cell.type = NUNCHI_TYPE_REAL;
		cell.real = sqlite.sqlite3_column_double(statement->stmt, i);
		break;
	case SQLITE_NULL:
		reason =
		    sqlite.sqlite3_value_subtype(sqlite.sqlite3_column_value(statement->stmt, i));
		cell.kind = NUNCHI_CELL_ABSENT;
		cell.type = column->type;
		cell.absence = reason >= SQL_ABSENCE && reason - SQL_ABSENCE < NUNCHI_ABSENT_NULL
				   ? reason - SQL_ABSENCE
				   : NUNCHI_ABSENT_NULL;
		break;
	default:
		cell.type = NUNCHI_TYPE_TEXT;
		cell.text = sqlite.sqlite3_column_blob(statement->stmt, i);
		cell.text_size = (size_t)sqlite.sqlite3_column_bytes(statement->stmt, i);
		if (!cell.text)
			cell.text = "";
		break;
	}
	return cell;
}

static void take_row(struct nunchi_statement *statement)
{
	for (size_t i = 0; i < statement->column_count; i++) {
		struct nunchi_column *column = &statement->columns[i];
		const struct nunchi_cell *cell = &statement->cells[i];

		statement->cells[i] = take_cell(statement, (int)i);
		if (!statement->typed && cell->kind == NUNCHI_CELL_VALUE &&
		    !sql_column_declared(sqlite.sqlite3_column_decltype(statement->stmt, (int)i),
					 column))
			column->type = cell->type;
	}
	statement->typed = true;
}

struct nunchi_error *nunchi_statement_next(struct nunchi_statement *statement,
					   const struct nunchi_cell **ret_cells)
{
	struct nunchi_error *err = NULL, *left;
	int result = SQLITE_DONE;

	if (!statement || !ret_cells)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_statement_next() was given NULL");
	if (statement->ended)
		return &error_stop;
	if (statement->sql->running && statement->sql->running != statement)
		return error_create(NUNCHI_ERROR_BUSY,
				    "another statement of this database is running; close it, or "
				    "take all its rows");
	if (!statement->sql->running)
		err = begin(statement);
	if (!err)
		result = sqlite.sqlite3_step(statement->stmt);
	if (!err && result == SQLITE_ROW) {
		take_row(statement);
		*ret_cells = statement->cells;
		return NULL;
	}
	if (!err && result != SQLITE_DONE)
		err = sql_error(statement->sql, result);
	statement->ended = true;
	sqlite.sqlite3_reset(statement->stmt);
	left = leave(statement);
	if (err) {
		nunchi_error_destroy(left);
		return err;
	}
	return left ? left : &error_stop;
}

const struct nunchi_column *const *
nunchi_statement_columns(const struct nunchi_statement *statement, size_t *ret_count)
{
	*ret_count = statement->column_count;
	return statement->column_pointers;
}

bool nunchi_statement_is_one_moment(const struct nunchi_statement *statement)
{
	return !statement->moved;
}

uint64_t nunchi_statement_torn(const struct nunchi_statement *statement)
{
	return statement->torn;
}

const char *nunchi_statement_warning(const struct nunchi_statement *statement, size_t index)
{
	return index < statement->warning_count ? statement->warnings[index] : NULL;
}

void nunchi_statement_close(struct nunchi_statement *statement)
{
	if (!statement)
		return;
	if (statement->stmt)
		sqlite.sqlite3_finalize(statement->stmt);
	nunchi_error_destroy(leave(statement));
	for (size_t i = 0; i < statement->column_count; i++)
		free((char *)statement->columns[i].name);
	drop_warnings(statement);
	free(statement->columns);
	free(statement->column_pointers);
	free(statement->cells);
	free(statement);
}
