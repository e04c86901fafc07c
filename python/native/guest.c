/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "native.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- Calls on a guest ---- */

static void cancel_guest(void *guest)
{
	nunchi_guest_cancel(guest);
}

/* Whether the guest can be used by this process, and nobody uses it now. */
static bool is_free(const struct guest_object *self)
{
	if (self->process != getpid())
		errors_say(NUNCHI_ERROR_ARGUMENT,
			   "the guest was opened before fork(), by another process: open it again");
	else if (self->used)
		errors_say(NUNCHI_ERROR_BUSY,
			   "the guest is in use: by another thread, or by the call that runs this "
			   "callback");
	else
		return true;
	return false;
}

bool guest_is_usable(const struct guest_object *self)
{
	if (!is_free(self))
		return false;
	if (!self->guest)
		errors_say(NUNCHI_ERROR_ARGUMENT, "the guest is closed");
	return self->guest;
}

bool guest_take(struct guest_object *self)
{
	if (!guest_is_usable(self))
		return false;
	self->used = true;
	return true;
}

/* Closes what nobody has any more. */
static void close_left(struct guest_object *self)
{
	while (self->left) {
		struct open_cursor *cursor = self->left;

		self->left = cursor->next;
		nunchi_cursor_close(cursor->cursor);
		free(cursor);
	}
	if (self->trace_left) {
		nunchi_trace_close(self->trace);
		self->trace = NULL;
		self->trace_left = false;
	}
	if (self->session_left) {
		/* Whom could an error be told? The next use of the guest says what is wrong. */
		nunchi_error_destroy(nunchi_session_close(self->session));
		self->session = NULL;
		self->session_left = false;
	}
}

void guest_release(struct guest_object *self)
{
	close_left(self);
	self->used = false;
	sql_close_left();
}

bool guest_enter(struct guest_object *self, struct call *call)
{
	if (!guest_take(self))
		return false;
	call_begin(call, cancel_guest, self->guest);
	return true;
}

void guest_leave(struct guest_object *self, struct call *call)
{
	call_end(call);
	guest_release(self);
}

void guest_drop_cursor(struct guest_object *self, struct open_cursor *cursor)
{
	if (!cursor || self->process != getpid())
		return;
	cursor->next = self->left;
	self->left = cursor;
	if (!self->used)
		close_left(self);
}

void guest_drop_trace(struct guest_object *self)
{
	if (!self->trace || self->process != getpid())
		return;
	self->trace_left = true;
	if (!self->used)
		close_left(self);
}

void guest_drop_session(struct guest_object *self)
{
	if (!self->session || self->process != getpid())
		return;
	self->session_left = true;
	if (!self->used)
		close_left(self);
}

/* None, or an exception: of the error, or of a callback. */
static PyObject *done(struct nunchi_error *err)
{
	if (err)
		return errors_raise(err);
	return PyErr_Occurred() ? NULL : values_text(NULL);
}

/* ---- Open and close ---- */

static PyTypeObject *guest_type;

struct guest_object *guest_of(PyObject *object)
{
	if (PyObject_TypeCheck(object, guest_type))
		return (struct guest_object *)object;
	PyErr_SetString(PyExc_TypeError, "a guest is wanted");
	return NULL;
}

static struct nunchi_error *open_guest(const char *target,
				       const struct nunchi_guest_options *options,
				       struct nunchi_context **ret_context,
				       struct nunchi_guest **ret)
{
	struct nunchi_context *context;
	struct nunchi_error *err = nunchi_context_create(0, &context);
	struct call call;

	if (err)
		return err;
	call_begin(&call, call_cancel_context, context);
	err = nunchi_guest_open(context, target, options, ret);
	call_end(&call);
	if (err)
		nunchi_context_destroy(context);
	else
		*ret_context = context;
	return err;
}

/* Reads a text or None. */
static bool take_text(PyObject *kept, PyObject *text, const char **ret)
{
	*ret = text == Py_None ? NULL : query_keep(kept, text);
	return text == Py_None || *ret;
}

static PyObject *open_with(const char *target, const struct nunchi_guest_options *options)
{
	struct guest_object *self = (struct guest_object *)PyType_GenericAlloc(guest_type, 0);
	struct nunchi_error *err;

	if (!self)
		return NULL;
	self->process = getpid();
	err = open_guest(target, options, &self->context, &self->guest);
	if (!err)
		return (PyObject *)self;
	Py_DECREF(self);
	return errors_raise(err);
}

