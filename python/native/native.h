/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Python module nunchi._native: objects of the public headers as Python objects, on the stable
 * ABI of Python 3.9. What Python users meet is ../nunchi/__init__.py, on top of it.
 *
 * Each call into the library that may take long runs without the GIL, between call_begin() and
 * call_end(). A guest is marked as used for that time, and whoever uses it then gets BusyError:
 * another thread, or a callback of the call.
 */
#ifndef NUNCHI_PYTHON_NATIVE_H
#define NUNCHI_PYTHON_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <nunchi/nunchi.h>
#include <nunchi/trace.h>

#include <stdbool.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- errors.c ---- */

/* Adds Error and its subclasses to the module. */
bool errors_add(PyObject *module);
/*
 * Raises the error as a Python exception, and destroys it; always NULL. An exception that is set
 * already stays; one of a signal's handler (KeyboardInterrupt) goes before NUNCHI_ERROR_CANCELLED.
 */
PyObject *errors_raise(struct nunchi_error *err);
/* The same; the exception's offset is a place in the text that was wrong, -1: none. */
PyObject *errors_raise_at(struct nunchi_error *err, Py_ssize_t offset);
/* Raises an error of the module's own; always NULL. */
PyObject *errors_say(enum nunchi_error_code code, const char *message);

/* ---- call.c ---- */

struct call {
	void (*cancel)(void *what); /* async-signal-safe */
	void *what;
	struct call *outer; /* the call whose callback runs this one */
	PyThreadState *thread;
	bool interruptible;
};

/*
 * Releases the GIL. In the main thread SIGINT calls cancel(what) from now on, and then the handler
 * that Python has for it.
 */
void call_begin(struct call *call, void (*cancel)(void *what), void *what);
void call_end(struct call *call);
/* For cancel: `what` is a struct nunchi_context. */
void call_cancel_context(void *context);

/* ---- values.c ---- */

/* Adds the type Absent to the module. */
bool values_add(PyObject *module);
/* Has a type refuse to be called: its objects are made by this module alone. */
PyObject *values_refuse_new(PyTypeObject *type, PyObject *args, PyObject *keywords);
/* Appends the value to the list, and takes it over; false if there is none or that fails. */
bool values_append(PyObject *list, PyObject *value);
/* None for NULL. */
PyObject *values_text(const char *text);
PyObject *values_column(const struct nunchi_column *column);
PyObject *values_columns(const struct nunchi_column *const *columns, size_t count);
/* (name, description, (column, …)) */
PyObject *values_view(const struct nunchi_view *view);
PyObject *values_cells(const struct nunchi_cell *cells, size_t count);

/* ---- query.c ---- */

struct query {
	struct nunchi_query query;
	PyObject *kept; /* a list of the bytes objects that the texts lie in */
	const char **columns;
	struct nunchi_constraint *constraints;
};

/*
 * Takes over what Python gives: columns is None or a sequence of names, where a sequence of
 * (column, operator, text or sequence of texts). False if an exception was raised.
 */
bool query_fill(struct query *query, PyObject *columns, PyObject *where);
void query_clear(struct query *query);
/* The text as UTF-8, in a bytes object that is appended to the list; NULL if an exception was
 * raised. */
const char *query_keep(PyObject *kept, PyObject *text);
/* The same for each of a sequence, as an array for free(). */
const char **query_keep_all(PyObject *kept, PyObject *texts, size_t *ret_count);

/* ---- guest.c ---- */

/* An open cursor. One that nobody has any more while its guest is in use is closed after that use.
 */
struct open_cursor {
	struct nunchi_cursor *cursor;
	struct open_cursor *next; /* of those that nobody has */
};

struct guest_object {
	PyObject_HEAD struct nunchi_context *context;
	struct nunchi_guest *guest;     /* NULL: closed */
	struct nunchi_session *session; /* NULL: none is open */
	struct nunchi_trace *trace;     /* that is open, or NULL */
	struct open_cursor *left;       /* cursors that nobody has, to be closed */
	bool trace_left;                /* nobody has the trace: likewise */
	bool session_left;              /* nobody has the session: likewise */
	bool used;                      /* a call of the library uses it */
	pid_t process;                  /* a child process may not touch the guest */
};

bool guest_add(void);
/* The guest that the object is; NULL if an exception was raised. */
struct guest_object *guest_of(PyObject *object);
/* The function open() of the module. */
PyObject *guest_open(PyObject *module, PyObject *args);
/* False if an exception was raised: the guest is closed, or used elsewhere. */
bool guest_is_usable(const struct guest_object *self);
/*
 * The same, and marks the guest as used. So nothing of it is closed until guest_release(), although
 * each allocation of a Python object may run the garbage collector, and with it any Python code.
 */
bool guest_take(struct guest_object *self);
/* Ends the use. */
void guest_release(struct guest_object *self);
/* The same with a call that is begun and ended. */
bool guest_enter(struct guest_object *self, struct call *call);
void guest_leave(struct guest_object *self, struct call *call);
/* Closes a cursor, NULL accepted, that nobody has any more: at once, or when the guest is free. */
void guest_drop_cursor(struct guest_object *self, struct open_cursor *cursor);
/* The same for the guest's trace, and for its session. */
void guest_drop_trace(struct guest_object *self);
void guest_drop_session(struct guest_object *self);

/* ---- memory.c: methods of the guest about addresses, symbols, types ---- */

PyObject *guest_read(PyObject *object, PyObject *args);
PyObject *guest_translate(PyObject *object, PyObject *args);
PyObject *guest_symbol_find(PyObject *object, PyObject *args);
PyObject *guest_symbol_at(PyObject *object, PyObject *args);
PyObject *guest_type_layout(PyObject *object, PyObject *args);
PyObject *guest_print(PyObject *object, PyObject *args);

/* ---- cursor.c ---- */

bool cursor_add(void);
PyObject *guest_query(PyObject *object, PyObject *args);

/* ---- session.c ---- */

bool session_add(void);
PyObject *guest_session(PyObject *object, PyObject *args);

/* ---- sql.c ---- */

bool sql_add(void);
/* The function sql() of the module. */
PyObject *sql_open(PyObject *module, PyObject *args);
/* Ends statements that nobody has any more and whose guests are free. */
void sql_close_left(void);
/*
 * Ends the statements over a guest, which the caller uses and is to close; false if an exception
 * was raised: another guest of such a statement is in use.
 */
bool sql_end_of(struct guest_object *guest);

/* ---- trace.c ---- */

bool trace_add(void);
PyObject *guest_trace(PyObject *object, PyObject *args);

#endif
