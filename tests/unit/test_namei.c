/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files by their paths, among the names that the kernel has in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "guest/linux/children.h"
#include "guest/linux/namei.h"
#include "guest/linux/names.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

enum { PERMISSIONS = 0644 };

struct fixture {
	struct toy toy;
	uint64_t super;
	struct linux_path root;
	uint64_t top;   /* dentry of the root */
	uint64_t pages; /* an address_space with three pages */
	/* What linux_names() gave: paths, each with a newline; it is ended after `most`. */
	struct buffer given;
	unsigned count, most;
	struct guest_name last; /* without its texts, which are gone */
	struct buffer target;   /* of that one */
};

static void layout_of_dentry(struct toy *toy, bool has_head)
{
	toy_field(toy, LAYOUT_dentry, &L->dentry_hash_pprev, 0, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_parent, 8, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_name_len, 16, 4);
	toy_field(toy, LAYOUT_dentry, &L->dentry_name, 24, 8);
	toy_field(toy, LAYOUT_dentry, &L->dentry_inode, 32, 8);
	if (has_head) {
		toy_field(toy, LAYOUT_dentry, &L->dentry_sibling, 48, 16);
		toy_field(toy, LAYOUT_dentry, &L->dentry_children, 64, 8);
	} else {
		toy_field(toy, LAYOUT_dentry, &L->dentry_child, 48, 16);
		toy_field(toy, LAYOUT_dentry, &L->dentry_subdirs, 64, 16);
	}
}

static void layout_of_rest(struct toy *toy)
{
	toy_field(toy, LAYOUT_mount, &L->mount_parent, 0, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_mountpoint, 8, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_vfsmount, 16, 24);
	toy_field(toy, LAYOUT_mount, &L->mount_root, 16, 8);
	toy_field(toy, LAYOUT_mount, &L->mount_mounts, 40, 16);
	toy_field(toy, LAYOUT_mount, &L->mount_child, 56, 16);
	toy_field(toy, LAYOUT_inode, &L->inode_mode, 0, 2);
	toy_field(toy, LAYOUT_inode, &L->inode_sb, 8, 8);
	toy_field(toy, LAYOUT_content, &L->content_flags, 16, 4);
	toy_field(toy, LAYOUT_content, &L->content_link, 24, 8);
	toy_field(toy, LAYOUT_super, &L->super_type, 0, 8);
	toy_field(toy, LAYOUT_fs_type, &L->fs_type_name, 0, 8);
	toy_field(toy, LAYOUT_fs_type, &L->fs_type_flags, 8, 4);
	toy_field(toy, LAYOUT_stat, &L->stat_mode, 0, 2);
	toy_field(toy, LAYOUT_stat, &L->stat_uid, 20, 4);
	toy_field(toy, LAYOUT_stat, &L->stat_gid, 32, 4);
	toy_field(toy, LAYOUT_stat, &L->stat_links, 36, 4);
	toy_field(toy, LAYOUT_stat, &L->stat_ino, 40, 8);
	toy_field(toy, LAYOUT_stat, &L->stat_size, 48, 8);
	toy_field(toy, LAYOUT_stat, &L->stat_atime, 56, 8);
	toy_field(toy, LAYOUT_stat, &L->stat_mtime, 64, 8);
	toy_field(toy, LAYOUT_stat, &L->stat_ctime, 72, 8);
	toy_field(toy, LAYOUT_stat, &L->stat_mapping, 80, 8);
	toy_field(toy, LAYOUT_page_count, &L->page_count_pages, 0, 8);
	memset(L->known, true, sizeof(L->known));
}

static uint64_t get(struct toy *toy, uint64_t address)
{
	uint64_t value;

	memcpy(&value, toy->ram + (address - TOY_BASE), 8);
	return value;
}

static void empty_list(struct toy *toy, uint64_t head)
{
	toy_put(toy, head, head, 8);
	toy_put(toy, head + 8, head, 8);
}

static void append(struct toy *toy, uint64_t head, uint64_t node)
{
	uint64_t last = get(toy, head + 8);

	toy_put(toy, node, head, 8);
	toy_put(toy, node + 8, last, 8);
	toy_put(toy, last, node, 8);
	toy_put(toy, head + 8, node, 8);
}

