/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The second process is killed, or answers too late: the process that asks it gets an error. */
#include "target/controller.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t to_kill;
/* The time until an answer has to be there passes at once. */
static bool time_flies;
static uint64_t seconds_flown;

static void kill_second(void)
{
	pid_t pid = to_kill;
	siginfo_t ended;

	to_kill = 0;
	if (!pid)
		return;
	kill(pid, SIGKILL);
	/* Dead, but left to be waited for by the controller. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
}

/*
 * In place of the C library's: the second process is killed after it was seen alive, in the
 * moment before a request is written.
 */
int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
	int ready;

	if (time_flies) {
		seconds_flown += 100;
		return 0;
	}
	ready = (int)syscall(SYS_ppoll, fds, count, timeout < 0 ? NULL : &time, NULL, 0);
	kill_second();
	return ready;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int result = (int)syscall(SYS_clock_gettime, clock, ret);

	ret->tv_sec += (time_t)seconds_flown;
	return result;
}

static struct nunchi_error *finish(bool done, void *data)
{
	(void)done;
	if (data)
		usleep(*(const useconds_t *)data);
	return NULL;
}

static pid_t child_of(pid_t parent)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	return (pid_t)strtol(text, NULL, 10);
}

static sigset_t pending_signals(void)
{
	sigset_t set;

	assert_int_equal(sigpending(&set), 0);
	return set;
}

/* Kills it before the request or, if `late`, after it was seen alive. */
static void ask_the_dead(bool late)
{
	const struct controller_setup setup = {.finish = finish};
	struct controller *controller;
	sigset_t before, after, pending;

	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &before), 0);
	assert_null(controller_start(&setup, &controller));
	to_kill = child_of(getpid());
	if (!late)
		kill_second();
	_cleanup_error_ struct nunchi_error *err = controller_finish(controller);
	kill_second();
	assert_true(!late || !err || error_is(err, NUNCHI_ERROR_GONE));
	_cleanup_error_ struct nunchi_error *again = controller_finish(controller);
	assert_true(error_is(again, NUNCHI_ERROR_GONE));
	controller_destroy(controller);
	/* The caller's signals are as they were. */
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
	assert_int_equal(sigismember(&after, SIGPIPE), sigismember(&before, SIGPIPE));
	pending = pending_signals();
	assert_false(sigismember(&pending, SIGPIPE));
}

static void test_no_sigpipe(void **state)
{
	sigset_t pipe_signal;

	(void)state;
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	for (int late = 0; late < 2; late++)
		ask_the_dead(late);
	/* One that blocks it, and one that ignores it. */
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	assert_int_equal(sigprocmask(SIG_BLOCK, &pipe_signal, NULL), 0);
	for (int late = 0; late < 2; late++)
		ask_the_dead(late);
	/* A signal of the caller's own stays. */
	assert_int_equal(raise(SIGPIPE), 0);
	const struct controller_setup setup = {.finish = finish};
	struct controller *controller;

	assert_null(controller_start(&setup, &controller));
	to_kill = child_of(getpid());
	kill_second();
	_cleanup_error_ struct nunchi_error *err = controller_finish(controller);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	controller_destroy(controller);
	sigset_t pending = pending_signals();
	assert_true(sigismember(&pending, SIGPIPE));
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &pipe_signal, NULL), 0);
	for (int late = 0; late < 2; late++)
		ask_the_dead(late);
}

/* What comes after the time limit is no answer to the next request. */
static void test_late_answer(void **state)
{
	useconds_t delay = 300000;
	const struct controller_setup setup = {.finish = finish, .data = &delay};
	struct controller *controller;

	(void)state;
	assert_null(controller_start(&setup, &controller));
	time_flies = true;
	_cleanup_error_ struct nunchi_error *err = controller_finish(controller);
	time_flies = false;
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	usleep(2 * delay);
	_cleanup_error_ struct nunchi_error *again = controller_finish(controller);
	assert_true(error_is(again, NUNCHI_ERROR_GONE));
	controller_destroy(controller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_sigpipe),
	    cmocka_unit_test(test_late_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
