/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pausing on real QEMU: whatever happens to the one who pauses, the guest runs on. */
#include "journal/undo_log.h"
#include "qemu/machine.h"
#include "target/qemu/internal.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const plain[] = {"-machine", "pc", "-m", "64", "-smp", "2", NULL};
static const struct target_options options = {.sigbus_guard = true};

static char runtime[] = "/tmp/nunchi-run-XXXXXX";
static char logs[] = "/tmp/nunchi-run-XXXXXX/nunchi";
/* In place of root's (src/journal/place.c). */
const char *const undo_log_root_directory = logs;

/* In a process that a test forks, a failure must not go on with the tests. */
static bool in_child;

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s (%s)\n", nunchi_error_message(err),
			    nunchi_error_hint(err) ? nunchi_error_hint(err) : "");
	if (err && in_child)
		_exit(3);
	assert_null(err);
}

static struct target *open_pid(const struct machine *machine)
{
	struct target *target = NULL;
	char word[32];

	snprintf(word, sizeof(word), "qemu:%d", machine->pid);
	ok(target_open(word, &options, &target));
	return target;
}

static bool link_of(const char *pid, char *ret, size_t size)
{
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, ret, size - 1);
	if (n <= 0)
		return false;
	ret[n] = '\0';
	return true;
}

/*
 * How many guards there are of this program's: all processes that run the guard program beside it.
 * Others may use nunchi on this host too.
 */
static unsigned guards(void)
{
	char own[4096], other[4096];
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	assert_true(link_of("self", own, sizeof(own)));
	strcpy(strrchr(own, '/'), "/nunchi-guard");
	while ((entry = readdir(dir)))
		count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			 link_of(entry->d_name, other, sizeof(other)) && !strcmp(own, other);
	closedir(dir);
	return count;
}

static bool no_guards_within(unsigned before, int ms)
{
	for (; ms > 0 && guards() > before; ms -= 5)
		usleep(5000);
	return ms > 0;
}

static void test_pauses_nest_and_are_measured(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;
	enum target_state now;
	uint64_t stopped, resumed;
	unsigned before = guards();

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	target = open_pid(&machine);
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_RUNNING);
	ok(target_pause(target));
	ok(target_pause(target));
	assert_int_equal(guards(), before + 1);
	stopped = observer_event(&observer, "STOP");
	assert_false(observer_is_running(&observer));
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_PAUSED);
	assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_HELD);
	ok(target_resume(target));
	assert_false(observer_is_running(&observer));
	usleep(20000);
	ok(target_resume(target));
	resumed = observer_event(&observer, "RESUME");
	assert_true(observer_is_running(&observer));
	assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
	/* What we say is what QEMU saw. */
	assert_int_equal(target_paused_us(target), resumed - stopped);
	_cleanup_error_ struct nunchi_error *err = target_resume(target);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	/* Closing resumes what was left paused. */
	ok(target_pause(target));
	target_close(target);
	assert_true(observer_is_running(&observer));
	assert_int_equal(guards(), before);
	observer_close(&observer);
	machine_stop(&machine);
}

static int compare(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : 1;
}

/* An empty pause takes hardly longer than a bare stop and cont; printed, bounded generously. */
static void test_overhead(void **state)
{
	enum { COUNT = 50 };
	double bare[COUNT], ours[COUNT], wall[COUNT];
	struct observer observer;
	struct machine machine;
	struct target *target;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	for (int i = 0; i < COUNT; i++) {
		uint64_t stopped;

		/* Answers come after their events: so both are sent before either is read. */
		const char commands[] = "{\"execute\":\"stop\"}\n{\"execute\":\"cont\"}\n";
		assert_int_equal(send(observer.fd, commands, sizeof(commands) - 1, 0),
				 sizeof(commands) - 1);
		stopped = observer_event(&observer, "STOP");
		bare[i] = (double)(observer_event(&observer, "RESUME") - stopped);
	}
	target = open_pid(&machine);
	for (int i = 0; i < COUNT; i++) {
		double begin = now_ms();
		uint64_t stopped;

		ok(target_pause(target));
		ok(target_resume(target));
		wall[i] = (now_ms() - begin) * 1000;
		stopped = observer_event(&observer, "STOP");
		ours[i] = (double)(observer_event(&observer, "RESUME") - stopped);
	}
	qsort(bare, COUNT, sizeof(double), compare);
	qsort(ours, COUNT, sizeof(double), compare);
	qsort(wall, COUNT, sizeof(double), compare);
	print_message("empty pause, median us: %.0f bare, %.0f ours, %.0f ours with all around\n",
		      bare[COUNT / 2], ours[COUNT / 2], wall[COUNT / 2]);
	assert_true(ours[COUNT / 2] < bare[COUNT / 2] + 20000);
	target_close(target);
	observer_close(&observer);
	machine_stop(&machine);
}

