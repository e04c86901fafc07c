/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts by which a pasted text is understood, and those that reach the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "doctor/facts/run.h"
#include "doctor/facts/tree.h"
#include "doctor/story/phrases.h"
#include "doctor/story/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void test_outcomes(void **state)
{
	static const struct {
		const char *line;
		enum outcome outcome;
		bool screen;
	} rows[] = {
	    {"* 안켜짐", OUTCOME_FAILED, true},
	    {"Still black.", OUTCOME_FAILED, true},
	    {"The same result", OUTCOME_FAILED, false},
	    {"화면이 나옴, 성공", OUTCOME_WORKED, false},
	    {"It works now", OUTCOME_WORKED, false},
	    {"it did not work", OUTCOME_FAILED, false},
	    {"First a black screen. Then the picture came up.", OUTCOME_WORKED, true},
	    {"If the screen stays black, try nomodeset", OUTCOME_NONE, false},
	    {"no black screen at all", OUTCOME_NONE, false},
	    {"why is the screen black?", OUTCOME_NONE, false},
	    {"화면이 안 나오면 어떻게 하면 되나", OUTCOME_NONE, false},
	    {"실패. 설정을 고치면 해결될듯?", OUTCOME_FAILED, false},
	    {"installing packages", OUTCOME_NONE, false},
	    {"", OUTCOME_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool screen = false;

		if (phrases_outcome(rows[i].line, &screen) != rows[i].outcome ||
		    screen != rows[i].screen)
			fail_msg("%s", rows[i].line);
	}
}

static void test_headings(void **state)
{
	static const struct {
		const char *line;
		unsigned number;
	} rows[] = {
	    {"3차 시도", 3},     {"## 시도 2", 2},
	    {"두 번째 시도", 2}, {"10번째 시도", 10},
	    {"Attempt #4", 4},   {"### attempt no. 12", 12},
	    {"2nd try:", 2},     {"The third attempt", 3},
	    {"**Try 5**", 5},    {"round 2", 2},
	    {"try this", 0},     {"attempted 3 times", 0},
	    {"2025-08-15", 0},   {"3 attempts", 0},
	    {"first, boot", 0},  {"", 0},
	    {"trying 4", 0},     {"attempt 99999", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (phrases_attempt(rows[i].line) != rows[i].number)
			fail_msg("%s: %u", rows[i].line, phrases_attempt(rows[i].line));
}

static void test_commands_of_lines(void **state)
{
	static const char *const rows[][2] = {
	    {"$ sudo update-grub", "sudo update-grub"},
	    {"me@host:~$ ls /", "ls /"},
	    {"[root@host ~]# xl info", "xl info"},
	    {"# sudo nano /etc/default/grub", "sudo nano /etc/default/grub"},
	    {"sudo reboot", "sudo reboot"},
	    {"# A heading", NULL},
	    {"then I ran sudo reboot", NULL},
	    {"$HOME is full", NULL},
	    {"$ ", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *command = shell_command(rows[i][0]);

		if (rows[i][1])
			assert_string_equal(command ? command : "none", rows[i][1]);
		else
			assert_null(command);
	}
}

static void test_what_commands_do(void **state)
{
	static const struct {
		const char *command;
		enum shell_act act;
		const char *file, *text, *end;
	} rows[] = {
	    {"echo 'a b' | sudo tee /x/y", SHELL_WRITE, "/x/y", "a b", ""},
	    {"echo a | sudo tee -a /x/y", SHELL_APPEND, "/x/y", "a", ""},
	    {"echo \"a\" > /x/y", SHELL_WRITE, "/x/y", "a", ""},
	    {"echo a >> /x/y", SHELL_APPEND, "/x/y", "a", ""},
	    {"echo -e \"a\\nb\" | sudo tee /x/y", SHELL_WRITE, "/x/y", "a\nb", ""},
	    {"printf 'a\\n' | sudo tee /x/y >/dev/null", SHELL_WRITE, "/x/y", "a\n", ""},
	    {"sudo tee /x/y >/dev/null <<'EOF'", SHELL_WRITE, "/x/y", "", "EOF"},
	    {"cat > /x/y << END", SHELL_WRITE, "/x/y", "", "END"},
	    {"sudo -E nano -w /x/y", SHELL_EDIT, "/x/y", "", ""},
	    {"sudo rm -f /x/y /z", SHELL_REMOVE, "/x/y /z", "", ""},
	    {"sudo sed -i 's/quiet/quiet nomodeset/' /x/y", SHELL_APPEND, "/x/y", "quiet nomodeset",
	     ""},
	    {"sudo grubby --update-kernel=ALL --args=nomodeset", SHELL_BOOT_OPTIONS, "",
	     " --update-kernel=ALL --args=nomodeset", ""},
	    {"dmesg 2>/dev/null", SHELL_OTHER, "", "", ""},
	    {"ls /x", SHELL_OTHER, "", "", ""},
	    {"vi\v\"x", SHELL_EDIT, "", "", ""},
	    {"nano \v\f", SHELL_EDIT, "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct shell shell;

		shell_parse(rows[i].command, &shell);
		if (shell.act != rows[i].act)
			fail_msg("%s: %d", rows[i].command, shell.act);
		if (shell.act == SHELL_OTHER)
			continue;
		assert_string_equal(shell.file, rows[i].file);
		assert_string_equal(shell.text, rows[i].text);
		assert_string_equal(shell.end, rows[i].end);
	}
}

/* Where the program ignores SIGCHLD, or waits for its children elsewhere, statuses are known. */
static void test_running_with_sigchld_ignored(void **state)
{
	static const char *const yes[] = {"true", NULL}, *const no[] = {"false", NULL};
	static const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
	_cleanup_buffer_ struct buffer out = {0}, messages = {0};
	_cleanup_root_ struct root root;
	struct nunchi_error *err;
	int status = -1;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	assert_null(root_init("/", &root));
	for (int i = 0; i < 2; i++) {
		struct tool tool = {.arguments = i ? no : yes, .root = &root, .seconds = 10};

		assert_null(tool_run(&tool, &out, &messages, &status));
		assert_int_equal(status, i);
	}
	err = tool_run(&(struct tool){.arguments = killed, .root = &root, .seconds = 10}, &out,
		       &messages, &status);
	assert_non_null(err);
	assert_non_null(strstr(nunchi_error_message(err), "signal 9"));
	nunchi_error_destroy(err);
	assert_int_equal(command_run("false", 10, NULL, &out), EIO);
	assert_int_equal(command_run("true", 10, NULL, &out), 0);
	assert_int_equal(command_run("nunchi-no-such-command", 10, NULL, &out), ENOENT);
	signal(SIGCHLD, SIG_DFL);
}

/* A program that lies only in a folder of PATH: root does not run it, other users do. */
static void test_root_ignores_path(void **state)
{
	char folder[] = "/tmp/nunchi-path-XXXXXX", program[64];
	_cleanup_buffer_ struct buffer out = {0};
	const char *path = getenv("PATH");
	_cleanup_free_ char *before = path ? strdup(path) : NULL;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(program, sizeof(program), "%s/nunchi-planted", folder);
	file = fopen(program, "we");
	assert_non_null(file);
	fputs("#!/bin/sh\necho planted\n", file);
	fclose(file);
	assert_int_equal(chmod(program, 0755), 0);
	setenv("PATH", folder, 1);
	assert_int_equal(command_run("nunchi-planted", 10, NULL, &out), geteuid() ? 0 : ENOENT);
	assert_int_equal(out.size > 0, geteuid() != 0);
	setenv("PATH", before ? before : "", 1);
	unlink(program);
	rmdir(folder);
}

static void test_running(void **state)
{
	_cleanup_buffer_ struct buffer out = {0}, little = {.limit = 100};
	struct timespec start, end;

	(void)state;
	assert_int_equal(command_run("echo a b", 10, NULL, &out), 0);
	assert_string_equal(buffer_string(&out), "a b\n");
	/* No shell: what is meant for one is a word. */
	buffer_clear(&out);
	assert_int_equal(command_run("echo a;b $HOME", 10, NULL, &out), 0);
	assert_string_equal(buffer_string(&out), "a;b $HOME\n");
	assert_int_equal(command_run("nunchi-no-such-command", 10, NULL, &out), ENOENT);
	assert_int_equal(command_run("false", 10, NULL, &out), EIO);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(command_run("sleep 60", 1, NULL, &out), ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_in_range(end.tv_sec - start.tv_sec, 0, 30);
	/* One that never ends is cut off where there is no more room. */
	assert_int_equal(command_run("yes", 30, NULL, &little), 0);
	assert_true(little.failed);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A tree stays in its root, opens no fifo for good, and keeps what it was asked. */
static void test_tree(void **state)
{
	char root[] = "/tmp/nunchi-tree-XXXXXX", path[100];
	struct tree *tree;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/b", root);
	write_file(path, "text");
	snprintf(path, sizeof(path), "%s/a", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/c", root);
	assert_int_equal(symlink("/b", path), 0);
	snprintf(path, sizeof(path), "%s/d", root);
	assert_int_equal(symlink("../../../../etc/passwd", path), 0);
	assert_null(tree_open(root, NULL, &tree));
	assert_string_equal(tree_text(tree, TREE_LIST, "/"), "a\nb\nc\nd\n");
	assert_string_equal(tree_text(tree, TREE_FILE, "/b"), "text");
	assert_string_equal(tree_text(tree, TREE_FILE, "/c"), "text");
	assert_string_equal(tree_text(tree, TREE_LINK, "/c"), "/b");
	assert_null(tree_text(tree, TREE_FILE, "/a"));
	assert_null(tree_text(tree, TREE_FILE, "/d"));
	assert_null(tree_text(tree, TREE_FILE, "/../../etc/passwd"));
	assert_non_null(tree_text(tree, TREE_TIME, "/b"));
	assert_int_equal(tree_get(tree, TREE_COMMAND, "echo x")->errnum, EREMOTE);
	assert_int_equal(tree_get(tree, TREE_PROBE, "cpuid")->errnum, EREMOTE);
	snprintf(path, sizeof(path), "%s/b", root);
	write_file(path, "other");
	assert_string_equal(tree_text(tree, TREE_FILE, "/b"), "text");
	assert_string_equal(tree_entry(tree, 0)->name, "/");
	tree_destroy(tree);
	for (const char *name = "abcd"; *name; name++) {
		snprintf(path, sizeof(path), "%s/%c", root, *name);
		unlink(path);
	}
	rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_outcomes),
	    cmocka_unit_test(test_headings),
	    cmocka_unit_test(test_commands_of_lines),
	    cmocka_unit_test(test_what_commands_do),
	    cmocka_unit_test(test_running),
	    cmocka_unit_test(test_root_ignores_path),
	    cmocka_unit_test(test_tree),
	    cmocka_unit_test(test_running_with_sigchld_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
