/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several guests in several threads at once, by the public header; cancels that come from another
 * thread; and guests of Xen that several threads pause. `tests/run tsan` runs this program under
 * ThreadSanitizer. A thread that finds something wrong writes it down: only the main thread
 * asserts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api_guest.h"
#include "core/io.h"
#include "target/xen/internal.h"
#include "xen_setup.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define THREADS 4
#define ROUNDS  2
/* Rows of the view `symbols` of the guest: what writer_add_symbols() and api_guest.h put there. */
#define ROWS_MIN 100

static char saved_path[64];

struct worker {
	pthread_t thread;
	unsigned number;
	struct nunchi_context *context;
	struct nunchi_session *_Atomic session; /* for who cancels it */
	atomic_uint rows;                       /* read so far */
	atomic_bool over;                       /* asked to end */
	char wrong[256];                        /* the first thing that went wrong */
};

static bool note(struct worker *worker, bool right, int line, const char *what)
{
	if (!right && !worker->wrong[0])
		snprintf(worker->wrong, sizeof(worker->wrong), "line %d: %s", line, what);
	return right;
}

/* Gives whether it holds, and notes it if not. */
#define CHECK(worker, condition) note(worker, condition, __LINE__, #condition)

/* That there was no error. */
static bool good(struct worker *worker, struct nunchi_error *err, int line)
{
	bool right = note(worker, !err, line, err ? nunchi_error_message(err) : "");

	nunchi_error_destroy(err);
	return right;
}

#define GOOD(worker, call) good(worker, call, __LINE__)

static void refused(struct worker *worker, struct nunchi_error *err, enum nunchi_error_code code,
		    const char *words, int line)
{
	char what[200];

	snprintf(what, sizeof(what), "not refused with %s", words);
	if (note(worker, err != NULL, line, what) &&
	    (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words)))
		note(worker, false, line, nunchi_error_message(err));
	nunchi_error_destroy(err);
}

#define REFUSED(worker, call, code, words) refused(worker, call, code, words, __LINE__)

static void start(struct worker *workers, size_t count, void *(*work)(void *worker))
{
	for (size_t i = 0; i < count; i++) {
		workers[i].number = (unsigned)i;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void join(struct worker *workers, size_t count)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		if (workers[i].wrong[0])
			wrong = workers[i].wrong;
	}
	if (wrong)
		fail_msg("%s", wrong);
}

static bool wait_until(const atomic_uint *value, unsigned at_least)
{
	for (int i = 0; i < 20000 && atomic_load(value) < at_least; i++)
		io_sleep_until(clock_us() + CLOCK_US_PER_MS, NULL);
	return atomic_load(value) >= at_least;
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* All rows; the error that ended them, NULL for the end of the view. */
static struct nunchi_error *read_rows(struct worker *worker, struct nunchi_guest *guest,
				      const char *view, unsigned *ret)
{
	struct nunchi_cursor *cursor = NULL;
	const struct nunchi_cell *cells;
	struct nunchi_error *err = nunchi_cursor_open(guest, nunchi_view_find(view), NULL, &cursor);
	unsigned count = 0;
	bool torn;

	while (!err) {
		err = nunchi_cursor_next(cursor, &cells, &torn);
		count += !err;
		atomic_fetch_add(&worker->rows, !err);
	}
	nunchi_cursor_close(cursor);
	if (nunchi_error_code(err) == NUNCHI_ERROR_STOP) {
		nunchi_error_destroy(err);
		err = NULL;
	}
	*ret = count;
	return err;
}

static void ignore_fact(const struct nunchi_fact *fact, void *data)
{
	*(size_t *)data += strlen(fact->value);
}

static void take_type(const struct nunchi_type_info *type, void *data)
{
	*(uint64_t *)data = type->size;
}

static void ignore_member(const struct nunchi_member *member, void *data)
{
	(void)member, (void)data;
}

/* Each kind of question once. */
static void ask_all(struct worker *worker, struct nunchi_guest *guest)
{
	const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0, WRITER_BASE + BANNER};
	struct nunchi_timing timing = {.size = sizeof(timing)};
	struct nunchi_session *session = NULL;
	struct nunchi_translation translation;
	struct nunchi_symbol symbol;
	char bytes[14] = "", name[32];
	unsigned rows = 0;
	uint64_t size = 0;
	size_t length = 0;

	GOOD(worker, nunchi_guest_attach(guest));
	GOOD(worker, nunchi_guest_info(guest, ignore_fact, &length));
	if (!GOOD(worker, nunchi_session_open(guest, NULL, &session)))
		return;
	GOOD(worker, read_rows(worker, guest, "symbols", &rows));
	CHECK(worker, rows > ROWS_MIN);
	GOOD(worker, read_rows(worker, guest, "kernel_info", &rows));
	CHECK(worker, rows == 1);
	GOOD(worker, nunchi_session_close(session));
	GOOD(worker, nunchi_read(guest, &place, sizeof(bytes), bytes));
	CHECK(worker, !memcmp(bytes, "Linux version ", sizeof(bytes)));
	if (GOOD(worker, nunchi_translate(guest, &place, &translation)))
		CHECK(worker, translation.physical == PHYSICAL + BANNER);
	if (GOOD(worker, nunchi_symbol_find(guest, "phys_base", &symbol)))
		CHECK(worker, symbol.address == WRITER_BASE + PHYS_BASE);
	GOOD(worker, nunchi_type_layout(guest, "task_struct", take_type, ignore_member, &size));
	CHECK(worker, size == 64);
	nunchi_guest_timing(guest, &timing);
	CHECK(worker, timing.bytes_read > 0);
	snprintf(name, sizeof(name), "no_symbol_%u", worker->number);
	REFUSED(worker, nunchi_symbol_find(guest, name, &symbol), NUNCHI_ERROR_NOT_FOUND, name);
}