static void test_pause_of_somebody_else_stays(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	observer_ask(&observer, "\"stop\"");
	target = open_pid(&machine);
	assert_int_equal(target->note_count, 0);
	ok(target_pause(target));
	assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
	ok(target_resume(target));
	assert_int_equal(target_paused_us(target), 0);
	assert_false(observer_is_running(&observer));
	target_close(target);
	assert_false(observer_is_running(&observer));
	observer_close(&observer);
	machine_stop(&machine);
}

/* Pauses and resumes until it is killed. */
static void pause_for_ever(const struct machine *machine)
{
	struct target *target = open_pid(machine);

	for (;;) {
		ok(target_pause(target));
		usleep(500);
		ok(target_resume(target));
	}
}

static void test_killed_at_any_moment_the_guest_runs_on(void **state)
{
	unsigned before = guards(), seed = 7, paused = 0;
	struct observer observer;
	struct machine machine;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();
		struct target *target;
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			in_child = true;
			pause_for_ever(&machine);
			_exit(0);
		}
		usleep((useconds_t)(3000 + rand_r(&seed) % 30000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		paused += !observer_is_running(&observer);
		assert_true(no_guards_within(before, 5000));
		assert_true(observer_is_running(&observer));
		/* The guard has removed the log: there is nothing to repair. */
		if (i % 10 == 9) {
			target = open_pid(&machine);
			assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
			assert_int_equal(target->note_count, 0);
			target_close(target);
		}
	}
	print_message("killed 60 times, %u times found paused yet\n", paused);
	observer_close(&observer);
	machine_stop(&machine);
}

/* In a process of its own: pauses, tells the guard's id, and waits to be killed. */
static pid_t start_pauser(const struct machine *machine, pid_t *ret_guard)
{
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		in_child = true;
		struct target *target = open_pid(machine);
		pid_t guard;

		ok(target_pause(target));
		guard = guard_process(qemu_of(target)->undo.guard);
		if (write(pipe_fds[1], &guard, sizeof(guard)) == sizeof(guard))
			for (;;)
				pause();
		_exit(1);
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], ret_guard, sizeof(*ret_guard)), sizeof(*ret_guard));
	close(pipe_fds[0]);
	return pid;
}

static void kill_both(const struct machine *machine, bool guard_first)
{
	pid_t guard, pid = start_pauser(machine, &guard);

	/* Stopped first, so that neither can act on the other's death. */
	kill(guard, SIGSTOP);
	kill(guard_first ? guard : pid, SIGKILL);
	kill(guard_first ? pid : guard, SIGKILL);
	waitpid(pid, NULL, 0);
	usleep(20000);
}

static void test_both_killed_the_next_one_repairs(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	for (int i = 0; i < 4; i++) {
		kill_both(&machine, i % 2);
		assert_false(observer_is_running(&observer));
		target = open_pid(&machine);
		assert_true(observer_is_running(&observer));
		assert_int_equal(target->note_count, 1);
		assert_non_null(strstr(target->notes[0], "was resumed"));
		assert_int_equal(target->repaired, 1);
		assert_int_equal(target->unrepaired, 0);
		assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
		target_close(target);
	}
	/* Resumed by somebody else meanwhile, it is only the log that goes. */
	kill_both(&machine, false);
	observer_ask(&observer, "\"cont\"");
	target = open_pid(&machine);
	assert_int_equal(target->note_count, 0);
	assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
	target_close(target);
	observer_close(&observer);
	machine_stop(&machine);
}

