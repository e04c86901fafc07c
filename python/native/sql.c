/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A statement of SQL over one or several guests, with a database of its own. All its guests are in
 * use while a call on it runs. A guest that is closed ends the statements over it.
 */
#include "native.h"

#include <nunchi/sql.h>

#include <stdlib.h>
#include <unistd.h>

struct database {
	struct database *next; /* of all that have not ended */
	struct nunchi_context *context;
	struct nunchi_sql *sql; /* NULL: ended */
	struct nunchi_statement *statement;
	struct guest_object **guests; /* kept */
	size_t count;
	bool busy; /* a call on it runs */
	bool left; /* nobody has it: ended and freed when its guests are free */
};

struct statement_object {
	PyObject_HEAD struct database *open; /* NULL: closed */
};

static PyTypeObject *statement_type;
/* All that have not ended. Changed with the GIL alone. */
static struct database *databases;

/* ---- The end --------------------------------------------------------------------------------- */

/*
 * The end of a guest releases the GIL: another thread may free the database while its guests are
 * dropped, if somebody has it.
 */
static void end(struct database *database)
{
	struct database **link = &databases;
	struct guest_object **guests = database->guests;
	size_t count = database->count;

	while (*link && *link != database)
		link = &(*link)->next;
	if (*link)
		*link = database->next;
	nunchi_statement_close(database->statement);
	nunchi_sql_destroy(database->sql);
	nunchi_context_destroy(database->context);
	database->statement = NULL;
	database->sql = NULL;
	database->context = NULL;
	database->guests = NULL;
	database->count = 0;
	for (size_t i = 0; i < count; i++)
		Py_DECREF(guests[i]);
	free(guests);
}

/* Whether no guest is in use, but for one that the caller itself uses, or NULL. */
static bool is_free(const struct database *database, const struct guest_object *own)
{
	for (size_t i = 0; i < database->count; i++) {
		const struct guest_object *guest = database->guests[i];

		if (guest->process != getpid() || (guest->used && guest != own))
			return false;
	}
	return !database->busy;
}

void sql_close_left(void)
{
	struct database *database = databases;

	while (database) {
		if (database->left && is_free(database, NULL)) {
			end(database);
			free(database);
			/* A guest that went with it may have ended others. */
			database = databases;
		} else {
			database = database->next;
		}
	}
}

static bool is_over(const struct database *database, const struct guest_object *guest)
{
	for (size_t i = 0; i < database->count; i++) {
		if (database->guests[i] == guest)
			return true;
	}
	return false;
}

bool sql_end_of(struct guest_object *guest)
{
	struct database *database = databases;

	while (database) {
		struct database *next = database->next;

		if (is_over(database, guest)) {
			bool left = database->left;

			if (!is_free(database, guest)) {
				errors_say(
				    NUNCHI_ERROR_BUSY,
				    "a statement of SQL over this guest, or another guest of "
				    "that statement, is in use");
				return false;
			}
			end(database);
			if (left)
				free(database);
			next = databases;
		}
		database = next;
	}
	return true;
}

