/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/clock.h"
#include "journal/guard.h"
#include "journal/replay.h"
#include "journal/undo.h"
#include "journal/undo_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define KEY "test-1-2"

static char runtime[] = "/tmp/nunchi-test-XXXXXX";
static char logs[] = "/tmp/nunchi-test-XXXXXX/nunchi";
/* In place of root's (src/journal/place.c). */
const char *const undo_log_root_directory = logs;

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
}

static char *log_path(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/" KEY, logs);
	return path;
}

static struct undo_log *take(bool create)
{
	struct undo_log *log = NULL;

	ok(undo_log_take(KEY, create, &log));
	return log;
}

static int setup(void **state)
{
	(void)state;
	strcpy(runtime + strlen(runtime) - 6, "XXXXXX");
	if (!mkdtemp(runtime))
		return -1;
	snprintf(logs, sizeof(logs), "%s/nunchi", runtime);
	return setenv("XDG_RUNTIME_DIR", runtime, 1);
}

static int teardown(void **state)
{
	(void)state;
	unlink(log_path());
	rmdir(logs);
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

/* ---- Undo log ---------------------------------------------------------------------------------
 */

static void add(struct undo_log *log, unsigned number, enum undo_state state)
{
	assert_int_equal(undo_log_append(log, number, UNDO_PAUSE, state), 0);
}

static void test_log_lives_from_taking_to_erasing(void **state)
{
	struct undo_log *log, *other = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_NONE);
	assert_null(take(false));
	log = take(true);
	assert_string_equal(undo_log_path(log), log_path());
	assert_int_equal(stat(log_path(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	assert_int_equal(undo_log_look("test-1-3"), UNDO_LOG_NONE);
	_cleanup_error_ struct nunchi_error *busy = undo_log_take(KEY, true, &other);
	assert_true(error_is(busy, NUNCHI_ERROR_BUSY));
	assert_null(other);
	undo_log_erase(log);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_NONE);
	assert_int_not_equal(stat(log_path(), &st), 0);
}

static void be_paused(void *data)
{
	struct undo_log *log = take(true);

	(void)data;
	add(log, 1, UNDO_LOGGED);
	add(log, 1, UNDO_DOING);
	add(log, 1, UNDO_DONE);
}

static void test_log_of_a_killed_owner_is_left(void **state)
{
	struct undo_log *log = NULL;
	struct undo_entries entries;
	pid_t pid = in_process(be_paused, NULL);

	(void)state;
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	_cleanup_error_ struct nunchi_error *busy = undo_log_take(KEY, false, &log);
	assert_true(error_is(busy, NUNCHI_ERROR_BUSY));
	kill_now(pid);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_LEFT);
	log = take(false);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 1);
	assert_int_equal(entries.entries[0].state, UNDO_DONE);
	assert_int_equal(entries.next, 2);
	/* Not erased: the next one finds it. */
	undo_log_leave(log);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_LEFT);
	undo_log_erase(take(true));
	assert_null(take(false));
}

static void test_entries_have_their_newest_state(void **state)
{
	struct undo_log *log = take(true);
	struct undo_entries entries;
	struct stat before, after;

	(void)state;
	for (unsigned number = 1; number <= 3; number++)
		add(log, number, UNDO_DONE);
	add(log, 2, UNDO_UNDONE);
	add(log, 3, UNDO_UNDOING);
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 2);
	assert_int_equal(entries.entries[0].number, 1);
	assert_int_equal(entries.entries[1].state, UNDO_UNDOING);
	assert_int_equal(undo_log_state(log, 2), UNDO_UNDONE);
	undo_log_leave(log);
	/* What the next owner did and undid does not make it longer. */
	assert_int_equal(stat(log_path(), &before), 0);
	log = take(true);
	add(log, 4, UNDO_DONE);
	add(log, 4, UNDO_UNDONE);
	undo_log_leave_older(log);
	assert_int_equal(stat(log_path(), &after), 0);
	assert_int_equal(before.st_size, after.st_size);
}

