/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SQL in a build without SQLite: there is no database, so that only its creation can be asked for.
 */
#include "core/error.h"

#include <nunchi/sql.h>

static struct nunchi_error *without(void)
{
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "this build of nunchi has no SQL"),
			  "build nunchi with SQLite 3.38 or later (libsqlite3-dev)");
}

struct nunchi_error *nunchi_sql_create(struct nunchi_context *context,
				       const struct nunchi_sql_options *options,
				       struct nunchi_sql **ret)
{
	(void)context;
	(void)options;
	(void)ret;
	return without();
}

struct nunchi_error *nunchi_sql_add(struct nunchi_sql *sql, const char *schema,
				    struct nunchi_guest *guest)
{
	(void)sql;
	(void)schema;
	(void)guest;
	return without();
}

void nunchi_sql_cancel(struct nunchi_sql *sql)
{
	(void)sql;
}

void nunchi_sql_destroy(struct nunchi_sql *sql)
{
	(void)sql;
}

struct nunchi_error *nunchi_sql_prepare(struct nunchi_sql *sql, const char *text,
					struct nunchi_statement **ret, const char **ret_rest)
{
	(void)sql;
	(void)text;
	(void)ret;
	(void)ret_rest;
	return without();
}

bool nunchi_sql_error_offset(const struct nunchi_sql *sql, size_t *ret)
{
	(void)sql;
	(void)ret;
	return false;
}

const struct nunchi_column *const *
nunchi_statement_columns(const struct nunchi_statement *statement, size_t *ret_count)
{
	(void)statement;
	*ret_count = 0;
	return NULL;
}

struct nunchi_error *nunchi_statement_next(struct nunchi_statement *statement,
					   const struct nunchi_cell **ret_cells)
{
	(void)statement;
	(void)ret_cells;
	return without();
}

bool nunchi_statement_is_one_moment(const struct nunchi_statement *statement)
{
	(void)statement;
	return true;
}

uint64_t nunchi_statement_torn(const struct nunchi_statement *statement)
{
	(void)statement;
	return 0;
}

const char *nunchi_statement_warning(const struct nunchi_statement *statement, size_t index)
{
	(void)statement;
	(void)index;
	return NULL;
}

void nunchi_statement_close(struct nunchi_statement *statement)
{
	(void)statement;
}