/* How many logs there are. */
static unsigned records(void)
{
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir = opendir(logs);

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* An administrator has the guest run for a while, its firmware at work, and then stops it. */
static void stop_anew(struct observer *observer)
{
	observer_ask(observer, "\"system_reset\"");
	observer_ask(observer, "\"cont\"");
	usleep(1000000);
	observer_ask(observer, "\"stop\"");
	assert_false(observer_is_running(observer));
}

/* A stop that an administrator made after ours was over is left as it is, by whoever comes. */
static void test_stop_of_an_administrator_stays(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;
	unsigned before = guards();
	pid_t guard, owner;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	/* Nunchi and guard were killed: the next nunchi. */
	kill_both(&machine, false);
	stop_anew(&observer);
	target = open_pid(&machine);
	assert_false(observer_is_running(&observer));
	assert_int_equal(target->note_count, 1);
	assert_non_null(strstr(target->notes[0], "somebody else has paused it since"));
	assert_int_equal(records(), 0);
	target_close(target);
	observer_ask(&observer, "\"cont\"");
	/* Nunchi was killed: its guard. */
	owner = start_pauser(&machine, &guard);
	stop_anew(&observer);
	kill(owner, SIGKILL);
	waitpid(owner, NULL, 0);
	assert_true(no_guards_within(before, 5000));
	assert_false(observer_is_running(&observer));
	assert_int_equal(records(), 0);
	observer_ask(&observer, "\"cont\"");
	/* Nunchi itself, which has paused the guest. */
	target = open_pid(&machine);
	ok(target_pause(target));
	stop_anew(&observer);
	ok(target_resume(target));
	assert_false(observer_is_running(&observer));
	assert_int_equal(records(), 0);
	/* And once more, where events did not tell. */
	observer_ask(&observer, "\"cont\"");
	ok(target_pause(target));
	shutdown(qmp_client_fd(qemu_of(target)->qmp), SHUT_RDWR);
	stop_anew(&observer);
	ok(target_resume(target));
	assert_false(observer_is_running(&observer));
	target_close(target);
	observer_close(&observer);
	machine_stop(&machine);
}

/* Logs of guests that are gone are removed by the next nunchi that opens any guest. */
static void test_logs_of_dead_guests_go(void **state)
{
	struct machine machine, other;
	struct target *target;
	char path[200], boot[9] = "";
	struct stat namespace;
	FILE *file;

	(void)state;
	machine_start(&machine, plain);
	kill_both(&machine, false);
	machine_stop(&machine);
	assert_int_equal(records(), 1);
	machine_start(&other, plain);
	assert_int_equal(stat("/proc/self/ns/pid", &namespace), 0);
	/* Of a process that has the id of another one now, of an earlier boot, of another kind. */
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	assert_true(fgets(boot, sizeof(boot), file) != NULL);
	fclose(file);
	for (int i = 0; i < 3; i++) {
		static const char *const kinds[] = {"qemu", "xen", "xen"};

		snprintf(path, sizeof(path), "%s/%s-%s-%d-12-%llu", logs, kinds[i],
			 i == 1 ? "01234567" : boot, other.pid,
			 (unsigned long long)namespace.st_ino);
		file = fopen(path, "we");
		fprintf(file, "nunchi undo log 1\nguest x\n1 pause done\n");
		fclose(file);
	}
	assert_int_equal(records(), 4);
	target = open_pid(&other);
	assert_int_equal(target->note_count, 0);
	/* Of Xen's guests this boot only Xen can tell. */
	assert_int_equal(records(), 1);
	assert_int_equal(unlink(path), 0);
	target_close(target);
	machine_stop(&other);
}

/* While its owner lives, nobody touches its pause. */
static void test_pause_of_a_living_nunchi_is_left_alone(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;
	pid_t pid, guard;

	(void)state;
	machine_start(&machine, plain);
	pid = start_pauser(&machine, &guard);
	target = open_pid(&machine);
	assert_int_equal(target->note_count, 0);
	ok(target_pause(target));
	ok(target_resume(target));
	target_close(target);
	observer_open(&observer, machine.second);
	assert_false(observer_is_running(&observer));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(observer_wait_running(&observer, true, 5000));
	observer_close(&observer);
	machine_stop(&machine);
}

/* ---- Signals ----------------------------------------------------------------------------------
 */

#define PAUSES 1000

/* A thread that pauses a machine of its own. */
struct pausing {
	pthread_t thread;
	struct machine machine;
	struct observer observer;
	struct target *target;
	unsigned done, wanted;
	unsigned caught;
	atomic_bool over;
	struct nunchi_error *err;
};

static _Thread_local volatile sig_atomic_t signals_caught;

static void count_signal(int number)
{
	(void)number;
	signals_caught++;
}

static void *pause_and_resume(void *data)
{
	struct pausing *pausing = data;

	signals_caught = 0;
	while (!pausing->err && pausing->done < pausing->wanted) {
		pausing->err = target_pause(pausing->target);
		if (!pausing->err)
			pausing->err = target_resume(pausing->target);
		pausing->done += !pausing->err;
	}
	pausing->caught += (unsigned)signals_caught;
	atomic_store(&pausing->over, true);
	return NULL;
}

/* Sends a signal to each thread, also this one, every millisecond until all have paused enough. */
static void pause_among_signals(struct pausing *all, size_t count, unsigned wanted, int flags)
{
	const struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
	bool over = false;

	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	for (size_t i = 0; i < count; i++) {
		all[i].wanted = wanted;
		atomic_store(&all[i].over, false);
		assert_int_equal(pthread_create(&all[i].thread, NULL, pause_and_resume, &all[i]),
				 0);
	}
	while (!over) {
		over = true;
		for (size_t i = 0; i < count; i++) {
			pthread_kill(all[i].thread, SIGUSR1);
			over = over && atomic_load(&all[i].over);
		}
		pthread_kill(pthread_self(), SIGUSR1);
		usleep(1000);
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pthread_join(all[i].thread, NULL), 0);
}

/*
 * Signals at 1 kHz to every thread, caught with and without SA_RESTART, through 1,000 pauses: all
 * of them are made and undone, as QEMU's own events say, and the guest runs at the end.
 */
static void test_signals_leave_no_guest_paused(void **state)
{
	static struct pausing all[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		machine_start(&all[i].machine, plain);
		observer_open(&all[i].observer, all[i].machine.second);
		all[i].target = open_pid(&all[i].machine);
	}
	pause_among_signals(all, ARRAY_SIZE(all), PAUSES / 2, 0);
	pause_among_signals(all, ARRAY_SIZE(all), PAUSES, SA_RESTART);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		ok(all[i].err);
		assert_int_equal(all[i].done, PAUSES);
		assert_true(all[i].caught > PAUSES / 10);
		assert_int_equal(undo_log_look(qemu_of(all[i].target)->undo.key), UNDO_LOG_NONE);
		target_close(all[i].target);
		assert_true(observer_is_running(&all[i].observer));
		assert_int_equal(all[i].observer.stops, PAUSES);
		assert_int_equal(all[i].observer.resumes, PAUSES);
		print_message("%u pauses, %u signals caught\n", all[i].done, all[i].caught);
		observer_close(&all[i].observer);
		machine_stop(&all[i].machine);
	}
}