struct progress {
	struct worker *worker;
	unsigned calls, most;
};

static bool count_progress(uint64_t done, uint64_t total, void *data)
{
	struct progress *progress = data;

	CHECK(progress->worker, done <= total);
	return ++progress->calls != progress->most;
}

/* Each thread in a format of its own; the snapshot is asked in turn. */
static void take_snapshot(struct worker *worker, struct nunchi_guest *guest)
{
	struct progress progress = {.worker = worker};
	struct nunchi_guest *copy = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s-%u", saved_path, worker->number);
	if (!GOOD(worker,
		  nunchi_snapshot(guest, path, worker->number % 3, count_progress, &progress)))
		return;
	if (GOOD(worker, nunchi_guest_open(worker->context, path, NULL, &copy)))
		ask_all(worker, copy);
	nunchi_guest_close(copy);
	unlink(path);
}

static void *use_guests(void *data)
{
	struct worker *worker = data;
	bool own = !worker->context;
	struct nunchi_guest *guest;
	char path[64];

	if (own && !GOOD(worker, nunchi_context_create(0, &worker->context)))
		return NULL;
	for (int round = 0; round < ROUNDS; round++) {
		snprintf(path, sizeof(path), "/nonexistent/of-thread-%u", worker->number);
		REFUSED(worker, nunchi_guest_open(worker->context, path, NULL, &guest),
			NUNCHI_ERROR_NOT_FOUND, path);
		if (!GOOD(worker, nunchi_guest_open(worker->context, saved_path, NULL, &guest)))
			break;
		ask_all(worker, guest);
		take_snapshot(worker, guest);
		nunchi_guest_close(guest);
	}
	if (own)
		nunchi_context_destroy(worker->context);
	return NULL;
}

static void test_context_in_each_thread(void **state)
{
	struct worker workers[THREADS] = {0};

	(void)state;
	start(workers, THREADS, use_guests);
	join(workers, THREADS);
}

static void test_guests_of_one_context(void **state)
{
	struct worker workers[THREADS] = {0};
	struct nunchi_context *context;

	(void)state;
	assert_null(nunchi_context_create(0, &context));
	for (size_t i = 0; i < THREADS; i++)
		workers[i].context = context;
	start(workers, THREADS, use_guests);
	join(workers, THREADS);
	nunchi_context_destroy(context);
}

/* ---- Cancels --------------------------------------------------------------------------------- */

/* Asks without an end in sessions, until one is cancelled after `over` was set. */
static void *ask_until_cancelled(void *data)
{
	struct worker *worker = data;
	struct nunchi_guest *guest = NULL;
	bool over = false;
	unsigned rows;

	if (!GOOD(worker, nunchi_guest_open(worker->context, saved_path, NULL, &guest)))
		return NULL;
	while (!over && !worker->wrong[0]) {
		struct nunchi_session *session;
		struct nunchi_error *err;

		if (!GOOD(worker, nunchi_session_open(guest, NULL, &session)))
			break;
		atomic_store(&worker->session, session);
		do
			err = read_rows(worker, guest, "symbols", &rows);
		while (!err);
		over = atomic_load(&worker->over);
		REFUSED(worker, err, NUNCHI_ERROR_CANCELLED, "cancelled");
		GOOD(worker, nunchi_session_close(session));
		/* The guest is as good as before; outside of the session nothing is cancelled. */
		GOOD(worker, read_rows(worker, guest, "kernel_info", &rows));
	}
	atomic_store(&worker->session, NULL);
	nunchi_guest_close(guest);
	return NULL;
}

