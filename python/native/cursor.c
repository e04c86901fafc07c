/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "native.h"

#include <stdlib.h>

struct cursor_object {
	PyObject_HEAD struct guest_object *guest; /* kept */
	struct open_cursor *open;                 /* NULL: closed */
};

static PyTypeObject *cursor_type;

static struct nunchi_error *open_cursor(struct guest_object *guest, const char *name,
					const struct query *query, struct nunchi_cursor **ret)
{
	const struct nunchi_view *view = nunchi_view_find(name);

	if (!view)
		return nunchi_error_create(NUNCHI_ERROR_NOT_FOUND, 0, "there is no such view",
					   "nunchi.views() gives all");
	return nunchi_cursor_open(guest->guest, view, &query->query, ret);
}

static PyObject *make_cursor(struct guest_object *guest, const char *name,
			     const struct query *query)
{
	struct cursor_object *self = (struct cursor_object *)PyType_GenericAlloc(cursor_type, 0);
	struct open_cursor *open = calloc(1, sizeof(*open));
	struct nunchi_error *err = NULL;
	struct call call;

	if (!open)
		PyErr_NoMemory();
	if (self && open && guest_enter(guest, &call)) {
		err = open_cursor(guest, name, query, &open->cursor);
		guest_leave(guest, &call);
	}
	if (self && open && open->cursor) {
		Py_INCREF(guest);
		self->guest = guest;
		self->open = open;
		return (PyObject *)self;
	}
	free(open);
	Py_XDECREF(self);
	return err ? errors_raise(err) : NULL;
}

PyObject *guest_query(PyObject *object, PyObject *args)
{
	PyObject *view, *columns, *where, *self = NULL;
	unsigned long long limit, max_bytes;
	unsigned max_ms;
	struct query query;
	const char *name;

	if (!PyArg_ParseTuple(args, "UOOKIK", &view, &columns, &where, &limit, &max_ms, &max_bytes))
		return NULL;
	if (query_fill(&query, columns, where)) {
		query.query.limit = limit;
		query.query.max_ms = max_ms;
		query.query.max_bytes = max_bytes;
		name = query_keep(query.kept, view);
		if (name)
			self = make_cursor((struct guest_object *)object, name, &query);
	}
	query_clear(&query);
	return self;
}

/* close() may end the object's cursor while a call uses it: then it lives until guest_release(). */
static bool is_open(const struct cursor_object *self)
{
	if (!self->open)
		errors_say(NUNCHI_ERROR_ARGUMENT, "these rows are closed");
	return self->open;
}

/* (cells, torn), or None after the last row. */
static PyObject *cursor_next(PyObject *object, PyObject *args)
{
	struct cursor_object *self = (struct cursor_object *)object;
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	PyObject *row = NULL;
	struct call call;
	size_t count;
	bool torn;

	(void)args;
	if (!is_open(self))
		return NULL;
	cursor = self->open->cursor;
	if (!guest_enter(self->guest, &call))
		return NULL;
	err = nunchi_cursor_next(cursor, &cells, &torn);
	call_end(&call);
	/* The cells live until the next call on the cursor, so the guest is still in use. */
	if (!err) {
		nunchi_cursor_columns(cursor, &count);
		row = values_cells(cells, count);
	}
	guest_release(self->guest);
	if (!err)
		return row ? Py_BuildValue("(NN)", row, PyBool_FromLong(torn)) : NULL;
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return errors_raise(err);
	nunchi_error_destroy(err);
	return values_text(NULL);
}

static PyObject *cursor_columns(PyObject *object, PyObject *args)
{
	struct cursor_object *self = (struct cursor_object *)object;
	const struct nunchi_column *const *columns;
	PyObject *tuple;
	size_t count;

	(void)args;
	if (!is_open(self) || !guest_take(self->guest))
		return NULL;
	columns = nunchi_cursor_columns(self->open->cursor, &count);
	tuple = values_columns(columns, count);
	guest_release(self->guest);
	return tuple;
}

static PyObject *cursor_warnings(PyObject *object, PyObject *args)
{
	struct cursor_object *self = (struct cursor_object *)object;
	struct nunchi_cursor *cursor;
	const char *warning;
	PyObject *list;

	(void)args;
	if (!is_open(self) || !guest_take(self->guest))
		return NULL;
	cursor = self->open->cursor;
	list = PyList_New(0);
	for (size_t i = 0; list && (warning = nunchi_cursor_warning(cursor, i)); i++) {
		if (!values_append(list, values_text(warning)))
			Py_CLEAR(list);
	}
	guest_release(self->guest);
	return list;
}

static PyObject *cursor_close(PyObject *object, PyObject *args)
{
	struct cursor_object *self = (struct cursor_object *)object;

	(void)args;
	guest_drop_cursor(self->guest, self->open);
	self->open = NULL;
	return values_text(NULL);
}

static void cursor_dealloc(PyObject *object)
{
	struct cursor_object *self = (struct cursor_object *)object;
	PyTypeObject *type = Py_TYPE(object);

	if (self->guest)
		guest_drop_cursor(self->guest, self->open);
	Py_XDECREF(self->guest);
	PyObject_Free(object);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {{"next", cursor_next, METH_NOARGS, NULL},
				{"columns", cursor_columns, METH_NOARGS, NULL},
				{"warnings", cursor_warnings, METH_NOARGS, NULL},
				{"close", cursor_close, METH_NOARGS, NULL},
				{0}};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
			      {Py_tp_dealloc, cursor_dealloc},
			      {Py_tp_new, values_refuse_new},
			      {0, NULL}};
static PyType_Spec spec = {"nunchi._native.Cursor", sizeof(struct cursor_object), 0,
			   Py_TPFLAGS_DEFAULT, slots};

bool cursor_add(void)
{
	cursor_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return cursor_type;
}
