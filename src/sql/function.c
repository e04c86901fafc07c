/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions that statements have besides SQLite's own. */
#include "core/buffer.h"
#include "sql/sql.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static void give_text(sqlite3_context *context, const char *text, size_t size)
{
	sqlite.sqlite3_result_text64(context, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* A NULL that stands for nothing: it is shown as other cells that do not apply. */
static void give_nothing(sqlite3_context *context)
{
	sqlite.sqlite3_result_null(context);
	sqlite.sqlite3_result_subtype(context, SQL_ABSENCE + NUNCHI_ABSENT_NOT_APPLICABLE);
}

static void absence(sqlite3_context *context, int count, sqlite3_value **values)
{
	unsigned reason = sqlite.sqlite3_value_subtype(values[0]);
	const char *text;

	(void)count;
	if (sqlite.sqlite3_value_type(values[0]) != SQLITE_NULL) {
		give_nothing(context);
		return;
	}
	if (reason < SQL_ABSENCE || reason >= SQL_ABSENCE + NUNCHI_ABSENT_NULL)
		reason = SQL_ABSENCE + NUNCHI_ABSENT_NULL;
	text = nunchi_absence_string(reason - SQL_ABSENCE);
	give_text(context, text, strlen(text));
}

static void hex(sqlite3_context *context, int count, sqlite3_value **values)
{
	_cleanup_buffer_ struct buffer text;
	const unsigned char *bytes;
	size_t size;

	(void)count;
	buffer_init(&text, 0);
	if (sqlite.sqlite3_value_type(values[0]) == SQLITE_INTEGER) {
		buffer_append_string(&text, "0x");
		buffer_append_unsigned(&text, (uint64_t)sqlite.sqlite3_value_int64(values[0]), 16,
				       1);
	} else {
		/* The bytes, as SQLite's own does. */
		bytes = sqlite.sqlite3_value_blob(values[0]);
		size = (size_t)sqlite.sqlite3_value_bytes(values[0]);
		for (size_t i = 0; bytes && i < size; i++) {
			buffer_append_char(&text, "0123456789ABCDEF"[bytes[i] >> 4]);
			buffer_append_char(&text, "0123456789ABCDEF"[bytes[i] & 15]);
		}
	}
	if (text.failed)
		sqlite.sqlite3_result_error_nomem(context);
	else
		give_text(context, buffer_string(&text), text.size);
}

/* "name+0x12 [module]" of the symbol at or before an address of the first guest. */
static void symbol(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct nunchi_sql *sql = sqlite.sqlite3_user_data(context);
	_cleanup_buffer_ struct buffer text;
	struct nunchi_symbol found;
	struct nunchi_error *err = NULL;

	(void)count;
	buffer_init(&text, 0);
	give_nothing(context);
	if (sqlite.sqlite3_value_numeric_type(values[0]) != SQLITE_INTEGER || !sql->source_count)
		return;
	if (sql->running)
		err = sql_enter(sql->sources[0]);
	if (!err)
		err = nunchi_symbol_at(sql->sources[0]->guest,
				       (uint64_t)sqlite.sqlite3_value_int64(values[0]), &found);
	if (error_is(err, NUNCHI_ERROR_NOT_FOUND)) {
		nunchi_error_destroy(err);
		return;
	}
	if (err) {
		sqlite.sqlite3_result_error(context, nunchi_error_message(err), -1);
		(void)sql_keep_error(sql, err);
		return;
	}
	buffer_append_string(&text, found.name);
	if (found.offset)
		buffer_printf(&text, "+0x%" PRIx64, found.offset);
	if (found.module)
		buffer_printf(&text, " [%s]", found.module);
	give_text(context, buffer_string(&text), text.size);
}

struct print_call {
	sqlite3_context *context;
	bool is_list, is_value;
};

static bool give_printed(const struct nunchi_printed *printed, void *data)
{
	struct print_call *call = data;

	call->is_list = printed->is_element;
	if (call->is_list)
		return false;
	call->is_value = true;
	if (printed->kind == NUNCHI_PRINTED_SIGNED || printed->kind == NUNCHI_PRINTED_UNSIGNED)
		sqlite.sqlite3_result_int64(call->context, (int64_t)printed->number);
	else if (printed->kind == NUNCHI_PRINTED_COMPOSITE)
		give_text(call->context, printed->value, strlen(printed->value));
	else if (printed->text)
		give_text(call->context, printed->text, printed->text_size);
	else
		give_nothing(call->context);
	return true;
}

/*
 * print(EXPRESSION): what the expression gives of the first guest. What cannot be read is a NULL;
 * its reason is "not applicable" where a pointer is NULL or a process is not there.
 */
static void print(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct nunchi_sql *sql = sqlite.sqlite3_user_data(context);
	const char *text = (const char *)sqlite.sqlite3_value_text(values[0]);
	struct print_call call = {.context = context};
	struct nunchi_error *err = NULL;
	uint64_t address;

	(void)count;
	give_nothing(context);
	if (!text || !sql->source_count)
		return;
	if (sql->running)
		err = sql_enter(sql->sources[0]);
	if (!err)
		err = nunchi_print(sql->sources[0]->guest, text, 1, give_printed, &call);
	/* Of an empty list there is neither. */
	if (!err && !call.is_value)
		err = error_create(NUNCHI_ERROR_ARGUMENT,
				   "\"%s\" has each(): print() takes an expression of one value",
				   text);
	if (error_is(err, NUNCHI_ERROR_FAULT)) {
		if (nunchi_error_address(err, &address))
			sqlite.sqlite3_result_subtype(context,
						      SQL_ABSENCE + NUNCHI_ABSENT_NOT_MAPPED);
		nunchi_error_destroy(err);
		return;
	}
	if (err) {
		sqlite.sqlite3_result_error(context, nunchi_error_message(err), -1);
		(void)sql_keep_error(sql, err);
	}
}

/* split(TEXT, SEPARATORS, INDEX). */
static void split(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *text = (const char *)sqlite.sqlite3_value_text(values[0]);
	const char *separators = (const char *)sqlite.sqlite3_value_text(values[1]);
	int64_t index = sqlite.sqlite3_value_int64(values[2]);

	(void)count;
	give_nothing(context);
	if (!text || !separators)
		return;
	if (sqlite.sqlite3_value_numeric_type(values[2]) != SQLITE_INTEGER || index < 0) {
		sqlite.sqlite3_result_error(
		    context, "split() takes a text, separators and an index from 0 on", -1);
		return;
	}
	while (*(text += strspn(text, separators))) {
		size_t size = strcspn(text, separators);

		if (index-- == 0) {
			for (; size && isspace((unsigned char)*text); size--)
				text++;
			while (size && isspace((unsigned char)text[size - 1]))
				size--;
			give_text(context, text, size);
			return;
		}
		text += size;
	}
}

/* From SQLite 3.45 on a function says that its results have subtypes. */
#ifdef SQLITE_RESULT_SUBTYPE
#define RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define RESULT_SUBTYPE 0
#endif

static const struct {
	const char *name;
	void (*call)(sqlite3_context *context, int count, sqlite3_value **values);
	int arguments;
	int flags;
} all[] = {
    {"absence", absence, 1, SQLITE_UTF8 | SQLITE_SUBTYPE | RESULT_SUBTYPE},
    {"hex", hex, 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC},
    {"print", print, 1, SQLITE_UTF8 | RESULT_SUBTYPE},
    {"regex_match", sql_regex_match, 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC},
    {"regex_split", sql_regex_split, 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC},
    {"split", split, 3, SQLITE_UTF8 | SQLITE_DETERMINISTIC | RESULT_SUBTYPE},
    {"symbol", symbol, 1, SQLITE_UTF8 | RESULT_SUBTYPE},
};

struct nunchi_error *sql_create_functions(struct nunchi_sql *sql)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int result = sqlite.sqlite3_create_function_v2(sql->db, all[i].name,
							       all[i].arguments, all[i].flags, sql,
							       all[i].call, NULL, NULL, NULL);

		if (result)
			return sql_error(sql, result);
	}
	return NULL;
}
