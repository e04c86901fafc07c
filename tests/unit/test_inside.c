/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nothing leads out of a root, and by hand it is the same as by openat2(2); and the one layer that
 * the doctor reads a host's files through.
 */
#include "core/cleanup.h"
#include "doctor/facts/inside.h"
#include "doctor/facts/root.h"
#include "doctor/facts/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char top_path[64];
static int outside = -1, top = -1;

/* A directory with a secret, and in it the root, whose links try to lead to the secret. */
static int setup(void **state)
{
	static const struct {
		const char *target, *name;
	} links[] = {
	    {"file", "link"},
	    {"/dir/inner", "absolute"},
	    {"../../../../secret", "dir/up"},
	    {"/../secret", "top-up"},
	    {"dir/", "slash"},
	    {"loop", "loop"},
	    {"loop-b", "loop-a"},
	    {"loop-a", "loop-b"},
	    {"nowhere", "dangling"},
	    {"/", "root"},
	    {"..", "dir/parent"},
	    {"dir/deep/../inner", "mixed"},
	    {"/proc/self/root/secret", "magic"},
	};
	char chain[16], before[16];

	(void)state;
	snprintf(top_path, sizeof(top_path), "/tmp/nunchi-inside.XXXXXX");
	if (!mkdtemp(top_path))
		return -1;
	outside = open(top_path, O_PATH | O_DIRECTORY);
	close(openat(outside, "secret", O_CREAT | O_WRONLY, 0600));
	if (mkdirat(outside, "root", 0700))
		return -1;
	top = openat(outside, "root", O_PATH | O_DIRECTORY);
	if (mkdirat(top, "dir", 0700) || mkdirat(top, "dir/deep", 0700))
		return -1;
	close(openat(top, "file", O_CREAT | O_WRONLY, 0600));
	close(openat(top, "dir/inner", O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].target, top, links[i].name))
			return -1;
	/* chain0 takes 40 links to the file, chain1 39, chain-1 takes one too many. */
	for (int i = -1; i < 40; i++) {
		snprintf(chain, sizeof(chain), "chain%d", i);
		snprintf(before, sizeof(before), i == 39 ? "file" : "chain%d", i + 1);
		if (symlinkat(before, top, chain))
			return -1;
	}
	return top < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	pid_t child = fork();

	(void)state;
	if (!child) {
		execlp("rm", "rm", "-rf", "--", top_path, NULL);
		_exit(127);
	}
	close(top);
	close(outside);
	return child > 0 && waitpid(child, NULL, 0) == child ? 0 : -1;
}

/* What was opened, or how it failed. */
struct opened {
	int errnum;
	dev_t device;
	ino_t inode;
	mode_t mode;
};

static struct opened look(int fd)
{
	struct opened opened = {.errnum = fd < 0 ? errno : 0};
	struct stat status;

	if (fd < 0)
		return opened;
	assert_int_equal(fstat(fd, &status), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	opened.device = status.st_dev;
	opened.inode = status.st_ino;
	opened.mode = status.st_mode;
	return opened;
}

static bool same(const struct opened *a, const struct opened *b)
{
	return a->errnum == b->errnum && a->device == b->device && a->inode == b->inode &&
	       a->mode == b->mode;
}

static const char *const paths[] = {
    "file",
    "/file",
    "//file",
    "./file",
    "file/",
    "file/.",
    "file/..",
    "dir",
    "dir/",
    "/dir/inner",
    "dir/inner/",
    "dir/../file",
    "dir/../../file",
    "/../../file",
    "..",
    "/",
    ".",
    "",
    "nothing",
    "nothing/file",
    "link",
    "link/",
    "absolute",
    "dir/up",
    "top-up",
    "slash",
    "slash/inner",
    "slash/",
    "loop",
    "loop-a",
    "dangling",
    "root",
    "root/file",
    "root/..",
    "dir/parent",
    "mixed",
    "dir/parent/..",
    "dir/parent/file",
    "root/root/dir",
    "root/dir/parent/dir/inner",
    "chain0",
    "chain-1",
    "chain39",
    "magic",
    "dir/deep/../../../file",
};
static const int flags[] = {O_RDONLY, O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY | O_DIRECTORY,
			    O_RDONLY | O_NOFOLLOW};

static void test_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			struct opened kernel = look(open_inside(top, paths[i], flags[j]));
			struct opened hand = look(open_inside_by_hand(top, paths[i], flags[j]));

			if (!same(&kernel, &hand))
				fail_msg("\"%s\" with %#x: %d (%o) by the kernel, %d (%o) by hand",
					 paths[i], (unsigned)flags[j], kernel.errnum, kernel.mode,
					 hand.errnum, hand.mode);
		}
	}
}

