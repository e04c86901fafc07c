/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/clock.h"
#include "core/options.h"
#include "sql/sql.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

/* How many instructions of SQLite's machine run before it is asked whether to go on. */
#define STEPS_TO_A_CHECK 1000

static const struct {
	int what, most;
} limits[] = {
    {SQLITE_LIMIT_LENGTH, 16 << 20},    /* bytes of a text, and of a row that is sorted */
    {SQLITE_LIMIT_SQL_LENGTH, 1 << 20}, /* bytes of a statement */
    {SQLITE_LIMIT_EXPR_DEPTH, 200},     /* an expression within an expression … */
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096},
    {SQLITE_LIMIT_WORKER_THREADS, 0}, /* a confined process has one thread */
};

/* Statements may read, and say how they would. */
static int authorize(void *data, int action, const char *first, const char *second,
		     const char *schema, const char *trigger)
{
	static const char *const harmless[] = {"compile_options", "database_list", "function_list",
					       "table_info",      "table_list",    "table_xinfo"};

	(void)data;
	(void)second;
	(void)schema;
	(void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_PRAGMA:
		/* As tables (pragma_table_info()); they are asked with an argument at most. */
		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
			if (!strcmp(first, harmless[i]))
				return SQLITE_OK;
		}
		break;
	case SQLITE_UPDATE:
		/*
		 * SQLite asks this when it makes a table of its own (json_each, pragma_table_info)
		 * known for the first time. A statement cannot: "may not be modified".
		 */
		return !strcmp(first, "sqlite_master") ? SQLITE_OK : SQLITE_DENY;
	default:
		break;
	}
	return SQLITE_DENY;
}

bool sql_is_cancelled(const struct nunchi_sql *sql)
{
	return cancel_requested(&sql->cancel) || nunchi_context_cancelled(sql->context);
}

static int is_cancelled(void *data)
{
	return sql_is_cancelled(data);
}

static struct nunchi_error *open_database(struct nunchi_sql *sql)
{
	int result = sqlite.sqlite3_open_v2(":memory:", &sql->db,
					    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
						SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY,
					    NULL);
	struct nunchi_error *err = NULL;

	if (result || !sql->db)
		return sql->db ? sql_error(sql, result) : &error_nomem;
	/* What is sorted stays in memory: a confined process can make no files. */
	result = sqlite.sqlite3_exec(sql->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	if (!result)
		result = sqlite.sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (result)
		return sql_error(sql, result);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		sqlite.sqlite3_limit(sql->db, limits[i].what, limits[i].most);
	err = sql_create_module(sql);
	if (!err)
		err = sql_create_each(sql);
	if (!err)
		err = sql_create_functions(sql);
	if (err)
		return err;
	sqlite.sqlite3_progress_handler(sql->db, STEPS_TO_A_CHECK, is_cancelled, sql);
	sqlite.sqlite3_hard_heap_limit64((sqlite3_int64)sql->max_bytes);
	sqlite.sqlite3_set_authorizer(sql->db, authorize, NULL);
	return NULL;
}

struct nunchi_error *nunchi_sql_create(struct nunchi_context *context,
				       const struct nunchi_sql_options *options,
				       struct nunchi_sql **ret)
{
	struct nunchi_sql_options own = {0};
	struct nunchi_error *err = NULL;
	struct nunchi_sql *sql;

	if (!context || !ret)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_sql_create() was given NULL; it needs a context");
	if (options)
		err = options_take("nunchi_sql_options", options, options->size,
				   offsetof(struct nunchi_sql_options, one_moment), &own,
				   sizeof(own));
	if (!err)
		err = sqlite_load();
	if (err)
		return err;
	sql = calloc(1, sizeof(*sql));
	if (!sql)
		return &error_nomem;
	sql->context = context;
	sql->one_moment = own.one_moment;
	if (getrandom(sql->key, sizeof(sql->key), 0) != sizeof(sql->key))
		sql->key[0] = clock_us();
	sql->max_bytes = own.max_bytes < INT64_MAX ? own.max_bytes : INT64_MAX;
	err = sql_regex_create(&sql->regex);
	if (!err)
		err = open_database(sql);
	if (err) {
		nunchi_sql_destroy(sql);
		return err;
	}
	*ret = sql;
	return NULL;
}

/* ---- Schemas --------------------------------------------------------------------------------- */

struct sql_source *sql_find_source(const struct nunchi_sql *sql, const char *schema)
{
	for (size_t i = 0; i < sql->source_count; i++) {
		if (!strcasecmp(sql->sources[i]->schema, schema))
			return sql->sources[i];
	}
	return NULL;
}

static struct nunchi_error *check_name(const struct nunchi_sql *sql, const char *schema)
{
	bool good = *schema && !isdigit((unsigned char)*schema);

