/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions on a running guest made by hand: what they see, what they check, how they are ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/guest.h"

#include "attach_guest.h"

#include <nunchi/gdb.h>

#include <string.h>

#define PHYSICAL (16 * MIB)
#define COUNTER  (32 * MIB) /* a place of the guest that changes while it runs */
#define OTHER    (40 * MIB)

struct session_test {
	struct nunchi_context *context;
	struct nunchi_guest guest; /* as nunchi_guest_open() would make it */
	struct guest *made;
	struct nunchi_session *session;
	unsigned pauses, resumes, checks;
	bool cancel_when_paused, cancel_guest_when_paused, resume_fails;
};

static struct session_test *current; /* the target's calls are given the target alone */

static struct nunchi_error *pause_guest(struct target *target)
{
	(void)target;
	current->pauses++;
	if (current->cancel_when_paused)
		nunchi_session_cancel(current->session);
	if (current->cancel_guest_when_paused)
		nunchi_guest_cancel(&current->guest);
	return NULL;
}

static struct nunchi_error *resume_guest(struct target *target)
{
	(void)target;
	current->resumes++;
	if (current->resume_fails)
		return error_create(NUNCHI_ERROR_TIMEOUT, "it does not answer");
	return NULL;
}

static struct nunchi_error *count_state(struct target *target, enum target_state *ret)
{
	(void)target;
	current->checks++;
	*ret = TARGET_RUNNING;
	return NULL;
}

static const struct target_control control = {.pause = pause_guest, .resume = resume_guest};
static const struct target_ops live_ops = {
    .kind = "test", .get_state = count_state, .control = &control};

static int session_setup(void **state)
{
	struct session_test *test = calloc(1, sizeof(*test));
	void *made = NULL;

	setup(&made);
	test->made = made;
	put_kernel(test->made, PHYSICAL);
	put(test->made, 0x98000 + 511 * 8, (PHYSICAL + TOP + 0x1000) | P | RW);
	test->made->target.ops = &live_ops;
	test->made->target.live = true;
	target_set_support(&test->made->target, TARGET_PAUSE, true, "test");
	assert_null(nunchi_context_create(0, &test->context));
	test->guest.context = test->context;
	test->guest.cancel.parent = &test->context->cancel;
	test->guest.session.guest = &test->guest;
	test->guest.target = &test->made->target;
	current = test;
	*state = test;
	return 0;
}

static int session_teardown(void **state)
{
	struct session_test *test = *state;
	void *made = test->made;

	nunchi_error_destroy(nunchi_session_close(test->session));
	/* Whatever happened, it runs. */
	assert_int_equal(test->pauses, test->resumes);
	assert_int_equal(test->made->target.pause_depth, 0);
	guest_kernel_destroy(test->guest.kernel);
	nunchi_context_destroy(test->context);
	free(test);
	return teardown(&made);
}

