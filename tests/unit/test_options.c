/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structures of options from callers with another version of the header: what a shorter one lacks
 * keeps its default, and an option that this library does not know is refused by its place, never
 * dropped. Those that need a guest are in test_api.c and test_session.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nunchi/doctor.h>

struct toy {
	size_t size;
	uint64_t a, b;
};

static void refused(struct nunchi_error *err, const char *message)
{
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	if (!strstr(nunchi_error_message(err), message))
		fail_msg("\"%s\" is not in: %s", message, nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static struct nunchi_error *take(const void *from, size_t size, struct toy *ret)
{
	return options_take("toy", from, size, offsetof(struct toy, a), ret, sizeof(*ret));
}

static void test_taking(void **state)
{
	struct {
		struct toy toy;
		uint8_t more[8];
	} longer = {.toy = {.size = sizeof(longer), .a = 1, .b = 2}};
	struct toy ret = {.a = 8, .b = 9};

	(void)state;
	refused(take(&longer, 0, &ret), "toy.size is not set");
	refused(take(&longer, offsetof(struct toy, a), &ret), "toy.size is not set");
	assert_int_equal(ret.a, 8);
	/* A header before b was there. */
	assert_null(take(&longer, offsetof(struct toy, b), &ret));
	assert_int_equal(ret.a, 1);
	assert_int_equal(ret.b, 9);
	assert_null(take(&longer, sizeof(longer), &ret));
	assert_int_equal(ret.b, 2);
	for (size_t i = 0; i < sizeof(longer.more); i++) {
		_cleanup_free_ char *message = NULL;

		ret = (struct toy){0};
		longer.more[i] = 1;
		assert_true(asprintf(&message, "toy has an option at byte %zu that this library (",
				     sizeof(struct toy) + i) > 0);
		refused(take(&longer, sizeof(longer), &ret), message);
		assert_int_equal(ret.a, 0);
		longer.more[i] = 0;
	}
}

/* ---- Public structures ---- */

static bool drop(const char *data, size_t size, void *unused)
{
	(void)data;
	(void)size;
	(void)unused;
	return true;
}

static struct nunchi_error *make_writer(const void *options)
{
	static const struct nunchi_column column = {"a", NUNCHI_TYPE_INTEGER, ""};
	const struct nunchi_column *columns[] = {&column};
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	err = nunchi_writer_create(options, columns, 1, drop, NULL, &writer);
	nunchi_writer_destroy(writer);
	return err;
}

static struct nunchi_error *examine(const void *options)
{
	struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err = nunchi_doctor_examine(NULL, options, &diagnosis);

	nunchi_diagnosis_destroy(diagnosis);
	return err;
}

static struct nunchi_error *collect(const void *options)
{
	return nunchi_doctor_collect(NULL, options, "/nonexistent/bundle.tar.gz", NULL, NULL);
}

static struct nunchi_error *plan(const void *change)
{
	return nunchi_doctor_plan(NULL, change, NULL, NULL);
}

static struct nunchi_error *apply(const void *change)
{
	return nunchi_doctor_apply(NULL, change, NULL, NULL);
}

static struct nunchi_error *undo(const void *change)
{
	return nunchi_doctor_undo(NULL, change, NULL, NULL);
}

static struct nunchi_error *stay(const void *change)
{
	return nunchi_doctor_stay(NULL, change, NULL, NULL);
}

/* Functions that refuse a structure before they do anything. */
static const struct {
	const char *name;
	size_t size;
	struct nunchi_error *(*call)(const void *options);
} structures[] = {
    {"nunchi_writer_options", sizeof(struct nunchi_writer_options), make_writer},
    {"nunchi_doctor_options", sizeof(struct nunchi_doctor_options), examine},
    {"nunchi_doctor_options", sizeof(struct nunchi_doctor_options), collect},
    {"nunchi_doctor_change", sizeof(struct nunchi_doctor_change), plan},
    {"nunchi_doctor_change", sizeof(struct nunchi_doctor_change), apply},
    {"nunchi_doctor_change", sizeof(struct nunchi_doctor_change), undo},
    {"nunchi_doctor_change", sizeof(struct nunchi_doctor_change), stay},
};

static void test_public_structures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(structures); i++) {
		_cleanup_free_ uint8_t *bytes = calloc(1, structures[i].size + 16);
		_cleanup_free_ char *unset = NULL, *unknown = NULL;
		size_t size = structures[i].size + 16;

		assert_non_null(bytes);
		assert_true(asprintf(&unset, "%s.size is not set", structures[i].name) > 0);
		assert_true(asprintf(&unknown, "%s has an option at byte %zu that this library (",
				     structures[i].name, structures[i].size + 9) > 0);
		refused(structures[i].call(bytes), unset);
		memcpy(bytes, &size, sizeof(size));
		bytes[structures[i].size + 9] = 1;
		refused(structures[i].call(bytes), unknown);
	}
	/* A longer one that asks for nothing new is taken. */
	{
		_cleanup_free_ uint8_t *bytes =
		    calloc(1, sizeof(struct nunchi_writer_options) + 16);
		size_t size = sizeof(struct nunchi_writer_options) + 16;

		assert_non_null(bytes);
		memcpy(bytes, &size, sizeof(size));
		assert_null(make_writer(bytes));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_taking),
	    cmocka_unit_test(test_public_structures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
