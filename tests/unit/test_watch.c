/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains that come, change and go while they are watched. */
#include "core/cleanup.h"
#include "core/io.h"
#include "event/watch.h"

#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

#include "xen_setup.h"

/* What is told is written down; between the looks steps() changes something. */
struct story {
	char text[1024];
	unsigned step;
	void (*steps)(struct story *story);
	bool over;
	unsigned most; /* events after which no more are wanted; 0: all */
	unsigned told;
	struct event_watch_source source; /* zeroed: the fake Xen's domains */
};

static unsigned looks; /* at the fake Xen's domains */

static struct nunchi_error *list(bool ask, target_found_fn *found, void *data)
{
	bool stopped;

	looks += ask;
	return xen_list_with(&fake_calls, found, data, &stopped);
}

static bool changed(const struct nunchi_found *guest, enum nunchi_list_change change, void *data)
{
	static const char *const words[] = {[NUNCHI_LIST_THERE] = "there",
					    [NUNCHI_LIST_CAME] = "came",
					    [NUNCHI_LIST_CHANGED] = "changed",
					    [NUNCHI_LIST_WENT] = "went"};
	struct story *story = data;
	size_t length = strlen(story->text);

	snprintf(story->text + length, sizeof(story->text) - length, "%s %s %s ", words[change],
		 guest->name, guest->state);
	return ++story->told != story->most;
}

/* Dispatches the loop each time it has something, and changes something between two looks. */
static struct nunchi_error *watch(struct story *story)
{
	const struct event_watch_source xen = {.list = list, .every_us = 1000};
	const struct event_watch_source source = story->source.list ? story->source : xen;
	struct event_loop *loop;
	struct event_watch *watching;
	struct nunchi_error *err = NULL;

	assert_null(event_loop_create(&loop));
	assert_null(event_watch_create_with(loop, &source, changed, story, &watching));
	while (!err && !event_watch_has_ended(watching) && !story->over) {
		unsigned before = looks;

		assert_int_equal(io_wait(event_loop_fd(loop), POLLIN, CLOCK_NEVER, NULL), 1);
		err = event_loop_dispatch(loop);
		if (err || event_watch_has_ended(watching))
			break;
		/* On a busy machine a look takes long, and the next one comes later. */
		if (!story->source.list && looks == before)
			continue;
		snprintf(story->text + strlen(story->text),
			 sizeof(story->text) - strlen(story->text), "| ");
		story->steps(story);
		story->step++;
	}
	event_watch_destroy(watching);
	event_loop_destroy(loop);
	return err;
}

static void life(struct story *story)
{
	switch (story->step) {
	case 0: /* nothing */
		break;
	case 1:
		fake_add(4, 12, "new", XEN_INFO_HVM, 1);
		break;
	case 2:
		fake_value("/local/domain/12/name", "renamed");
		fake->domains[2].pauses = 1;
		break;
	case 3: /* a reboot between two looks: the same UUID and name, and nothing to be seen */
		fake->domains[2].pauses = 0;
		fake->domains[4].info.domain = 13;
		fake_value("/local/domain/13/name", "renamed");
		break;
	case 4: /* another domain in its place */
		memset(fake->domains[4].info.handle, 0x77, 16);
		break;
	case 5:
		fake->domains[4].there = false;
		fake->domains[1].info.flags |= XEN_INFO_SHUTDOWN | 3U << XEN_INFO_SHUTDOWN_SHIFT;
		break;
	default:
		story->over = true;
	}
}

static void test_lives(void **state)
{
	struct story story = {.steps = life};
	struct nunchi_error *err = watch(&story);

	(void)state;
	assert_null(err);
	assert_string_equal(
	    story.text,
	    "there pv running there pvh running there hvm running | | came new running | "
	    "changed pvh paused changed renamed running | changed pvh running | "
	    "came renamed running went renamed running | changed pv crashed went renamed "
	    "running | ");
}

/* Whoever wants no more is told no more, and what cannot be listed is an error. */
static void test_ends(void **state)
{
	struct story story = {.steps = life, .most = 2};
	struct nunchi_error *err = watch(&story);

	(void)state;
	assert_null(err);
	assert_string_equal(story.text, "there pv running there pvh running ");
	story = (struct story){.steps = life};
	fake->refuse = EPERM;
	err = watch(&story);
	assert_non_null(err);
	assert_string_equal(story.text, "");
	nunchi_error_destroy(err);
}

