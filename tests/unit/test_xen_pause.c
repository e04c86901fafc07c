/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pauses of Xen's guests: counted exactly, whoever is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "target/xen/internal.h"
#include "xen_setup.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

/* ---- Pauses ---------------------------------------------------------------------------------- */

static int pauses(void)
{
	return fake->domains[2].pauses;
}

static void test_pause(void **state)
{
	struct target *target = open_word("xen:pvh");
	enum target_state what;

	(void)state;
	assert_null(target_pause(target));
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 1);
	assert_null(target_get_state(target, &what));
	assert_int_equal(what, TARGET_PAUSED);
	assert_null(target_pause(target));
	assert_int_equal(pauses(), 1);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 1);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 0);
	assert_int_equal(records(), 0);
	/* Beside somebody else's. */
	fake->domains[2].pauses = 2;
	assert_null(target_pause(target));
	assert_int_equal(pauses(), 3);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 2);
	/* Closing undoes it too. */
	assert_null(target_pause(target));
	target_close(target);
	assert_int_equal(pauses(), 2);
	assert_int_equal(records(), 0);
}

static void test_pause_refused(void **state)
{
	struct target *target = open_word("xen:pvh");
	struct nunchi_error *err;

	(void)state;
	fake->refuse_pauses = EPERM;
	err = target_pause(target);
	assert_true(error_is(err, NUNCHI_ERROR_PERMISSION));
	assert_non_null(strstr(nunchi_error_hint(err), "XSM"));
	nunchi_error_destroy(err);
	assert_int_equal(records(), 0);
	fake->refuse_pauses = 0;
	/* Somebody else resumed what we paused: that is no error, and nothing is undone twice. */
	assert_null(target_pause(target));
	fake->domains[2].pauses = 0;
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 0);
	fake->domains[2].there = false;
	err = target_pause(target);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	target_close(target);
	assert_int_equal(records(), 0);
}

static volatile sig_atomic_t signals_caught;

static void count_signal(int number)
{
	(void)number;
	signals_caught++;
}

/* Signals at 1 kHz, caught with and without SA_RESTART, while the guest is paused and resumed. */
static void test_signals(void **state)
{
	const struct itimerval every_ms = {{0, 1000}, {0, 1000}}, off = {0};
	const int flags[] = {0, SA_RESTART};
	struct target *target = open_word("xen:pvh");
	struct nunchi_error *err = NULL;
	unsigned wrong = 0;

	(void)state;
	fake->slow_pauses = 2;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		const struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags[i]};

		assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
		assert_int_equal(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
		signals_caught = 0;
		for (int n = 0; n < 500 && !err; n++) {
			err = target_pause(target);
			wrong += pauses() != 1;
			if (!err)
				err = target_resume(target);
			wrong += pauses() != 0;
		}
		assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
		assert_null(err);
		assert_int_equal(wrong, 0);
		assert_true(signals_caught > 500);
	}
	assert_int_equal(records(), 0);
	target_close(target);
}

/* The same where the program ignores SIGCHLD, also when the guard is killed. */
static void test_sigchld_ignored(void **state)
{
	struct target *target = open_word("xen:pvh");
	uint64_t begin = clock_us();

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		assert_null(target_pause(target));
		assert_int_equal(pauses(), 1);
		if (i == 1)
			kill(guard_process(xen_of(target)->undo.guard), SIGKILL);
		assert_null(target_resume(target));
		assert_int_equal(pauses(), 0);
	}
	target_close(target);
	signal(SIGCHLD, SIG_DFL);
	assert_true(clock_us() - begin < 1500 * CLOCK_US_PER_MS);
	assert_int_equal(records(), 0);
}

/* The guards there are: children of the process. */
static pid_t guard_of(pid_t owner)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", owner, owner);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return (pid_t)strtol(text, NULL, 10);
}

static void wait_gone(pid_t pid)
{
	for (int i = 0; i < 500 && !kill(pid, 0); i++)
		poll(NULL, 0, 10);
}