/* A program that ignores SIGCHLD, as daemons do, pauses and resumes as any other. */
static void test_ignored_sigchld_breaks_no_pause(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;
	unsigned before = guards();
	double begin;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	signal(SIGCHLD, SIG_IGN);
	begin = now_ms();
	target = open_pid(&machine);
	for (int i = 0; i < 3; i++) {
		ok(target_pause(target));
		assert_false(observer_is_running(&observer));
		/* The kernel gives nobody the status of the guard that is killed. */
		if (i == 1)
			kill(guard_process(qemu_of(target)->undo.guard), SIGKILL);
		ok(target_resume(target));
		assert_true(observer_is_running(&observer));
	}
	target_close(target);
	/* To wait in vain for a guard would take seconds. */
	assert_true(now_ms() - begin < 2000);
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(guards(), before);
	observer_close(&observer);
	machine_stop(&machine);
}

/* A child of the owner that has all its descriptors lives on: the guard resumes all the same. */
static void test_owner_killed_whose_child_lives(void **state)
{
	struct observer observer;
	struct machine machine;
	int pipe_fds[2];
	pid_t pid, child;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		in_child = true;
		ok(target_pause(open_pid(&machine)));
		child = fork();
		/* Should the test fail, the child does not stay for ever. */
		alarm(20);
		if (child && write(pipe_fds[1], &child, sizeof(child)) != sizeof(child))
			_exit(1);
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
	close(pipe_fds[0]);
	assert_false(observer_is_running(&observer));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(observer_wait_running(&observer, true, 1000));
	kill(child, SIGKILL);
	assert_true(no_guards_within(0, 5000));
	observer_close(&observer);
	machine_stop(&machine);
}

