/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public header on a saved guest made by hand: what callers, and guests, may get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_guest.h"
#include "core/buffer.h"

#include <fcntl.h>
#include <sys/wait.h>

struct api {
	char path[64];
	struct nunchi_context *context;
	struct nunchi_guest *guest;
};

static int setup(void **state)
{
	struct api *api = calloc(1, sizeof(*api));

	api_guest_save(api->path);
	assert_null(nunchi_context_create(0, &api->context));
	*state = api;
	return 0;
}

static int teardown(void **state)
{
	struct api *api = *state;

	nunchi_guest_close(api->guest);
	nunchi_context_destroy(api->context);
	unlink(api->path);
	free(api);
	return 0;
}

static void open_guest(struct api *api)
{
	struct nunchi_error *err = nunchi_guest_open(api->context, api->path, NULL, &api->guest);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

static void refused(struct nunchi_error *err, enum nunchi_error_code code, const char *words)
{
	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static size_t count_rows(struct nunchi_cursor *cursor)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	size_t count = 0;
	bool torn;

	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)))
		count++;
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_STOP);
	nunchi_error_destroy(err);
	nunchi_cursor_close(cursor);
	return count;
}

/* A caller that was built with an older header has a shorter structure, a newer one a longer. */
static void test_guest_options(void **state)
{
	struct api *api = *state;
	struct {
		struct nunchi_guest_options options;
		char more[64];
	} longer = {.options = {.size = sizeof(longer), .pause = NUNCHI_PAUSE_NEVER}};
	volatile size_t before_types = offsetof(struct nunchi_guest_options, types_path);
	struct nunchi_guest_options *shorter = malloc(before_types);

	/* An option of a newer header, which would be lost in silence. */
	longer.more[63] = 1;
	refused(nunchi_guest_open(api->context, api->path, &longer.options, &api->guest),
		NUNCHI_ERROR_ARGUMENT, "does not know");
	assert_null(api->guest);
	longer.more[63] = 0;
	assert_null(nunchi_guest_open(api->context, api->path, &longer.options, &api->guest));
	assert_null(nunchi_guest_attach(api->guest));
	nunchi_guest_close(api->guest);
	api->guest = NULL;
	/* Nothing behind what it has may be looked at. */
	memset(shorter, 0, before_types);
	shorter->size = before_types;
	assert_null(nunchi_guest_open(api->context, api->path, shorter, &api->guest));
	assert_null(nunchi_guest_attach(api->guest));
	nunchi_guest_close(api->guest);
	api->guest = NULL;
	shorter->size = 0;
	refused(nunchi_guest_open(api->context, api->path, shorter, &api->guest),
		NUNCHI_ERROR_ARGUMENT, "size is not set");
	assert_null(api->guest);
	free(shorter);
	longer.options.pause = (enum nunchi_pause)3;
	refused(nunchi_guest_open(api->context, api->path, &longer.options, &api->guest),
		NUNCHI_ERROR_ARGUMENT, "option 3 is invalid");
}

static void test_query(void **state)
{
	struct api *api = *state;
	const struct nunchi_view *view = nunchi_view_find("kernel_info");
	volatile size_t before_constraints = offsetof(struct nunchi_query, constraints);
	struct nunchi_query *shorter = calloc(1, before_constraints), none = {0};
	struct nunchi_view copy = *view;
	struct nunchi_cursor *cursor = NULL;

	open_guest(api);
	shorter->size = before_constraints;
	assert_null(nunchi_cursor_open(api->guest, view, shorter, &cursor));
	assert_int_equal(count_rows(cursor), 1);
	free(shorter);
	cursor = NULL;
	refused(nunchi_cursor_open(api->guest, view, &none, &cursor), NUNCHI_ERROR_ARGUMENT,
		"size is not set");
	/* What nunchi_view_find() gives for a name that there is not; and a view of one's own. */
	refused(nunchi_cursor_open(api->guest, nunchi_view_find("proceses"), NULL, &cursor),
		NUNCHI_ERROR_ARGUMENT, "not one of nunchi_views()");
	refused(nunchi_cursor_open(api->guest, &copy, NULL, &cursor), NUNCHI_ERROR_ARGUMENT,
		"not one of nunchi_views()");
	assert_null(cursor);
}

