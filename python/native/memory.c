/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods of a guest about addresses, symbols and types. */
#include "native.h"

#include <stdlib.h>

static bool take_place(PyObject *args, const char *format, struct nunchi_place *ret,
		       Py_ssize_t *ret_size)
{
	unsigned long long id, address;
	int space;
	bool good = ret_size ? PyArg_ParseTuple(args, format, &space, &id, &address, ret_size)
			     : PyArg_ParseTuple(args, format, &space, &id, &address);

	if (good)
		*ret = (struct nunchi_place){(enum nunchi_space)space, id, address};
	return good;
}

PyObject *guest_read(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_error *err;
	struct nunchi_place place;
	struct call call;
	PyObject *bytes;
	Py_ssize_t size;

	if (!take_place(args, "iKKn", &place, &size))
		return NULL;
	bytes = PyBytes_FromStringAndSize(NULL, size);
	if (!bytes)
		return NULL;
	if (!guest_enter(self, &call)) {
		Py_DECREF(bytes);
		return NULL;
	}
	/* Nobody else has the object yet. */
	err = nunchi_read(self->guest, &place, (size_t)size, PyBytes_AsString(bytes));
	guest_leave(self, &call);
	if (!err)
		return bytes;
	Py_DECREF(bytes);
	return errors_raise(err);
}

static PyObject *levels_of(const struct nunchi_translation *translation)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; list && i < translation->level_count; i++) {
		const struct nunchi_translation_level *level = &translation->levels[i];
		PyObject *entry =
		    Py_BuildValue("(sKKNN)", level->table, (unsigned long long)level->entry_address,
				  (unsigned long long)level->entry, PyBool_FromLong(level->present),
				  PyBool_FromLong(level->large));

		if (!values_append(list, entry))
			Py_CLEAR(list);
	}
	return list;
}

PyObject *guest_translate(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_translation translation;
	struct nunchi_error *err;
	struct nunchi_place place;
	struct call call;
	PyObject *levels;

	if (!take_place(args, "iKK", &place, NULL) || !guest_enter(self, &call))
		return NULL;
	err = nunchi_translate(self->guest, &place, &translation);
	guest_leave(self, &call);
	if (err)
		return errors_raise(err);
	levels = levels_of(&translation);
	if (!levels || !translation.mapped)
		return levels ? Py_BuildValue("(NOOOOOOz)", levels, Py_False, Py_None, Py_None,
					      Py_False, Py_False, Py_False, translation.fault)
			      : NULL;
	return Py_BuildValue(
	    "(NOKKNNNO)", levels, Py_True, (unsigned long long)translation.physical,
	    (unsigned long long)translation.page_size, PyBool_FromLong(translation.writable),
	    PyBool_FromLong(translation.user), PyBool_FromLong(translation.executable), Py_None);
}

static PyObject *symbol_of(const struct nunchi_symbol *symbol)
{
	return Py_BuildValue(
	    "(NKKCN)", values_text(symbol->name), (unsigned long long)symbol->address,
	    (unsigned long long)symbol->offset, symbol->type, values_text(symbol->module));
}

PyObject *guest_symbol_find(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_symbol found;
	struct nunchi_error *err;
	struct call call;
	PyObject *name;

	/* The name as bytes. */
	if (!PyArg_ParseTuple(args, "S", &name) || !guest_enter(self, &call))
		return NULL;
	err = nunchi_symbol_find(self->guest, PyBytes_AsString(name), &found);
	guest_leave(self, &call);
	return err ? errors_raise(err) : symbol_of(&found);
}

PyObject *guest_symbol_at(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	unsigned long long address;
	struct nunchi_symbol found;
	struct nunchi_error *err;
	struct call call;

	if (!PyArg_ParseTuple(args, "K", &address) || !guest_enter(self, &call))
		return NULL;
	err = nunchi_symbol_at(self->guest, address, &found);
	guest_leave(self, &call);
	return err ? errors_raise(err) : symbol_of(&found);
}

/* What nunchi_type_layout() gives, and the GIL that is released meanwhile. */
struct layout {
	struct call *call;
	PyObject *type;    /* a tuple, or NULL */
	PyObject *members; /* a list */
};