/* Nobody has it any more. In a child process of fork() nothing of the parent's is touched. */
static void drop(struct database *database)
{
	if (!database)
		return;
	if (database->sql && database->count && database->guests[0]->process != getpid())
		return;
	database->left = true;
	if (!database->sql)
		free(database);
	else
		sql_close_left();
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void release_first(struct database *database, size_t count)
{
	for (size_t i = 0; i < count; i++)
		guest_release(database->guests[i]);
}

/*
 * Marks all guests as used; false if an exception was raised. The release of a guest may let other
 * threads run: while it is busy the database is not ended.
 */
static bool take(struct database *database)
{
	if (database->busy) {
		if (!database->count || guest_is_usable(database->guests[0]))
			errors_say(NUNCHI_ERROR_BUSY, "these rows are in use by another thread");
		return false;
	}
	database->busy = true;
	for (size_t i = 0; i < database->count; i++) {
		if (!guest_take(database->guests[i])) {
			release_first(database, i);
			database->busy = false;
			sql_close_left();
			return false;
		}
	}
	return true;
}

static void release(struct database *database)
{
	release_first(database, database->count);
	database->busy = false;
	sql_close_left();
}

static void cancel(void *sql)
{
	nunchi_sql_cancel(sql);
}

/* The open statement of the object, its guests taken; NULL if an exception was raised. */
static struct database *enter(PyObject *object)
{
	struct database *database = ((struct statement_object *)object)->open;

	if (!database || !database->sql) {
		errors_say(NUNCHI_ERROR_ARGUMENT, "these rows are closed");
		return NULL;
	}
	return take(database) ? database : NULL;
}

static PyObject *statement_next(PyObject *object, PyObject *args)
{
	struct database *database = enter(object);
	const struct nunchi_cell *cells;
	PyObject *row = NULL;
	struct nunchi_error *err;
	struct call call;
	size_t count;

	(void)args;
	if (!database)
		return NULL;
	call_begin(&call, cancel, database->sql);
	err = nunchi_statement_next(database->statement, &cells);
	call_end(&call);
	if (!err) {
		nunchi_statement_columns(database->statement, &count);
		row = values_cells(cells, count);
	}
	release(database);
	if (!err)
		return row;
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return errors_raise(err);
	nunchi_error_destroy(err);
	return values_text(NULL);
}

static PyObject *statement_columns(PyObject *object, PyObject *args)
{
	struct database *database = enter(object);
	const struct nunchi_column *const *columns;
	PyObject *tuple;
	size_t count;

	(void)args;
	if (!database)
		return NULL;
	columns = nunchi_statement_columns(database->statement, &count);
	tuple = values_columns(columns, count);
	release(database);
	return tuple;
}

/* (warnings, torn, one_moment) */
static PyObject *statement_state(PyObject *object, PyObject *args)
{
	struct database *database = enter(object);
	unsigned long long torn;
	bool one_moment;
	const char *warning;
	PyObject *list;

	(void)args;
	if (!database)
		return NULL;
	list = PyList_New(0);
	for (size_t i = 0; list && (warning = nunchi_statement_warning(database->statement, i));
	     i++) {
		if (!values_append(list, values_text(warning)))
			Py_CLEAR(list);
	}
	torn = nunchi_statement_torn(database->statement);
	one_moment = nunchi_statement_is_one_moment(database->statement);
	release(database);
	return list ? Py_BuildValue("(NKN)", list, torn, PyBool_FromLong(one_moment)) : NULL;
}

static PyObject *statement_close(PyObject *object, PyObject *args)
{
	struct statement_object *self = (struct statement_object *)object;
	struct database *database = self->open;

	(void)args;
	self->open = NULL;
	drop(database);
	return values_text(NULL);
}

static void statement_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	drop(((struct statement_object *)object)->open);
	PyObject_Free(object);
	Py_DECREF(type);
}

/* ---- The start ------------------------------------------------------------------------------- */

/* The one statement of the text. */
static struct nunchi_error *prepare(struct database *database, const char *text)
{
	struct nunchi_statement *second = NULL;
	const char *rest;
	struct nunchi_error *err =
	    nunchi_sql_prepare(database->sql, text, &database->statement, &rest);

	while (!err && database->statement && *rest && !second)
		err = nunchi_sql_prepare(database->sql, rest, &second, &rest);
	if (!err && second)
		err = nunchi_error_create(NUNCHI_ERROR_ARGUMENT, 0,
					  "the text has several statements; give one at a time",
					  NULL);
	else if (!err && !database->statement)
		err = nunchi_error_create(NUNCHI_ERROR_ARGUMENT, 0, "the text has no statement",
					  NULL);
	nunchi_statement_close(second);
	return err;
}

static struct nunchi_error *open_database(struct database *database, const char *const *names,
					  const char *text, bool one_moment)
{
	const struct nunchi_sql_options options = {.size = sizeof(options),
						   .one_moment = one_moment};
	struct nunchi_error *err = nunchi_sql_create(database->context, &options, &database->sql);

	for (size_t i = 0; i < database->count && !err; i++)
		err = nunchi_sql_add(database->sql, names[i], database->guests[i]->guest);
	return err ? err : prepare(database, text);
}

