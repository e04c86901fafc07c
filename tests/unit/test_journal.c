/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/guard.h"
#include "journal/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define KEY "test-1-2"

static char runtime[] = "/tmp/nunchi-test-XXXXXX";

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
}

static char *record_path(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/nunchi/" KEY, runtime);
	return path;
}

static int setup(void **state)
{
	(void)state;
	strcpy(runtime + strlen(runtime) - 6, "XXXXXX");
	if (!mkdtemp(runtime))
		return -1;
	return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int teardown(void **state)
{
	char path[256];

	(void)state;
	unlink(record_path());
	snprintf(path, sizeof(path), "%s/nunchi", runtime);
	rmdir(path);
	return rmdir(runtime);
}

/* Runs f in a process that then holds still until it is killed; returns when f is done. */
static pid_t in_process(void (*f)(void *data), void *data)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		f(data);
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_now(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- Journal ----------------------------------------------------------------------------------
 */

static void test_record_lives_from_write_to_erase(void **state)
{
	struct journal *journal = NULL, *other = NULL;
	bool left = true;
	struct stat st;

	(void)state;
	assert_int_equal(journal_look(KEY), JOURNAL_NONE);
	ok(journal_write(KEY, "pause", &journal, &left));
	assert_false(left);
	assert_string_equal(journal_path(journal), record_path());
	assert_int_equal(stat(record_path(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(journal_look(KEY), JOURNAL_HELD);
	assert_int_equal(journal_look("test-1-3"), JOURNAL_NONE);
	_cleanup_error_ struct nunchi_error *busy = journal_write(KEY, "pause", &other, &left);
	assert_true(error_is(busy, NUNCHI_ERROR_BUSY));
	assert_null(other);
	journal_erase(journal);
	assert_int_equal(journal_look(KEY), JOURNAL_NONE);
	assert_int_not_equal(stat(record_path(), &st), 0);
}

static void write_record(void *data)
{
	struct journal *journal;
	bool left;

	(void)data;
	ok(journal_write(KEY, "pause", &journal, &left));
}

static void test_record_of_a_killed_owner_is_left(void **state)
{
	struct journal *journal = NULL;
	pid_t pid = in_process(write_record, NULL);

	(void)state;
	assert_int_equal(journal_look(KEY), JOURNAL_HELD);
	_cleanup_error_ struct nunchi_error *busy = journal_take(KEY, &journal);
	assert_true(error_is(busy, NUNCHI_ERROR_BUSY));
	kill_now(pid);
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
	ok(journal_take(KEY, &journal));
	assert_non_null(journal);
	assert_int_equal(journal_look(KEY), JOURNAL_HELD);
	journal_erase(journal);
	ok(journal_take(KEY, &journal));
	assert_null(journal);
}

static void test_write_takes_over_what_was_left(void **state)
{
	struct journal *journal = NULL;
	bool left = false;

	(void)state;
	kill_now(in_process(write_record, NULL));
	ok(journal_write(KEY, "pause", &journal, &left));
	assert_true(left);
	/* Not erased: the next one finds it. */
	journal_abandon(journal);
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
}

static void test_half_a_record_is_nothing_to_undo(void **state)
{
	struct journal *journal = NULL;
	struct stat st;

	(void)state;
	kill_now(in_process(write_record, NULL));
	assert_int_equal(truncate(record_path(), 20), 0);
	assert_int_equal(journal_look(KEY), JOURNAL_NONE);
	ok(journal_take(KEY, &journal));
	assert_null(journal);
	assert_int_not_equal(stat(record_path(), &st), 0);
}

static void test_only_the_record_with_that_cookie_is_removed(void **state)
{
	struct journal *journal = NULL;
	uint64_t cookie;
	bool left;

	(void)state;
	ok(journal_write(KEY, "pause", &journal, &left));
	cookie = journal_cookie(journal);
	journal_remove_left(record_path(), cookie);
	assert_int_equal(journal_look(KEY), JOURNAL_HELD);
	journal_abandon(journal);
	journal_remove_left(record_path(), cookie + 1);
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
	journal_remove_left(record_path(), cookie);
	assert_int_equal(journal_look(KEY), JOURNAL_NONE);
}

static void test_symlinks_and_keys_that_escape_are_refused(void **state)
{
	struct journal *journal = NULL;
	char target[256];
	bool left;

	(void)state;
	kill_now(in_process(write_record, NULL));
	unlink(record_path());
	snprintf(target, sizeof(target), "%s/victim", runtime);
	assert_int_equal(symlink(target, record_path()), 0);
	_cleanup_error_ struct nunchi_error *link = journal_write(KEY, "pause", &journal, &left);
	assert_non_null(link);
	assert_int_not_equal(access(target, F_OK), 0);
	_cleanup_error_ struct nunchi_error *key = journal_write("../x", "pause", &journal, &left);
	assert_true(error_is(key, NUNCHI_ERROR_ARGUMENT));
	_cleanup_error_ struct nunchi_error *empty = journal_take("", &journal);
	assert_true(error_is(empty, NUNCHI_ERROR_ARGUMENT));
	assert_null(journal);
}

static void test_directory_open_to_others_is_not_used(void **state)
{
	struct journal *journal = NULL;
	char path[256];
	bool left;

	(void)state;
	snprintf(path, sizeof(path), "%s/nunchi", runtime);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	/* Another place may serve; that one must not. */
	_cleanup_error_ struct nunchi_error *err = journal_write(KEY, "pause", &journal, &left);
	if (!err)
		assert_int_not_equal(strncmp(journal_path(journal), path, strlen(path)), 0);
	journal_erase(journal);
}

/* ---- Guard ------------------------------------------------------------------------------------
 */

struct owner {
	int target; /* the owner's connection */
	bool arm, disarm, inherit;
	pid_t *guard; /* shared */
};

static void be_owner(void *data)
{
	struct owner *owner = data;
	struct guard_plan plan = {owner->target, "\xff undo it", 9, "done-17"};
	struct journal *journal;
	struct guard *guard;
	bool left;

	ok(journal_write(KEY, "pause", &journal, &left));
	ok(guard_create(&plan, &guard));
	*owner->guard = guard_process(guard);
	if (owner->arm)
		ok(guard_arm(guard, journal_path(journal), journal_cookie(journal)));
	if (owner->disarm)
		guard_disarm(guard);
	/* A child that has all descriptors, as a careless program may have. */
	if (owner->inherit && fork() == 0) {
		sleep(3);
		_exit(0);
	}
}

static size_t receive(int fd, char *buffer, size_t size, int timeout_ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return 0;
	n = recv(fd, buffer, size, 0);
	return n < 0 ? 0 : (size_t)n;
}

static bool gone_within(pid_t pid, int ms)
{
	for (int i = 0; i < ms; i++) {
		char path[64], line[256] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = fopen(path, "r");
		if (!file)
			return true;
		if (fgets(line, sizeof(line), file) && strstr(line, ") Z"))
			i = ms;
		fclose(file);
		if (i == ms)
			return true;
		usleep(1000);
	}
	return false;
}

/* Starts an owner with its guard; *ret_end is the hypervisor's end of the connection. */
static pid_t start_owner(struct owner *owner, int *ret_end, pid_t *ret_guard)
{
	int sockets[2], shared[2];
	pid_t pid, *page;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(pipe2(shared, O_CLOEXEC), 0);
	page = malloc(sizeof(*page));
	owner->target = sockets[0];
	owner->guard = page;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Should the test end early, it does not stay behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sockets[1]);
		be_owner(owner);
		if (write(shared[1], page, sizeof(*page)) != sizeof(*page))
			_exit(1);
		for (;;)
			pause();
	}
	close(sockets[0]);
	close(shared[1]);
	assert_int_equal(read(shared[0], ret_guard, sizeof(*ret_guard)), sizeof(*ret_guard));
	close(shared[0]);
	free(page);
	*ret_end = sockets[1];
	return pid;
}

static void test_guard_undoes_when_its_owner_is_killed(void **state)
{
	struct owner owner = {.arm = true};
	char buffer[64];
	pid_t pid, guard;
	int end;

	(void)state;
	pid = start_owner(&owner, &end, &guard);
	assert_int_equal(receive(end, buffer, sizeof(buffer), 50), 0);
	kill_now(pid);
	assert_int_equal(receive(end, buffer, sizeof(buffer), 2000), 9);
	assert_memory_equal(buffer, "\xff undo it", 9);
	/* Not before the answer: it comes in pieces, among other things. */
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
	assert_int_equal(send(end, "{event} don", 11, 0), 11);
	usleep(20000);
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
	assert_int_equal(send(end, "e-17\r\n", 6, 0), 6);
	assert_true(gone_within(guard, 2000));
	assert_int_equal(journal_look(KEY), JOURNAL_NONE);
	close(end);
}

static void test_guard_without_an_answer_leaves_the_record(void **state)
{
	struct owner owner = {.arm = true};
	char buffer[64];
	pid_t pid, guard;
	int end;

	(void)state;
	pid = start_owner(&owner, &end, &guard);
	kill_now(pid);
	assert_int_equal(receive(end, buffer, sizeof(buffer), 2000), 9);
	close(end);
	assert_true(gone_within(guard, 2000));
	assert_int_equal(journal_look(KEY), JOURNAL_LEFT);
}

static void test_guard_that_is_not_armed_does_nothing(void **state)
{
	struct owner never = {.arm = false}, disarmed = {.arm = true, .disarm = true};
	struct owner *owners[] = {&never, &disarmed};
	char buffer[64];
	pid_t pid, guard;
	int end;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		pid = start_owner(owners[i], &end, &guard);
		kill_now(pid);
		/* End of file, not an undo. */
		assert_int_equal(receive(end, buffer, sizeof(buffer), 2000), 0);
		assert_true(gone_within(guard, 2000));
		close(end);
	}
}

static void test_guard_survives_signals_and_inherited_descriptors(void **state)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	/* Without pidfds (before Linux 5.3, under valgrind) only the socket tells of a death. */
	struct owner owner = {.arm = true, .inherit = pidfd >= 0};
	const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1};
	char buffer[64], path[64];
	pid_t pid, guard;
	size_t count = 0;
	int end;

	(void)state;
	pid = start_owner(&owner, &end, &guard);
	snprintf(path, sizeof(path), "/proc/%d/fd", guard);
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		/* Those of a debugger like valgrind are far above. */
		count += entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) < 256;
	closedir(dir);
	assert_in_range(count, 2, 3);
	assert_int_equal(getsid(guard), guard);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		assert_int_equal(kill(guard, signals[i]), 0);
	usleep(20000);
	assert_int_equal(kill(guard, 0), 0);
	kill_now(pid);
	assert_int_equal(receive(end, buffer, sizeof(buffer), 2000), 9);
	close(end);
	assert_true(gone_within(guard, 2000));
}

