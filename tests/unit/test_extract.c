/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that makes files for nunchi extract, and what it is told by one that is not honest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What the command would do --------------------------------------------------------------- */

static char said[512];

int cli_fail_with(struct cli *cli, const char *format, ...)
{
	va_list arguments;

	(void)cli;
	va_start(arguments, format);
	vsnprintf(said, sizeof(said), format, arguments);
	va_end(arguments);
	return CLI_FAILED;
}

int cli_open_context(struct cli *cli)
{
	(void)cli;
	return CLI_DONE;
}

void cli_close_context(struct cli *cli)
{
	(void)cli;
}

/* ---- A directory ----------------------------------------------------------------------------- */

struct fixture {
	char top[64], path[128]; /* path: the directory that is made */
	struct extract_files files;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	snprintf(fixture->top, sizeof(fixture->top), "/tmp/nunchi-extract-XXXXXX");
	assert_non_null(mkdtemp(fixture->top));
	snprintf(fixture->path, sizeof(fixture->path), "%s/made", fixture->top);
	*state = fixture;
	return 0;
}

static int remove_all(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (list && (entry = readdir(list))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_all(fd, entry->d_name);
	}
	if (list)
		closedir(list);
	return unlinkat(parent, name, list ? AT_REMOVEDIR : 0);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	int status;

	extract_end(&fixture->files);
	status = remove_all(AT_FDCWD, fixture->top);
	free(fixture);
	return status;
}

static void start(struct fixture *fixture)
{
	assert_int_equal(extract_start(NULL, fixture->path, &fixture->files), CLI_DONE);
}

/* Has a file begun; gives the errno that is answered. */
static int begin(struct fixture *fixture, const char *name)
{
	assert_true(extract_send(&fixture->files, EXTRACT_FILE, 0, name, strlen(name)));
	return extract_answer(&fixture->files);
}

static int end(struct fixture *fixture, uint64_t size)
{
	assert_true(extract_send(&fixture->files, EXTRACT_END, size, "", 0));
	return extract_answer(&fixture->files);
}