/* Guests whose state is known only to those who ask. */
static struct {
	bool there[3];
	const char *state;
	unsigned asked;
} monitored;

static struct nunchi_error *list_monitored(bool ask, target_found_fn *found, void *data)
{
	static const char *const names[] = {"one", "two", "three"};

	monitored.asked += ask;
	for (int i = 0; i < 3; i++) {
		const struct nunchi_found guest = {.target = names[i],
						   .name = names[i],
						   .hypervisor = "qemu",
						   .pid = 7 + i,
						   .state = ask ? monitored.state : "unknown",
						   .access = "",
						   .uuid = "",
						   .user = ""};

		if (monitored.there[i] && !found(&guest, data))
			break;
	}
	return NULL;
}

static void monitored_life(struct story *story)
{
	static const unsigned asked_before[] = {1, 1, 1, 2, 2, 3};

	if (story->step < ARRAY_SIZE(asked_before))
		assert_int_equal(monitored.asked, asked_before[story->step]);
	switch (story->step) {
	case 0: /* nothing */
		break;
	case 1: /* not noticed until a guest comes */
		monitored.state = "paused";
		break;
	case 2:
		monitored.there[2] = true;
		break;
	case 3:
		break;
	case 4:
		monitored.there[0] = false;
		break;
	default:
		story->over = true;
	}
}

/* Monitors are connected to when a guest came, went or changed, and not at each look. */
static void test_monitors_are_left_alone(void **state)
{
	struct story story = {.steps = monitored_life,
			      .source = {.list = list_monitored,
					 .every_us = 1000,
					 .ask_every_us = 3600 * CLOCK_US_PER_S}};

	(void)state;
	memset(&monitored, 0, sizeof(monitored));
	monitored.there[0] = monitored.there[1] = true;
	monitored.state = "running";
	assert_null(watch(&story));
	assert_string_equal(story.text, "there one running there two running | | | "
					"changed one paused changed two paused came three paused "
					"| | went one paused | ");
	assert_int_equal(monitored.asked, 3);
}

/* Once the time has come they are asked, though nothing else changed. */
static void asked_life(struct story *story)
{
	monitored.state = "paused";
	story->over = story->step == 1;
}

static void test_monitors_are_asked_in_time(void **state)
{
	struct story story = {
	    .steps = asked_life,
	    .source = {.list = list_monitored, .every_us = 1000, .ask_every_us = 1}};

	(void)state;
	memset(&monitored, 0, sizeof(monitored));
	monitored.there[0] = true;
	monitored.state = "running";
	assert_null(watch(&story));
	assert_string_equal(story.text, "there one running | changed one paused | ");
}

/* Each look finds another guest, and monitors take their time. */
static struct nunchi_error *list_churning(bool ask, target_found_fn *found, void *data)
{
	char name[32];
	const struct nunchi_found guest = {.target = name,
					   .name = name,
					   .hypervisor = "qemu",
					   .pid = (int64_t)(clock_us() % 1000000),
					   .state = "running",
					   .access = "",
					   .uuid = "",
					   .user = ""};

	snprintf(name, sizeof(name), "guest%" PRIu64, clock_us());
	monitored.asked += ask;
	if (ask)
		usleep(60000);
	found(&guest, data);
	return NULL;
}

static void churning_life(struct story *story)
{
	story->text[0] = '\0';
	story->over = story->step == 60;
}

static void test_slow_monitors_are_asked_less_often(void **state)
{
	struct story story = {.steps = churning_life,
			      .source = {.list = list_churning,
					 .every_us = 10000,
					 .ask_every_us = 3600 * CLOCK_US_PER_S}};

	(void)state;
	memset(&monitored, 0, sizeof(monitored));
	assert_null(watch(&story));
	/* 60 looks of 10 ms, or more where the host is slow. */
	assert_in_range(monitored.asked, 1, 20);
}

static bool is_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 0) == 1;
}

static int wakes[2];

static bool clear_wake(void *data)
{
	char byte;

	(void)data;
	assert_int_equal(read(wakes[0], &byte, 1), 1);
	return true;
}

/* As that of a xenstored that has ended, whose socket stays readable. */
static bool leave_readable(void *data)
{
	(void)data;
	return false;
}