static void open_session(struct session_test *test, enum nunchi_pause pause, bool hold)
{
	struct nunchi_session_options options = {.size = sizeof(options), .hold = hold};
	struct nunchi_error *err;

	test->guest.pause = pause;
	err = nunchi_session_open(&test->guest, &options, &test->session);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

static void close_session(struct session_test *test)
{
	assert_null(nunchi_session_close(test->session));
}

static void refused(struct nunchi_error *err, enum nunchi_error_code code, const char *words)
{
	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* What a read gives; the guest changes the place right after. */
static uint64_t read_at(struct session_test *test, uint64_t address)
{
	const struct nunchi_place place = {NUNCHI_SPACE_PHYSICAL, 0, address};
	struct nunchi_error *err;
	uint64_t value = 0, before;

	memcpy(&before, test->made->ram + address, sizeof(before));
	err = nunchi_read(&test->guest, &place, sizeof(value), &value);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	put(test->made, address, before + 1);
	return value;
}

static struct nunchi_cursor *open_symbols(struct session_test *test)
{
	struct nunchi_cursor *cursor = NULL;
	struct nunchi_error *err =
	    nunchi_cursor_open(&test->guest, nunchi_view_find("symbols"), NULL, &cursor);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return cursor;
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

/* ---- What a session sees --------------------------------------------------------------------- */

static void test_running(void **state)
{
	struct session_test *test = *state;

	open_session(test, NUNCHI_PAUSE_AUTO, false);
	assert_int_equal(nunchi_session_moment(test->session), 0);
	assert_int_equal(read_at(test, COUNTER), 0);
	assert_int_equal(read_at(test, COUNTER), 1);
	assert_true(count_rows(open_symbols(test)) > 100);
	assert_int_equal(nunchi_session_moment(test->session), 0);
	close_session(test);
	assert_int_equal(test->pauses, 0);
}

/* All that asks for what was copied sees one moment; what is new makes another one of all of it. */
static void test_captured(void **state)
{
	struct session_test *test = *state;
	uint64_t moment;

	open_session(test, NUNCHI_PAUSE_ALWAYS, false);
	assert_int_equal(test->pauses, 0);
	put(test->made, COUNTER, 5);
	assert_int_equal(read_at(test, COUNTER), 5);
	moment = nunchi_session_moment(test->session);
	assert_int_not_equal(moment, 0);
	assert_int_equal(test->pauses, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(read_at(test, COUNTER), 5);
	assert_int_equal(test->pauses, 1);
	assert_int_equal(nunchi_session_moment(test->session), moment);
	put(test->made, OTHER, 50);
	assert_int_equal(read_at(test, OTHER), 50);
	assert_int_equal(test->pauses, 2);
	assert_int_not_equal(nunchi_session_moment(test->session), moment);
	moment = nunchi_session_moment(test->session);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read_at(test, COUNTER), 9);
		assert_int_equal(read_at(test, OTHER), 50);
	}
	assert_int_equal(nunchi_session_moment(test->session), moment);
	close_session(test);
	assert_int_equal(test->pauses, 2);
	/* The next one has copies of its own. */
	open_session(test, NUNCHI_PAUSE_ALWAYS, false);
	assert_int_equal(read_at(test, COUNTER), 12);
}

/* What is asked besides is of the guest as it is, and leaves the copies alone. */
static void test_captured_and_more(void **state)
{
	struct session_test *test = *state;
	struct nunchi_symbol symbol;

	open_session(test, NUNCHI_PAUSE_ALWAYS, false);
	assert_int_equal(read_at(test, COUNTER), 0);
	assert_null(nunchi_symbol_find(&test->guest, "phys_base", &symbol));
	assert_null(nunchi_guest_attach(&test->guest));
	assert_int_equal(read_at(test, COUNTER), 0);
	assert_int_equal(test->pauses, 1);
}

static void test_hold(void **state)
{
	struct session_test *test = *state;

	open_session(test, NUNCHI_PAUSE_NEVER, true);
	assert_int_equal(test->pauses, 1);
	assert_int_equal(test->resumes, 0);
	assert_int_equal(nunchi_session_moment(test->session), 1);
	assert_false(test->guest.kernel->live);
	assert_true(count_rows(open_symbols(test)) > 100);
	assert_int_equal(read_at(test, COUNTER), 0);
	close_session(test);
	assert_int_equal(test->resumes, 1);
	assert_true(test->guest.kernel->live);
	/* Its own pauses nest. */
	open_session(test, NUNCHI_PAUSE_ALWAYS, true);
	assert_int_equal(read_at(test, COUNTER), 1);
	assert_int_equal(test->pauses, 2);
}

static void test_resume_fails(void **state)
{
	struct session_test *test = *state;

	open_session(test, NUNCHI_PAUSE_NEVER, true);
	test->resume_fails = true;
	refused(nunchi_session_close(test->session), NUNCHI_ERROR_TIMEOUT, "cannot resume");
	test->resume_fails = false;
	open_session(test, NUNCHI_PAUSE_NEVER, false);
}

/* ---- What it costs --------------------------------------------------------------------------- */

/* The kernel is checked when a session is opened, and no more. */
static void test_checked_once(void **state)
{
	const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0, WRITER_BASE + BANNER};
	struct session_test *test = *state;
	uint64_t bytes_read, physical;
	unsigned checks;
	char bytes[8];

	open_session(test, NUNCHI_PAUSE_AUTO, false);
	close_session(test);
	open_session(test, NUNCHI_PAUSE_AUTO, false);
	checks = test->checks;
	assert_null(nunchi_read(&test->guest, &place, sizeof(bytes), bytes));
	bytes_read = memory_stats(test->guest.target->memory).bytes_read;
	for (int i = 0; i < 100; i++)
		assert_null(nunchi_read(&test->guest, &place, sizeof(bytes), bytes));
	assert_memory_equal(bytes, "Linux ve", sizeof(bytes));
	/* Nothing but what is read. */
	assert_int_equal(memory_stats(test->guest.target->memory).bytes_read - bytes_read,
			 100 * sizeof(bytes));
	bytes_read = memory_stats(test->guest.target->memory).bytes_read;
	for (int i = 0; i < 100; i++)
		assert_null(nunchi_translate_address(&test->guest, &place, &physical));
	assert_int_equal(physical, PHYSICAL + BANNER);
	assert_int_equal(memory_stats(test->guest.target->memory).bytes_read, bytes_read);
	count_rows(open_symbols(test));
	assert_int_equal(test->checks, checks);
	assert_null(nunchi_guest_attach(&test->guest));
	assert_true(test->checks > checks);
	close_session(test);
}

/* A page table that changed is noticed after some calls, however long the session is. */
static void test_translations_are_renewed(void **state)
{
	const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0, WRITER_BASE + DATA};
	struct session_test *test = *state;
	uint64_t index = (WRITER_BASE - MAP_START) / (2 * MIB), value = 0;

	open_session(test, NUNCHI_PAUSE_AUTO, false);
	assert_null(nunchi_read(&test->guest, &place, sizeof(value), &value));
	assert_int_equal(value, MAGIC);
	put(test->made, PHYSICAL + TOP + 0x2000 + (index + 2) * 8, OTHER | P | PS | RW | NX);
	put(test->made, OTHER, 77);
	for (int i = 0; i < 1024; i++)
		assert_null(nunchi_read(&test->guest, &place, sizeof(value), &value));
	assert_int_equal(value, 77);
}

