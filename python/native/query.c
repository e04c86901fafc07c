/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Python says of a query, as a struct nunchi_query. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *word;
	enum nunchi_operator op;
} operators[] = {
    {"==", NUNCHI_EQUAL},      {"=", NUNCHI_EQUAL},       {"<", NUNCHI_LESS},
    {"<=", NUNCHI_LESS_EQUAL}, {">", NUNCHI_GREATER},     {">=", NUNCHI_GREATER_EQUAL},
    {"in", NUNCHI_IN},         {"prefix", NUNCHI_PREFIX},
};

const char *query_keep(PyObject *kept, PyObject *text)
{
	PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
	char *string;
	bool good =
	    bytes && !PyBytes_AsStringAndSize(bytes, &string, NULL) && !PyList_Append(kept, bytes);

	Py_XDECREF(bytes);
	return good ? string : NULL;
}

/* Item number i of a sequence; *ret_count is how many there are. A new reference. */
static PyObject *item(PyObject *sequence, Py_ssize_t i)
{
	return PySequence_GetItem(sequence, i);
}

/* How many items, each of which will need that many bytes; -1 if an exception was raised. */
static Py_ssize_t count_of(PyObject *sequence, size_t size, void *ret)
{
	Py_ssize_t count = PySequence_Size(sequence);
	void *array;

	if (count < 0)
		return -1;
	array = calloc((size_t)count + 1, size);
	if (!array) {
		PyErr_NoMemory();
		return -1;
	}
	*(void **)ret = array;
	return count;
}

const char **query_keep_all(PyObject *kept, PyObject *texts, size_t *ret_count)
{
	const char **array;
	Py_ssize_t count = count_of(texts, sizeof(*array), &array);

	if (count < 0)
		return NULL;
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *text = item(texts, i);

		array[i] = text ? query_keep(kept, text) : NULL;
		Py_XDECREF(text);
		if (!array[i]) {
			free(array);
			return NULL;
		}
	}
	*ret_count = (size_t)count;
	return array;
}

static bool find_operator(const char *word, enum nunchi_operator *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		if (!strcmp(operators[i].word, word)) {
			*ret = operators[i].op;
			return true;
		}
	}
	PyErr_Format(PyExc_ValueError,
		     "no operator \"%s\"; there are: ==, <, <=, >, >=, in, prefix", word);
	return false;
}

static bool fill_constraint(struct query *query, PyObject *from, struct nunchi_constraint *ret)
{
	PyObject *column, *op, *value;
	const char *word;

	if (!PyTuple_Check(from))
		PyErr_SetString(PyExc_TypeError, "a condition is (column, operator, value)");
	if (!PyTuple_Check(from) || !PyArg_ParseTuple(from, "UUO", &column, &op, &value))
		return false;
	ret->column = query_keep(query->kept, column);
	word = query_keep(query->kept, op);
	if (!ret->column || !word || !find_operator(word, &ret->op))
		return false;
	if (ret->op == NUNCHI_IN) {
		ret->values = query_keep_all(query->kept, value, &ret->value_count);
		return ret->values;
	}
	ret->value = query_keep(query->kept, value);
	return ret->value;
}

static bool fill_constraints(struct query *query, PyObject *where)
{
	Py_ssize_t count = count_of(where, sizeof(*query->constraints), &query->constraints);

	query->query.constraints = query->constraints;
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *from = item(where, i);
		bool good = from && fill_constraint(query, from, &query->constraints[i]);

		Py_XDECREF(from);
		query->query.constraint_count++;
		if (!good)
			return false;
	}
	return count >= 0;
}

bool query_fill(struct query *query, PyObject *columns, PyObject *where)
{
	*query = (struct query){.query.size = sizeof(query->query), .kept = PyList_New(0)};
	if (!query->kept)
		return false;
	if (columns != Py_None) {
		query->columns = query_keep_all(query->kept, columns, &query->query.column_count);
		if (!query->columns)
			return false;
		query->query.columns = query->columns;
	}
	return fill_constraints(query, where);
}

void query_clear(struct query *query)
{
	for (size_t i = 0; i < query->query.constraint_count; i++)
		free((void *)query->constraints[i].values);
	free(query->constraints);
	free(query->columns);
	Py_CLEAR(query->kept);
}
