/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is used of SQLite, which is loaded when it is first needed. */
#ifndef NUNCHI_SQL_LIBRARY_H
#define NUNCHI_SQL_LIBRARY_H

#include "core/library.h"

#include <sqlite3.h>

#define SQLITE_FUNCTIONS(FUNCTION)                                                                 \
	FUNCTION(sqlite3_close)                                                                    \
	FUNCTION(sqlite3_column_blob)                                                              \
	FUNCTION(sqlite3_column_bytes)                                                             \
	FUNCTION(sqlite3_column_count)                                                             \
	FUNCTION(sqlite3_column_decltype)                                                          \
	FUNCTION(sqlite3_column_double)                                                            \
	FUNCTION(sqlite3_column_int64)                                                             \
	FUNCTION(sqlite3_column_name)                                                              \
	FUNCTION(sqlite3_column_type)                                                              \
	FUNCTION(sqlite3_column_value)                                                             \
	FUNCTION(sqlite3_create_function_v2)                                                       \
	FUNCTION(sqlite3_create_module_v2)                                                         \
	FUNCTION(sqlite3_db_config)                                                                \
	FUNCTION(sqlite3_declare_vtab)                                                             \
	FUNCTION(sqlite3_errmsg)                                                                   \
	FUNCTION(sqlite3_error_offset)                                                             \
	FUNCTION(sqlite3_exec)                                                                     \
	FUNCTION(sqlite3_finalize)                                                                 \
	FUNCTION(sqlite3_free)                                                                     \
	FUNCTION(sqlite3_get_auxdata)                                                              \
	FUNCTION(sqlite3_hard_heap_limit64)                                                        \
	FUNCTION(sqlite3_limit)                                                                    \
	FUNCTION(sqlite3_malloc64)                                                                 \
	FUNCTION(sqlite3_mprintf)                                                                  \
	FUNCTION(sqlite3_open_v2)                                                                  \
	FUNCTION(sqlite3_prepare_v2)                                                               \
	FUNCTION(sqlite3_progress_handler)                                                         \
	FUNCTION(sqlite3_reset)                                                                    \
	FUNCTION(sqlite3_result_double)                                                            \
	FUNCTION(sqlite3_result_error)                                                             \
	FUNCTION(sqlite3_result_error_code)                                                        \
	FUNCTION(sqlite3_result_error_nomem)                                                       \
	FUNCTION(sqlite3_result_int64)                                                             \
	FUNCTION(sqlite3_result_null)                                                              \
	FUNCTION(sqlite3_result_subtype)                                                           \
	FUNCTION(sqlite3_result_text64)                                                            \
	FUNCTION(sqlite3_set_authorizer)                                                           \
	FUNCTION(sqlite3_set_auxdata)                                                              \
	FUNCTION(sqlite3_step)                                                                     \
	FUNCTION(sqlite3_user_data)                                                                \
	FUNCTION(sqlite3_value_blob)                                                               \
	FUNCTION(sqlite3_value_bytes)                                                              \
	FUNCTION(sqlite3_value_int64)                                                              \
	FUNCTION(sqlite3_value_numeric_type)                                                       \
	FUNCTION(sqlite3_value_subtype)                                                            \
	FUNCTION(sqlite3_value_text)                                                               \
	FUNCTION(sqlite3_value_type)                                                               \
	FUNCTION(sqlite3_vtab_collation)                                                           \
	FUNCTION(sqlite3_vtab_in)                                                                  \
	FUNCTION(sqlite3_vtab_in_first)                                                            \
	FUNCTION(sqlite3_vtab_in_next)

struct sqlite_library {
	void *handle;
	SQLITE_FUNCTIONS(LIBRARY_MEMBER)
};

/*
 * One table for the process, and not one for each database: SQLite gives the functions that it
 * calls nothing from which they could find theirs without a function of SQLite. It is filled once,
 * by sqlite_load(), and never changes after that.
 */
extern struct sqlite_library sqlite;
struct nunchi_error *sqlite_load(void);

#endif