/* The guard is killed while the guest is paused: we undo it ourselves, once. */
static void test_guard_killed(void **state)
{
	struct target *target = open_word("xen:pvh");
	pid_t guard;

	(void)state;
	fake->domains[2].pauses = 1;
	assert_null(target_pause(target));
	guard = guard_of(getpid());
	assert_true(guard > 0);
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 0);
	/* And between two pauses. */
	assert_null(target_pause(target));
	assert_null(target_resume(target));
	guard = guard_of(getpid());
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	assert_null(target_pause(target));
	assert_int_equal(pauses(), 2);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 1);
	target_close(target);
}

/* In a process of its own: a guard that stands still while it should resume, and goes on too late.
 */
static int resume_by_stuck_guard(void)
{
	struct target *target = open_word("xen:hvm");
	pid_t guard, waker;

	fake->domains[3].pauses = 1;
	if (target_pause(target) || fake->domains[3].pauses != 2)
		return 1;
	guard = guard_of(getpid());
	kill(guard, SIGSTOP);
	waker = fork();
	if (waker == 0) {
		poll(NULL, 0, 11000);
		kill(guard, SIGCONT);
		_exit(0);
	}
	if (target_resume(target))
		return 2;
	target_close(target);
	waitpid(waker, NULL, 0);
	return fake->domains[3].pauses == 1 ? 0 : 3;
}

/* What a guard was asked for and did not do in time it never does. */
static void test_guard_stuck(void **state)
{
	struct target *target = open_word("xen:pvh");
	pid_t guard, child;
	int status;

	(void)state;
	assert_null(target_pause(target));
	assert_null(target_resume(target));
	guard = guard_of(getpid());
	kill(guard, SIGSTOP);
	child = fork();
	if (child == 0)
		_exit(resume_by_stuck_guard());
	assert_null(target_pause(target));
	kill(guard, SIGCONT);
	poll(NULL, 0, 50);
	assert_int_equal(pauses(), 1);
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(pauses(), 0);
	target_close(target);
}

/* A process that has the guest paused and holds still. */
static pid_t pausing_process(pid_t *ret_guard)
{
	int ready[2];
	pid_t pid, guard = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct target *target = open_word("xen:pvh");

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (target_pause(target))
			_exit(1);
		guard = guard_of(getpid());
		if (write(ready[1], &guard, sizeof(guard)) != sizeof(guard))
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &guard, sizeof(guard)), sizeof(guard));
	close(ready[0]);
	/* It marks what it did a moment after that. */
	poll(NULL, 0, 50);
	*ret_guard = guard;
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Handles of a process that was killed are not counted. */
	fake->open = 0;
	fake->mapped = 0;
}

static void test_owner_killed(void **state)
{
	pid_t guard, owner;

	(void)state;
	for (int others = 0; others < 2; others++) {
		fake->domains[2].pauses = others;
		owner = pausing_process(&guard);
		assert_int_equal(pauses(), others + 1);
		end_process(owner);
		wait_gone(guard);
		assert_int_equal(pauses(), others);
		assert_int_equal(records(), 0);
	}
}

/* A child of the owner that has all its descriptors lives on: the guard undoes it all the same. */
static void test_owner_killed_child_lives(void **state)
{
	pid_t ids[2] = {0}, owner;
	int ready[2];

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	assert_true(owner >= 0);
	if (owner == 0) {
		struct target *target = open_word("xen:pvh");

		if (target_pause(target))
			_exit(1);
		ids[0] = guard_of(getpid());
		ids[1] = fork();
		/* Should the test fail, the child does not stay for ever. */
		alarm(20);
		if (ids[1] && write(ready[1], ids, sizeof(ids)) != sizeof(ids))
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], ids, sizeof(ids)), sizeof(ids));
	close(ready[0]);
	assert_int_equal(pauses(), 1);
	end_process(owner);
	for (int i = 0; i < 100 && pauses(); i++)
		poll(NULL, 0, 10);
	assert_int_equal(pauses(), 0);
	wait_gone(ids[0]);
	assert_int_equal(records(), 0);
	assert_int_equal(kill(ids[1], SIGKILL), 0);
}