static void test_rebooted_before(void **state)
{
	struct session_test *test = *state;

	open_session(test, NUNCHI_PAUSE_AUTO, false);
	close_session(test);
	memset(test->made->ram + PHYSICAL + BANNER, 0, 8);
	refused(nunchi_session_open(&test->guest, NULL, &test->session), NUNCHI_ERROR_REBOOTED,
		"no longer runs");
}

/* ---- Ending it ------------------------------------------------------------------------------- */

static void test_one_at_a_time(void **state)
{
	struct session_test *test = *state;
	struct nunchi_session *other = NULL;

	open_session(test, NUNCHI_PAUSE_AUTO, false);
	refused(nunchi_session_open(&test->guest, NULL, &other), NUNCHI_ERROR_BUSY,
		"one at a time");
	assert_null(other);
	close_session(test);
	close_session(test);
	assert_null(nunchi_session_close(NULL));
	open_session(test, NUNCHI_PAUSE_AUTO, false);
}

/* As a shell does after Ctrl-C: the session is lost, the guest and the context are not. */
static void test_cancel(void **state)
{
	const struct nunchi_place place = {NUNCHI_SPACE_PHYSICAL, 0, COUNTER};
	struct session_test *test = *state;
	struct nunchi_cursor *cursor = NULL;
	uint64_t value;

	open_session(test, NUNCHI_PAUSE_ALWAYS, false);
	test->cancel_when_paused = true;
	refused(nunchi_cursor_open(&test->guest, nunchi_view_find("kernel_info"), NULL, &cursor),
		NUNCHI_ERROR_CANCELLED, "cancelled");
	assert_null(cursor);
	assert_int_equal(test->pauses, test->resumes);
	test->cancel_when_paused = false;
	for (int i = 0; i < 2; i++)
		refused(nunchi_read(&test->guest, &place, sizeof(value), &value),
			NUNCHI_ERROR_CANCELLED, "cancelled");
	refused(nunchi_cursor_open(&test->guest, nunchi_view_find("symbols"), NULL, &cursor),
		NUNCHI_ERROR_CANCELLED, "cancelled");
	close_session(test);
	open_session(test, NUNCHI_PAUSE_ALWAYS, false);
	assert_true(count_rows(open_symbols(test)) > 100);
	close_session(test);
	/* One that comes too late was meant for what has ended. */
	nunchi_session_cancel(test->session);
	assert_true(count_rows(open_symbols(test)) > 100);
	nunchi_session_cancel(test->session);
	open_session(test, NUNCHI_PAUSE_AUTO, false);
	assert_int_equal(read_at(test, COUNTER), 0);
	close_session(test);
	/* That of the context is for good. */
	nunchi_context_cancel(test->context);
	refused(nunchi_session_open(&test->guest, NULL, &test->session), NUNCHI_ERROR_CANCELLED,
		"cancelled");
}