PyObject *guest_open(PyObject *module, PyObject *args)
{
	struct nunchi_guest_options options = {.size = sizeof(options)};
	PyObject *target_text, *symbols, *types, *kept, *self = NULL;
	int pause, remains, no_note, count_pages, events;
	unsigned long long kernel;
	const char *target;

	(void)module;
	if (!PyArg_ParseTuple(args, "UiOOKpppp", &target_text, &pause, &symbols, &types, &kernel,
			      &remains, &no_note, &count_pages, &events))
		return NULL;
	options.pause = (enum nunchi_pause)pause;
	options.kernel = kernel;
	options.remains = remains;
	options.no_note = no_note;
	options.count_pages = count_pages;
	options.events = events;
	kept = PyList_New(0);
	if (!kept)
		return NULL;
	target = query_keep(kept, target_text);
	if (target && take_text(kept, symbols, &options.symbols_path) &&
	    take_text(kept, types, &options.types_path))
		self = open_with(target, &options);
	Py_DECREF(kept);
	return self;
}

/* In a child process of fork() nothing of the parent's is touched. */
static void close_all(struct guest_object *self)
{
	PyThreadState *thread;

	if (!self->guest || self->process != getpid())
		return;
	self->trace_left = self->trace;
	close_left(self);
	/* Closed with the guest; a thread that drops it meanwhile has nothing to close. */
	self->session = NULL;
	thread = PyEval_SaveThread();
	nunchi_guest_close(self->guest);
	nunchi_context_destroy(self->context);
	PyEval_RestoreThread(thread);
	self->guest = NULL;
	self->context = NULL;
}

static PyObject *guest_close(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;

	(void)args;
	if (!self->guest || self->process != getpid())
		return values_text(NULL);
	if (!guest_take(self))
		return NULL;
	if (!sql_end_of(self)) {
		guest_release(self);
		return NULL;
	}
	close_all(self);
	guest_release(self);
	return values_text(NULL);
}

static void guest_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);

	close_all((struct guest_object *)object);
	PyObject_Free(object);
	Py_DECREF(type);
}

static PyObject *guest_is_closed(PyObject *object, PyObject *args)
{
	(void)args;
	return PyBool_FromLong(!((struct guest_object *)object)->guest);
}

static PyObject *guest_attach(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_error *err;
	struct call call;

	(void)args;
	if (!guest_enter(self, &call))
		return NULL;
	err = nunchi_guest_attach(self->guest);
	guest_leave(self, &call);
	return done(err);
}

/* ---- What is known of the guest ---- */

/* A list that is being filled while the GIL is released. */
struct collection {
	struct call *call;
	PyObject *list;
};

static void add_fact(const struct nunchi_fact *fact, void *data)
{
	struct collection *collection = data;

	PyEval_RestoreThread(collection->call->thread);
	if (!PyErr_Occurred())
		values_append(collection->list,
			      Py_BuildValue("(NNNN)", values_text(fact->topic),
					    values_text(fact->name), values_text(fact->value),
					    values_text(fact->evidence)));
	collection->call->thread = PyEval_SaveThread();
}

static PyObject *guest_info(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct call call;
	struct collection facts = {.call = &call, .list = PyList_New(0)};
	struct nunchi_error *err;

	(void)args;
	if (!facts.list || !guest_enter(self, &call)) {
		Py_XDECREF(facts.list);
		return NULL;
	}
	err = nunchi_guest_info(self->guest, add_fact, &facts);
	guest_leave(self, &call);
	/* Without a kernel the facts say so. */
	if (err && nunchi_error_code(err) != NUNCHI_ERROR_CANCELLED)
		nunchi_error_destroy(err);
	else if (err)
		errors_raise(err);
	if (PyErr_Occurred())
		Py_CLEAR(facts.list);
	return facts.list;
}

static PyObject *guest_notes(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	const char *note;
	PyObject *list;

	(void)args;
	if (!guest_take(self))
		return NULL;
	list = PyList_New(0);
	for (size_t i = 0; list && (note = nunchi_guest_note(self->guest, i)); i++) {
		if (!values_append(list, values_text(note)))
			Py_CLEAR(list);
	}
	guest_release(self);
	return list;
}