static void test_timing(void **state)
{
	struct api *api = *state;
	struct nunchi_timing timing = {.size = sizeof(timing)};
	struct {
		size_t size;
		double attach_ms;
		uint64_t canary;
	} shorter = {.size = offsetof(struct nunchi_timing, query_ms), .canary = 77};

	open_guest(api);
	assert_null(nunchi_guest_attach(api->guest));
	nunchi_guest_timing(api->guest, &timing);
	assert_true(timing.attach_ms > 0);
	assert_true(timing.bytes_read > 0);
	assert_int_equal(timing.paused_us, 0);
	nunchi_guest_timing(api->guest, (struct nunchi_timing *)&shorter);
	assert_true(shorter.attach_ms > 0);
	assert_int_equal(shorter.canary, 77);
}

/* An id that no process has, and that as a signed number would mean all of them. */
static void test_no_such_process(void **state)
{
	static const uint64_t ids[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 32, 1u << 31};
	struct api *api = *state;
	char bytes[8];

	open_guest(api);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct nunchi_place place = {NUNCHI_SPACE_PROCESS, ids[i], 0x1000};

		refused(nunchi_read(api->guest, &place, sizeof(bytes), bytes),
			NUNCHI_ERROR_NOT_FOUND, "no process");
	}
}

static void test_read(void **state)
{
	struct api *api = *state;
	struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0, WRITER_BASE + BANNER};
	char bytes[14];
	uint64_t at = 0;
	struct nunchi_error *err;

	open_guest(api);
	assert_null(nunchi_read(api->guest, &place, sizeof(bytes), bytes));
	assert_memory_equal(bytes, "Linux version ", sizeof(bytes));
	/* Flag bits of CR3 are no part of the address. */
	place.space = NUNCHI_SPACE_TABLE;
	place.id = (PHYSICAL + TOP) | 0x8000000000000018;
	memset(bytes, 0, sizeof(bytes));
	assert_null(nunchi_read(api->guest, &place, sizeof(bytes), bytes));
	assert_memory_equal(bytes, "Linux version ", sizeof(bytes));
	place = (struct nunchi_place){NUNCHI_SPACE_PHYSICAL, 0, RAM - 4};
	err = nunchi_read(api->guest, &place, 8, bytes);
	assert_non_null(err);
	assert_true(nunchi_error_address(err, &at));
	assert_int_equal(at, RAM);
	refused(err, NUNCHI_ERROR_FAULT, "cannot be read");
	assert_null(nunchi_read(api->guest, &place, 0, NULL));
}

static void test_memory_range(void **state)
{
	struct api *api = *state;
	uint64_t start, size, end = 0;
	size_t n = 0;

	open_guest(api);
	for (; nunchi_memory_range(api->guest, n, &start, &size); n++) {
		assert_true(size && start >= end);
		end = start + size;
	}
	assert_true(n && end > PHYSICAL + BANNER);
}

static void test_translate_address(void **state)
{
	struct api *api = *state;
	struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0, WRITER_BASE + BANNER + 5};
	struct nunchi_translation translation;
	uint64_t physical = 0, at = 0;
	struct nunchi_error *err;

	open_guest(api);
	assert_null(nunchi_translate(api->guest, &place, &translation));
	assert_null(nunchi_translate_address(api->guest, &place, &physical));
	assert_int_equal(physical, PHYSICAL + BANNER + 5);
	assert_int_equal(physical, translation.physical);
	place.address = 0x1000;
	err = nunchi_translate_address(api->guest, &place, &physical);
	assert_true(nunchi_error_address(err, &at));
	assert_int_equal(at, 0x1000);
	refused(err, NUNCHI_ERROR_FAULT, "cannot be translated");
	place.space = NUNCHI_SPACE_PHYSICAL;
	refused(nunchi_translate_address(api->guest, &place, &physical), NUNCHI_ERROR_ARGUMENT,
		"needs no translation");
}

