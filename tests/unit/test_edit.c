/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the editor of lines does without a terminal: completion, and the file of the history. */
#include "core/buffer.h"
#include "core/cleanup.h"
#include "edit/complete.h"
#include "edit/history.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Completion ------------------------------------------------------------------------------ */

static const char *const schemas[] = {"before", "after"};
static const char *const states[] = {"on", "off", NULL};
static const struct edit_command commands[] = {
    {".schema", NULL, true}, {".tables", NULL, false}, {".timer", states, false}};
static const struct edit_options options = {
    .schemas = schemas,
    .schema_count = ARRAY_SIZE(schemas),
    .commands = commands,
    .command_count = ARRAY_SIZE(commands),
};

/* The names for the place of "|" in the text, with what comes behind each, separated by "/". */
static void find(const char *text, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer whole = {0};
	const char *cursor = strchr(text, '|');
	struct completion found;

	assert_non_null(cursor);
	buffer_append(&whole, text, (size_t)(cursor - text));
	buffer_append_string(&whole, cursor + 1);
	complete(&options, buffer_string(&whole), (size_t)(cursor - text), &found);
	assert_false(found.no_memory);
	for (size_t i = 0; i < found.count; i++) {
		if (i)
			buffer_append_char(ret, '/');
		buffer_append_string(ret, found.found[i].name);
		if (found.found[i].after)
			buffer_append_char(ret, found.found[i].after);
	}
	completion_deinit(&found);
}

static void expect(const char *text, const char *wanted)
{
	_cleanup_buffer_ struct buffer got = {0};

	find(text, &got);
	assert_string_equal(buffer_string(&got), wanted);
}

static void expect_part(const char *text, const char *wanted, const char *unwanted)
{
	_cleanup_buffer_ struct buffer got = {0};

	find(text, &got);
	assert_non_null(strstr(buffer_string(&got), wanted));
	if (unwanted)
		assert_null(strstr(buffer_string(&got), unwanted));
}

static void test_statements(void **state)
{
	(void)state;
	expect("|", "explain /select /values /with ");
	expect("select 1; s|", "select ");
	expect("select * from upti|", "uptime ");
	expect("select * from uptime, kernel_i|", "kernel_info ");
	expect("select * from aft|", "after.");
	expect("select * from uptime, eac|", "each(");
	expect("select * from after.upti|", "uptime ");
	expect("select cmd|", "cmdline");
	expect("select cmd| from uptime", "");
	expect("select total_s| from uptime", "total_seconds");
	expect("select p.cmd| from processes p", "cmdline");
	expect("select p.cmd| from main.uptime u join processes as p using (pid)", "cmdline");
	expect("select u.cmd| from uptime u join processes p", "");
	expect("select processes.cmd| from processes", "cmdline");
	expect("select * from after.uptime where after.uptime.total_s|", "total_seconds");
	expect("select nonsense.|", "");
	expect("select absen|", "absence(");
	expect("select referen| from kernel_modules", "references\"");
	expect("SELECT * FROM uptime WHER|", "where ");
	expect("select pid from processes\nwhere cmdl|", "cmdline");
	expect_part("select | from uptime", "total_seconds", "cmdline");
	expect_part("select pid,|", "cmdline", NULL);
	/* A comma outside of the list of tables. */
	expect("select pid from processes where pid in (1, kernel_inf|", "kernel_info ");
	expect("select pid from processes where pid in (1, aft|", "");
}

static void test_not_within(void **state)
{
	(void)state;
	expect("select 'sel|", "");
	expect("select 'sel|' from uptime", "");
	expect("select \"upti|", "");
	expect("select 1 -- upti|", "");
	expect("select 1 -- no\n from upti|", "uptime ");
	expect("select /* upti|", "");
	expect("select /* ' */ 1 from upti|", "uptime ");
}

static void test_commands(void **state)
{
	(void)state;
	expect(".|", ".schema /.tables/.timer ");
	expect("  .ti|", ".timer ");
	expect(".timer |", "off/on");
	expect(".timer of|", "off");
	expect(".schema upti|", "uptime ");
	expect(".tables |", "");
	expect(".nothing |", "");
}