static void push(struct toy *toy, uint64_t head, uint64_t node)
{
	uint64_t first = get(toy, head);

	toy_put(toy, node, first, 8);
	toy_put(toy, node + 8, head, 8);
	if (first)
		toy_put(toy, first + 8, node, 8);
	toy_put(toy, head, node, 8);
}

/* Makes a name for an inode, or one of a file that does not exist if mode is 0. */
static uint64_t new_name(struct fixture *fixture, uint64_t parent, const char *name, uint64_t mode)
{
	struct toy *toy = &fixture->toy;
	uint64_t dentry = toy_alloc(toy, 96), inode = mode ? toy_alloc(toy, 96) : 0;

	toy_set(toy, dentry, &L->dentry_hash_pprev, dentry);
	toy_set(toy, dentry, &L->dentry_parent, parent ? parent : dentry);
	toy_set(toy, dentry, &L->dentry_name_len, strlen(name));
	toy_set(toy, dentry, &L->dentry_name, toy_string(toy, name));
	toy_set(toy, dentry, &L->dentry_inode, inode);
	if (inode) {
		toy_set(toy, inode, &L->inode_mode, mode);
		toy_set(toy, inode, &L->inode_sb, fixture->super);
		toy_set(toy, inode, &L->stat_mapping, fixture->pages);
	}
	if (!L->dentry_children.present)
		empty_list(toy, dentry + L->dentry_subdirs.offset);
	if (parent && L->dentry_children.present)
		push(toy, parent + L->dentry_children.offset, dentry + L->dentry_sibling.offset);
	else if (parent)
		append(toy, parent + L->dentry_subdirs.offset, dentry + L->dentry_child.offset);
	return dentry;
}

static uint64_t new_directory(struct fixture *fixture, uint64_t parent, const char *name)
{
	return new_name(fixture, parent, name, S_IFDIR | PERMISSIONS);
}

static uint64_t new_file(struct fixture *fixture, uint64_t parent, const char *name)
{
	return new_name(fixture, parent, name, S_IFREG | PERMISSIONS);
}

static void new_link(struct fixture *fixture, uint64_t parent, const char *name, const char *target)
{
	struct toy *toy = &fixture->toy;
	uint64_t dentry = new_name(fixture, parent, name, S_IFLNK | PERMISSIONS);

	toy_set(toy, get(toy, dentry + L->dentry_inode.offset), &L->content_link,
		toy_string(toy, target));
}

/* Mounts a new file system with a root of its own, or nowhere; returns its vfsmount. */
static uint64_t new_mount(struct fixture *fixture, uint64_t below, uint64_t mountpoint,
			  uint64_t root)
{
	struct toy *toy = &fixture->toy;
	uint64_t mount = toy_alloc(toy, 80), parent = below ? below - 16 : mount;

	toy_set(toy, mount, &L->mount_parent, parent);
	toy_set(toy, mount, &L->mount_mountpoint, mountpoint ? mountpoint : root);
	toy_set(toy, mount, &L->mount_root, root);
	empty_list(toy, mount + L->mount_mounts.offset);
	if (below)
		append(toy, parent + L->mount_mounts.offset, mount + L->mount_child.offset);
	return mount + 16;
}

static int setup_kernel(void **state, bool has_head)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct toy *toy = &fixture->toy;
	uint64_t type;

	toy_init(toy);
	layout_of_dentry(toy, has_head);
	layout_of_rest(toy);
	type = toy_alloc(toy, 16);
	toy_set(toy, type, &L->fs_type_name, toy_string(toy, "tmpfs"));
	fixture->super = toy_alloc(toy, 8);
	toy_set(toy, fixture->super, &L->super_type, type);
	fixture->pages = toy_alloc(toy, 8);
	toy_set(toy, fixture->pages, &L->page_count_pages, 3);
	fixture->top = new_directory(fixture, 0, "/");
	fixture->root = (struct linux_path){new_mount(fixture, 0, 0, fixture->top), fixture->top};
	*state = fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_kernel(state, true);
}

static int setup_old(void **state)
{
	return setup_kernel(state, false);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	buffer_deinit(&fixture->given);
	buffer_deinit(&fixture->target);
	toy_deinit(&fixture->toy);
	free(fixture);
	return 0;
}

static void expect_at(struct fixture *fixture, const char *path, bool follow, uint64_t mnt,
		      uint64_t dentry)
{
	struct linux_found found = {0};
	struct nunchi_error *err =
	    linux_find_file(&fixture->toy.kernel, &fixture->root, path, follow, &found);

	if (err)
		fail_msg("%s: %s", path, nunchi_error_message(err));
	assert_int_equal(found.path.mnt, mnt);
	assert_int_equal(found.path.dentry, dentry);
}

