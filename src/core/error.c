/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct nunchi_error {
	enum nunchi_error_code code;
	int errnum;
	bool has_address;
	bool is_static;
	bool is_host;
	bool has_position;
	size_t position;
	uint64_t address;
	char *message;
	char *hint;
};

struct nunchi_error error_nomem = {
    .code = NUNCHI_ERROR_NOMEM, .is_static = true, .message = (char *)"out of memory"};
struct nunchi_error error_not_found = {
    .code = NUNCHI_ERROR_NOT_FOUND, .is_static = true, .message = (char *)"not found"};
struct nunchi_error error_stop = {
    .code = NUNCHI_ERROR_STOP, .is_static = true, .message = (char *)"no more rows"};

__attribute__((format(printf, 2, 0))) static struct nunchi_error *
vcreate(enum nunchi_error_code code, const char *format, va_list args)
{
	struct nunchi_error *err = calloc(1, sizeof(*err));

	if (!err)
		return &error_nomem;
	err->code = code;
	if (vasprintf(&err->message, format, args) < 0) {
		free(err);
		return &error_nomem;
	}
	return err;
}

struct nunchi_error *error_create(enum nunchi_error_code code, const char *format, ...)
{
	struct nunchi_error *err;
	va_list args;

	va_start(args, format);
	err = vcreate(code, format, args);
	va_end(args);
	return err;
}

struct nunchi_error *error_create_at(enum nunchi_error_code code, uint64_t address,
				     const char *format, ...)
{
	struct nunchi_error *err;
	va_list args;

	va_start(args, format);
	err = vcreate(code, format, args);
	va_end(args);
	if (!err->is_static) {
		err->has_address = true;
		err->address = address;
	}
	return err;
}

static enum nunchi_error_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return NUNCHI_ERROR_NOMEM;
	case EPERM:
	case EACCES:
		return NUNCHI_ERROR_PERMISSION;
	case ENOENT:
	case ESRCH:
		return NUNCHI_ERROR_NOT_FOUND;
	case EBUSY:
		return NUNCHI_ERROR_BUSY;
	case ETIMEDOUT:
		return NUNCHI_ERROR_TIMEOUT;
	default:
		return NUNCHI_ERROR_IO;
	}
}

struct nunchi_error *error_create_errno(int errnum, const char *format, ...)
{
	struct nunchi_error *err;
	char text[128];
	char *message;
	va_list args;

	va_start(args, format);
	err = vcreate(code_of_errno(errnum), format, args);
	va_end(args);
	if (err->is_static)
		return err;
	err->errnum = errnum;
	if (asprintf(&message, "%s: %s", err->message, strerror_r(errnum, text, sizeof(text))) >=
	    0) {
		free(err->message);
		err->message = message;
	}
	return err;
}

struct nunchi_error *error_context(struct nunchi_error *err, const char *format, ...)
{
	struct nunchi_error *whole;
	char *context = NULL;
	char *message;
	va_list args;

	if (!err || err == &error_nomem || err == &error_stop)
		return err;
	va_start(args, format);
	if (vasprintf(&context, format, args) < 0)
		context = NULL;
	va_end(args);
	if (!context)
		goto no_memory;
	if (err->is_static) {
		whole = error_create(err->code, "%s: %s", context, err->message);
		free(context);
		return whole;
	}
	if (asprintf(&message, "%s: %s", context, err->message) < 0)
		goto no_memory;
	free(context);
	free(err->message);
	err->message = message;
	return err;

no_memory:
	free(context);
	nunchi_error_destroy(err);
	return &error_nomem;
}

struct nunchi_error *error_hint(struct nunchi_error *err, const char *format, ...)
{
	va_list args;

	if (!err || err == &error_nomem || err == &error_stop || err->hint)
		return err;
	if (err->is_static) {
		err = error_create(err->code, "%s", err->message);
		if (err->is_static)
			return err;
	}
	va_start(args, format);
	if (vasprintf(&err->hint, format, args) < 0)
		err->hint = NULL;
	va_end(args);
	return err;
}

struct nunchi_error *error_at_position(struct nunchi_error *err, size_t position)
{
	if (err && !err->is_static && !err->has_position) {
		err->has_position = true;
		err->position = position;
	}
	return err;
}

struct nunchi_error *error_of_host(struct nunchi_error *err)
{
	if (err && !err->is_static)
		err->is_host = true;
	return err;
}

struct nunchi_error *error_with_errno(struct nunchi_error *err, int errnum)
{
	if (err && !err->is_static)
		err->errnum = errnum;
	return err;
}

enum nunchi_error_code nunchi_error_code(const struct nunchi_error *err)
{
	return err->code;
}

const char *nunchi_error_message(const struct nunchi_error *err)
{
	return err->message;
}

const char *nunchi_error_hint(const struct nunchi_error *err)
{
	return err->hint;
}

bool nunchi_error_address(const struct nunchi_error *err, uint64_t *ret)
{
	if (err->has_address)
		*ret = err->address;
	return err->has_address;
}

bool nunchi_error_is_host(const struct nunchi_error *err)
{
	return err->is_host;
}

bool nunchi_error_position(const struct nunchi_error *err, size_t *ret)
{
	if (!err || !err->has_position)
		return false;
	*ret = err->position;
	return true;
}

int nunchi_error_errno(const struct nunchi_error *err)
{
	return err->errnum;
}

void nunchi_error_destroy(struct nunchi_error *err)
{
	if (!err || err->is_static)
		return;
	free(err->message);
	free(err->hint);
	free(err);
}
