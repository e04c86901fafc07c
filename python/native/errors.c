/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "native.h"

struct kind {
	enum nunchi_error_code code;
	const char *name; /* with the module's */
	const char *doc;
	PyObject *type;
};

static PyObject *base;

static struct kind kinds[] = {
    {NUNCHI_ERROR_NOMEM, "nunchi.OutOfMemoryError", "Memory is short."},
    {NUNCHI_ERROR_NOT_FOUND, "nunchi.NotFoundError",
     "There is no such target, view, symbol, type or process."},
    {NUNCHI_ERROR_ARGUMENT, "nunchi.ArgumentError", "An argument is invalid."},
    {NUNCHI_ERROR_DATA, "nunchi.DataError",
     "Bytes of the guest or of the file contradict each other."},
    {NUNCHI_ERROR_TRUNCATED, "nunchi.TruncatedError", "The file of a saved guest ends too early."},
    {NUNCHI_ERROR_IO, "nunchi.IOError", "A system call of the host failed; see errno."},
    {NUNCHI_ERROR_FAULT, "nunchi.FaultError", "A guest address is not mapped or not in memory."},
    {NUNCHI_ERROR_PERMISSION, "nunchi.PermissionError",
     "The host's kernel or hypervisor denies access."},
    {NUNCHI_ERROR_UNSUPPORTED, "nunchi.UnsupportedError",
     "This target, kernel or build of the library cannot do that."},
    {NUNCHI_ERROR_BUSY, "nunchi.BusyError",
     "Somebody else uses what is needed: another thread, or the call that runs this callback."},
    {NUNCHI_ERROR_GONE, "nunchi.GoneError", "The guest does not exist any more."},
    {NUNCHI_ERROR_REBOOTED, "nunchi.RebootedError",
     "The guest runs another kernel than before; open it again."},
    {NUNCHI_ERROR_NO_KERNEL, "nunchi.NoKernelError", "No kernel was found in the guest's memory."},
    {NUNCHI_ERROR_AMBIGUOUS, "nunchi.AmbiguousError",
     "Several answers are possible, and none is certain."},
    {NUNCHI_ERROR_TIMEOUT, "nunchi.TimeoutError", "It took too long."},
    {NUNCHI_ERROR_CANCELLED, "nunchi.CancelledError", "The call was cancelled."},
};

static const char base_doc[] =
    "What nunchi could not do. Subclasses stand for the kinds of failure.\n\n"
    "code: the number of the kind; hint: advice on what to do next, or None;\n"
    "address: the guest address at which it failed, or None; errno: of the system call\n"
    "that failed, or 0; offset: where in a statement of SQL the mistake is, or None;\n"
    "is_host: whether the set-up of this host is the cause.";

bool errors_add(PyObject *module)
{
	base = PyErr_NewExceptionWithDoc("nunchi.Error", base_doc, NULL, NULL);
	if (!base || PyObject_SetAttrString(module, "Error", base))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct kind *kind = &kinds[i];
		/* Misuse is a ValueError, too, as Python's own functions raise it. */
		PyObject *bases = kind->code == NUNCHI_ERROR_ARGUMENT
				      ? PyTuple_Pack(2, base, PyExc_ValueError)
				      : PyTuple_Pack(1, base);
		bool added;

		if (!bases)
			return false;
		kind->type = PyErr_NewExceptionWithDoc(kind->name, kind->doc, bases, NULL);
		Py_DECREF(bases);
		added = kind->type && !PyObject_SetAttrString(
					  module, kind->name + sizeof("nunchi.") - 1, kind->type);
		if (!added)
			return false;
	}
	return true;
}

static PyObject *type_of(enum nunchi_error_code code)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].code == code)
			return kinds[i].type;
	}
	return base;
}

/* Sets the attribute, and takes over the value. */
static bool set(PyObject *exception, const char *name, PyObject *value)
{
	bool done = value && !PyObject_SetAttrString(exception, name, value);

	Py_XDECREF(value);
	return done;
}

static PyObject *address_of(const struct nunchi_error *err)
{
	uint64_t address;

	return nunchi_error_address(err, &address) ? PyLong_FromUnsignedLongLong(address)
						   : values_text(NULL);
}

static void set_exception(const struct nunchi_error *err, Py_ssize_t offset)
{
	PyObject *type = type_of(nunchi_error_code(err));
	PyObject *message = values_text(nunchi_error_message(err));
	PyObject *exception = message ? PyObject_CallFunctionObjArgs(type, message, NULL) : NULL;

	if (exception && set(exception, "code", PyLong_FromLong(nunchi_error_code(err))) &&
	    set(exception, "hint", values_text(nunchi_error_hint(err))) &&
	    set(exception, "address", address_of(err)) &&
	    set(exception, "errno", PyLong_FromLong(nunchi_error_errno(err))) &&
	    set(exception, "offset", offset < 0 ? values_text(NULL) : PyLong_FromSsize_t(offset)) &&
	    set(exception, "is_host", PyBool_FromLong(nunchi_error_is_host(err))))
		PyErr_SetObject(type, exception);
	Py_XDECREF(message);
	Py_XDECREF(exception);
}

PyObject *errors_raise_at(struct nunchi_error *err, Py_ssize_t offset)
{
	bool cancelled = nunchi_error_code(err) == NUNCHI_ERROR_CANCELLED;

	if (!PyErr_Occurred() && !(cancelled && PyErr_CheckSignals()))
		set_exception(err, offset);
	nunchi_error_destroy(err);
	return NULL;
}

PyObject *errors_raise(struct nunchi_error *err)
{
	return errors_raise_at(err, -1);
}

PyObject *errors_say(enum nunchi_error_code code, const char *message)
{
	return errors_raise(nunchi_error_create(code, 0, message, NULL));
}