static void expect(struct fixture *fixture, const char *path, uint64_t dentry)
{
	expect_at(fixture, path, true, fixture->root.mnt, dentry);
}

static void expect_error(struct fixture *fixture, const char *path, enum nunchi_error_code code,
			 const char *says)
{
	struct linux_found found;
	struct nunchi_error *err =
	    linux_find_file(&fixture->toy.kernel, &fixture->root, path, true, &found);

	assert_non_null(err);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), says))
		fail_msg("%s: %s", path, nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static void test_names(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t a = new_directory(fixture, fixture->top, "a");
	uint64_t b = new_directory(fixture, a, "b"), file = new_file(fixture, b, "file");
	uint64_t gone = new_file(fixture, b, "gone"), ab = new_file(fixture, fixture->top, "ab");

	toy_set(toy, gone, &L->dentry_hash_pprev, 0);
	new_name(fixture, b, "negative", 0);
	expect(fixture, "/", fixture->top);
	expect(fixture, "/a/b/file", file);
	expect(fixture, "//a/./b//", b);
	expect(fixture, "/a/b/../../ab", ab);
	expect(fixture, "/../../..", fixture->top);
	expect_error(fixture, "/a/none", NUNCHI_ERROR_NOT_FOUND, "\"none\" is not cached");
	expect_error(fixture, "/a/b/gone", NUNCHI_ERROR_NOT_FOUND, "\"gone\" is not cached");
	expect_error(fixture, "/a/b/negative", NUNCHI_ERROR_NOT_FOUND, "is not cached");
	expect_error(fixture, "/a/b/file/x", NUNCHI_ERROR_NOT_FOUND, "not a directory");
	expect_error(fixture, "/ab/.", NUNCHI_ERROR_NOT_FOUND, "not a directory");
	expect_error(fixture, "a", NUNCHI_ERROR_ARGUMENT, "begin with /");
}

static void test_mounts(void **state)
{
	struct fixture *fixture = *state;
	uint64_t a = new_directory(fixture, fixture->top, "a");
	uint64_t below = new_file(fixture, a, "below"), other = new_directory(fixture, 0, "/");
	uint64_t last = new_directory(fixture, 0, "/"), on = new_directory(fixture, last, "on");
	uint64_t first_mount, last_mount, bound;

	expect(fixture, "/a/below", below);
	first_mount = new_mount(fixture, fixture->root.mnt, a, other);
	/* On the root of the first one. */
	last_mount = new_mount(fixture, first_mount, other, last);
	expect_at(fixture, "/a", true, last_mount, last);
	expect_at(fixture, "/a/on", true, last_mount, on);
	expect_at(fixture, "/a/on/../..", true, fixture->root.mnt, fixture->top);
	expect_error(fixture, "/a/below", NUNCHI_ERROR_NOT_FOUND, "is not cached");
	/* A part of a file system, with the names of the whole. */
	bound = new_mount(fixture, last_mount, on, a);
	expect_at(fixture, "/a/on/below", true, bound, below);
	expect_at(fixture, "/a/on/..", true, last_mount, last);
}

static void test_links(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t a = new_directory(fixture, fixture->top, "a"), file = new_file(fixture, a, "file");
	char longest[LINUX_PATH_MAX + 1];
	uint64_t link, inode;

	new_link(fixture, a, "relative", "file");
	new_link(fixture, a, "up", "../a/./relative");
	new_link(fixture, fixture->top, "absolute", "/a/up");
	new_link(fixture, fixture->top, "directory", "a");
	new_link(fixture, a, "loop", "loop");
	new_link(fixture, a, "growing", "growing/growing");
	new_link(fixture, a, "empty", "");
	expect(fixture, "/a/relative", file);
	expect(fixture, "/absolute", file);
	expect(fixture, "/directory/up", file);
	expect(fixture, "/directory/../directory/file", file);
	expect_error(fixture, "/a/loop", NUNCHI_ERROR_NOT_FOUND, "40 symbolic links");
	expect_error(fixture, "/a/growing", NUNCHI_ERROR_NOT_FOUND, "40 symbolic links");
	expect_error(fixture, "/a/empty", NUNCHI_ERROR_NOT_FOUND, "empty");
	/* The last one is not followed, but for the '/' behind it. */
	link = new_name(fixture, a, "last", S_IFLNK | PERMISSIONS);
	inode = get(toy, link + L->dentry_inode.offset);
	toy_set(toy, inode, &L->content_link, toy_string(toy, "../directory"));
	expect_at(fixture, "/a/last", false, fixture->root.mnt, link);
	expect_at(fixture, "/a/last/", false, fixture->root.mnt, a);
	toy_set(toy, inode, &L->content_flags, 1 << 14);
	expect_error(fixture, "/a/last", NUNCHI_ERROR_UNSUPPORTED, "encrypted");
	memset(longest, 'x', sizeof(longest));
	longest[LINUX_PATH_MAX] = '\0';
	new_link(fixture, a, "endless", longest);
	expect_error(fixture, "/a/endless", NUNCHI_ERROR_NOT_FOUND, "is not cached");
	expect_error(fixture, "/a/endless/x", NUNCHI_ERROR_NOT_FOUND, "too long");
}

/* A list that goes in a circle, leads into another directory, or into missing memory. */
static void test_bad_lists(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t first = new_file(fixture, fixture->top, "a");
	uint64_t second = new_file(fixture, fixture->top, "b"), node;

	/* The later one comes first in the list with one pointer as head. */
	if (!L->dentry_children.present) {
		node = first;
		first = second;
		second = node;
	}
	node = L->dentry_children.present ? L->dentry_sibling.offset : L->dentry_child.offset;
	toy_put(toy, first + node, second + node, 8);
	expect_error(fixture, "/none", NUNCHI_ERROR_FAULT, "contradict");
	toy_put(toy, first + node, TOY_MISSING, 8);
	expect_error(fixture, "/none", NUNCHI_ERROR_FAULT, "not contain that page");
	toy_set(toy, first, &L->dentry_parent, first);
	expect_error(fixture, "/none", NUNCHI_ERROR_FAULT, "contradict");
}

/* Mounts that lie on each other, and that are each other's parents. */
static void test_bad_mounts(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t a = new_directory(fixture, fixture->top, "a");
	uint64_t other = new_directory(fixture, 0, "/");
	uint64_t mount = new_mount(fixture, fixture->root.mnt, a, other), within;

	expect_at(fixture, "/a", true, mount, other);
	/* Its list of mounts has one with the same root on that root, which has itself. */
	within = new_mount(fixture, mount, other, other);
	empty_list(toy, within - 16 + L->mount_mounts.offset);
	toy_put(toy, within - 16 + L->mount_mounts.offset, within - 16 + L->mount_child.offset, 8);
	expect_error(fixture, "/a", NUNCHI_ERROR_FAULT, "contradict");
	/* Upwards: it is on a mount that is on its root. */
	empty_list(toy, mount - 16 + L->mount_mounts.offset);
	within = new_mount(fixture, 0, 0, a);
	toy_set(toy, mount - 16, &L->mount_parent, within - 16);
	toy_set(toy, within - 16, &L->mount_parent, mount - 16);
	toy_set(toy, within - 16, &L->mount_mountpoint, other);
	expect_at(fixture, "/a", true, mount, other);
	expect_error(fixture, "/a/..", NUNCHI_ERROR_FAULT, "contradict");
}

static bool take(const struct guest_name *name, void *data)
{
	struct fixture *fixture = data;

	buffer_append(&fixture->given, name->path, name->path_size);
	buffer_append_char(&fixture->given, '\n');
	fixture->last = *name;
	fixture->last.path = fixture->last.target = NULL;
	buffer_clear(&fixture->target);
	if (name->target_result == READ_OK)
		buffer_append(&fixture->target, name->target, name->target_size);
	return !fixture->most || ++fixture->count < fixture->most;
}

static struct nunchi_error *take_names(struct fixture *fixture, const char *path, unsigned depth)
{
	buffer_clear(&fixture->given);
	fixture->count = 0;
	return linux_names(&fixture->toy.kernel, &fixture->root, path, depth, take, fixture);
}

static void expect_names(struct fixture *fixture, const char *path, unsigned depth,
			 const char *paths)
{
	assert_null(take_names(fixture, path, depth));
	assert_string_equal(fixture->given.data, paths);
}

static void expect_missing(struct fixture *fixture, const char *paths, const char *says)
{
	struct nunchi_error *err = take_names(fixture, "/", 99);

	assert_non_null(err);
	if (nunchi_error_code(err) != NUNCHI_ERROR_FAULT ||
	    !strstr(nunchi_error_message(err), says))
		fail_msg("%s", nunchi_error_message(err));
	nunchi_error_destroy(err);
	assert_string_equal(fixture->given.data, paths);
}

static void test_list(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t file = new_file(fixture, fixture->top, "file");
	uint64_t a = new_directory(fixture, fixture->top, "a"), other, on, mount, inode;

	new_file(fixture, a, "below");
	new_link(fixture, fixture->top, "link", "/a");
	expect_names(fixture, "/", 0, "/\n");
	expect_names(fixture, "/", 1, "/\n/link\n/a\n/file\n");
	expect_names(fixture, "//a//", 9, "//a\n//a/below\n");
	expect_names(fixture, "/link", 1, "/link\n/link/below\n");
	/* What is mounted is shown, and entered. */
	other = new_directory(fixture, 0, "/");
	on = new_directory(fixture, other, "on");
	mount = new_mount(fixture, fixture->root.mnt, a, other);
	expect_names(fixture, "/", 99, "/\n/link\n/a\n/file\n/a/on\n");
	new_mount(fixture, mount, on, a);
	expect_names(fixture, "/", 2, "/\n/link\n/a\n/file\n/a/on\n");
	expect_names(fixture, "/", 99, "/\n/link\n/a\n/file\n/a/on\n/a/on/below\n");
	fixture->most = 2;
	expect_names(fixture, "/", 99, "/\n/link\n");
	assert_string_equal(fixture->target.data, "/a");
	fixture->most = 0;
	/* What is known of a file. */
	inode = get(toy, file + L->dentry_inode.offset);
	toy_set(toy, inode, &L->stat_ino, 77);
	toy_set(toy, inode, &L->stat_uid, 1000);
	toy_set(toy, inode, &L->stat_size, 9000);
	toy_set(toy, inode, &L->stat_mtime, (uint64_t)-5);
	expect_names(fixture, "/file", 9, "/file\n");
	assert_int_equal(fixture->last.result, READ_OK);
	assert_int_equal(fixture->last.mode, S_IFREG | PERMISSIONS);
	assert_int_equal(fixture->last.inode, 77);
	assert_int_equal(fixture->last.uid, 1000);
	assert_int_equal(fixture->last.size, 9000);
	assert_int_equal(fixture->last.cached, 3 << PAGE_SHIFT);
	assert_int_equal(fixture->last.target_result, READ_NONE);
	toy_set(toy, inode, &L->stat_mapping, TOY_MISSING);
	expect_names(fixture, "/file", 9, "/file\n");
	assert_int_equal(fixture->last.content_result, READ_NOT_SAVED);
	toy_set(toy, file, &L->dentry_inode, TOY_MISSING);
	expect_names(fixture, "/", 1, "/\n/link\n/a\n/file\n");
	assert_int_equal(fixture->last.result, READ_NOT_SAVED);
}

/* Names that are missing are told; the others are given. */
static void test_bad_list(void **state)
{
	struct fixture *fixture = *state;
	struct toy *toy = &fixture->toy;
	uint64_t a = new_directory(fixture, fixture->top, "a"), at = fixture->top;
	uint64_t b = new_directory(fixture, fixture->top, "b");
	struct nunchi_error *err;
	char name[256];

	new_file(fixture, a, "1");
	new_file(fixture, b, "2");
	toy_put(toy, a + L->dentry_children.offset, TOY_MISSING, 8);
	expect_missing(fixture, "/\n/b\n/a\n/b/2\n", "\"/a\": the saved guest does not");
	/* Longer than a path can be. */
	memset(name, 'x', 255);
	name[255] = '\0';
	toy_put(toy, fixture->top + L->dentry_children.offset, 0, 8);
	for (unsigned i = 0; i < 20; i++)
		at = new_directory(fixture, at, name);
	err = take_names(fixture, "/", 99);
	assert_non_null(err);
	assert_non_null(strstr(nunchi_error_message(err), "1 directories"));
	nunchi_error_destroy(err);
	assert_int_equal(fixture->last.path_size, (LINUX_PATH_MAX / 256 + 1) * 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_names, setup_old, teardown),
	    cmocka_unit_test_setup_teardown(test_mounts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_lists, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_lists, setup_old, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_mounts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_list, setup, teardown),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