static void take_type(const struct nunchi_type_info *type, void *data)
{
	struct layout *layout = data;

	PyEval_RestoreThread(layout->call->thread);
	layout->type = Py_BuildValue("(NNNKKN)", values_text(type->kind), values_text(type->name),
				     values_text(type->target), (unsigned long long)type->size,
				     (unsigned long long)type->holes, values_text(type->module));
	layout->call->thread = PyEval_SaveThread();
}

static void take_member(const struct nunchi_member *member, void *data)
{
	struct layout *layout = data;

	PyEval_RestoreThread(layout->call->thread);
	if (!PyErr_Occurred())
		values_append(layout->members,
			      Py_BuildValue("(NNKKINN)", values_text(member->name),
					    values_text(member->type),
					    (unsigned long long)member->bit_offset,
					    (unsigned long long)member->bit_size, member->depth,
					    PyBool_FromLong(member->bit_field),
					    PyBool_FromLong(member->hole)));
	layout->call->thread = PyEval_SaveThread();
}

PyObject *guest_type_layout(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct call call;
	struct layout layout = {.call = &call};
	struct nunchi_error *err;
	PyObject *name, *result = NULL;

	/* The name as bytes. */
	if (!PyArg_ParseTuple(args, "S", &name))
		return NULL;
	layout.members = PyList_New(0);
	if (layout.members && guest_enter(self, &call)) {
		err = nunchi_type_layout(self->guest, PyBytes_AsString(name), take_type,
					 take_member, &layout);
		guest_leave(self, &call);
		if (err)
			errors_raise(err);
		else if (layout.type && !PyErr_Occurred())
			result = PyTuple_Pack(2, layout.type, layout.members);
	}
	Py_XDECREF(layout.type);
	Py_XDECREF(layout.members);
	return result;
}

/* What nunchi_print() gives, and the GIL that is released meanwhile. */
struct printing {
	struct call *call;
	PyObject *rows; /* a list */
	unsigned long long limit;
};

static PyObject *printed_value(const struct nunchi_printed *printed)
{
	switch (printed->kind) {
	case NUNCHI_PRINTED_SIGNED:
		return PyLong_FromLongLong((long long)printed->number);
	case NUNCHI_PRINTED_UNSIGNED:
		return PyLong_FromUnsignedLongLong(printed->number);
	case NUNCHI_PRINTED_TEXT:
		return values_text(printed->text);
	default:
		return values_text(printed->value);
	}
}

static PyObject *printed_row(const struct nunchi_printed *printed)
{
	PyObject *address;

	if (printed->has_address) {
		address = PyLong_FromUnsignedLongLong(printed->address);
	} else {
		address = Py_None;
		Py_INCREF(address);
	}
	return Py_BuildValue("(NNNN)", printed_value(printed), values_text(printed->type), address,
			     values_text(printed->error));
}

static bool take_printed(const struct nunchi_printed *printed, void *data)
{
	struct printing *printing = data;
	bool goes_on;

	PyEval_RestoreThread(printing->call->thread);
	goes_on = values_append(printing->rows, printed_row(printed)) &&
		  (unsigned long long)PyList_Size(printing->rows) != printing->limit;
	printing->call->thread = PyEval_SaveThread();
	return goes_on;
}

PyObject *guest_print(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct call call;
	struct printing printing = {.call = &call};
	struct nunchi_error *err;
	PyObject *expression;
	unsigned depth;

	/* The expression as bytes. */
	if (!PyArg_ParseTuple(args, "SIK", &expression, &depth, &printing.limit))
		return NULL;
	printing.rows = PyList_New(0);
	if (!printing.rows || !guest_enter(self, &call)) {
		Py_XDECREF(printing.rows);
		return NULL;
	}
	err =
	    nunchi_print(self->guest, PyBytes_AsString(expression), depth, take_printed, &printing);
	guest_leave(self, &call);
	if (!err && !PyErr_Occurred())
		return printing.rows;
	Py_DECREF(printing.rows);
	return err ? errors_raise(err) : NULL;
}
