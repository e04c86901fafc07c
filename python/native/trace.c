/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A trace belongs to its guest, which has at most one; this object stands for it. */
#include "native.h"

#include <stdlib.h>

struct trace_object {
	PyObject_HEAD struct guest_object *guest; /* kept */
	bool open;
};

static PyTypeObject *trace_type;

static PyObject *make_trace(struct guest_object *guest, const char *const *probes, size_t count,
			    const struct nunchi_trace_options *options)
{
	struct trace_object *self = (struct trace_object *)PyType_GenericAlloc(trace_type, 0);
	struct nunchi_trace *trace;
	struct nunchi_error *err;
	struct call call;

	if (!self)
		return NULL;
	Py_INCREF(guest);
	self->guest = guest;
	if (!guest_enter(guest, &call)) {
		Py_DECREF(self);
		return NULL;
	}
	err = nunchi_trace_open(guest->guest, probes, count, options, &trace);
	guest_leave(guest, &call);
	if (err) {
		Py_DECREF(self);
		return errors_raise(err);
	}
	guest->trace = trace;
	self->open = true;
	return (PyObject *)self;
}

PyObject *guest_trace(PyObject *object, PyObject *args)
{
	struct nunchi_trace_options options = {.size = sizeof(options)};
	PyObject *names, *columns, *where, *self = NULL;
	const char **probes;
	struct query query;
	long long pid;
	size_t count;
	int lenient;

	if (!PyArg_ParseTuple(args, "OOOLp", &names, &columns, &where, &pid, &lenient))
		return NULL;
	options.query = &query.query;
	options.pid = pid;
	options.lenient = lenient;
	if (query_fill(&query, columns, where)) {
		probes = query_keep_all(query.kept, names, &count);
		if (probes)
			self = make_trace((struct guest_object *)object, probes, count, &options);
		free(probes);
	}
	query_clear(&query);
	return self;
}

static bool is_open(const struct trace_object *self)
{
	if (!self->open || !self->guest->trace) {
		errors_say(NUNCHI_ERROR_ARGUMENT, "this trace is closed");
		return false;
	}
	return true;
}

/* The row as (probe, cells); None if there was none in time, False after the last. */
static PyObject *row_of(struct trace_object *self, const struct nunchi_trace_row *row)
{
	PyObject *cells;
	size_t count;

	if (!row->cells)
		return values_text(NULL);
	nunchi_trace_columns(self->guest->trace, row->probe, &count);
	cells = values_cells(row->cells, count);
	return cells ? Py_BuildValue("(nN)", (Py_ssize_t)row->probe, cells) : NULL;
}

static PyObject *trace_next(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;
	struct nunchi_trace_row row;
	struct nunchi_error *err;
	PyObject *result = NULL;
	unsigned timeout_ms;
	struct call call;

	if (!PyArg_ParseTuple(args, "I", &timeout_ms) || !is_open(self) ||
	    !guest_enter(self->guest, &call))
		return NULL;
	err = nunchi_trace_next(self->guest->trace, timeout_ms, &row);
	call_end(&call);
	/* The cells live until the next call on the trace, so the guest is still in use. */
	if (!err)
		result = row_of(self, &row);
	guest_release(self->guest);
	if (!err)
		return result;
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return errors_raise(err);
	nunchi_error_destroy(err);
	return PyBool_FromLong(0);
}

static PyObject *trace_stop(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;
	struct call call;

	(void)args;
	if (!is_open(self) || !guest_enter(self->guest, &call))
		return NULL;
	nunchi_trace_stop(self->guest->trace);
	guest_leave(self->guest, &call);
	return values_text(NULL);
}

/* (name, columns) of each of that many probes. */
static PyObject *trace_columns(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;
	PyObject *list;
	size_t count;

	(void)args;
	if (!is_open(self) || !guest_take(self->guest))
		return NULL;
	list = PyList_New(0);
	for (size_t i = 0; list; i++) {
		const struct nunchi_view *probe = nunchi_trace_probe(self->guest->trace, i);
		const struct nunchi_column *const *columns;

		if (!probe)
			break;
		columns = nunchi_trace_columns(self->guest->trace, i, &count);
		if (!values_append(list, Py_BuildValue("(NN)", values_text(probe->name),
						       values_columns(columns, count))))
			Py_CLEAR(list);
	}
	guest_release(self->guest);
	return list;
}

static PyObject *trace_warnings(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;
	const char *warning;
	PyObject *list;

	(void)args;
	if (!is_open(self) || !guest_take(self->guest))
		return NULL;
	list = PyList_New(0);
	for (size_t i = 0; list && (warning = nunchi_trace_warning(self->guest->trace, i)); i++) {
		if (!values_append(list, values_text(warning)))
			Py_CLEAR(list);
	}
	guest_release(self->guest);
	return list;
}

static PyObject *trace_cost(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;
	struct nunchi_trace_cost cost;

	(void)args;
	if (!is_open(self) || !guest_is_usable(self->guest))
		return NULL;
	nunchi_trace_cost(self->guest->trace, &cost);
	return Py_BuildValue(
	    "{s:K,s:K,s:K,s:K,s:K}", "events", (unsigned long long)cost.events, "rows",
	    (unsigned long long)cost.rows, "dropped", (unsigned long long)cost.dropped, "pending",
	    (unsigned long long)cost.pending, "stopped_us", (unsigned long long)cost.stopped_us);
}

static PyObject *trace_close(PyObject *object, PyObject *args)
{
	struct trace_object *self = (struct trace_object *)object;

	(void)args;
	if (self->open)
		guest_drop_trace(self->guest);
	self->open = false;
	return values_text(NULL);
}

static void trace_dealloc(PyObject *object)
{
	struct trace_object *self = (struct trace_object *)object;
	PyTypeObject *type = Py_TYPE(object);

	if (self->open)
		guest_drop_trace(self->guest);
	Py_XDECREF(self->guest);
	PyObject_Free(object);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {{"next", trace_next, METH_VARARGS, NULL},
				{"stop", trace_stop, METH_NOARGS, NULL},
				{"columns", trace_columns, METH_NOARGS, NULL},
				{"warnings", trace_warnings, METH_NOARGS, NULL},
				{"cost", trace_cost, METH_NOARGS, NULL},
				{"close", trace_close, METH_NOARGS, NULL},
				{0}};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
			      {Py_tp_dealloc, trace_dealloc},
			      {Py_tp_new, values_refuse_new},
			      {0, NULL}};
static PyType_Spec spec = {"nunchi._native.Trace", sizeof(struct trace_object), 0,
			   Py_TPFLAGS_DEFAULT, slots};

bool trace_add(void)
{
	trace_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return trace_type;
}