static void append_raw(const char *text)
{
	int fd = open(log_path(), O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_bytes_are_noted_until_they_are_back(void **state)
{
	static struct undo_patch found[UNDO_PATCHES_MAX];
	struct undo_patch patch = {.frame = 0x81a3f, .offset = 0x904, .size = 5};
	struct undo_entries entries;
	struct undo_log *log = take(true);
	unsigned count = 0;
	size_t left;

	(void)state;
	memcpy(patch.bytes, "\x0f\x1f\x44\x00\x00", 5);
	add(log, 1, UNDO_DONE);
	assert_int_equal(undo_log_append_patch(log, &patch, true), 0);
	patch.offset = 0xfff;
	patch.size = 1;
	assert_int_equal(undo_log_append_patch(log, &patch, true), 0);
	assert_int_equal(undo_log_append_patch(log, &patch, true), 0);
	/* Not complete, and such that cannot be. */
	append_raw("patch 81a3f ffd 01020304\npatch 81a3f 1000 01\npatch 81a3f 5\n"
		   "patch 1 2 zz\npatch 77 0 01");
	assert_int_equal(undo_log_patches(log, found, &left), 0);
	assert_int_equal(left, 2);
	assert_int_equal(found[0].frame, 0x81a3f);
	assert_int_equal(found[0].offset, 0x904);
	assert_int_equal(found[0].size, 5);
	assert_memory_equal(found[0].bytes, "\x0f\x1f\x44\x00\x00", 5);
	assert_int_equal(found[1].offset, 0xfff);
	append_raw("\n");
	assert_int_equal(undo_log_append_patch(log, &patch, false), 0);
	assert_int_equal(undo_log_patches(log, found, &left), 0);
	assert_int_equal(left, 2);
	assert_int_equal(found[1].frame, 0x77);
	/* Entries are told beside them. */
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 1);
	/* There is an end, behind which what undoes them can be written still. */
	patch = found[0];
	for (; undo_log_append_patch(log, &patch, true) == 0; count++)
		patch.offset = (uint16_t)(count % 256);
	assert_true(count > UNDO_PATCHES_MAX);
	assert_int_equal(undo_log_append_patch(log, &patch, false), 0);
	assert_int_equal(undo_log_append(log, 1, UNDO_EVENTS, UNDO_UNDONE), 0);
	assert_int_equal(undo_log_patches(log, found, &left), 0);
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 0);
	undo_log_erase(log);
}