static void test_guard_ends_with_its_owner_and_leaves_no_zombie(void **state)
{
	struct guard *guard = NULL;
	struct timespec a, b;
	int sockets[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	struct guard_plan plan = {sockets[0], "x", 1, "done"};
	ok(guard_create(&plan, &guard));
	pid = guard_process(guard);
	clock_gettime(CLOCK_MONOTONIC, &a);
	guard_destroy(guard);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 1000);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	/* A guard that was killed, or is stopped, hangs nobody. */
	ok(guard_create(&plan, &guard));
	kill(guard_process(guard), SIGKILL);
	usleep(20000);
	_cleanup_error_ struct nunchi_error *err = guard_arm(guard, "/none", 1);
	assert_non_null(err);
	guard_destroy(guard);
	ok(guard_create(&plan, &guard));
	kill(guard_process(guard), SIGSTOP);
	guard_destroy(guard);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	close(sockets[0]);
	close(sockets[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_record_lives_from_write_to_erase),
	    TEST(test_record_of_a_killed_owner_is_left),
	    TEST(test_write_takes_over_what_was_left),
	    TEST(test_half_a_record_is_nothing_to_undo),
	    TEST(test_only_the_record_with_that_cookie_is_removed),
	    TEST(test_symlinks_and_keys_that_escape_are_refused),
	    TEST(test_directory_open_to_others_is_not_used),
	    TEST(test_guard_undoes_when_its_owner_is_killed),
	    TEST(test_guard_without_an_answer_leaves_the_record),
	    TEST(test_guard_that_is_not_armed_does_nothing),
	    TEST(test_guard_survives_signals_and_inherited_descriptors),
	    TEST(test_guard_ends_with_its_owner_and_leaves_no_zombie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