/* What wakes a watch is dispatched at once; once it is gone the timer alone counts. */
static void test_wake(void **state)
{
	struct target_wake wake = {.clear = clear_wake};
	const struct event_watch_source source = {
	    .list = list, .every_us = 3600 * CLOCK_US_PER_S, .wakes = &wake, .wake_count = 1};
	struct story story = {.steps = life};
	struct event_loop *loop;
	struct event_watch *watching;

	(void)state;
	assert_int_equal(pipe2(wakes, O_CLOEXEC | O_NONBLOCK), 0);
	wake.fd = wakes[0];
	assert_null(event_loop_create(&loop));
	assert_null(event_watch_create_with(loop, &source, changed, &story, &watching));
	assert_int_equal(io_wait(event_loop_fd(loop), POLLIN, CLOCK_NEVER, NULL), 1);
	assert_null(event_loop_dispatch(loop));
	story.text[0] = '\0';
	assert_false(is_readable(event_loop_fd(loop)));
	assert_null(event_loop_dispatch(loop));
	assert_string_equal(story.text, "");
	fake_add(4, 12, "new", XEN_INFO_HVM, 1);
	assert_int_equal(write(wakes[1], "", 1), 1);
	assert_true(is_readable(event_loop_fd(loop)));
	assert_null(event_loop_dispatch(loop));
	assert_string_equal(story.text, "came new running ");
	close(wakes[1]);
	assert_true(is_readable(event_loop_fd(loop)));
	assert_null(event_loop_dispatch(loop));
	assert_false(is_readable(event_loop_fd(loop)));
	event_watch_destroy(watching);
	event_loop_destroy(loop);
	close(wakes[0]);
}

/* A descriptor that stays readable is not dispatched for ever. */
static void test_wake_that_has_ended(void **state)
{
	struct target_wake wake = {.clear = leave_readable};
	const struct event_watch_source source = {
	    .list = list, .every_us = 3600 * CLOCK_US_PER_S, .wakes = &wake, .wake_count = 1};
	struct story story = {.steps = life};
	struct event_loop *loop;
	struct event_watch *watching;

	(void)state;
	assert_int_equal(pipe2(wakes, O_CLOEXEC | O_NONBLOCK), 0);
	wake.fd = wakes[0];
	assert_null(event_loop_create(&loop));
	assert_null(event_watch_create_with(loop, &source, changed, &story, &watching));
	assert_int_equal(io_wait(event_loop_fd(loop), POLLIN, CLOCK_NEVER, NULL), 1);
	assert_null(event_loop_dispatch(loop));
	assert_int_equal(write(wakes[1], "", 1), 1);
	assert_true(is_readable(event_loop_fd(loop)));
	assert_null(event_loop_dispatch(loop));
	assert_false(is_readable(event_loop_fd(loop)));
	event_watch_destroy(watching);
	event_loop_destroy(loop);
	close(wakes[0]);
	close(wakes[1]);
}

/* Of two sources that are ready together the first removes the other, which is then not called. */
struct pair {
	struct event_source *sources[2];
	unsigned called;
};

static struct nunchi_error *remove_both(void *data, short events)
{
	struct pair *pair = data;

	assert_int_equal(events, POLLIN);
	pair->called++;
	event_source_remove(pair->sources[0]);
	event_source_remove(pair->sources[1]);
	return NULL;
}

static struct nunchi_error *refuse(void *data, short events)
{
	(void)events;
	++*(unsigned *)data;
	return error_create(NUNCHI_ERROR_IO, "refused");
}

static struct nunchi_error *dispatch_again(void *data, short events)
{
	(void)events;
	return event_loop_dispatch(data);
}

/* A callback that dispatches its own loop is refused. */
static void test_loop_within_itself(void **state)
{
	struct event_source *source;
	struct event_loop *loop;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "", 1), 1);
	assert_null(event_loop_create(&loop));
	assert_null(event_loop_add(loop, fds[0], dispatch_again, loop, &source));
	_cleanup_error_ struct nunchi_error *err = event_loop_dispatch(loop);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	event_source_remove(source);
	event_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

