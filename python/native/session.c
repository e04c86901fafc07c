/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session belongs to its guest, which has at most one; this object stands for it, and the session
 * ends with it.
 */
#include "native.h"

#include <unistd.h>

struct session_object {
	PyObject_HEAD struct guest_object *guest; /* kept */
	bool open;
};

static PyTypeObject *session_type;

PyObject *guest_session(PyObject *object, PyObject *args)
{
	struct guest_object *guest = (struct guest_object *)object;
	struct nunchi_session_options options = {.size = sizeof(options)};
	struct nunchi_session *session;
	struct session_object *self;
	struct nunchi_error *err;
	struct call call;
	int hold;

	if (!PyArg_ParseTuple(args, "p", &hold))
		return NULL;
	self = (struct session_object *)PyType_GenericAlloc(session_type, 0);
	if (!self)
		return NULL;
	Py_INCREF(guest);
	self->guest = guest;
	if (!guest_enter(guest, &call)) {
		Py_DECREF(self);
		return NULL;
	}
	options.hold = hold;
	err = nunchi_session_open(guest->guest, &options, &session);
	guest_leave(guest, &call);
	if (err) {
		Py_DECREF(self);
		return errors_raise(err);
	}
	guest->session = session;
	self->open = true;
	return (PyObject *)self;
}

/* Whether there is something to close: the guest may have been closed, or be another process's. */
static bool is_open(const struct session_object *self)
{
	return self->open && self->guest->session && self->guest->process == getpid();
}

static PyObject *session_close(PyObject *object, PyObject *args)
{
	struct session_object *self = (struct session_object *)object;
	struct nunchi_error *err;
	struct call call;

	(void)args;
	if (!is_open(self))
		return values_text(NULL);
	if (!guest_enter(self->guest, &call))
		return NULL;
	err = nunchi_session_close(self->guest->session);
	call_end(&call);
	self->guest->session = NULL;
	self->open = false;
	guest_release(self->guest);
	return err ? errors_raise(err) : values_text(NULL);
}

static PyObject *session_moment(PyObject *object, PyObject *args)
{
	struct session_object *self = (struct session_object *)object;
	uint64_t moment;

	(void)args;
	if (!is_open(self))
		return PyLong_FromLong(0);
	if (!guest_take(self->guest))
		return NULL;
	moment = nunchi_session_moment(self->guest->session);
	guest_release(self->guest);
	return PyLong_FromUnsignedLongLong(moment);
}

static void session_dealloc(PyObject *object)
{
	struct session_object *self = (struct session_object *)object;
	PyTypeObject *type = Py_TYPE(object);

	if (self->open)
		guest_drop_session(self->guest);
	Py_XDECREF(self->guest);
	PyObject_Free(object);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {{"close", session_close, METH_NOARGS, NULL},
				{"moment", session_moment, METH_NOARGS, NULL},
				{0}};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
			      {Py_tp_dealloc, session_dealloc},
			      {Py_tp_new, values_refuse_new},
			      {0, NULL}};
static PyType_Spec spec = {"nunchi._native.Session", sizeof(struct session_object), 0,
			   Py_TPFLAGS_DEFAULT, slots};

bool session_add(void)
{
	session_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return session_type;
}