/* Where the disk is full in the middle of a line, the next one is not lost. */
static void test_disk_is_full(void **state)
{
	static struct undo_patch found[UNDO_PATCHES_MAX];
	struct undo_patch patch = {.frame = 0x81a3f, .offset = 0x904, .size = 1, .bytes = {0x0f}};
	struct undo_log *log = take(true);
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	struct rlimit limit, full;
	struct stat st;
	size_t left;

	(void)state;
	add(log, 1, UNDO_DONE);
	assert_int_equal(stat(log_path(), &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	full = (struct rlimit){(rlim_t)st.st_size + 9, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	assert_int_equal(undo_log_append_patch(log, &patch, true), EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, before);
	patch.offset = 0x123;
	assert_int_equal(undo_log_append_patch(log, &patch, true), 0);
	assert_int_equal(undo_log_patches(log, found, &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(found[0].offset, 0x123);
	undo_log_erase(log);
}

static void test_line_that_was_cut_off_does_not_count(void **state)
{
	struct undo_entries entries;
	struct undo_log *log;

	(void)state;
	kill_now(in_process(be_paused, NULL));
	append_raw("1 pause undone");
	log = take(false);
	/* Nor does it spoil the line behind it. */
	add(log, 2, UNDO_DOING);
	assert_int_equal(undo_log_read(log, &entries), 0);
	undo_log_leave(log);
	assert_int_equal(entries.count, 1);
	assert_int_equal(entries.entries[0].number, 2);
}

static void test_log_without_its_first_line_is_nothing_to_undo(void **state)
{
	struct stat st;

	(void)state;
	kill_now(in_process(be_paused, NULL));
	assert_int_equal(truncate(log_path(), 10), 0);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_NONE);
	assert_null(take(false));
	assert_int_not_equal(stat(log_path(), &st), 0);
}

/* A nunchi was killed when it had made the log and not written to it. */
static void test_log_that_was_not_begun_is_removed_by_the_next_one(void **state)
{
	static const struct undo_ops ops = {.words = {"", "", ""}};
	struct undo undo;
	char path[sizeof(logs) + sizeof(undo.key)], *repaired;
	struct stat st;

	(void)state;
	undo_init(&undo, &ops, NULL, "test", "%d", 7);
	undo_log_leave(take(true));
	snprintf(path, sizeof(path), "%s/%s", logs, undo.key);
	assert_int_equal(rename(log_path(), path), 0);
	assert_int_equal(truncate(path, 0), 0);
	undo_repair(&undo, &repaired);
	assert_null(repaired);
	assert_int_not_equal(stat(path, &st), 0);
}

/* What a change of a guest did, and whether the log can be written when it is made. */
struct change {
	int target, sets, clears;
};

static struct nunchi_error *look_clear(void *data, enum undo_seen *ret)
{
	(void)data;
	*ret = UNDO_SEEN_CLEAR;
	return NULL;
}

static struct nunchi_error *count_set(void *data)
{
	((struct change *)data)->sets++;
	return NULL;
}

static struct nunchi_error *count_clear(void *data)
{
	((struct change *)data)->clears++;
	return NULL;
}

/* From now on the log cannot grow. */
static struct nunchi_error *plan_on_full_disk(void *data, struct guard_plan *ret)
{
	const struct rlimit none = {0, RLIM_INFINITY};

	*ret = (struct guard_plan){.handle = ((struct change *)data)->target,
				   .kind = GUARD_SEND,
				   .undo = "x",
				   .undo_size = 1,
				   .done = "y"};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	return NULL;
}

/* Nothing was changed, so that what is there is somebody else's. */
static void test_change_that_cannot_be_logged(void **state)
{
	static const struct undo_ops ops = {
	    .type = UNDO_PAUSE,
	    .words = {"", "", ""},
	    .actor = {.look = look_clear, .clear = count_clear},
	    .set = count_set,
	    .plan = plan_on_full_disk,
	};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct change change = {0};
	struct undo undo;
	char *repaired;
	int sockets[2];
	bool ours = true;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	change.target = sockets[0];
	undo_init(&undo, &ops, &change, "test", "%d", 8);
	signal(SIGXFSZ, SIG_IGN);
	_cleanup_error_ struct nunchi_error *err = undo_do(&undo, &ours, &repaired);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(nunchi_error_errno(err), EFBIG);
	assert_false(ours);
	assert_int_equal(change.sets, 0);
	assert_int_equal(change.clears, 0);
	assert_int_equal(undo_log_look(undo.key), UNDO_LOG_NONE);
	undo_deinit(&undo);
	close(sockets[0]);
	close(sockets[1]);
}

static void test_log_of_another_version_is_kept(void **state)
{
	struct undo_log *log = NULL;
	struct stat st;

	(void)state;
	kill_now(in_process(be_paused, NULL));
	assert_int_equal(truncate(log_path(), 0), 0);
	append_raw("nunchi undo log 9\nowner 1\n");
	_cleanup_error_ struct nunchi_error *err = undo_log_take(KEY, true, &log);
	assert_non_null(err);
	assert_non_null(strstr(nunchi_error_hint(err), "another version"));
	assert_null(log);
	assert_int_equal(stat(log_path(), &st), 0);
}

static void test_guard_takes_only_the_log_of_its_owner(void **state)
{
	struct undo_log *log = take(true), *guards = NULL, *other = NULL;
	uint64_t owner = undo_log_owner_number(log);

	(void)state;
	assert_int_equal(undo_log_take_as_guard(log_path(), owner + 1, &guards), ESTALE);
	assert_int_equal(undo_log_take_as_guard(log_path(), owner, &guards), 0);
	/* The guard holds it when its owner is gone. */
	undo_log_leave(log);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	_cleanup_error_ struct nunchi_error *busy = undo_log_take(KEY, false, &other);
	assert_true(error_is(busy, NUNCHI_ERROR_BUSY));
	undo_log_leave(guards);
	log = take(false);
	assert_int_equal(undo_log_take_as_guard(log_path(), owner, &guards), ESTALE);
	undo_log_erase(log);
	assert_int_equal(undo_log_take_as_guard(log_path(), owner, &guards), ENOENT);
}

static void test_symlinks_and_keys_that_escape_are_refused(void **state)
{
	struct undo_log *log = NULL;
	char target[256];

	(void)state;
	kill_now(in_process(be_paused, NULL));
	unlink(log_path());
	snprintf(target, sizeof(target), "%s/victim", runtime);
	assert_int_equal(symlink(target, log_path()), 0);
	_cleanup_error_ struct nunchi_error *link = undo_log_take(KEY, true, &log);
	assert_non_null(link);
	assert_int_not_equal(access(target, F_OK), 0);
	_cleanup_error_ struct nunchi_error *key = undo_log_take("../x", true, &log);
	assert_true(error_is(key, NUNCHI_ERROR_ARGUMENT));
	_cleanup_error_ struct nunchi_error *empty = undo_log_take("", false, &log);
	assert_true(error_is(empty, NUNCHI_ERROR_ARGUMENT));
	assert_null(log);
}

/* A directory that others can write to, or a link to one of ours, is not used. */
static void test_directory_open_to_others_is_not_used(void **state)
{
	struct undo_log *log = NULL;
	char real[256];

	(void)state;
	assert_int_equal(mkdir(logs, 0700), 0);
	assert_int_equal(chmod(logs, 0777), 0);
	/* Whoever is not root has another place. */
	_cleanup_error_ struct nunchi_error *err = undo_log_take(KEY, true, &log);
	assert_true(geteuid() ? !err : error_is(err, NUNCHI_ERROR_PERMISSION));
	if (log)
		assert_int_not_equal(strncmp(undo_log_path(log), logs, strlen(logs)), 0);
	undo_log_erase(log);
	log = NULL;
	assert_int_equal(rmdir(logs), 0);
	snprintf(real, sizeof(real), "%s/real", runtime);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, logs), 0);
	_cleanup_error_ struct nunchi_error *linked = undo_log_take(KEY, true, &log);
	assert_true(geteuid() ? !linked : linked != NULL);
	undo_log_erase(log);
	assert_int_equal(unlink(logs), 0);
	assert_int_equal(rmdir(real), 0);
}

/* The directory that was checked is the one that is used, whatever its path leads to later. */
static void test_directory_is_used_by_descriptor(void **state)
{
	struct undo_log *log = take(true), *guards = NULL;
	char moved[256], file[300];
	struct stat st;
	int fd;

	(void)state;
	snprintf(moved, sizeof(moved), "%s/moved", runtime);
	snprintf(file, sizeof(file), "%s/" KEY, moved);
	assert_int_equal(undo_log_take_as_guard(log_path(), undo_log_owner_number(log), &guards),
			 0);
	assert_int_equal(rename(logs, moved), 0);
	assert_int_equal(mkdir(logs, 0700), 0);
	fd = open(log_path(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(undo_log_is_there(log));
	assert_true(undo_log_is_there(guards));
	undo_log_leave(guards);
	undo_log_erase(log);
	assert_int_not_equal(stat(file, &st), 0);
	assert_int_equal(stat(log_path(), &st), 0);
	assert_int_equal(rmdir(moved), 0);
}

/* What others wrote, or can write, is no log: neither to its owner nor to the guard. */
static void test_log_of_others_is_refused(void **state)
{
	struct undo_log *log = take(true), *other = NULL;
	uint64_t owner = undo_log_owner_number(log);

	(void)state;
	undo_log_leave(log);
	assert_int_equal(chmod(log_path(), 0622), 0);
	_cleanup_error_ struct nunchi_error *err = undo_log_take(KEY, false, &other);
	assert_true(error_is(err, NUNCHI_ERROR_PERMISSION));
	assert_int_equal(undo_log_take_as_guard(log_path(), owner, &other), EACCES);
	assert_int_equal(chmod(log_path(), 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(log_path(), 47123, 47123), 0);
		_cleanup_error_ struct nunchi_error *foreign = undo_log_take(KEY, true, &other);
		assert_true(error_is(foreign, NUNCHI_ERROR_PERMISSION));
		assert_int_equal(chown(log_path(), 0, 0), 0);
	}
	/* Nor does the guard take a log out of a directory of others. */
	assert_int_equal(chmod(logs, 0777), 0);
	assert_int_equal(undo_log_take_as_guard(log_path(), owner, &other), EACCES);
	assert_int_equal(chmod(logs, 0700), 0);
	assert_null(other);
}

/* Whatever the environment says, root's logs are where the next run of root's looks. */
static void test_environment_does_not_move_the_logs_of_root(void **state)
{
	char other[256];
	struct undo_log *log;

	(void)state;
	if (geteuid())
		skip();
	snprintf(other, sizeof(other), "%s/other", runtime);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", other, 1), 0);
	log = take(true);
	assert_string_equal(undo_log_path(log), log_path());
	undo_log_erase(log);
	assert_int_equal(rmdir(other), 0);
}

/* ---- Replay ---------------------------------------------------------------------------------- */

/* A guest whose pauses are counted, or not. */
struct toy {
	int pauses;
	bool fails;
	uint64_t ran; /* CPU time; 0: unknown */
};

static struct nunchi_error *toy_look(void *data, enum undo_seen *ret)
{
	*ret = ((struct toy *)data)->pauses ? UNDO_SEEN_SET : UNDO_SEEN_CLEAR;
	return NULL;
}

static struct nunchi_error *toy_clear(void *data)
{
	struct toy *toy = data;

	if (toy->fails)
		return error_create(NUNCHI_ERROR_IO, "it fails");
	toy->pauses--;
	return NULL;
}

static void test_replay_undoes_what_was_done(void **state)
{
	static const struct {
		bool counted;
		enum undo_state state;
		unsigned undone, unsure;
	} cases[] = {
	    {true, UNDO_LOGGED, 0, 0},  {true, UNDO_DOING, 0, 1},  {true, UNDO_DONE, 1, 0},
	    {true, UNDO_UNDOING, 0, 1}, {true, UNDO_UNDONE, 0, 0}, {false, UNDO_LOGGED, 0, 0},
	    {false, UNDO_DOING, 1, 0},  {false, UNDO_DONE, 1, 0},  {false, UNDO_UNDOING, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct undo_log *log = take(true);
		struct toy toy = {.pauses = 2};
		const struct undo_actor actor = {.counted = cases[i].counted,
						 .look = toy_look,
						 .clear = toy_clear,
						 .data = &toy};
		struct undo_entries entries;
		struct replay result;

		add(log, 1, cases[i].state);
		replay(log, &actor, &result);
		assert_null(result.error);
		assert_int_equal(result.undone, cases[i].undone);
		assert_int_equal(result.unsure, cases[i].unsure);
		assert_int_equal(toy.pauses, 2 - (int)cases[i].undone);
		assert_int_equal(replay_is_complete(&result), !cases[i].unsure);
		assert_int_equal(undo_log_read(log, &entries), 0);
		assert_int_equal(entries.count, cases[i].unsure);
		undo_log_erase(log);
	}
}

static bool toy_ran(void *data, struct undo_ran *ret)
{
	*ret = (struct undo_ran){.ns = ((struct toy *)data)->ran, .noise = 10, .doubt = 1000};
	return ret->ns;
}

/* A guest that has run since the log was written was resumed by somebody. */
static void test_replay_wants_proof(void **state)
{
	static const struct {
		enum undo_state state;
		bool counted, careful;
		uint64_t logged, now;
		unsigned undone, somebody, unsure;
	} cases[] = {
	    {UNDO_DONE, false, true, 5000, 5000, 1, 0, 0},
	    {UNDO_DONE, false, true, 5000, 5010, 1, 0, 0},
	    {UNDO_DONE, false, true, 5000, 5011, 0, 0, 1},
	    {UNDO_DONE, false, true, 5000, 6001, 0, 1, 0},
	    {UNDO_UNDOING, false, true, 5000, 6001, 0, 1, 0},
	    /* It ran on until it was stopped: that it ran tells nothing. */
	    {UNDO_DOING, false, true, 5000, 6000, 1, 0, 0},
	    {UNDO_DOING, false, true, 5000, 6001, 0, 0, 1},
	    {UNDO_DOING, false, false, 5000, 6001, 1, 0, 0},
	    {UNDO_DONE, false, true, 5000, 0, 0, 0, 1},
	    {UNDO_DONE, false, true, 5000, 4999, 0, 0, 1},
	    {UNDO_DONE, false, true, 0, 5000, 0, 0, 1},
	    {UNDO_DONE, false, false, 0, 5000, 1, 0, 0},
	    {UNDO_DONE, false, false, 5000, 5011, 1, 0, 0},
	    {UNDO_DONE, false, false, 5000, 6001, 0, 1, 0},
	    {UNDO_DONE, true, true, 5000, 5010, 1, 0, 0},
	    {UNDO_DONE, true, true, 5000, 6001, 0, 1, 0},
	    {UNDO_DOING, true, true, 5000, 5000, 0, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct undo_log *log = take(true);
		struct toy toy = {.pauses = 1, .ran = cases[i].now};
		const struct undo_actor actor = {.counted = cases[i].counted,
						 .look = toy_look,
						 .clear = toy_clear,
						 .data = &toy,
						 .ran = toy_ran,
						 .needs_proof = cases[i].careful};
		struct replay result;

		assert_int_equal(undo_log_append_ran(log, 1, UNDO_PAUSE, UNDO_DONE,
						     cases[i].logged ? &cases[i].logged : NULL),
				 0);
		/* A later line without a time keeps the time. */
		add(log, 1, cases[i].state);
		replay(log, &actor, &result);
		assert_null(result.error);
		assert_int_equal(result.undone, cases[i].undone);
		assert_int_equal(result.somebody, cases[i].somebody);
		assert_int_equal(result.unsure, cases[i].unsure);
		assert_int_equal(toy.pauses, !cases[i].undone);
		undo_log_erase(log);
	}
}

static void test_types_are_kept(void **state)
{
	struct undo_log *log = take(true);
	struct undo_entries entries;

	(void)state;
	assert_int_equal(undo_log_append(log, 1, UNDO_PAUSE, UNDO_DONE), 0);
	assert_int_equal(undo_log_append(log, 2, UNDO_STUB, UNDO_DOING), 0);
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 2);
	assert_int_equal(entries.entries[0].type, UNDO_PAUSE);
	assert_int_equal(entries.entries[1].type, UNDO_STUB);
	assert_int_equal(entries.entries[1].state, UNDO_DOING);
	undo_log_erase(log);
}

/* As nunchi called an event ring before there were breakpoints. */
static void test_older_name_of_a_ring(void **state)
{
	struct undo_log *log = take(true);
	struct undo_entries entries;

	(void)state;
	append_raw("1 events done\n");
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 1);
	assert_int_equal(entries.entries[0].type, UNDO_EVENTS);
	assert_int_equal(undo_log_append(log, 1, UNDO_EVENTS, UNDO_UNDONE), 0);
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 0);
	undo_log_erase(log);
}

/* The time of a guest that was about to be stopped is not taken for that of its stop. */
static void test_time_before_a_stop(void **state)
{
	static const enum undo_state states[] = {UNDO_DONE, UNDO_UNDOING};
	const uint64_t before = 5000;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct undo_log *log = take(true);
		struct undo_entry entry;

		assert_int_equal(undo_log_append_ran(log, 1, UNDO_PAUSE, UNDO_DOING, &before), 0);
		assert_true(undo_log_entry(log, 1).has_ran);
		add(log, 1, states[i]);
		entry = undo_log_entry(log, 1);
		assert_int_equal(entry.state, states[i]);
		assert_false(entry.has_ran);
		undo_log_erase(log);
	}
}

static void test_replay_keeps_what_it_does_not_know(void **state)
{
	struct undo_log *log = take(true);
	struct toy toy = {.pauses = 1};
	const struct undo_actor actor = {
	    .counted = true, .look = toy_look, .clear = toy_clear, .data = &toy};
	struct undo_entries entries;
	struct replay result;

	(void)state;
	add(log, 1, UNDO_DONE);
	append_raw("2 patch done 0xffffffff81000000 90\n3 pause pondering\n");
	replay(log, &actor, &result);
	assert_int_equal(result.unknown, 2);
	assert_int_equal(result.undone, 1);
	assert_false(replay_is_complete(&result));
	assert_int_equal(undo_log_read(log, &entries), 0);
	assert_int_equal(entries.count, 2);
	undo_log_erase(log);
}

static void test_replay_that_fails_can_be_repeated(void **state)
{
	struct undo_log *log = take(true);
	struct toy toy = {.pauses = 1, .fails = true};
	const struct undo_actor actor = {
	    .counted = true, .look = toy_look, .clear = toy_clear, .data = &toy};
	struct replay result;

	(void)state;
	add(log, 1, UNDO_DONE);
	replay(log, &actor, &result);
	assert_non_null(result.error);
	nunchi_error_destroy(result.error);
	assert_int_equal(undo_log_state(log, 1), UNDO_DONE);
	toy.fails = false;
	replay(log, &actor, &result);
	assert_int_equal(result.undone, 1);
	assert_int_equal(toy.pauses, 0);
	undo_log_erase(log);
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
	const struct guard_plan plan = {.handle = owner->target,
					.kind = GUARD_SEND,
					.undo = "\xff undo it",
					.undo_size = 9,
					.done = "done-17"};
	struct undo_log *log = take(true);
	struct guard *guard;

	add(log, 1, UNDO_DONE);
	ok(guard_create(&plan, &guard));
	*owner->guard = guard_process(guard);
	if (owner->arm)
		ok(guard_arm(guard, log));
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
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	assert_int_equal(send(end, "{event} don", 11, 0), 11);
	usleep(20000);
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_HELD);
	assert_int_equal(send(end, "e-17\r\n", 6, 0), 6);
	assert_true(gone_within(guard, 2000));
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_NONE);
	close(end);
}

