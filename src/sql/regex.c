/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * regex_match() and regex_split(), as osquery has them. Texts are bytes: a guest's need not be
 * UTF-8. A pattern is kept compiled while it is the same in each row.
 */
#include "config.h"
#include "core/buffer.h"
#include "sql/sql.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_PCRE2
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* What one match may take: a pattern like (a+)+b takes exponential time. */
#define MAX_STEPS 1000000
#define MAX_KIB   (16 * 1024)

#define PCRE2_FUNCTIONS(FUNCTION)                                                                  \
	FUNCTION(pcre2_code_free_8)                                                                \
	FUNCTION(pcre2_compile_8)                                                                  \
	FUNCTION(pcre2_get_error_message_8)                                                        \
	FUNCTION(pcre2_get_ovector_pointer_8)                                                      \
	FUNCTION(pcre2_match_8)                                                                    \
	FUNCTION(pcre2_match_context_create_8)                                                     \
	FUNCTION(pcre2_match_context_free_8)                                                       \
	FUNCTION(pcre2_match_data_create_from_pattern_8)                                           \
	FUNCTION(pcre2_match_data_free_8)                                                          \
	FUNCTION(pcre2_set_heap_limit_8)                                                           \
	FUNCTION(pcre2_set_match_limit_8)

struct pcre2_library {
	void *handle;
	PCRE2_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct pcre2_library, name)
static const struct library_function functions[] = {PCRE2_FUNCTIONS(FUNCTION)};
LIBRARY(libpcre2, functions, "libpcre2-8.so.0", "regular expressions in SQL",
	"libpcre2-8-0 (Debian, Ubuntu) or pcre2 (Fedora)");

struct sql_regex {
	struct pcre2_library lib;
	pcre2_match_context *limits;
	struct nunchi_error *missing; /* why the library is not there; NULL: it is */
};

struct pattern {
	const struct sql_regex *regex;
	pcre2_code *code;
	pcre2_match_data *data;
};

struct nunchi_error *sql_regex_create(struct sql_regex **ret)
{
	struct sql_regex *regex = calloc(1, sizeof(*regex));

	if (!regex)
		return &error_nomem;
	regex->missing = library_load(&libpcre2, &regex->lib, &regex->lib.handle);
	*ret = regex;
	if (regex->missing)
		return NULL;
	regex->limits = regex->lib.pcre2_match_context_create_8(NULL);
	if (!regex->limits)
		return &error_nomem;
	regex->lib.pcre2_set_match_limit_8(regex->limits, MAX_STEPS);
	regex->lib.pcre2_set_heap_limit_8(regex->limits, MAX_KIB);
	return NULL;
}

void sql_regex_destroy(struct sql_regex *regex)
{
	if (!regex)
		return;
	if (regex->limits)
		regex->lib.pcre2_match_context_free_8(regex->limits);
	nunchi_error_destroy(regex->missing);
	library_unload(&regex->lib.handle);
	free(regex);
}

static void pattern_destroy(void *data)
{
	struct pattern *pattern = data;
	const struct pcre2_library *lib = &pattern->regex->lib;

	if (pattern->data)
		lib->pcre2_match_data_free_8(pattern->data);
	if (pattern->code)
		lib->pcre2_code_free_8(pattern->code);
	free(pattern);
}

static void fail(sqlite3_context *context, const char *what, const char *why)
{
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, 0);
	buffer_printf(&text, "%s: %s", what, why);
	sqlite.sqlite3_result_error(context, buffer_string(&text), (int)text.size);
}

/* Compiles the second argument, or gives what it was compiled to. NULL: the function has failed. */
static struct pattern *take_pattern(sqlite3_context *context, sqlite3_value *value)
{
	const struct nunchi_sql *sql = sqlite.sqlite3_user_data(context);
	const struct sql_regex *regex = sql->regex;
	struct pattern *pattern = sqlite.sqlite3_get_auxdata(context, 1);
	PCRE2_UCHAR8 why[160] = "";
	PCRE2_SIZE offset;
	int error;

	if (pattern)
		return pattern;
	if (regex->missing) {
		fail(context, "regular expressions", nunchi_error_message(regex->missing));
		return NULL;
	}
	pattern = calloc(1, sizeof(*pattern));
	if (!pattern) {
		sqlite.sqlite3_result_error_nomem(context);
		return NULL;
	}
	pattern->regex = regex;
	pattern->code = regex->lib.pcre2_compile_8((PCRE2_SPTR8)sqlite.sqlite3_value_text(value),
						   (PCRE2_SIZE)sqlite.sqlite3_value_bytes(value), 0,
						   &error, &offset, NULL);
	if (!pattern->code) {
		regex->lib.pcre2_get_error_message_8(error, why, sizeof(why));
		fail(context, "the regular expression cannot be used", (const char *)why);
		pattern_destroy(pattern);
		return NULL;
	}
	pattern->data = regex->lib.pcre2_match_data_create_from_pattern_8(pattern->code, NULL);
	if (!pattern->data) {
		sqlite.sqlite3_result_error_nomem(context);
		pattern_destroy(pattern);
		return NULL;
	}
	sqlite.sqlite3_set_auxdata(context, 1, pattern, pattern_destroy);
	/* Where there is no memory to keep it, it is destroyed at once. */
	return sqlite.sqlite3_get_auxdata(context, 1);
}