/* Each time in the middle of a query; those of the other threads go on. */
static void test_session_is_cancelled_by_another_thread(void **state)
{
	struct worker workers[THREADS] = {0};
	struct nunchi_context *context;

	(void)state;
	assert_null(nunchi_context_create(0, &context));
	for (size_t i = 0; i < THREADS; i++)
		workers[i].context = context;
	start(workers, THREADS, ask_until_cancelled);
	for (unsigned round = 0; round < 3 * THREADS; round++) {
		struct worker *worker = &workers[round % THREADS];

		assert_true(wait_until(&worker->rows, atomic_load(&worker->rows) + 10));
		if (round >= 2 * THREADS)
			atomic_store(&worker->over, true);
		nunchi_session_cancel(atomic_load(&worker->session));
	}
	join(workers, THREADS);
	assert_false(nunchi_context_cancelled(context));
	nunchi_context_destroy(context);
}

/* Opens and closes sessions while another thread cancels them at any moment, also too late. */
static void *open_sessions(void *data)
{
	struct worker *worker = data;
	struct nunchi_guest *guest = NULL;
	struct nunchi_session *session;

	if (!GOOD(worker, nunchi_guest_open(worker->context, saved_path, NULL, &guest)))
		return NULL;
	for (int i = 0; i < 2000; i++) {
		struct nunchi_error *err = nunchi_session_open(guest, NULL, &session);
		unsigned rows;

		if (err) {
			REFUSED(worker, err, NUNCHI_ERROR_CANCELLED, "cancelled");
			continue;
		}
		atomic_store(&worker->session, session);
		err = read_rows(worker, guest, "kernel_info", &rows);
		if (err)
			REFUSED(worker, err, NUNCHI_ERROR_CANCELLED, "cancelled");
		GOOD(worker, nunchi_session_close(session));
	}
	atomic_store(&worker->over, true);
	/* Until who cancels has seen that. */
	while (atomic_load(&worker->over))
		io_sleep_until(clock_us() + CLOCK_US_PER_MS, NULL);
	nunchi_guest_close(guest);
	return NULL;
}

static void test_session_is_cancelled_at_any_moment(void **state)
{
	struct worker worker = {0};

	(void)state;
	assert_null(nunchi_context_create(0, &worker.context));
	start(&worker, 1, open_sessions);
	while (!atomic_load(&worker.over)) {
		struct nunchi_session *session = atomic_load(&worker.session);

		if (session)
			nunchi_session_cancel(session);
		usleep(10);
	}
	atomic_store(&worker.over, false);
	join(&worker, 1);
	nunchi_context_destroy(worker.context);
}

static void *ask_until_context_cancelled(void *data)
{
	struct worker *worker = data;
	struct nunchi_guest *guest = NULL;
	struct nunchi_error *err;
	unsigned rows;

	if (!GOOD(worker, nunchi_guest_open(worker->context, saved_path, NULL, &guest)))
		return NULL;
	do
		err = read_rows(worker, guest, "symbols", &rows);
	while (!err);
	REFUSED(worker, err, NUNCHI_ERROR_CANCELLED, "cancelled");
	nunchi_guest_close(guest);
	return NULL;
}

static bool ignore_change(const struct nunchi_found *guest, enum nunchi_list_change change,
			  void *data)
{
	(void)guest, (void)change, (void)data;
	return true;
}

/* The thread that has the context's event loop. */
static void *watch_until_cancelled(void *data)
{
	struct worker *worker = data;

	atomic_fetch_add(&worker->rows, 10);
	REFUSED(worker, nunchi_list_watch(worker->context, ignore_change, NULL),
		NUNCHI_ERROR_CANCELLED, "cancelled");
	return NULL;
}