static void test_never_out(void **state)
{
	struct stat secret;

	(void)state;
	assert_int_equal(fstatat(outside, "secret", &secret, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_false(look(open_inside_by_hand(top, paths[i], O_PATH)).inode ==
			     secret.st_ino);
	assert_int_equal(look(open_inside_by_hand(top, "dir/up", O_PATH)).errnum, ENOENT);
	assert_int_equal(look(open_inside_by_hand(top, "top-up", O_PATH)).errnum, ENOENT);
	assert_int_equal(look(open_inside_by_hand(top, "chain0", O_PATH)).errnum, 0);
	assert_int_equal(look(open_inside_by_hand(top, "chain-1", O_PATH)).errnum, ELOOP);
}

static void test_limits(void **state)
{
	char *path = test_malloc(8192);

	(void)state;
	memset(path, 'a', 8191);
	path[8191] = '\0';
	assert_int_equal(look(open_inside_by_hand(top, path, O_PATH)).errnum, ENAMETOOLONG);
	path[300] = '\0';
	assert_int_equal(look(open_inside_by_hand(top, path, O_PATH)).errnum, ENAMETOOLONG);
	/* There and back, however often: what was left is closed. */
	for (size_t i = 0; i < 500; i++)
		memcpy(path + i * 7, "dir/../", 8);
	assert_int_equal(look(open_inside_by_hand(top, path, O_PATH)).errnum, 0);
	test_free(path);
}

/* ---- The layer above it: what facts and the change to Xen read ---- */

/* Files that a root may have, and what stands in the way of reading each. */
static void make_files(void)
{
	int fd = openat(top, "large", O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)ROOT_FILE_MAX + 1), 0);
	close(fd);
	fd = openat(top, "text", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "text\n", 5), 5);
	close(fd);
	assert_int_equal(mkfifoat(top, "fifo", 0600), 0);
	assert_int_equal(mkdirat(top, "many", 0700), 0);
	for (unsigned i = 0; i <= ROOT_NAMES_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%u", i);
		fd = openat(top, name, O_CREAT | O_WRONLY, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
}

/* Facts and the change to Xen get the same of each path: absence with its reason, or the text. */
static void test_one_layer(void **state)
{
	static const struct {
		const char *path;
		int errnum;
		enum nunchi_error_code code; /* of root_read(); NUNCHI_ERROR_NOT_FOUND: no error */
	} rows[] = {
	    {"/text", 0, NUNCHI_ERROR_NOT_FOUND},
	    {"/nothing", ENOENT, NUNCHI_ERROR_NOT_FOUND},
	    {"/text/below", ENOTDIR, NUNCHI_ERROR_NOT_FOUND},
	    {"/dir/up", ENOENT, NUNCHI_ERROR_NOT_FOUND},
	    {"/top-up", ENOENT, NUNCHI_ERROR_NOT_FOUND},
	    {"/dir", EISDIR, NUNCHI_ERROR_DATA},
	    {"/fifo", EINVAL, NUNCHI_ERROR_DATA},
	    {"/loop", ELOOP, NUNCHI_ERROR_IO},
	};
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_root_ struct root root;
	char path[128];

	(void)state;
	make_files();
	snprintf(path, sizeof(path), "%s/root", top_path);
	assert_null(root_init(path, &root));
	assert_null(tree_open(path, NULL, &tree));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct tree_entry *entry = tree_get(tree, TREE_FILE, rows[i].path);
		_cleanup_buffer_ struct buffer text = {0};
		_cleanup_error_ struct nunchi_error *err = NULL;
		bool exists = false;

		err = root_read(&root, rows[i].path, &text, &exists);
		print_message("%s: %s; %s\n", rows[i].path, entry->text ? "read" : tree_why(entry),
			      err      ? nunchi_error_message(err)
			      : exists ? "read"
				       : "absent");
		assert_int_equal(entry->errnum, rows[i].errnum);
		assert_int_equal(entry->text != NULL, !rows[i].errnum);
		if (rows[i].code == NUNCHI_ERROR_NOT_FOUND) {
			assert_null(err);
			assert_int_equal(exists, !rows[i].errnum);
			assert_string_equal(buffer_string(&text), exists ? "text\n" : "");
		} else {
			assert_int_equal(nunchi_error_code(err), rows[i].code);
		}
	}
}

/* What is too large is cut for facts, which say so, and an error for the change. */
static void test_sizes(void **state)
{
	_cleanup_root_names_ struct root_names names = {0};
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_tree_ struct tree *tree = NULL;
	_cleanup_root_ struct root root;
	const struct tree_entry *entry;
	struct nunchi_error *err;
	char path[128];
	bool exists;

	(void)state;
	snprintf(path, sizeof(path), "%s/root", top_path);
	assert_null(root_init(path, &root));
	assert_null(tree_open(path, NULL, &tree));
	entry = tree_get(tree, TREE_FILE, "/large");
	assert_true(entry->text && entry->cut && entry->size == 4 << 20);
	entry = tree_get(tree, TREE_LIST, "/many");
	assert_true(entry->text && entry->cut);
	assert_false(tree_get(tree, TREE_LIST, "/dir")->cut);
	err = root_read(&root, "/large", &text, &exists);
	assert_non_null(strstr(nunchi_error_message(err), "/large is larger than 16 MiB"));
	nunchi_error_destroy(err);
	err = root_list(&root, "/many", &names);
	assert_non_null(strstr(nunchi_error_message(err), "/many has more than 4096 names"));
	nunchi_error_destroy(err);
	assert_null(root_list(&root, "/nothing", &names));
	assert_int_equal(names.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_layer), cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_never_out),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
