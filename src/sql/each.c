/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * each(EXPRESSION), a table whose rows are what a C expression over the kernel's memory gives: one,
 * or with each() in it one for each element.
 */
#include "core/buffer.h"
#include "sql/sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of all rows of an expression. */
#define MOST_BYTES ((size_t)48 << 20)

enum { COLUMN_VALUE, COLUMN_TYPE, COLUMN_ADDRESS, COLUMN_ERROR, COLUMN_EXPRESSION };
static const char declaration[] = "CREATE TABLE x(value, type TEXT, address INTEGER ADDRESS, "
				  "error TEXT, expression TEXT HIDDEN)";

/* A row as it is kept; the texts stand behind it, each with a byte 0. */
struct row {
	enum nunchi_printed_kind kind;
	bool has_value, has_address, has_error;
	uint64_t number, address;
	size_t value_size, type_size, error_size;
};

struct each_table {
	sqlite3_vtab base; /* first: SQLite knows it alone */
	struct sql_source *source;
};

struct each_cursor {
	sqlite3_vtab_cursor base; /* first */
	struct buffer rows;
	size_t next;                 /* where the next row begins */
	struct row row;              /* the one that is read, if there is one */
	const char *value;           /* its texts */
	char *expression;            /* owned */
	struct nunchi_error *broken; /* comes behind the rows */
	sqlite3_int64 rowid;
	bool has_row;
};

/* arguments: the module, the schema and the table. */
static int each_connect(sqlite3 *db, void *data, int count, const char *const *arguments,
			sqlite3_vtab **ret, char **ret_message)
{
	struct sql_source *source = sql_find_source(data, arguments[1]);
	int result = source ? sqlite.sqlite3_declare_vtab(db, declaration) : SQLITE_ERROR;
	struct each_table *table = result ? NULL : calloc(1, sizeof(*table));

	(void)count;
	(void)ret_message;
	if (!table)
		return result ? result : SQLITE_NOMEM;
	table->source = source;
	*ret = &table->base;
	return SQLITE_OK;
}

/* Not each_connect() itself: SQLite would have a table of this name in every schema, even in none.
 */
static int each_create(sqlite3 *db, void *data, int count, const char *const *arguments,
		       sqlite3_vtab **ret, char **ret_message)
{
	return each_connect(db, data, count, arguments, ret, ret_message);
}

static int each_disconnect(sqlite3_vtab *base)
{
	free(base);
	return SQLITE_OK;
}