/* Of one context: guests in some threads, the event loop in another; the cancel comes from here. */
static void test_context_is_cancelled_by_another_thread(void **state)
{
	struct worker workers[THREADS] = {0};
	struct nunchi_context *context;

	(void)state;
	assert_null(nunchi_context_create(0, &context));
	for (size_t i = 0; i < THREADS; i++)
		workers[i].context = context;
	start(workers, THREADS - 1, ask_until_context_cancelled);
	start(&workers[THREADS - 1], 1, watch_until_cancelled);
	for (size_t i = 0; i < THREADS; i++)
		assert_true(wait_until(&workers[i].rows, 10));
	nunchi_context_cancel(context);
	join(workers, THREADS);
	assert_true(nunchi_context_cancelled(context));
	nunchi_context_destroy(context);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

/* Thread 0 cancels its snapshot by its progress; those of the others are cancelled from outside. */
static void *snapshot_until_cancelled(void *data)
{
	struct worker *worker = data;
	struct progress progress = {.worker = worker, .most = worker->number ? 0 : 1};
	struct nunchi_guest *guest = NULL;
	struct nunchi_session *session;
	struct nunchi_error *err;
	char path[128];

	snprintf(path, sizeof(path), "%s-%u", saved_path, worker->number);
	if (!GOOD(worker, nunchi_guest_open(worker->context, saved_path, NULL, &guest)))
		return NULL;
	if (GOOD(worker, nunchi_session_open(guest, NULL, &session))) {
		atomic_store(&worker->session, session);
		do {
			err = nunchi_snapshot(guest, path, worker->number % 3, count_progress,
					      &progress);
			if (!err)
				CHECK(worker, unlink(path) == 0);
			atomic_fetch_add(&worker->rows, 1);
		} while (!err);
		REFUSED(worker, err, NUNCHI_ERROR_CANCELLED, "cancelled");
		CHECK(worker, access(path, F_OK) != 0);
		GOOD(worker, nunchi_session_close(session));
	}
	nunchi_guest_close(guest);
	return NULL;
}

static void test_snapshots_are_cancelled(void **state)
{
	struct worker workers[THREADS] = {0};
	struct nunchi_context *context;

	(void)state;
	assert_null(nunchi_context_create(0, &context));
	for (size_t i = 0; i < THREADS; i++)
		workers[i].context = context;
	start(workers, THREADS, snapshot_until_cancelled);
	for (size_t i = 1; i < THREADS; i++) {
		assert_true(wait_until(&workers[i].rows, 1));
		if (i < THREADS - 1)
			nunchi_session_cancel(atomic_load(&workers[i].session));
	}
	/* The last one, and whatever else still runs. */
	assert_int_equal(pthread_join(workers[0].thread, NULL), 0);
	nunchi_context_cancel(context);
	join(workers + 1, THREADS - 1);
	assert_string_equal(workers[0].wrong, "");
	nunchi_context_destroy(context);
}

/* ---- Pauses and their guards ----------------------------------------------------------------- */

#define SIGNALS 100

static atomic_uint signals_caught;

static void count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals_caught, 1);
}

/* Pauses a guest of its own; the guard is killed now and then, and replaced. */
static void *pause_guest(void *data)
{
	static const char *const words[] = {"xen:pv", "xen:pvh", "xen:hvm"};
	struct worker *worker = data;
	struct fake_domain *domain = &fake->domains[1 + worker->number];
	struct target_options options = {.sigbus_guard = false};
	struct target *target = NULL;

	if (!GOOD(worker,
		  xen_target_open_with(&fake_calls, words[worker->number], &options, &target)))
		return NULL;
	for (int i = 0; (i < 40 || atomic_load(&signals_caught) < SIGNALS) && !worker->wrong[0];
	     i++) {
		GOOD(worker, target_pause(target));
		CHECK(worker, domain->pauses == 1);
		atomic_fetch_add(&worker->rows, 1);
		if (i % 16 == 15)
			kill(guard_process(xen_of(target)->undo.guard), SIGKILL);
		GOOD(worker, target_resume(target));
		CHECK(worker, domain->pauses == 0);
	}
	target_close(target);
	return NULL;
}

/* Signals come to each thread all the while. */
static void test_guests_are_paused(void **state)
{
	const struct sigaction action = {.sa_handler = count_signal};
	const uint64_t deadline = clock_us() + 60 * CLOCK_US_PER_S;
	struct worker workers[3] = {0};

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	start(workers, 3, pause_guest);
	for (size_t i = 0; i < 3; i++)
		assert_true(wait_until(&workers[i].rows, 1));
	/* Two signals that come before the first is handled are one. */
	while (atomic_load(&signals_caught) < SIGNALS && clock_us() < deadline) {
		for (size_t n = 0; n < 3; n++)
			pthread_kill(workers[n].thread, SIGUSR1);
		io_sleep_until(clock_us() + CLOCK_US_PER_MS, NULL);
	}
	join(workers, 3);
	assert_true(atomic_load(&signals_caught) >= SIGNALS);
	assert_int_equal(records(), 0);
}

static int save_guest(void **state)
{
	(void)state;
	api_guest_save(saved_path);
	return 0;
}

static int remove_guest(void **state)
{
	(void)state;
	return unlink(saved_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_context_in_each_thread),
	    cmocka_unit_test(test_guests_of_one_context),
	    cmocka_unit_test(test_session_is_cancelled_by_another_thread),
	    cmocka_unit_test(test_session_is_cancelled_at_any_moment),
	    cmocka_unit_test(test_context_is_cancelled_by_another_thread),
	    cmocka_unit_test(test_snapshots_are_cancelled),
	    cmocka_unit_test_setup_teardown(test_guests_are_paused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, save_guest, remove_guest);
}