static void test_common(void **state)
{
	static const char text[] = "select * from PROCESS_E";
	struct completion found;

	(void)state;
	complete(&options, text, strlen(text), &found);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.prefix, strlen("process_e"));
	assert_int_equal(found.common, strlen("process_envs"));
	assert_true(found.capitals);
	completion_deinit(&found);
	complete(&options, "select * from p", strlen("select * from p"), &found);
	assert_true(found.count > 3);
	assert_int_equal(found.common, strlen("process"));
	assert_false(found.capitals);
	completion_deinit(&found);
}

/* ---- The history ----------------------------------------------------------------------------- */

/* A folder of its own, which is the home. */
static char home[] = "/tmp/nunchi-edit-XXXXXX";

struct taken {
	size_t count;
	char first[64], last[64];
};

static void take(const char *line, void *data)
{
	struct taken *taken = data;

	if (!taken->count++)
		snprintf(taken->first, sizeof(taken->first), "%s", line);
	snprintf(taken->last, sizeof(taken->last), "%s", line);
}

static const char *in_home(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static void write_lines(const char *path, size_t count)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < count; i++)
		fprintf(file, "line %zu\n", i);
	assert_int_equal(fclose(file), 0);
}

static void open_and_close(struct taken *taken)
{
	struct history_file file;

	*taken = (struct taken){0};
	assert_null(history_open("lines", take, taken, &file));
	assert_true(file.fd >= 0);
	history_close(&file);
}

static void expect_refused(const char *why)
{
	struct taken taken = {0};
	struct history_file file;
	struct nunchi_error *err = history_open("lines", take, &taken, &file);

	assert_non_null(err);
	assert_non_null(strstr(nunchi_error_message(err), why));
	assert_int_equal(file.fd, -1);
	assert_int_equal(taken.count, 0);
	history_add(&file, "nothing");
	nunchi_error_destroy(err);
}

#define LINES ".local/state/nunchi/lines"

