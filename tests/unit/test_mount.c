/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nunchi mount: paths, names that a hostile guest chose, links, and mounts that are left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "mount/node.h"
#include "mount/point.h"

#define BYTES(text) text, sizeof(text) - 1

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		enum node_kind kind;
	} good[] = {
	    {"/", NODE_TOP},
	    {"/views", NODE_VIEWS},
	    {"/views/processes.csv", NODE_VIEW},
	    {"/views/symbols.json", NODE_VIEW},
	    {"/log", NODE_LOG},
	    {"/mem", NODE_MEMORY},
	    {"/mem/physical", NODE_PHYSICAL},
	    {"/proc", NODE_PROCESSES},
	    {"/proc/1", NODE_PROCESS},
	    {"/proc/2147483647/maps", NODE_MAPS},
	    {"/proc/12/mem", NODE_PROCESS_MEMORY},
	    {"/files", NODE_FILE},
	    {"/files/etc/passwd", NODE_FILE},
	};
	static const char *const bad[] = {
	    "/x",
	    "/view",
	    "/views/processes",
	    "/views/processes.CSV",
	    "/views/.csv",
	    "/views/nothing.csv",
	    "/views/processes.csv/x",
	    "/log/x",
	    "/mem/physical/x",
	    "/mem/kernel",
	    "/proc/0",
	    "/proc/01",
	    "/proc/-1",
	    "/proc/2147483648",
	    "/proc/99999999999999999999",
	    "/proc/1/",
	    "/proc/1/root",
	    "/proc/1x",
	    "/filesx",
	    "/files/..",
	    "/files/a/../b",
	    "/files/.",
	    "/files/\\x2e\\x2e",
	    "/files/\\x2e\\x2e/x",
	    "/files/a\\x2fb",
	    "/files/a\\x00",
	    "/files/a\\",
	    "/files/a\\x1",
	    "/files/a\\n",
	};
	struct node node;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(node_parse(good[i].path, &node));
		assert_int_equal(node.kind, good[i].kind);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (node_parse(bad[i], &node))
			fail_msg("%s is taken", bad[i]);
	assert_true(node_parse("/files", &node));
	assert_string_equal(node.path, "/");
	assert_true(node_parse("/files/a\\x0a/...", &node));
	assert_string_equal(node.path, "/a\n/...");
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		size_t size;
		const char *shown;
	} rows[] = {
	    {BYTES("sshd"), "sshd"},
	    {BYTES("눈치 x"), "눈치 x"},
	    {BYTES("..."), "..."},
	    {BYTES("."), "\\x2e"},
	    {BYTES(".."), "\\x2e\\x2e"},
	    {BYTES("a/b"), "a\\x2fb"},
	    {BYTES("../../etc"), "..\\x2f..\\x2fetc"},
	    {BYTES("a\0b"), "a\\x00b"},
	    {BYTES("a\x1b[1m\n"), "a\\x1b[1m\\x0a"},
	    {BYTES("a\\x2f"), "a\\x5cx2f"},
	    {BYTES("\xff"), "\\xff"},
	    /* a character that turns the direction of writing */
	    {BYTES("\xe2\x80\xae"), "\\xe2\\x80\\xae"},
	};
	char shown[256], path[300];
	struct node node;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(node_escape_name(rows[i].name, rows[i].size, shown, sizeof(shown)));
		assert_string_equal(shown, rows[i].shown);
		/* The way back is the same name, or none. */
		snprintf(path, sizeof(path), "/files/%s", shown);
		if (node_parse(path, &node)) {
			assert_int_equal(strlen(node.path), rows[i].size + 1);
			assert_memory_equal(node.path + 1, rows[i].name, rows[i].size);
		}
	}
	assert_false(node_escape_name("", 0, shown, sizeof(shown)));
	assert_false(node_escape_name(BYTES("abcdef"), shown, 6));
}

static void test_links(void **state)
{
	static const struct {
		const char *target;
		unsigned depth;
		const char *link;
	} rows[] = {
	    {"page", 0, "page"},
	    {"/etc/passwd", 0, "etc/passwd"},
	    {"/etc/passwd", 2, "../../etc/passwd"},
	    {"../../../../etc/shadow", 1, "../etc/shadow"},
	    {"../../../../etc/shadow", 0, "etc/shadow"},
	    {"a/../../../x", 1, "../x"},
	    {"a/b/../..", 0, "."},
	    {"/../../x", 1, "../x"},
	    {"..", 0, "."},
	    {"/", 0, "."},
	    {"/", 3, "../../.."},
	    {"a//./b/", 0, "a/b"},
	    {"a\nb/..x", 0, "a\\x0ab/..x"},
	    {".../x", 0, ".../x"},
	};
	char link[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(node_convert_link(rows[i].target, strlen(rows[i].target), rows[i].depth,
					      link, sizeof(link)));
		assert_string_equal(link, rows[i].link);
	}
	assert_false(node_convert_link("", 0, 0, link, sizeof(link)));
	assert_false(node_convert_link(BYTES("/a/b"), 40, link, sizeof(link)));
	assert_false(node_convert_link(BYTES("abcdefgh"), 0, link, 6));
}

static void test_mountinfo(void **state)
{
	static const char line[] = "42 27 0:39 / /tmp/a\\040b ro,nosuid,relatime shared:1 - "
				   "fuse.nunchi nunchi ro,user_id=0\n";
	char type[16] = "", source[4] = "";

	(void)state;
	assert_true(point_parse(line, "/tmp/a b", type, source, sizeof(source)));
	assert_string_equal(type, "fus");
	assert_string_equal(source, "nun");
	assert_true(point_parse("1 2 0:3 / /m rw - fuse.x y rw", "/m", type, source, 4));
	assert_string_equal(source, "y");
	assert_false(point_parse(line, "/tmp/a", type, source, sizeof(source)));
	assert_false(point_parse("", "/tmp/a", type, source, sizeof(source)));
	assert_false(point_parse("1 2 0:3 / /m rw", "/m", type, source, sizeof(source)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_links),
	    cmocka_unit_test(test_mountinfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