/* Both are killed: the next one undoes it, once, and says so. */
static void test_both_killed(void **state)
{
	struct target *target;
	pid_t guard, owner;

	(void)state;
	for (int others = 0; others < 2; others++) {
		fake->domains[2].pauses = others;
		owner = pausing_process(&guard);
		kill(guard, SIGKILL);
		poll(NULL, 0, 50);
		end_process(owner);
		assert_int_equal(pauses(), others + 1);
		assert_int_equal(records(), 1);
		target = open_word("xen:pvh");
		assert_int_equal(pauses(), others);
		assert_int_equal(records(), 0);
		assert_int_equal(target->note_count, 1);
		assert_non_null(strstr(target->notes[0], "it was resumed"));
		target_close(target);
		/* Not twice. */
		target = open_word("xen:pvh");
		assert_int_equal(pauses(), others);
		assert_int_equal(target->note_count, 0);
		target_close(target);
	}
}

/* The same while another nunchi has the guest open already: its next pause undoes it first. */
static void test_left_to_another(void **state)
{
	struct target *target = open_word("xen:pvh");
	pid_t guard, owner;

	(void)state;
	for (int others = 0; others < 2; others++) {
		fake->domains[2].pauses = others;
		owner = pausing_process(&guard);
		kill(guard, SIGKILL);
		poll(NULL, 0, 50);
		kill(owner, SIGKILL);
		waitpid(owner, NULL, 0);
		assert_int_equal(pauses(), others + 1);
		assert_null(target_pause(target));
		assert_int_equal(pauses(), others + 1);
		assert_null(target_resume(target));
		assert_int_equal(pauses(), others);
		assert_int_equal(records(), 0);
		assert_int_equal(target->note_count, others + 1);
	}
	target_close(target);
	/* Handles of processes that were killed. */
	fake->open = 0;
	fake->mapped = 0;
}

/* The owner is killed while its guard is at it: whoever comes then waits for what becomes of that.
 */
static void test_left_in_the_midst(void **state)
{
	struct target *target = open_word("xen:pvh");
	pid_t owner;

	(void)state;
	fake->slow_pauses = 300;
	owner = fork();
	if (owner == 0)
		_exit(target_pause(open_word("xen:pvh")) != NULL);
	for (int i = 0; i < 500 && !pauses(); i++)
		poll(NULL, 0, 1);
	kill(owner, SIGKILL);
	waitpid(owner, NULL, 0);
	assert_int_equal(pauses(), 1);
	assert_null(target_pause(target));
	assert_null(target_resume(target));
	for (int i = 0; i < 100 && pauses(); i++)
		poll(NULL, 0, 10);
	assert_int_equal(pauses(), 0);
	assert_int_equal(records(), 0);
	target_close(target);
	/* Handles of processes that were killed. */
	fake->open = 0;
	fake->mapped = 0;
}

/* The owner is killed before its guard began, and the record repaired: then it does not begin. */
static void test_left_before(void **state)
{
	pid_t owner, guard = 0;
	int ready[2];

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	if (owner == 0) {
		struct target *target = open_word("xen:pvh");

		if (target_pause(target) || target_resume(target))
			_exit(1);
		guard = guard_of(getpid());
		kill(guard, SIGSTOP);
		if (write(ready[1], &guard, sizeof(guard)) == sizeof(guard))
			nunchi_error_destroy(target_pause(target));
		_exit(1);
	}
	assert_int_equal(read(ready[0], &guard, sizeof(guard)), sizeof(guard));
	for (int i = 0; i < 500 && !records(); i++)
		poll(NULL, 0, 1);
	poll(NULL, 0, 50);
	end_process(owner);
	target_close(open_word("xen:pvh"));
	assert_int_equal(records(), 0);
	kill(guard, SIGCONT);
	wait_gone(guard);
	assert_int_equal(pauses(), 0);
	close(ready[0]);
	close(ready[1]);
}

/* Appends to the only log, as a guard that is killed in the middle of a call leaves it. */
static void mark_log(const char *state)
{
	char path[512];
	DIR *directory = opendir(logs);
	FILE *file;

	for (struct dirent *entry; (entry = readdir(directory));) {
		if (entry->d_name[0] != '.')
			snprintf(path, sizeof(path), "%s/%s", logs, entry->d_name);
	}
	closedir(directory);
	file = fopen(path, "ae");
	fprintf(file, "1 pause %s\n", state);
	fclose(file);
}