static void test_history(void **state)
{
	struct history_file file, other;
	struct taken taken = {0};
	struct stat status;

	(void)state;
	assert_null(history_open("lines", take, &taken, &file));
	assert_int_equal(taken.count, 0);
	assert_null(history_add(&file, "one"));
	assert_null(history_open("lines", take, &taken, &other));
	assert_int_equal(taken.count, 1);
	assert_null(history_add(&other, "two"));
	assert_null(history_add(&file, "three"));
	history_close(&file);
	history_close(&other);
	assert_int_equal(stat(in_home(LINES), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	open_and_close(&taken);
	assert_int_equal(taken.count, 3);
	assert_string_equal(taken.first, "one");
	assert_string_equal(taken.last, "three");
}

static void test_history_is_shortened(void **state)
{
	struct history_file file;
	struct taken taken = {0};
	struct stat before, after;

	(void)state;
	write_lines(in_home(LINES), HISTORY_LINES * 2);
	open_and_close(&taken);
	assert_int_equal(taken.count, HISTORY_LINES);
	assert_string_equal(taken.first, "line 1000");
	assert_int_equal(stat(in_home(LINES), &before), 0);
	write_lines(in_home(LINES), HISTORY_LINES * 2 + 1);
	/* Not while another one has it open. */
	assert_null(history_open("lines", take, &taken, &file));
	write_lines(in_home(LINES), HISTORY_LINES * 3);
	open_and_close(&taken);
	history_close(&file);
	assert_int_equal(stat(in_home(LINES), &after), 0);
	assert_true(after.st_size > before.st_size);
	open_and_close(&taken);
	assert_string_equal(taken.first, "line 2000");
	assert_int_equal(stat(in_home(LINES), &after), 0);
	assert_true(after.st_size < before.st_size);
	open_and_close(&taken);
	assert_int_equal(taken.count, HISTORY_LINES);
	assert_string_equal(taken.last, "line 2999");
}

static void test_history_is_refused(void **state)
{
	struct taken taken;

	(void)state;
	write_lines(in_home("elsewhere"), 1);
	unlink(in_home(LINES));
	assert_int_equal(symlink("../../../elsewhere", in_home(LINES)), 0);
	expect_refused("cannot be opened");
	unlink(in_home(LINES));
	assert_int_equal(mkfifo(in_home(LINES), 0600), 0);
	expect_refused("is no file");
	unlink(in_home(LINES));
	write_lines(in_home(LINES), 1);
	assert_int_equal(chmod(in_home(LINES), 0622), 0);
	expect_refused("others may write");
	/* Who could only read it can no longer. */
	assert_int_equal(chmod(in_home(LINES), 0644), 0);
	open_and_close(&taken);
	assert_int_equal(taken.count, 1);
	assert_int_equal(chmod(in_home(".local/state/nunchi"), 0777), 0);
	expect_refused("others may write");
	assert_int_equal(chmod(in_home(".local/state/nunchi"), 0700), 0);
	if (!geteuid()) {
		assert_int_equal(chown(in_home(LINES), 1, 1), 0);
		expect_refused("belongs to another user");
		assert_int_equal(chown(in_home(LINES), 0, 0), 0);
		assert_int_equal(chown(home, 1, 1), 0);
		expect_refused("belongs to another user");
		assert_int_equal(chown(home, 0, 0), 0);
	}
	open_and_close(&taken);
}

static void write_text(const char *path, const void *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* Of a file that somebody has edited; others may write to the folder above nunchi/. */
static void test_history_of_others(void **state)
{
	static const char zero[] = "old\na\0b\n\nnew\n", cut[] = "old\nnew";
	struct history_file file, full = {.fd = open("/dev/full", O_WRONLY | O_CLOEXEC)};
	struct nunchi_error *err;
	struct taken taken = {0};

	(void)state;
	assert_int_equal(chmod(in_home(".local/state"), 0775), 0);
	write_text(in_home(LINES), zero, sizeof(zero) - 1);
	open_and_close(&taken);
	assert_int_equal(taken.count, 2);
	assert_string_equal(taken.first, "old");
	assert_string_equal(taken.last, "new");
	write_text(in_home(LINES), cut, sizeof(cut) - 1);
	assert_null(history_open("lines", take, &taken, &file));
	assert_string_equal(taken.last, "new");
	assert_null(history_add(&file, "newer"));
	history_close(&file);
	open_and_close(&taken);
	assert_int_equal(taken.count, 3);
	assert_string_equal(taken.last, "newer");
	assert_int_equal(chmod(in_home(".local/state"), 0700), 0);
	assert_true(full.fd >= 0);
	err = history_add(&full, "a line");
	assert_non_null(err);
	assert_int_equal(full.fd, -1);
	nunchi_error_destroy(err);
}

static void test_history_elsewhere(void **state)
{
	struct history_file file = {.fd = 7};
	struct taken taken = {0};

	(void)state;
	assert_int_equal(setenv("NUNCHI_HISTORY", "", 1), 0);
	assert_null(history_open("lines", take, &taken, &file));
	assert_int_equal(file.fd, -1);
	assert_int_equal(setenv("NUNCHI_HISTORY", in_home("elsewhere"), 1), 0);
	open_and_close(&taken);
	assert_int_equal(taken.count, 1);
	unsetenv("NUNCHI_HISTORY");
	write_lines(in_home(LINES), 0);
	open_and_close(&taken);
	assert_int_equal(taken.count, 0);
	assert_int_equal(setenv("XDG_STATE_HOME", in_home("a/b"), 1), 0);
	open_and_close(&taken);
	assert_int_equal(access(in_home("a/b/nunchi/lines"), F_OK), 0);
	unsetenv("XDG_STATE_HOME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_not_within),
	    cmocka_unit_test(test_commands),
	    cmocka_unit_test(test_common),
	    cmocka_unit_test(test_history),
	    cmocka_unit_test(test_history_is_shortened),
	    cmocka_unit_test(test_history_is_refused),
	    cmocka_unit_test(test_history_of_others),
	    cmocka_unit_test(test_history_elsewhere),
	};
	char command[64];
	int failed;

	if (!mkdtemp(home))
		return 1;
	unsetenv("XDG_STATE_HOME");
	unsetenv("NUNCHI_HISTORY");
	setenv("HOME", home, 1);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", home);
	return system(command) ? 1 : failed;
}