/* Without a session that call alone is cancelled; with one, the session. */
static void test_guest_cancel(void **state)
{
	const struct nunchi_view *view = nunchi_view_find("kernel_info");
	struct session_test *test = *state;
	struct nunchi_cursor *cursor = NULL;

	test->guest.pause = NUNCHI_PAUSE_ALWAYS;
	for (int in_session = 0; in_session < 2; in_session++) {
		if (in_session)
			open_session(test, NUNCHI_PAUSE_ALWAYS, false);
		test->cancel_guest_when_paused = true;
		refused(nunchi_cursor_open(&test->guest, view, NULL, &cursor),
			NUNCHI_ERROR_CANCELLED, "cancelled");
		assert_null(cursor);
		assert_int_equal(test->pauses, test->resumes);
		test->cancel_guest_when_paused = false;
		if (in_session)
			refused(nunchi_cursor_open(&test->guest, view, NULL, &cursor),
				NUNCHI_ERROR_CANCELLED, "cancelled");
		else
			assert_true(count_rows(open_symbols(test)) > 100);
	}
	close_session(test);
	nunchi_guest_cancel(NULL);
	assert_true(count_rows(open_symbols(test)) > 100);
}

static void test_cursor_after_its_session(void **state)
{
	struct session_test *test = *state;
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	bool torn;

	open_session(test, NUNCHI_PAUSE_AUTO, true);
	cursor = open_symbols(test);
	assert_null(nunchi_cursor_next(cursor, &cells, &torn));
	close_session(test);
	refused(nunchi_cursor_next(cursor, &cells, &torn), NUNCHI_ERROR_ARGUMENT,
		"session of this cursor");
	open_session(test, NUNCHI_PAUSE_AUTO, true);
	refused(nunchi_cursor_next(cursor, &cells, &torn), NUNCHI_ERROR_ARGUMENT,
		"session of this cursor");
	nunchi_cursor_close(cursor);
}

static void test_options(void **state)
{
	struct session_test *test = *state;
	struct {
		struct nunchi_session_options options;
		char more[16];
	} longer = {.options = {.size = sizeof(longer)}};
	struct nunchi_session_options none = {0};

	refused(nunchi_session_open(&test->guest, &none, &test->session), NUNCHI_ERROR_ARGUMENT,
		"nunchi_session_options.size is not set");
	longer.more[7] = 1;
	refused(nunchi_session_open(&test->guest, &longer.options, &test->session),
		NUNCHI_ERROR_ARGUMENT, "does not know");
	longer.more[7] = 0;
	assert_null(nunchi_session_open(&test->guest, &longer.options, &test->session));
}

/* A server of gdb's that cannot be made leaves the guest running, or says that it did not. */
static void test_gdb_resume_fails(void **state)
{
	struct session_test *test = *state;
	struct nunchi_gdb_options options = {.size = sizeof(options), .hold = true, .pid = 1};
	struct nunchi_gdb *gdb = NULL;

	refused(nunchi_gdb_create(&test->guest, &options, &gdb), NUNCHI_ERROR_UNSUPPORTED, "");
	assert_int_equal(test->resumes, 1);
	test->resume_fails = true;
	refused(nunchi_gdb_create(&test->guest, &options, &gdb), NUNCHI_ERROR_TIMEOUT,
		"cannot resume it");
	assert_null(gdb);
	options.pid = 0;
	assert_null(nunchi_gdb_create(&test->guest, &options, &gdb));
	refused(nunchi_gdb_destroy(gdb), NUNCHI_ERROR_TIMEOUT, "cannot resume it");
	assert_int_equal(test->resumes, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, session_setup, session_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(running),
	    TEST(captured),
	    TEST(captured_and_more),
	    TEST(hold),
	    TEST(resume_fails),
	    TEST(checked_once),
	    TEST(translations_are_renewed),
	    TEST(rebooted_before),
	    TEST(one_at_a_time),
	    TEST(cancel),
	    TEST(guest_cancel),
	    TEST(cursor_after_its_session),
	    TEST(options),
	    TEST(gdb_resume_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