static void ignore_type(const struct nunchi_type_info *type, void *data)
{
	*(size_t *)data = type->member_count;
}

static void ignore_member(const struct nunchi_member *member, void *data)
{
	(void)member;
	(void)data;
}

/* 64 to the power of 15 members. */
static void test_type_of_endless_members(void **state)
{
	struct api *api = *state;
	size_t members = 77;

	open_guest(api);
	refused(nunchi_type_layout(api->guest, "bomb", ignore_type, ignore_member, &members),
		NUNCHI_ERROR_DATA, "more than");
	assert_int_equal(members, 77);
	assert_null(
	    nunchi_type_layout(api->guest, "task_struct", ignore_type, ignore_member, &members));
	assert_int_equal(members, 1);
}

static void test_cancelled_for_good(void **state)
{
	struct api *api = *state;
	struct nunchi_cursor *cursor = NULL;
	const struct nunchi_cell *cells;
	bool torn;

	open_guest(api);
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor));
	assert_null(nunchi_cursor_next(cursor, &cells, &torn));
	nunchi_context_cancel(api->context);
	refused(nunchi_cursor_next(cursor, &cells, &torn), NUNCHI_ERROR_CANCELLED, "cancelled");
	refused(nunchi_cursor_next(cursor, &cells, &torn), NUNCHI_ERROR_STOP, "");
	nunchi_cursor_close(cursor);
	refused(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor),
		NUNCHI_ERROR_CANCELLED, "cancelled");
}

static bool count_found(const struct nunchi_found *guest, void *data)
{
	(void)guest;
	++*(size_t *)data;
	return true;
}

static void test_list_cancelled(void **state)
{
	struct api *api = *state;
	size_t count = 0;

	nunchi_context_cancel(api->context);
	refused(nunchi_list(api->context, count_found, &count), NUNCHI_ERROR_CANCELLED,
		"cancelled");
	assert_int_equal(count, 0);
}

/* Of a saved guest too a session is lost when it is cancelled, and nothing else. */
static void test_session(void **state)
{
	struct api *api = *state;
	struct nunchi_session *session;
	struct nunchi_cursor *cursor, *other;
	const struct nunchi_cell *cells;
	bool torn;

	open_guest(api);
	assert_null(nunchi_session_open(api->guest, NULL, &session));
	assert_int_equal(nunchi_session_moment(session), 1);
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor));
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &other));
	assert_null(nunchi_cursor_next(cursor, &cells, &torn));
	assert_true(count_rows(other) > 100);
	nunchi_session_cancel(session);
	refused(nunchi_cursor_next(cursor, &cells, &torn), NUNCHI_ERROR_CANCELLED, "cancelled");
	nunchi_cursor_close(cursor);
	assert_null(nunchi_session_close(session));
	assert_null(nunchi_session_open(api->guest, NULL, &session));
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor));
	assert_true(count_rows(cursor) > 100);
	/* Closing the guest closes it. */
}

static bool append(const char *data, size_t size, void *buffer)
{
	return buffer_append(buffer, data, size);
}

/* As docs/api.md has it: neither points into what it was made of. */
static void test_error_and_writer_outlive_the_guest(void **state)
{
	const struct nunchi_column *const *columns;
	_cleanup_buffer_ struct buffer out = {0};
	struct api *api = *state;
	struct nunchi_writer *writer;
	struct nunchi_cursor *cursor;
	const struct nunchi_cell *cells;
	struct nunchi_symbol symbol;
	struct nunchi_error *err;
	size_t count;
	bool torn;

	open_guest(api);
	err = nunchi_symbol_find(api->guest, "phys_bass", &symbol);
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor));
	columns = nunchi_cursor_columns(cursor, &count);
	assert_null(nunchi_writer_create(NULL, columns, count, append, &out, &writer));
	assert_null(nunchi_cursor_next(cursor, &cells, &torn));
	assert_null(nunchi_writer_row(writer, cells, torn));
	nunchi_cursor_close(cursor);
	nunchi_guest_close(api->guest);
	nunchi_context_destroy(api->context);
	api->guest = NULL;
	api->context = NULL;
	assert_non_null(strstr(nunchi_error_hint(err), "phys_base"));
	refused(err, NUNCHI_ERROR_NOT_FOUND, "phys_bass");
	assert_int_equal(out.size, 0); /* the row is held back */
	assert_null(nunchi_writer_finish(writer));
	nunchi_writer_destroy(writer);
	assert_non_null(strstr(buffer_string(&out), "name"));
}

