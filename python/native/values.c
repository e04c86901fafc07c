/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cells, columns and views as Python's values. */
#include "native.h"

#include <string.h>

PyObject *values_refuse_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	(void)args, (void)keywords;
	PyErr_Format(PyExc_TypeError, "%R is not made this way", type);
	return NULL;
}

/* ---- Absent cells ---- */

struct absent {
	PyObject_HEAD enum nunchi_absence absence;
};

/* One object for each reason, made when first needed. */
static PyObject *absences[NUNCHI_ABSENT_NULL + 1];
static PyTypeObject *absent_type;

static PyObject *absent_reason(PyObject *self, void *data)
{
	(void)data;
	return values_text(nunchi_absence_string(((struct absent *)self)->absence));
}

static PyObject *absent_repr(PyObject *self)
{
	return PyUnicode_FromFormat("<%s>",
				    nunchi_absence_string(((struct absent *)self)->absence));
}

static int absent_bool(PyObject *self)
{
	(void)self;
	return 0;
}

static void plain_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_Free(self);
	Py_DECREF(type);
}

static PyGetSetDef absent_attributes[] = {
    {"reason", absent_reason, NULL, "why the cell has no value, in words", NULL}, {0}};
static char absent_doc[] = "A cell without a value: `reason` says why. It is false.";
static PyType_Slot absent_slots[] = {{Py_tp_doc, absent_doc},
				     {Py_tp_getset, absent_attributes},
				     {Py_tp_repr, absent_repr},
				     {Py_nb_bool, absent_bool},
				     {Py_tp_dealloc, plain_dealloc},
				     {Py_tp_new, values_refuse_new},
				     {0, NULL}};
static PyType_Spec absent_spec = {"nunchi.Absent", sizeof(struct absent), 0, Py_TPFLAGS_DEFAULT,
				  absent_slots};

static PyObject *absent(enum nunchi_absence absence)
{
	PyObject *object;

	if ((size_t)absence >= ARRAY_SIZE(absences))
		return PyErr_Format(PyExc_SystemError, "unknown absence %d", (int)absence);
	object = absences[absence];
	if (!object) {
		object = PyType_GenericAlloc(absent_type, 0);
		if (!object)
			return NULL;
		((struct absent *)object)->absence = absence;
		absences[absence] = object;
	}
	Py_INCREF(object);
	return object;
}

bool values_add(PyObject *module)
{
	absent_type = (PyTypeObject *)PyType_FromSpec(&absent_spec);
	return absent_type && !PyObject_SetAttrString(module, "Absent", (PyObject *)absent_type);
}

/* ---- Texts, columns, rows ---- */

bool values_append(PyObject *list, PyObject *value)
{
	bool done = value && !PyList_Append(list, value);

	Py_XDECREF(value);
	return done;
}

PyObject *values_text(const char *text)
{
	if (!text) {
		Py_INCREF(Py_None);
		return Py_None;
	}
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "surrogateescape");
}

static const char *const types[] = {
    [NUNCHI_TYPE_INTEGER] = "integer",
    [NUNCHI_TYPE_REAL] = "real",
    [NUNCHI_TYPE_ADDRESS] = "address",
    [NUNCHI_TYPE_TEXT] = "text",
};
static const char *const units[] = {
    [NUNCHI_UNIT_NONE] = NULL,
    [NUNCHI_UNIT_BYTES] = "bytes",
    [NUNCHI_UNIT_MILLISECONDS] = "milliseconds",
    [NUNCHI_UNIT_SECONDS] = "seconds",
    [NUNCHI_UNIT_UNIX_TIME] = "unix time",
    [NUNCHI_UNIT_OCTAL] = "octal",
};

PyObject *values_column(const struct nunchi_column *column)
{
	const char *type = column->type < ARRAY_SIZE(types) ? types[column->type] : NULL;
	const char *unit = column->unit < ARRAY_SIZE(units) ? units[column->unit] : NULL;

	return Py_BuildValue("(szsz)", column->name, type, column->description, unit);
}

/* Puts the value into the tuple, and takes it over; false if there is none. */
static bool put(PyObject *tuple, size_t i, PyObject *value)
{
	return value && !PyTuple_SetItem(tuple, (Py_ssize_t)i, value);
}

PyObject *values_columns(const struct nunchi_column *const *columns, size_t count)
{
	PyObject *tuple = PyTuple_New((Py_ssize_t)count);

	for (size_t i = 0; tuple && i < count; i++) {
		if (!put(tuple, i, values_column(columns[i])))
			Py_CLEAR(tuple);
	}
	return tuple;
}

PyObject *values_view(const struct nunchi_view *view)
{
	PyObject *tuple = PyTuple_New((Py_ssize_t)view->column_count);

	for (size_t i = 0; tuple && i < view->column_count; i++) {
		if (!put(tuple, i, values_column(&view->columns[i])))
			Py_CLEAR(tuple);
	}
	return tuple ? Py_BuildValue("(ssN)", view->name, view->description, tuple) : NULL;
}

static PyObject *value(const struct nunchi_cell *cell)
{
	if (cell->kind != NUNCHI_CELL_VALUE)
		return absent(cell->absence);
	switch (cell->type) {
	case NUNCHI_TYPE_INTEGER:
		return PyLong_FromLongLong(cell->integer);
	case NUNCHI_TYPE_REAL:
		return PyFloat_FromDouble(cell->real);
	case NUNCHI_TYPE_ADDRESS:
		return PyLong_FromUnsignedLongLong(cell->address);
	case NUNCHI_TYPE_TEXT:
		return PyUnicode_DecodeUTF8(cell->text, (Py_ssize_t)cell->text_size,
					    "surrogateescape");
	}
	return PyErr_Format(PyExc_SystemError, "unknown type %d", (int)cell->type);
}

PyObject *values_cells(const struct nunchi_cell *cells, size_t count)
{
	PyObject *tuple = PyTuple_New((Py_ssize_t)count);

	for (size_t i = 0; tuple && i < count; i++) {
		if (!put(tuple, i, value(&cells[i])))
			Py_CLEAR(tuple);
	}
	return tuple;
}