static void test_guard_alone_killed_is_replaced(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;
	pid_t guard;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	target = open_pid(&machine);
	ok(target_pause(target));
	guard = guard_process(qemu_of(target)->undo.guard);
	assert_int_equal(kill(guard, SIGKILL), 0);
	/* Dead, but left to be waited for by its parent. */
	assert_int_equal(waitid(P_PID, (id_t)guard, NULL, WEXITED | WNOWAIT), 0);
	ok(target_resume(target));
	assert_true(observer_is_running(&observer));
	ok(target_pause(target));
	assert_int_not_equal(guard_process(qemu_of(target)->undo.guard), guard);
	ok(target_resume(target));
	target_close(target);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	observer_close(&observer);
	machine_stop(&machine);
}

/* QEMU drops our connection while the guest is paused. */
static void test_broken_connection_is_made_anew(void **state)
{
	struct observer observer;
	struct machine machine;
	struct target *target;

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	target = open_pid(&machine);
	ok(target_pause(target));
	assert_false(observer_is_running(&observer));
	shutdown(qmp_client_fd(qemu_of(target)->qmp), SHUT_RDWR);
	ok(target_resume(target));
	assert_true(observer_is_running(&observer));
	ok(target_pause(target));
	assert_false(observer_is_running(&observer));
	ok(target_resume(target));
	assert_true(observer_is_running(&observer));
	target_close(target);
	observer_close(&observer);
	machine_stop(&machine);
}

static void test_cancelled_leaves_the_guest_running(void **state)
{
	struct cancel cancel = {.requested = false};
	const struct target_options cancellable = {.cancel = &cancel};
	struct observer observer;
	struct machine machine;
	struct target *target = NULL, *other = NULL;
	enum target_state now;
	char word[32];

	(void)state;
	machine_start(&machine, plain);
	observer_open(&observer, machine.second);
	snprintf(word, sizeof(word), "qemu:%d", machine.pid);
	ok(target_open(word, &cancellable, &target));
	ok(target_pause(target));
	cancel_request(&cancel);
	/* Looks are refused, resuming is not. */
	kill(machine.pid, SIGSTOP);
	_cleanup_error_ struct nunchi_error *err = target_get_state(target, &now);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	kill(machine.pid, SIGCONT);
	ok(target_resume(target));
	assert_true(observer_is_running(&observer));
	target_close(target);
	kill(machine.pid, SIGSTOP);
	_cleanup_error_ struct nunchi_error *at_open = target_open(word, &cancellable, &other);
	kill(machine.pid, SIGCONT);
	assert_true(error_is(at_open, NUNCHI_ERROR_CANCELLED));
	assert_null(other);
	observer_close(&observer);
	machine_stop(&machine);
}

static void test_guest_that_ends_while_paused(void **state)
{
	struct machine machine;
	struct target *target;
	enum target_state now;

	(void)state;
	machine_start(&machine, plain);
	target = open_pid(&machine);
	ok(target_pause(target));
	machine_stop(&machine);
	ok(target_get_state(target, &now));
	assert_int_equal(now, TARGET_ENDED);
	ok(target_resume(target));
	assert_int_equal(undo_log_look(qemu_of(target)->undo.key), UNDO_LOG_NONE);
	_cleanup_error_ struct nunchi_error *err = target_pause(target);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	target_close(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pauses_nest_and_are_measured),
	    cmocka_unit_test(test_overhead),
	    cmocka_unit_test(test_pause_of_somebody_else_stays),
	    cmocka_unit_test(test_killed_at_any_moment_the_guest_runs_on),
	    cmocka_unit_test(test_both_killed_the_next_one_repairs),
	    cmocka_unit_test(test_stop_of_an_administrator_stays),
	    cmocka_unit_test(test_logs_of_dead_guests_go),
	    cmocka_unit_test(test_pause_of_a_living_nunchi_is_left_alone),
	    cmocka_unit_test(test_signals_leave_no_guest_paused),
	    cmocka_unit_test(test_ignored_sigchld_breaks_no_pause),
	    cmocka_unit_test(test_owner_killed_whose_child_lives),
	    cmocka_unit_test(test_guard_alone_killed_is_replaced),
	    cmocka_unit_test(test_broken_connection_is_made_anew),
	    cmocka_unit_test(test_cancelled_leaves_the_guest_running),
	    cmocka_unit_test(test_guest_that_ends_while_paused),
	};
	int failed;

	if (!machine_available()) {
		fprintf(stderr, "qemu-system-x86_64 is not installed\n");
		return 77;
	}
	if (!mkdtemp(runtime) || setenv("XDG_RUNTIME_DIR", runtime, 1))
		return 1;
	snprintf(logs, sizeof(logs), "%s/nunchi", runtime);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(logs);
	rmdir(runtime);
	return failed;
}