static void test_loop(void **state)
{
	struct event_source *source;
	struct event_loop *loop;
	struct pair pair = {0};
	unsigned refused = 0;
	int fds[2][2];

	(void)state;
	assert_null(event_loop_create(&loop));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(fds[i], O_CLOEXEC), 0);
		assert_int_equal(write(fds[i][1], "", 1), 1);
		assert_null(event_loop_add(loop, fds[i][0], remove_both, &pair, &pair.sources[i]));
	}
	assert_null(event_loop_dispatch(loop));
	assert_int_equal(pair.called, 1);
	assert_false(is_readable(event_loop_fd(loop)));
	/* An error is handed out, and the source stays. */
	assert_null(event_loop_add(loop, fds[0][0], refuse, &refused, &source));
	for (unsigned i = 1; i <= 2; i++) {
		_cleanup_error_ struct nunchi_error *err = event_loop_dispatch(loop);

		assert_true(error_is(err, NUNCHI_ERROR_IO));
		assert_int_equal(refused, i);
	}
	event_source_remove(source);
	event_loop_destroy(loop);
	for (int i = 0; i < 4; i++)
		close(fds[i / 2][i % 2]);
}

static void test_xenstore(void **state)
{
	struct xen_watch *xen;

	(void)state;
	assert_null(xen_watch_create_with(&fake_calls, &xen));
	assert_string_equal(fake->watched, "@introduceDomain=come @releaseDomain=go ");
	assert_false(is_readable(xen_watch_fd(xen)));
	fake_event();
	fake_event();
	assert_true(is_readable(xen_watch_fd(xen)));
	xen_watch_clear(xen);
	assert_false(is_readable(xen_watch_fd(xen)));
	xen_watch_destroy(xen);
	/* Without it guests are looked for every second. */
	fake->no_watch = true;
	assert_null(xen_watch_create_with(&fake_calls, &xen));
	assert_null(xen);
}

/* ---- The public interface, on the host that runs the test ---- */

static bool count_change(const struct nunchi_found *guest, enum nunchi_list_change change,
			 void *data)
{
	(void)guest, (void)change;
	++*(unsigned *)data;
	return true;
}

static void test_context(void **state)
{
	struct nunchi_context *context;
	struct nunchi_watch *watching;
	unsigned changes = 0;
	int fd = -1, again = -1;

	(void)state;
	assert_null(nunchi_context_create(0, &context));
	/* Nothing is to be done: that is no error. */
	assert_null(nunchi_context_dispatch(context));
	assert_null(nunchi_context_fd(context, &fd));
	assert_false(is_readable(fd));
	assert_null(nunchi_context_fd(context, &again));
	assert_int_equal(again, fd);
	assert_null(nunchi_watch_create(context, count_change, &changes, &watching));
	assert_int_equal(io_wait(fd, POLLIN, clock_us() + 5 * CLOCK_US_PER_S, NULL), 1);
	assert_null(nunchi_context_dispatch(context));
	nunchi_context_cancel(context);
	_cleanup_error_ struct nunchi_error *err = nunchi_context_dispatch(context);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_watch_destroy(watching);
	nunchi_watch_destroy(NULL);
	nunchi_context_destroy(context);
}

static struct nunchi_context *cancelled_by_signal;

static void cancel_context(int number)
{
	(void)number;
	nunchi_context_cancel(cancelled_by_signal);
}

/* A cancel from a signal handler ends a watch that waits, and soon. */
static void test_list_watch_is_cancelled(void **state)
{
	const struct itimerval soon = {.it_value = {0, 50000}};
	uint64_t begin = clock_us();
	unsigned changes = 0;

	(void)state;
	assert_null(nunchi_context_create(0, &cancelled_by_signal));
	assert_true(signal(SIGALRM, cancel_context) != SIG_ERR);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	_cleanup_error_ struct nunchi_error *err =
	    nunchi_list_watch(cancelled_by_signal, count_change, &changes);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	assert_in_range(clock_us() - begin, 50000, 5 * CLOCK_US_PER_S);
	signal(SIGALRM, SIG_DFL);
	nunchi_context_destroy(cancelled_by_signal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(lives),
	    TEST(ends),
	    TEST(monitors_are_left_alone),
	    TEST(monitors_are_asked_in_time),
	    TEST(slow_monitors_are_asked_less_often),
	    TEST(wake),
	    TEST(wake_that_has_ended),
	    TEST(loop),
	    TEST(loop_within_itself),
	    TEST(xenstore),
	    TEST(context),
	    TEST(list_watch_is_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