#define DESCRIPTORS 256

/* A program that the caller executes gets no descriptor of the library. */
static void test_descriptors_are_closed_on_exec(void **state)
{
	bool before[DESCRIPTORS];
	struct api *api = *state;
	unsigned count = 0;
	int loop;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	open_guest(api);
	assert_null(nunchi_guest_attach(api->guest));
	assert_null(nunchi_context_fd(api->context, &loop));
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (before[fd] || flags < 0)
			continue;
		if (!(flags & FD_CLOEXEC))
			fail_msg("descriptor %d stays open", fd);
		count++;
	}
	assert_true(count >= 2); /* the file and the event loop */
}

/* In a child of fork(), which must not assert. */
static bool count_symbols(const char *path)
{
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_cursor *cursor;
	size_t count;

	if (nunchi_context_create(0, &context) || nunchi_guest_open(context, path, NULL, &guest) ||
	    nunchi_cursor_open(guest, nunchi_view_find("symbols"), NULL, &cursor))
		return false;
	count = count_rows(cursor);
	nunchi_guest_close(guest);
	nunchi_context_destroy(context);
	return count > 100;
}

/* A child may make a context of its own, and its end does nothing to the parent's guest. */
static void test_child_with_its_own_context(void **state)
{
	struct api *api = *state;
	struct nunchi_cursor *cursor;
	int status;
	pid_t child;

	open_guest(api);
	assert_null(nunchi_guest_attach(api->guest));
	child = fork();
	assert_true(child >= 0);
	if (!child)
		_exit(count_symbols(api->path) ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_null(nunchi_cursor_open(api->guest, nunchi_view_find("symbols"), NULL, &cursor));
	assert_true(count_rows(cursor) > 100);
}

#define NULL_REFUSED(call) refused(call, NUNCHI_ERROR_ARGUMENT, "NULL")

/* An argument that must not be NULL. */
static void test_null_arguments(void **state)
{
	const struct nunchi_place place = {.space = NUNCHI_SPACE_PHYSICAL};
	const struct nunchi_view *view = nunchi_view_find("symbols");
	const struct nunchi_column *const *columns;
	struct api *api = *state;
	struct nunchi_guest *guest, *opened = NULL;
	struct nunchi_translation translation;
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_session *session;
	struct nunchi_symbol symbol;
	uint64_t address;
	char bytes[8];
	size_t count;

	open_guest(api);
	guest = api->guest;
	NULL_REFUSED(nunchi_context_create(0, NULL));
	NULL_REFUSED(nunchi_context_fd(NULL, NULL));
	NULL_REFUSED(nunchi_context_dispatch(NULL));
	NULL_REFUSED(nunchi_list(api->context, NULL, NULL));
	NULL_REFUSED(nunchi_list_watch(api->context, NULL, NULL));
	NULL_REFUSED(nunchi_watch_create(api->context, NULL, NULL, NULL));
	NULL_REFUSED(nunchi_guest_open(NULL, api->path, NULL, &opened));
	NULL_REFUSED(nunchi_guest_open(api->context, NULL, NULL, &opened));
	NULL_REFUSED(nunchi_guest_open(api->context, api->path, NULL, NULL));
	NULL_REFUSED(nunchi_guest_attach(NULL));
	NULL_REFUSED(nunchi_guest_finish(NULL));
	NULL_REFUSED(nunchi_guest_info(guest, NULL, NULL));
	NULL_REFUSED(nunchi_session_open(guest, NULL, NULL));
	NULL_REFUSED(nunchi_session_open(NULL, NULL, &session));
	NULL_REFUSED(nunchi_cursor_open(guest, view, NULL, NULL));
	NULL_REFUSED(nunchi_cursor_open(NULL, view, NULL, &cursor));
	NULL_REFUSED(nunchi_read(guest, NULL, 8, bytes));
	NULL_REFUSED(nunchi_read(guest, &place, 8, NULL));
	NULL_REFUSED(nunchi_translate(guest, NULL, &translation));
	NULL_REFUSED(nunchi_translate(guest, &place, NULL));
	NULL_REFUSED(nunchi_translate_address(guest, NULL, &address));
	NULL_REFUSED(nunchi_memory_next(guest, 0, NULL, &address));
	NULL_REFUSED(nunchi_memory_next(NULL, 0, &address, &address));
	NULL_REFUSED(nunchi_symbol_find(guest, NULL, &symbol));
	NULL_REFUSED(nunchi_symbol_find(guest, "_text", NULL));
	NULL_REFUSED(nunchi_symbol_at(guest, 0, NULL));
	NULL_REFUSED(nunchi_type_layout(guest, NULL, NULL, NULL, NULL));
	NULL_REFUSED(nunchi_type_layout(guest, "task_struct", NULL, NULL, NULL));
	NULL_REFUSED(nunchi_snapshot(guest, NULL, NUNCHI_FORMAT_RAW, NULL, NULL));
	assert_null(nunchi_view_find(NULL));
	assert_null(nunchi_cursor_open(guest, view, NULL, &cursor));
	NULL_REFUSED(nunchi_cursor_next(cursor, NULL, NULL));
	NULL_REFUSED(nunchi_cursor_next(NULL, NULL, NULL));
	columns = nunchi_cursor_columns(cursor, &count);
	assert_non_null(columns);
	nunchi_cursor_close(cursor);
	assert_null(opened);
	nunchi_guest_close(NULL);
	nunchi_cursor_close(NULL);
	nunchi_context_cancel(NULL);
}

/* A cursor outlives its guest: it has no rows any more, and can only be closed. */
static void test_cursor_outlives_its_guest(void **state)
{
	const struct nunchi_view *view = nunchi_view_find("symbols");
	struct nunchi_cursor *cursors[3];
	const struct nunchi_cell *cells;
	struct api *api = *state;
	size_t count = 99;
	bool torn;

	open_guest(api);
	for (size_t i = 0; i < 3; i++)
		assert_null(nunchi_cursor_open(api->guest, view, NULL, &cursors[i]));
	assert_null(nunchi_cursor_next(cursors[0], &cells, &torn));
	nunchi_cursor_close(cursors[1]);
	nunchi_guest_close(api->guest);
	api->guest = NULL;
	for (size_t i = 0; i < 3; i += 2) {
		refused(nunchi_cursor_next(cursors[i], &cells, &torn), NUNCHI_ERROR_ARGUMENT,
			"guest of this cursor was closed");
		assert_null(nunchi_cursor_columns(cursors[i], &count));
		assert_int_equal(count, 0);
		assert_null(nunchi_cursor_warning(cursors[i], 0));
		nunchi_cursor_close(cursors[i]);
	}
}

/* A size that no structure of options has: the memory behind it is not read. */
static void test_odd_option_sizes(void **state)
{
	const size_t odd[] = {0, 1, sizeof(size_t), 70000, SIZE_MAX / 2, SIZE_MAX};
	struct api *api = *state;
	struct nunchi_guest *opened = NULL;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		const struct nunchi_guest_options options = {.size = odd[i]};

		refused(nunchi_guest_open(api->context, api->path, &options, &opened),
			NUNCHI_ERROR_ARGUMENT, "size");
		assert_null(opened);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(guest_options),
	    TEST(query),
	    TEST(timing),
	    TEST(no_such_process),
	    TEST(read),
	    TEST(memory_range),
	    TEST(translate_address),
	    TEST(type_of_endless_members),
	    TEST(cancelled_for_good),
	    TEST(session),
	    TEST(list_cancelled),
	    TEST(error_and_writer_outlive_the_guest),
	    TEST(descriptors_are_closed_on_exec),
	    TEST(child_with_its_own_context),
	    TEST(null_arguments),
	    TEST(cursor_outlives_its_guest),
	    TEST(odd_option_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