/* A pause that somebody made after ours was over is left as it is. */
static void test_pause_of_an_administrator(void **state)
{
	struct target *target;
	pid_t guard, owner;

	(void)state;
	/* The next nunchi. */
	owner = pausing_process(&guard);
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	end_process(owner);
	fake->domains[2].info.cpu_time += 1000;
	target = open_word("xen:pvh");
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 0);
	assert_int_equal(target->note_count, 1);
	assert_non_null(strstr(target->notes[0], "somebody else has paused it since"));
	/* The guard that is asked to resume. */
	fake->domains[2].pauses = 0;
	assert_null(target_pause(target));
	poll(NULL, 0, 50);
	fake->domains[2].info.cpu_time += 1000;
	assert_null(target_resume(target));
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 0);
	target_close(target);
	/* The guard whose nunchi was killed. */
	fake->domains[2].pauses = 0;
	owner = pausing_process(&guard);
	fake->domains[2].info.cpu_time += 1000;
	end_process(owner);
	wait_gone(guard);
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 0);
}

/* The log of a domain that is gone goes, also where another domain has its number now. */
static void test_dead_domains(void **state)
{
	pid_t guard, owner;

	(void)state;
	for (int i = 0; i < 2; i++) {
		owner = pausing_process(&guard);
		kill(guard, SIGKILL);
		poll(NULL, 0, 50);
		end_process(owner);
		assert_int_equal(records(), 1);
		if (i)
			fake->domains[2].info.handle[0] ^= 1;
		else
			fake->domains[2].there = false;
		target_close(open_word("xen:hvm"));
		assert_int_equal(records(), 0);
		assert_int_equal(pauses(), 1);
		fake->domains[2].there = true;
		fake->domains[2].pauses = 0;
	}
	/* That of a domain that lives stays. */
	owner = pausing_process(&guard);
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	end_process(owner);
	target_close(open_word("xen:hvm"));
	assert_int_equal(records(), 1);
	assert_int_equal(pauses(), 1);
}

/* Where it cannot be told whose the pause is, it stays, and every run says so until it is over. */
static void test_cannot_tell(void **state)
{
	static const char *const states[] = {"doing", "undoing"};
	struct target *target;
	pid_t guard, owner;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		fake->domains[2].pauses = 0;
		owner = pausing_process(&guard);
		kill(guard, SIGKILL);
		poll(NULL, 0, 50);
		end_process(owner);
		mark_log(states[i]);
		for (int run = 0; run < 2; run++) {
			target = open_word("xen:pvh");
			assert_int_equal(pauses(), 1);
			assert_int_equal(target->note_count, 1);
			assert_non_null(strstr(target->notes[0], "xl unpause 5"));
			/* Our own pauses are counted as ever. */
			assert_null(target_pause(target));
			assert_int_equal(pauses(), 2);
			assert_null(target_resume(target));
			assert_int_equal(pauses(), 1);
			target_close(target);
			assert_int_equal(records(), 1);
		}
		fake->domains[2].pauses = 0;
		target = open_word("xen:pvh");
		assert_int_equal(target->note_count, 0);
		assert_int_equal(records(), 0);
		target_close(target);
	}
	/* Before it began to: nothing is undone, though somebody has it paused. */
	owner = pausing_process(&guard);
	kill(guard, SIGKILL);
	poll(NULL, 0, 50);
	end_process(owner);
	mark_log("logged");
	target = open_word("xen:pvh");
	assert_int_equal(pauses(), 1);
	assert_int_equal(records(), 0);
	target_close(target);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(pause),
	    TEST(pause_refused),
	    TEST(guard_killed),
	    TEST(guard_stuck),
	    TEST(owner_killed_child_lives),
	    TEST(signals),
	    TEST(sigchld_ignored),
	    TEST(owner_killed),
	    TEST(both_killed),
	    TEST(left_to_another),
	    TEST(left_in_the_midst),
	    TEST(left_before),
	    TEST(pause_of_an_administrator),
	    TEST(dead_domains),
	    TEST(cannot_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