/* Keeps the guests of a sequence of native ones; false if an exception was raised. */
static bool keep_guests(struct database *database, PyObject *guests)
{
	Py_ssize_t count = PySequence_Size(guests);

	if (count < 0)
		return false;
	database->guests = calloc((size_t)count + 1, sizeof(*database->guests));
	if (!database->guests) {
		PyErr_NoMemory();
		return false;
	}
	while (database->count < (size_t)count) {
		PyObject *item = PySequence_GetItem(guests, (Py_ssize_t)database->count);
		struct guest_object *guest = item ? guest_of(item) : NULL;

		if (!guest) {
			Py_XDECREF(item);
			return false;
		}
		database->guests[database->count++] = guest;
	}
	return true;
}

/* Where the text is wrong, in characters, or -1. */
static Py_ssize_t place_of(const struct database *database, const char *text)
{
	PyObject *before;
	Py_ssize_t place;
	size_t offset;

	if (!database->sql || !nunchi_sql_error_offset(database->sql, &offset))
		return -1;
	before = PyUnicode_DecodeUTF8(text, (Py_ssize_t)offset, "surrogateescape");
	place = before ? PyUnicode_GetLength(before) : -1;
	Py_XDECREF(before);
	PyErr_Clear();
	return place;
}

/* False if an exception was raised; the database is to be ended then. */
static bool start(struct database *database, const char *const *names, const char *text,
		  bool one_moment)
{
	struct nunchi_error *err = nunchi_context_create(0, &database->context);
	Py_ssize_t place = -1;
	struct call call;

	if (err) {
		errors_raise(err);
		return false;
	}
	if (!take(database))
		return false;
	call_begin(&call, call_cancel_context, database->context);
	err = open_database(database, names, text, one_moment);
	call_end(&call);
	if (err) {
		place = place_of(database, text);
		/* While the guests are in use: they can be closed then. */
		nunchi_statement_close(database->statement);
		nunchi_sql_destroy(database->sql);
		database->statement = NULL;
		database->sql = NULL;
	} else {
		/* While they are in use: who closes one of them later ends the statement. */
		database->next = databases;
		databases = database;
	}
	release(database);
	if (err)
		errors_raise_at(err, place);
	return !err;
}

/* A name for each guest. */
static PyObject *open_statement(PyObject *guests, const char *const *names, const char *text,
				bool one_moment)
{
	struct statement_object *self =
	    (struct statement_object *)PyType_GenericAlloc(statement_type, 0);
	struct database *database = calloc(1, sizeof(*database));

	if (!database)
		PyErr_NoMemory();
	if (self && database && keep_guests(database, guests) &&
	    start(database, names, text, one_moment)) {
		self->open = database;
		return (PyObject *)self;
	}
	if (database)
		end(database);
	free(database);
	Py_XDECREF(self);
	return NULL;
}

PyObject *sql_open(PyObject *module, PyObject *args)
{
	PyObject *names, *guests, *text, *kept, *self = NULL;
	const char **array = NULL, *statement;
	size_t count;
	int one_moment;

	(void)module;
	if (!PyArg_ParseTuple(args, "OOUp", &names, &guests, &text, &one_moment))
		return NULL;
	kept = PyList_New(0);
	statement = kept ? query_keep(kept, text) : NULL;
	if (statement)
		array = query_keep_all(kept, names, &count);
	if (array)
		self = count == (size_t)PySequence_Size(guests)
			   ? open_statement(guests, array, statement, one_moment)
			   : errors_say(NUNCHI_ERROR_ARGUMENT, "each guest has one name");
	free(array);
	Py_XDECREF(kept);
	return self;
}

static PyMethodDef methods[] = {{"next", statement_next, METH_NOARGS, NULL},
				{"columns", statement_columns, METH_NOARGS, NULL},
				{"state", statement_state, METH_NOARGS, NULL},
				{"close", statement_close, METH_NOARGS, NULL},
				{0}};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
			      {Py_tp_dealloc, statement_dealloc},
			      {Py_tp_new, values_refuse_new},
			      {0, NULL}};
static PyType_Spec spec = {"nunchi._native.Statement", sizeof(struct statement_object), 0,
			   Py_TPFLAGS_DEFAULT, slots};

bool sql_add(void)
{
	statement_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return statement_type;
}