/* Number 1: the expression is given. A plan in which it is not known yet is none. */
static int each_plan(sqlite3_vtab *base, sqlite3_index_info *info)
{
	bool later = false;

	(void)base;
	for (int i = 0; i < info->nConstraint && !info->idxNum; i++) {
		if (info->aConstraint[i].iColumn != COLUMN_EXPRESSION ||
		    info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
			continue;
		later = !info->aConstraint[i].usable;
		if (later)
			continue;
		info->aConstraintUsage[i].argvIndex = 1;
		info->aConstraintUsage[i].omit = 1;
		info->idxNum = 1;
	}
	/* Without it there is nothing: for an OR of several each is asked for itself. */
	info->estimatedCost = info->idxNum ? 1000 : 1e99;
	info->estimatedRows = 100;
	return later && !info->idxNum ? SQLITE_CONSTRAINT : SQLITE_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static int each_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
	struct each_cursor *cursor = calloc(1, sizeof(*cursor));

	(void)base;
	if (!cursor)
		return SQLITE_NOMEM;
	buffer_init(&cursor->rows, MOST_BYTES);
	*ret = &cursor->base;
	return SQLITE_OK;
}

static void clear(struct each_cursor *cursor)
{
	buffer_deinit(&cursor->rows);
	buffer_init(&cursor->rows, MOST_BYTES);
	free(cursor->expression);
	cursor->expression = NULL;
	nunchi_error_destroy(cursor->broken);
	cursor->broken = NULL;
	cursor->next = 0;
	cursor->rowid = 0;
	cursor->has_row = false;
}

static int each_close(sqlite3_vtab_cursor *base)
{
	struct each_cursor *cursor = (struct each_cursor *)base;

	clear(cursor);
	buffer_deinit(&cursor->rows);
	free(cursor);
	return SQLITE_OK;
}

static bool keep(struct each_cursor *cursor, const struct row *row, const char *value,
		 const char *type, const char *error)
{
	buffer_append(&cursor->rows, row, sizeof(*row));
	buffer_append(&cursor->rows, value, row->value_size);
	buffer_append(&cursor->rows, type, row->type_size);
	buffer_append(&cursor->rows, error, row->error_size);
	return !cursor->rows.failed;
}

static bool give(const struct nunchi_printed *printed, void *data)
{
	struct row row = {
	    .kind = printed->kind,
	    .has_value = !printed->error,
	    .has_address = printed->has_address,
	    .has_error = printed->error,
	    .number = printed->number,
	    .address = printed->address,
	    .type_size = strlen(printed->type),
	    .error_size = printed->error ? strlen(printed->error) : 0,
	};
	const char *value = "";

	if (row.has_value && printed->kind == NUNCHI_PRINTED_COMPOSITE) {
		value = printed->value;
		row.value_size = strlen(value);
	} else if (row.has_value && printed->kind == NUNCHI_PRINTED_TEXT) {
		value = printed->text ? printed->text : "";
		row.value_size = printed->text_size;
		row.has_value = printed->text;
	}
	return keep(data, &row, value, printed->type, printed->error ? printed->error : "");
}

/* What an expression without an element needs cannot be read: a row that says why. */
static struct nunchi_error *give_fault(struct each_cursor *cursor, struct nunchi_error *err)
{
	const char *message = nunchi_error_message(err);
	struct row row = {.has_error = true, .error_size = strlen(message)};

	if (!keep(cursor, &row, "", "", message)) {
		nunchi_error_destroy(err);
		return &error_nomem;
	}
	nunchi_error_destroy(err);
	return NULL;
}

static struct nunchi_error *evaluate(struct sql_source *source, struct each_cursor *cursor)
{
	struct nunchi_error *err = source->sql->running ? sql_enter(source) : NULL;

	if (err)
		return err;
	if (source->session && !source->cursors++)
		source->moment = nunchi_session_moment(source->session);
	err = nunchi_print(source->guest, cursor->expression, 1, give, cursor);
	if (cursor->rows.failed) {
		nunchi_error_destroy(err);
		return error_create(NUNCHI_ERROR_NOMEM, "what each() gives needs more than %zu MiB",
				    MOST_BYTES >> 20);
	}
	if (error_is(err, NUNCHI_ERROR_FAULT) && !cursor->rows.size)
		return give_fault(cursor, err);
	/* A list that is broken: what was found comes first. */
	if (cursor->rows.size) {
		cursor->broken = err;
		return NULL;
	}
	return err;
}

static struct sql_source *source_of(const sqlite3_vtab_cursor *base)
{
	return ((const struct each_table *)base->pVtab)->source;
}

static int each_next(sqlite3_vtab_cursor *base)
{
	struct each_cursor *cursor = (struct each_cursor *)base;
	struct nunchi_error *err = cursor->broken;

	cursor->has_row = cursor->next < cursor->rows.size;
	if (!cursor->has_row) {
		cursor->broken = NULL;
		return err ? sql_keep_error(source_of(base)->sql, err) : SQLITE_OK;
	}
	memcpy(&cursor->row, cursor->rows.data + cursor->next, sizeof(cursor->row));
	cursor->value = cursor->rows.data + cursor->next + sizeof(cursor->row);
	cursor->next += sizeof(cursor->row) + cursor->row.value_size + cursor->row.type_size +
			cursor->row.error_size;
	cursor->rowid++;
	return SQLITE_OK;
}

/* Takes the expression; none, and no error, where it is NULL. */
static struct nunchi_error *take_expression(struct each_cursor *cursor, sqlite3_value *value)
{
	const char *text = (const char *)sqlite.sqlite3_value_text(value);

	/* Of NULL there is nothing, as of a name that an outer join has not found. */
	if (!text)
		return sqlite.sqlite3_value_type(value) == SQLITE_NULL ? NULL : &error_nomem;
	if (strlen(text) != (size_t)sqlite.sqlite3_value_bytes(value))
		return error_create(NUNCHI_ERROR_ARGUMENT, "the expression of each() has a byte 0");
	cursor->expression = strdup(text);
	return cursor->expression ? NULL : &error_nomem;
}

static int each_filter(sqlite3_vtab_cursor *base, int number, const char *plan, int count,
		       sqlite3_value **values)
{
	struct each_cursor *cursor = (struct each_cursor *)base;
	struct sql_source *source = source_of(base);
	struct nunchi_error *err;

	(void)plan;
	clear(cursor);
	if (number && count)
		err = take_expression(cursor, values[0]);
	else
		err = error_create(NUNCHI_ERROR_ARGUMENT,
				   "each() takes an expression, which is known before its rows: "
				   "each('modules'); it cannot be the right side of a RIGHT JOIN");
	if (!err && cursor->expression)
		err = evaluate(source, cursor);
	return err ? sql_keep_error(source->sql, err) : each_next(base);
}

static int each_eof(sqlite3_vtab_cursor *base)
{
	return !((struct each_cursor *)base)->has_row;
}

static void give_bytes(sqlite3_context *context, const char *text, size_t size)
{
	sqlite.sqlite3_result_text64(context, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void give_value(sqlite3_context *context, const struct each_cursor *cursor)
{
	const struct row *row = &cursor->row;

	if (!row->has_value)
		sqlite.sqlite3_result_null(context);
	else if (row->kind == NUNCHI_PRINTED_SIGNED || row->kind == NUNCHI_PRINTED_UNSIGNED)
		sqlite.sqlite3_result_int64(context, (sqlite3_int64)row->number);
	else
		give_bytes(context, cursor->value, row->value_size);
}

static int each_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
	const struct each_cursor *cursor = (const struct each_cursor *)base;
	const struct row *row = &cursor->row;
	const char *type = cursor->value + row->value_size, *error = type + row->type_size;

	/* A row without one of these is as it should be: in good rows there is no error. */
	sqlite.sqlite3_result_null(context);
	sqlite.sqlite3_result_subtype(context, SQL_ABSENCE + NUNCHI_ABSENT_NOT_APPLICABLE);
	if (column == COLUMN_VALUE)
		give_value(context, cursor);
	else if (column == COLUMN_TYPE && row->type_size)
		give_bytes(context, type, row->type_size);
	else if (column == COLUMN_ADDRESS && row->has_address)
		sqlite.sqlite3_result_int64(context, (sqlite3_int64)row->address);
	else if (column == COLUMN_ERROR && row->has_error)
		give_bytes(context, error, row->error_size);
	else if (column == COLUMN_EXPRESSION)
		give_bytes(context, cursor->expression, strlen(cursor->expression));
	return SQLITE_OK;
}

static int each_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	*ret = ((const struct each_cursor *)base)->rowid;
	return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 1,
    .xCreate = each_create,
    .xConnect = each_connect,
    .xBestIndex = each_plan,
    .xDisconnect = each_disconnect,
    .xDestroy = each_disconnect,
    .xOpen = each_open,
    .xClose = each_close,
    .xFilter = each_filter,
    .xNext = each_next,
    .xEof = each_eof,
    .xColumn = each_column,
    .xRowid = each_rowid,
};

struct nunchi_error *sql_create_each(struct nunchi_sql *sql)
{
	int result = sqlite.sqlite3_create_module_v2(sql->db, "each", &module, sql, NULL);

	return result ? sql_error(sql, result) : NULL;
}
