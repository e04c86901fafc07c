/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of which kind a file system is, by the text of a mountinfo. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "target/qemu/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char text[] =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "25 22 0:23 / /run rw,nosuid - tmpfs tmpfs rw,size=1k\n"
    "30 22 0:40 / /home/m/mnt rw,nosuid,nodev shared:7 master:2 - fuse.sshfs m@h:/ rw,user_id=7\n"
    "31 22 0:41 / /srv rw - nfs4 h:/x rw\n"
    "32 22 0:42 / /srv/local rw - xfs /dev/vdb rw\n"
    "33 22 0:43 / /home/m/a\\040b rw - tmpfs tmpfs rw\n"
    "34 22 0:44 / /run rw - fuse x rw\n"
    "a line of another form\n"
    "35 22 0:45 / /cut";

static void test_devices(void **state)
{
	static const struct {
		struct mounts_device device;
		const char *type; /* NULL: not found */
	} rows[] = {
	    {{254, 0}, "ext4"}, {{0, 40}, "fuse.sshfs"}, {{0, 41}, "nfs4"},
	    {{0, 42}, "xfs"},   {{0, 45}, NULL},         {{40, 0}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char type[32] = "";
		bool found =
		    mounts_find_device(text, sizeof(text) - 1, rows[i].device, type, sizeof(type));

		assert_int_equal(found, rows[i].type != NULL);
		assert_string_equal(type, rows[i].type ? rows[i].type : "");
	}
}

static void test_paths(void **state)
{
	static const char *const rows[][2] = {
	    {"/tmp/a", "ext4"},
	    {"/home/m/mnt/a", "fuse.sshfs"},
	    {"/home/m/mnt", "fuse.sshfs"},
	    {"/home/m/mntx", "ext4"},
	    {"/srv/a", "nfs4"},
	    {"/srv/local/a", "xfs"},
	    {"/run/a", "fuse"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char type[32] = "";

		assert_true(
		    mounts_find_path(text, sizeof(text) - 1, rows[i][0], type, sizeof(type)));
		assert_string_equal(type, rows[i][1]);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(mounts_is_local("ext4") && mounts_is_local("tmpfs") &&
		    mounts_is_local("hugetlbfs") && mounts_is_local("xfs"));
	assert_false(mounts_is_local("fuse") || mounts_is_local("fuseblk") ||
		     mounts_is_local("fuse.sshfs") || mounts_is_local("nfs4") ||
		     mounts_is_local("cifs") || mounts_is_local("9p") ||
		     mounts_is_local("overlay"));
}

/* A memfd lies on a mount that no mountinfo has. */
static void test_memfd(void **state)
{
	_cleanup_close_ int fd = memfd_create("x", MFD_CLOEXEC);
	char type[32] = "";
	struct stat st = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(mounts_device_is_local(
	    getpid(), (struct mounts_device){major(st.st_dev), minor(st.st_dev)}, type,
	    sizeof(type)));
	assert_false(
	    mounts_device_is_local(getpid(), (struct mounts_device){4000, 1}, type, sizeof(type)));
	assert_string_equal(type, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_devices),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
