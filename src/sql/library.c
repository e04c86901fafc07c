/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql/library.h"

#include <pthread.h>

/* sqlite3_vtab_in() and sqlite3_error_offset(). */
_Static_assert(SQLITE_VERSION_NUMBER >= 3038000, "SQLite 3.38 or later");

#define FUNCTION(name) LIBRARY_FUNCTION(struct sqlite_library, name)
static const struct library_function functions[] = {SQLITE_FUNCTIONS(FUNCTION)};
LIBRARY(libsqlite, functions, "libsqlite3.so.0", "SQL",
	"libsqlite3-0 (Debian, Ubuntu) or sqlite-libs (Fedora)");

struct sqlite_library sqlite;

struct nunchi_error *sqlite_load(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct nunchi_error *err = NULL;

	pthread_mutex_lock(&lock);
	if (!sqlite.handle)
		err = library_load(&libsqlite, &sqlite, &sqlite.handle);
	pthread_mutex_unlock(&lock);
	return err;
}