/* How many groups match at or behind `from`, the whole being one; 0: none. Below 0: it has failed.
 */
static int match(sqlite3_context *context, const struct pattern *pattern, const char *text,
		 size_t size, size_t from)
{
	int count = pattern->regex->lib.pcre2_match_8(pattern->code, (PCRE2_SPTR8)text, size, from,
						      0, pattern->data, pattern->regex->limits);

	if (count == PCRE2_ERROR_NOMATCH)
		return 0;
	if (count < 0)
		sqlite.sqlite3_result_error(
		    context, "a regular expression takes too many steps or too much memory", -1);
	return count;
}

static void give(sqlite3_context *context, const char *text, size_t size)
{
	sqlite.sqlite3_result_text64(context, text, size, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* The index, or below 0 if there is no result. */
static int64_t take_index(sqlite3_context *context, sqlite3_value **values)
{
	int64_t index = sqlite.sqlite3_value_int64(values[2]);

	sqlite.sqlite3_result_null(context);
	if (sqlite.sqlite3_value_type(values[0]) == SQLITE_NULL ||
	    sqlite.sqlite3_value_type(values[1]) == SQLITE_NULL)
		return -1;
	if (sqlite.sqlite3_value_numeric_type(values[2]) == SQLITE_INTEGER && index >= 0)
		return index;
	sqlite.sqlite3_result_error(
	    context, "the third argument of a regular expression's function is an index from 0 on",
	    -1);
	return -1;
}

void sql_regex_match(sqlite3_context *context, int argument_count, sqlite3_value **values)
{
	int64_t index = take_index(context, values);
	const char *text = (const char *)sqlite.sqlite3_value_text(values[0]);
	size_t size = (size_t)sqlite.sqlite3_value_bytes(values[0]);
	struct pattern *pattern = index >= 0 ? take_pattern(context, values[1]) : NULL;
	const PCRE2_SIZE *at;

	(void)argument_count;
	if (!pattern || !text || match(context, pattern, text, size, 0) <= index)
		return;
	at = pattern->regex->lib.pcre2_get_ovector_pointer_8(pattern->data) + 2 * index;
	if (at[0] != PCRE2_UNSET && at[0] <= at[1])
		give(context, text + at[0], at[1] - at[0]);
}

void sql_regex_split(sqlite3_context *context, int argument_count, sqlite3_value **values)
{
	int64_t index = take_index(context, values);
	const char *text = (const char *)sqlite.sqlite3_value_text(values[0]);
	size_t size = (size_t)sqlite.sqlite3_value_bytes(values[0]), start = 0, from = 0;
	struct pattern *pattern = index >= 0 ? take_pattern(context, values[1]) : NULL;
	const struct nunchi_sql *sql = sqlite.sqlite3_user_data(context);
	int count;

	(void)argument_count;
	if (!pattern || !text)
		return;
	while (from <= size && (count = match(context, pattern, text, size, from)) != 0) {
		const PCRE2_SIZE *at =
		    pattern->regex->lib.pcre2_get_ovector_pointer_8(pattern->data);

		if (count < 0)
			return;
		if (sql_is_cancelled(sql)) {
			sqlite.sqlite3_result_error_code(context, SQLITE_INTERRUPT);
			return;
		}
		/*
		 * What matches nothing, or ends before it begins (\K), divides nothing. No match
		 * begins before the leftmost one.
		 */
		if (at[1] <= at[0] || at[1] <= from) {
			from = (at[0] > from ? at[0] : from) + 1;
			continue;
		}
		if (index-- == 0) {
			give(context, text + start, at[0] < start ? 0 : at[0] - start);
			return;
		}
		start = from = at[1];
	}
	if (index == 0 && start < size)
		give(context, text + start, size - start);
}

#else

struct sql_regex {
	char none;
};

struct nunchi_error *sql_regex_create(struct sql_regex **ret)
{
	*ret = NULL;
	return NULL;
}

void sql_regex_destroy(struct sql_regex *regex)
{
	(void)regex;
}

static void without(sqlite3_context *context)
{
	sqlite.sqlite3_result_error(context, "this build of nunchi has no regular expressions", -1);
}

void sql_regex_match(sqlite3_context *context, int argument_count, sqlite3_value **values)
{
	(void)argument_count;
	(void)values;
	without(context);
}

void sql_regex_split(sqlite3_context *context, int argument_count, sqlite3_value **values)
{
	(void)argument_count;
	(void)values;
	without(context);
}

#endif