static bool stat_of(const struct fixture *fixture, const char *name, struct stat *ret)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
	return !lstat(path, ret);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_files(void **state)
{
	struct fixture *fixture = *state;
	struct stat st;

	umask(0);
	start(fixture);
	assert_int_equal(begin(fixture, "files/a/b"), 0);
	assert_true(extract_send(&fixture->files, EXTRACT_DATA, 4096, "data", 4));
	assert_int_equal(end(fixture, 1 << 20), 0);
	assert_true(stat_of(fixture, "files/a/b", &st));
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true(st.st_blocks * 512 < 1 << 19);
	assert_true(stat_of(fixture, "files/a", &st));
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	/* Twice; a directory; a file as a directory. */
	assert_int_equal(begin(fixture, "files/a/b"), EEXIST);
	assert_int_equal(begin(fixture, "files/a"), EEXIST);
	assert_int_equal(begin(fixture, "files/a/b/c"), ENOTDIR);
	assert_int_equal(end(fixture, 0), ENOTDIR);
	assert_true(extract_send(&fixture->files, EXTRACT_MANIFEST, 0, "{}\n", 3));
	assert_false(stat_of(fixture, "manifest.jsonl", &st));
	assert_true(extract_send(&fixture->files, EXTRACT_DONE, 0, "", 0));
	assert_int_equal(extract_answer(&fixture->files), 0);
	assert_true(stat_of(fixture, "manifest.jsonl", &st) && st.st_size == 3);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void test_names(void **state)
{
	static const char *const names[] = {
	    "../outside",      "/etc/outside", "files/../../outside", "files/./x", "files//x", "..",
	    "files/new\nline", "files/\033[m", "files/\x7f",          "files/",    "",
	};
	struct fixture *fixture = *state;
	char name[600] = "files/";
	struct stat st;

	start(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(begin(fixture, names[i]), EINVAL);
	assert_true(extract_send(&fixture->files, EXTRACT_FILE, 0, "files/a\0b", 9));
	assert_int_equal(extract_answer(&fixture->files), EINVAL);
	memset(name + 6, 'n', 255);
	assert_int_equal(begin(fixture, name), 0);
	assert_int_equal(end(fixture, 0), 0);
	name[6 + 255] = 'n';
	assert_int_equal(begin(fixture, name), ENAMETOOLONG);
	name[6 + 256] = '/';
	assert_int_equal(begin(fixture, name), ENAMETOOLONG);
	assert_false(stat_of(fixture, "../outside", &st));
}

/* Somebody puts a link where a directory or a file is to be. */
static void test_links(void **state)
{
	struct fixture *fixture = *state;
	char link[256];
	struct stat st;

	start(fixture);
	snprintf(link, sizeof(link), "%s/files", fixture->path);
	assert_int_equal(symlink("..", link), 0);
	assert_int_equal(begin(fixture, "files/outside"), ENOTDIR);
	assert_false(stat_of(fixture, "../outside", &st));
	snprintf(link, sizeof(link), "%s/link", fixture->path);
	assert_int_equal(symlink("../outside", link), 0);
	assert_int_equal(begin(fixture, "link"), EEXIST);
	assert_false(stat_of(fixture, "../outside", &st));
}

/* What did not become whole is not there; of a size that no file can have, what is there stays. */
static void test_failures(void **state)
{
	const struct rlimit limit = {8192, RLIM_INFINITY};
	struct fixture *fixture = *state;
	struct rlimit before;
	struct stat st;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	start(fixture);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(begin(fixture, "large"), 0);
	assert_true(extract_send(&fixture->files, EXTRACT_DATA, 0, "data", 4));
	assert_int_equal(end(fixture, UINT64_MAX), EFBIG);
	assert_true(stat_of(fixture, "large", &st) && st.st_size == 4);
	assert_int_equal(begin(fixture, "larger"), 0);
	assert_true(extract_send(&fixture->files, EXTRACT_DATA, 0, "data", 4));
	assert_true(extract_send(&fixture->files, EXTRACT_DATA, 1 << 20, "data", 4));
	assert_int_equal(end(fixture, 1 << 21), EFBIG);
	assert_true(stat_of(fixture, "larger", &st) && st.st_size == 4);
	assert_int_equal(begin(fixture, "begun"), 0);
	assert_true(stat_of(fixture, "begun", &st));
	assert_int_equal(begin(fixture, "another"), 0);
	assert_false(stat_of(fixture, "begun", &st));
	extract_end(&fixture->files);
	assert_false(stat_of(fixture, "another", &st));
	/* There was nothing for the manifest. */
	assert_false(stat_of(fixture, "manifest.jsonl.part", &st));
}

/* Bytes without a file, and records of no kind, end the process. */
static void test_order(void **state)
{
	struct fixture *fixture = *state;

	start(fixture);
	assert_true(extract_send(&fixture->files, EXTRACT_END, 0, "", 0));
	assert_int_equal(extract_answer(&fixture->files), -1);
	extract_end(&fixture->files);
	start(fixture);
	assert_true(extract_send(&fixture->files, (enum extract_kind)99, 0, "", 0));
	assert_int_equal(extract_answer(&fixture->files), -1);
}

/* It ends although another process, as that of a confined one, has the socket too. */
static void test_end(void **state)
{
	struct fixture *fixture = *state;
	int copy, status;

	start(fixture);
	copy = fcntl(fixture->files.fd, F_DUPFD_CLOEXEC, 3);
	assert_true(copy >= 0);
	alarm(60);
	extract_end(&fixture->files);
	alarm(0);
	status = close(copy);
	assert_int_equal(status, 0);
}

static void test_directory(void **state)
{
	struct fixture *fixture = *state;
	char link[256];

	start(fixture);
	assert_int_equal(begin(fixture, "file"), 0);
	assert_int_equal(end(fixture, 0), 0);
	extract_end(&fixture->files);
	assert_int_equal(extract_start(NULL, fixture->path, &fixture->files), CLI_FAILED);
	assert_non_null(strstr(said, "is not empty"));
	snprintf(link, sizeof(link), "%s/link", fixture->top);
	assert_int_equal(symlink("/", link), 0);
	assert_int_equal(extract_start(NULL, link, &fixture->files), CLI_FAILED);
	assert_int_equal(remove_all(AT_FDCWD, fixture->path), 0);
	umask(0);
	assert_int_equal(mkdir(fixture->path, 0777), 0);
	assert_int_equal(extract_start(NULL, fixture->path, &fixture->files), CLI_FAILED);
	assert_non_null(strstr(said, "others may write to it"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_files), TEST(test_names), TEST(test_links),     TEST(test_failures),
	    TEST(test_order), TEST(test_end),   TEST(test_directory),
	};

	/* As the command has it. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
