/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What needs no guest, and the module itself. */
#include "native.h"

static PyObject *schemas(const struct nunchi_view *const *views, size_t count)
{
	PyObject *list = PyList_New(0);

	for (size_t i = 0; list && i < count; i++) {
		if (!values_append(list, values_view(views[i])))
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *views(PyObject *module, PyObject *args)
{
	size_t count;
	const struct nunchi_view *const *all = nunchi_views(&count);

	(void)module, (void)args;
	return schemas(all, count);
}

static PyObject *probes(PyObject *module, PyObject *args)
{
	size_t count;
	const struct nunchi_view *const *all = nunchi_probes(&count);

	(void)module, (void)args;
	return schemas(all, count);
}

/* A list of guests that is being filled while the GIL is released. */
struct listing {
	struct call call;
	PyObject *list;
};

static bool found(const struct nunchi_found *guest, void *data)
{
	struct listing *listing = data;
	bool added;

	PyEval_RestoreThread(listing->call.thread);
	added = values_append(
	    listing->list,
	    Py_BuildValue("(NNNLKINNNN)", values_text(guest->target), values_text(guest->name),
			  values_text(guest->hypervisor), (long long)guest->pid,
			  (unsigned long long)guest->memory, (unsigned)guest->vcpus,
			  values_text(guest->state), values_text(guest->access),
			  values_text(guest->uuid), values_text(guest->user)));
	listing->call.thread = PyEval_SaveThread();
	return added;
}

static PyObject *list_guests(PyObject *module, PyObject *args)
{
	struct listing listing = {.list = PyList_New(0)};
	struct nunchi_context *context;
	struct nunchi_error *err;

	(void)module, (void)args;
	if (!listing.list)
		return NULL;
	err = nunchi_context_create(0, &context);
	if (!err) {
		call_begin(&listing.call, call_cancel_context, context);
		err = nunchi_list(context, found, &listing);
		call_end(&listing.call);
		nunchi_context_destroy(context);
	}
	if (err)
		errors_raise(err);
	if (PyErr_Occurred())
		Py_CLEAR(listing.list);
	return listing.list;
}

static PyObject *version(PyObject *module, PyObject *args)
{
	(void)module, (void)args;
	return values_text(nunchi_version());
}

static PyMethodDef functions[] = {{"open", guest_open, METH_VARARGS, NULL},
				  {"list", list_guests, METH_NOARGS, NULL},
				  {"sql", sql_open, METH_VARARGS, NULL},
				  {"views", views, METH_NOARGS, NULL},
				  {"probes", probes, METH_NOARGS, NULL},
				  {"version", version, METH_NOARGS, NULL},
				  {0}};
static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "nunchi._native",
    .m_doc = "What the package nunchi is made of; use that.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
	PyObject *module = PyModule_Create(&definition);

	if (module && errors_add(module) && values_add(module) && guest_add() && cursor_add() &&
	    session_add() && sql_add() && trace_add())
		return module;
	Py_XDECREF(module);
	return NULL;
}