static void test_guard_without_an_answer_leaves_the_log(void **state)
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
	assert_int_equal(undo_log_look(KEY), UNDO_LOG_LEFT);
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
	/* The log and its directory, the socket, the handle, three of /dev/null, and a pidfd. */
	assert_in_range(count, 7, 8);
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
	const struct guard_plan plan = {
	    .handle = sockets[0], .kind = GUARD_SEND, .undo = "x", .undo_size = 1, .done = "done"};
	struct undo_log *log = take(true);

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
	_cleanup_error_ struct nunchi_error *err = guard_arm(guard, log);
	assert_non_null(err);
	guard_destroy(guard);
	ok(guard_create(&plan, &guard));
	kill(guard_process(guard), SIGSTOP);
	guard_destroy(guard);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	undo_log_erase(log);
	close(sockets[0]);
	close(sockets[1]);
}

/* A process that may open few files has a guard too. */
static void test_guard_where_few_files_may_be_open(void **state)
{
	struct undo_log *log = take(true);
	struct rlimit before, few;
	struct guard *guard = NULL;
	int sockets[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	const struct guard_plan plan = {
	    .handle = sockets[0], .kind = GUARD_SEND, .undo = "x", .undo_size = 1, .done = "done"};

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){.rlim_cur = 48, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	ok(guard_create(&plan, &guard));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	guard_destroy(guard);
	undo_log_erase(log);
	close(sockets[0]);
	close(sockets[1]);
}

/* In a program that ignores SIGCHLD nobody gets the guard's status; it ends as soon all the same.
 */
static void test_guard_ends_where_sigchld_is_ignored(void **state)
{
	struct undo_log *log = take(true);
	int sockets[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	const struct guard_plan plan = {
	    .handle = sockets[0], .kind = GUARD_SEND, .undo = "x", .undo_size = 1, .done = "done"};

	signal(SIGCHLD, SIG_IGN);
	for (int killed = 0; killed < 2; killed++) {
		uint64_t begin = clock_us();
		struct guard *guard = NULL;
		pid_t pid;

		ok(guard_create(&plan, &guard));
		pid = guard_process(guard);
		ok(guard_arm(guard, log));
		guard_disarm(guard);
		if (killed)
			kill(pid, SIGKILL);
		guard_destroy(guard);
		assert_int_equal(kill(pid, 0), -1);
		assert_int_equal(errno, ESRCH);
		/* Waiting in vain takes two seconds and more. */
		assert_true(clock_us() - begin < 1500 * CLOCK_US_PER_MS);
	}
	signal(SIGCHLD, SIG_DFL);
	undo_log_erase(log);
	close(sockets[0]);
	close(sockets[1]);
}

/* The guard is a program of its own: nothing of the program that uses the library is in it. */
static void test_guard_holds_no_image_of_its_owner(void **state)
{
	int sockets[2];
	const struct guard_plan plan = {
	    .kind = GUARD_SEND, .undo = "x", .undo_size = 1, .done = "done"};
	struct guard_plan with_handle = plan;
	char path[64], program[512], name[64] = "";
	struct guard *guard = NULL;
	ssize_t length;
	FILE *file;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	with_handle.handle = sockets[0];
	ok(guard_create(&with_handle, &guard));
	snprintf(path, sizeof(path), "/proc/%d/exe", guard_process(guard));
	length = readlink(path, program, sizeof(program) - 1);
	assert_true(length > 0);
	program[length] = '\0';
	assert_string_equal(strrchr(program, '/'), "/nunchi-guard");
	snprintf(path, sizeof(path), "/proc/%d/comm", guard_process(guard));
	file = fopen(path, "re");
	assert_non_null(fgets(name, sizeof(name), file));
	fclose(file);
	assert_string_equal(name, "nunchi-guard\n");
	/* Nor its environment. */
	snprintf(path, sizeof(path), "/proc/%d/environ", guard_process(guard));
	file = fopen(path, "re");
	assert_int_equal(fread(name, 1, sizeof(name), file), 0);
	fclose(file);
	guard_destroy(guard);
	close(sockets[0]);
	close(sockets[1]);
}

static char *make_file(const char *name, mode_t mode)
{
	char *path;
	int fd;

	assert_true(asprintf(&path, "%s/libexec", runtime) > 0);
	mkdir(path, 0700);
	free(path);
	assert_true(asprintf(&path, "%s/%s", runtime, name) > 0);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* Beside our own code or where it was to be installed, and only if nobody else could write it. */
static void test_guard_program_of_others_is_not_started(void **state)
{
	_cleanup_free_ char *own = make_file("nunchi", 0755), *found = NULL, *path = NULL;
	_cleanup_free_ char *installed = make_file("libexec/nunchi-guard", 0755);
	_cleanup_error_ struct nunchi_error *missing = NULL, *distrusted = NULL, *full = NULL;
	struct rlimit limit, none;
	char libexec[PATH_MAX];
	int fd = -1;

	(void)state;
	snprintf(libexec, sizeof(libexec), "%s/libexec", runtime);
	missing = own_program_open_at(&guard_program, own, "/nonexistent", &found, &fd);
	assert_true(error_is(missing, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(missing), "is not installed"));
	assert_non_null(strstr(nunchi_error_message(missing), "/nonexistent/nunchi-guard"));
	assert_non_null(strstr(nunchi_error_hint(missing), "install all of nunchi"));
	path = make_file("nunchi-guard", 0755);
	ok(own_program_open_at(&guard_program, own, libexec, &found, &fd));
	assert_string_equal(found, path);
	close(fd);
	free(found);
	/* Where no descriptor is left, that is said. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	full = own_program_open_at(&guard_program, own, libexec, &found, &fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(nunchi_error_errno(full), EMFILE);
	assert_non_null(strstr(nunchi_error_message(full), path));
	assert_int_equal(chmod(path, 0775), 0);
	ok(own_program_open_at(&guard_program, own, libexec, &found, &fd));
	assert_string_equal(found, installed);
	close(fd);
	free(found);
	found = NULL;
	/* Where the group may write our own code too, it gains nothing. */
	assert_int_equal(chmod(own, 0775), 0);
	ok(own_program_open_at(&guard_program, own, libexec, &found, &fd));
	assert_string_equal(found, path);
	close(fd);
	free(found);
	found = NULL;
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(chmod(installed, 0757), 0);
	distrusted = own_program_open_at(&guard_program, own, libexec, &found, &fd);
	assert_true(error_is(distrusted, NUNCHI_ERROR_PERMISSION));
	assert_non_null(strstr(nunchi_error_hint(distrusted), "chmod 755"));
	unlink(own);
	unlink(path);
	unlink(installed);
	rmdir(libexec);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_log_lives_from_taking_to_erasing),
	    TEST(test_log_of_a_killed_owner_is_left),
	    TEST(test_entries_have_their_newest_state),
	    TEST(test_bytes_are_noted_until_they_are_back),
	    TEST(test_disk_is_full),
	    TEST(test_line_that_was_cut_off_does_not_count),
	    TEST(test_log_without_its_first_line_is_nothing_to_undo),
	    TEST(test_log_that_was_not_begun_is_removed_by_the_next_one),
	    TEST(test_change_that_cannot_be_logged),
	    TEST(test_log_of_another_version_is_kept),
	    TEST(test_guard_takes_only_the_log_of_its_owner),
	    TEST(test_symlinks_and_keys_that_escape_are_refused),
	    TEST(test_directory_open_to_others_is_not_used),
	    TEST(test_directory_is_used_by_descriptor),
	    TEST(test_log_of_others_is_refused),
	    TEST(test_environment_does_not_move_the_logs_of_root),
	    TEST(test_replay_undoes_what_was_done),
	    TEST(test_replay_wants_proof),
	    TEST(test_types_are_kept),
	    TEST(test_older_name_of_a_ring),
	    TEST(test_time_before_a_stop),
	    TEST(test_replay_keeps_what_it_does_not_know),
	    TEST(test_replay_that_fails_can_be_repeated),
	    TEST(test_guard_undoes_when_its_owner_is_killed),
	    TEST(test_guard_without_an_answer_leaves_the_log),
	    TEST(test_guard_that_is_not_armed_does_nothing),
	    TEST(test_guard_survives_signals_and_inherited_descriptors),
	    TEST(test_guard_ends_with_its_owner_and_leaves_no_zombie),
	    TEST(test_guard_ends_where_sigchld_is_ignored),
	    TEST(test_guard_where_few_files_may_be_open),
	    TEST(test_guard_holds_no_image_of_its_owner),
	    TEST(test_guard_program_of_others_is_not_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