	for (const char *at = schema; *at; at++)
		good = good && (isalnum((unsigned char)*at) || *at == '_');
	if (!good)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a schema has a name of letters, digits and _, not \"%s\"",
				    schema);
	if (sql_find_source(sql, schema))
		return error_create(NUNCHI_ERROR_ARGUMENT, "two guests are called \"%s\"", schema);
	if (!strcasecmp(schema, "main") && sql->source_count)
		return error_create(
		    NUNCHI_ERROR_ARGUMENT,
		    "only the first schema can be called \"main\": SQLite looks for a "
		    "table there first");
	if (!strcasecmp(schema, "temp"))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a schema cannot be called \"%s\": SQLite has one", schema);
	if (sql->source_count == SQL_MAX_SCHEMAS)
		return error_create(NUNCHI_ERROR_ARGUMENT, "more than %d schemas", SQL_MAX_SCHEMAS);
	return NULL;
}

static struct nunchi_error *run(struct nunchi_sql *sql, char *text)
{
	int result = text ? sqlite.sqlite3_exec(sql->db, text, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite.sqlite3_free(text);
	return result ? sql_error(sql, result) : NULL;
}

static struct nunchi_error *create_tables(struct nunchi_sql *sql, const char *schema)
{
	struct nunchi_error *err = NULL;
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	if (strcasecmp(schema, "main"))
		err = run(sql, sqlite.sqlite3_mprintf("ATTACH ':memory:' AS \"%w\"", schema));
	for (size_t i = 0; i < count && !err; i++)
		err = run(sql,
			  sqlite.sqlite3_mprintf("CREATE VIRTUAL TABLE \"%w\".\"%w\" USING nunchi",
						 schema, views[i]->name));
	if (!err)
		err = run(sql, sqlite.sqlite3_mprintf("CREATE VIRTUAL TABLE \"%w\".each USING each",
						      schema));
	return err;
}

struct nunchi_error *nunchi_sql_add(struct nunchi_sql *sql, const char *schema,
				    struct nunchi_guest *guest)
{
	struct sql_source *source;
	struct nunchi_error *err;

	if (!sql || !schema || !guest)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_sql_add() was given NULL; it needs a name and a guest");
	err = check_name(sql, schema);
	if (err)
		return err;
	source = calloc(1, sizeof(*source));
	if (source)
		source->schema = strdup(schema);
	if (!source || !source->schema) {
		free(source);
		return &error_nomem;
	}
	source->sql = sql;
	source->guest = guest;
	/* The tables find their source by its name. */
	sql->sources[sql->source_count++] = source;
	sqlite.sqlite3_set_authorizer(sql->db, NULL, NULL);
	err = create_tables(sql, schema);
	sqlite.sqlite3_set_authorizer(sql->db, authorize, NULL);
	return error_context(err, "schema %s", schema);
}

void nunchi_sql_cancel(struct nunchi_sql *sql)
{
	cancel_request(&sql->cancel);
	for (size_t i = 0; i < sql->source_count; i++)
		nunchi_guest_cancel(sql->sources[i]->guest);
}

void nunchi_sql_destroy(struct nunchi_sql *sql)
{
	if (!sql)
		return;
	if (sql->db)
		sqlite.sqlite3_close(sql->db);
	sql_regex_destroy(sql->regex);
	for (size_t i = 0; i < sql->source_count; i++) {
		free(sql->sources[i]->schema);
		free(sql->sources[i]);
	}
	nunchi_error_destroy(sql->error);
	free(sql);
}