static PyObject *guest_timing(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_timing timing = {.size = sizeof(timing)};
	struct call call;
	bool remains;

	(void)args;
	if (!guest_enter(self, &call))
		return NULL;
	nunchi_guest_timing(self->guest, &timing);
	remains = nunchi_guest_remains(self->guest);
	guest_leave(self, &call);
	return Py_BuildValue(
	    "{s:d,s:d,s:K,s:K,s:K,s:K,s:N}", "attach_ms", timing.attach_ms, "query_ms",
	    timing.query_ms, "bytes_read", (unsigned long long)timing.bytes_read, "pages_touched",
	    (unsigned long long)timing.pages_touched, "paused_us",
	    (unsigned long long)timing.paused_us, "private_kb",
	    (unsigned long long)timing.private_kb, "remains", PyBool_FromLong(remains));
}

/* ---- Files ---- */

struct progress {
	struct call *call;
	PyObject *function; /* or None */
};

/* False, which ends the snapshot, if the function raised an exception or gave False. */
static bool tell_progress(uint64_t written, uint64_t total, void *data)
{
	struct progress *progress = data;
	bool go_on;

	PyEval_RestoreThread(progress->call->thread);
	go_on = !PyErr_CheckSignals();
	if (go_on && progress->function != Py_None) {
		PyObject *said =
		    PyObject_CallFunction(progress->function, "KK", (unsigned long long)written,
					  (unsigned long long)total);

		go_on = said && said != Py_False;
		Py_XDECREF(said);
	}
	progress->call->thread = PyEval_SaveThread();
	return go_on;
}

static PyObject *guest_snapshot(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct call call;
	struct progress progress = {.call = &call};
	struct nunchi_error *err;
	PyObject *path;
	const char *name;
	int format;

	/* The path as bytes. */
	if (!PyArg_ParseTuple(args, "SiO", &path, &format, &progress.function))
		return NULL;
	name = PyBytes_AsString(path);
	if (!name || !guest_enter(self, &call))
		return NULL;
	err = nunchi_snapshot(self->guest, name, (enum nunchi_format)format, tell_progress,
			      &progress);
	guest_leave(self, &call);
	return done(err);
}

static PyObject *guest_export(PyObject *object, PyObject *args)
{
	struct guest_object *self = (struct guest_object *)object;
	struct nunchi_error *err;
	struct call call;
	PyObject *path;
	int what;

	/* The path as bytes. */
	if (!PyArg_ParseTuple(args, "iS", &what, &path) || !guest_enter(self, &call))
		return NULL;
	err = nunchi_export_file(self->guest, (enum nunchi_export)what, PyBytes_AsString(path));
	guest_leave(self, &call);
	return done(err);
}

/* ---- The type ---- */

static PyMethodDef methods[] = {{"close", guest_close, METH_NOARGS, NULL},
				{"is_closed", guest_is_closed, METH_NOARGS, NULL},
				{"attach", guest_attach, METH_NOARGS, NULL},
				{"session", guest_session, METH_VARARGS, NULL},
				{"info", guest_info, METH_NOARGS, NULL},
				{"notes", guest_notes, METH_NOARGS, NULL},
				{"timing", guest_timing, METH_NOARGS, NULL},
				{"snapshot", guest_snapshot, METH_VARARGS, NULL},
				{"export", guest_export, METH_VARARGS, NULL},
				{"read", guest_read, METH_VARARGS, NULL},
				{"translate", guest_translate, METH_VARARGS, NULL},
				{"symbol_find", guest_symbol_find, METH_VARARGS, NULL},
				{"symbol_at", guest_symbol_at, METH_VARARGS, NULL},
				{"type", guest_type_layout, METH_VARARGS, NULL},
				{"print", guest_print, METH_VARARGS, NULL},
				{"query", guest_query, METH_VARARGS, NULL},
				{"trace", guest_trace, METH_VARARGS, NULL},
				{0}};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
			      {Py_tp_dealloc, guest_dealloc},
			      {Py_tp_new, values_refuse_new},
			      {0, NULL}};
static PyType_Spec spec = {"nunchi._native.Guest", sizeof(struct guest_object), 0,
			   Py_TPFLAGS_DEFAULT, slots};

bool guest_add(void)
{
	guest_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return guest_type;
}
