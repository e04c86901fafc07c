/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nunchi report makes of cells, of rows and of the order of processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "report/markup.h"
#include "report/sections.h"
#include "report/tree.h"

static struct nunchi_cell bytes_cell(const char *text, size_t size)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_TEXT, .text = text, .text_size = size};
}

static struct nunchi_cell text_cell(const char *text)
{
	return bytes_cell(text, strlen(text));
}

static struct nunchi_cell integer_cell(int64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = value};
}

static struct nunchi_cell absent_cell(enum nunchi_absence why)
{
	return (struct nunchi_cell){.kind = NUNCHI_CELL_ABSENT, .absence = why};
}

static void assert_has(const struct buffer *out, const char *text)
{
	if (!strstr(buffer_string(out), text))
		fail_msg("\"%s\" is missing in:\n%s", text, buffer_string(out));
}

/* ---- Text ------------------------------------------------------------------------------------ */

#define BYTES(text) text, sizeof(text) - 1

static void test_text(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *html;
	} rows[] = {
	    {BYTES("sshd"), "sshd"},
	    {BYTES("</script><img src=x onerror=\"alert('1')\">"),
	     "&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;"},
	    {BYTES("<!--&lt;]]>"), "&lt;!--&amp;lt;]]&gt;"},
	    {BYTES("a\0b\n\t\x1b[31m\x7f"), "a\\x00b\\n\\t\\x1b[31m\\x7f"},
	    {BYTES("\xff\xc0\xafx\xed\xa0\x80"), "\\xff\\xc0\\xafx\\xed\\xa0\\x80"},
	    {BYTES("\xe2\x80\xaegpj.exe\xe2\x81\xa6"), "\\u{202e}gpj.exe\\u{2066}"},
	    {BYTES("\xe2\x80\x8b\xef\xbb\xbf\xc2\x85"), "\\u{200b}\\u{feff}\\u{0085}"},
	    {BYTES("C:\\x&#60;"), "C:\\\\x&amp;#60;"},
	    {BYTES("\xed\x95\x9c\xea\xb5\xad\xf0\x9f\x90\xa7"),
	     "\xed\x95\x9c\xea\xb5\xad\xf0\x9f\x90\xa7"},
	    {BYTES(""), ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		markup_text(&out, rows[i].text, rows[i].size);
		assert_false(out.failed);
		assert_string_equal(buffer_string(&out), rows[i].html);
	}
}

/* Each byte, alone and between others, leaves nothing that HTML understands. */
static void test_each_byte(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		_cleanup_buffer_ struct buffer out = {0};
		const char text[] = {'a', (char)i, 'b', (char)i};

		markup_text(&out, text, sizeof(text));
		for (const char *p = buffer_string(&out); *p; p++) {
			assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
			assert_null(strchr("<>\"'", *p));
		}
	}
}

static void test_long_text(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};
	char text[MARKUP_MOST_TEXT + 10];

	(void)state;
	memset(text, 'x', sizeof(text));
	/* A character of three bytes lies across the end. */
	memcpy(text + MARKUP_MOST_TEXT - 2, "\xed\x95\x9c", 3);
	markup_long_text(&out, text, sizeof(text));
	assert_int_equal(strspn(buffer_string(&out), "x"), MARKUP_MOST_TEXT - 2);
	assert_string_equal(buffer_string(&out) + MARKUP_MOST_TEXT - 2,
			    "<span class=\"cut\"> … and 12 more bytes</span>");
	buffer_clear(&out);
	markup_long_text(&out, text, MARKUP_MOST_TEXT - 2);
	assert_int_equal(out.size, MARKUP_MOST_TEXT - 2);
}

static void test_cells(void **state)
{
	static const struct nunchi_column plain = {"pid", NUNCHI_TYPE_INTEGER, "",
						   NUNCHI_UNIT_NONE};
	static const struct nunchi_column bytes = {"size", NUNCHI_TYPE_INTEGER, "",
						   NUNCHI_UNIT_BYTES};
	static const struct nunchi_column family = {"family", NUNCHI_TYPE_INTEGER, "",
						    NUNCHI_UNIT_NONE};
	const struct {
		const struct nunchi_column *column;
		struct nunchi_cell cell;
		const char *html;
	} rows[] = {
	    {&plain, integer_cell(-1), "<td class=\"number\">-1</td>"},
	    {&plain, integer_cell(INT64_MIN), "<td class=\"number\">-9223372036854775808</td>"},
	    {&bytes, integer_cell(268435456),
	     "<td class=\"number\" data-v=\"268435456\">256 MiB</td>"},
	    {&bytes, integer_cell(-4), "<td class=\"number\">-4</td>"},
	    {&family, integer_cell(10), "<td data-v=\"10\">IPv6</td>"},
	    {&family, integer_cell(99), "<td class=\"number\">99</td>"},
	    {&plain, text_cell("-"), "<td>-</td>"},
	    {&plain, text_cell("a name of thirty bytes, or so"),
	     "<td class=\"long\">a name of thirty bytes, or so</td>"},
	    {&plain, absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE),
	     "<td class=\"absent\" title=\"not applicable\">–</td>"},
	    {&plain, absent_cell(NUNCHI_ABSENT_PAGED_OUT),
	     "<td class=\"absent\" title=\"paged out\">– paged out</td>"},
	    {&plain,
	     {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_ADDRESS, .address = UINT64_MAX},
	     "<td class=\"number\">0xffffffffffffffff</td>"},
	    {&plain,
	     {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_REAL, .real = 0.5},
	     "<td class=\"number\">0.5</td>"},
	    {&plain,
	     {.kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_REAL, .real = 1e300 * 1e300},
	     "<td class=\"absent\" title=\"bad data\">– bad data</td>"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		markup_cell(&out, rows[i].column, &rows[i].cell);
		assert_false(out.failed);
		assert_string_equal(buffer_string(&out), rows[i].html);
	}
}

/* ---- The tree -------------------------------------------------------------------------------- */

#define NODES 8

/* "1(2 5(7)) 3": the nodes in order, children in parentheses. */
static char *tree_text(struct tree_node *nodes, size_t count, char *text)
{
	size_t ids[NODES], order[NODES], depth = 0;
	char *to = text;

	tree_order(nodes, count, ids, order);
	for (size_t i = 0; i < count; i++) {
		const struct tree_node *node = &nodes[order[i]];

		for (; depth < node->depth; depth++)
			*to++ = '(';
		for (; depth > node->depth; depth--)
			*to++ = ')';
		*to++ = (char)('0' + node->id);
	}
	for (; depth > 0; depth--)
		*to++ = ')';
	*to = '\0';
	return text;
}

static void test_tree(void **state)
{
	static const struct {
		int64_t pairs[NODES][2]; /* id, parent */
		size_t count;
		const char *text;
	} rows[] = {
	    {{{0}}, 0, ""},
	    {{{7, 5}, {1, 0}, {5, 1}, {2, 1}, {3, 9}}, 5, "1(25(7))3"},
	    /* Its own parent; two that are each other's; a circle of three with a child. */
	    {{{4, 4}, {5, 6}, {6, 5}}, 3, "46(5)"},
	    {{{1, 3}, {2, 1}, {3, 2}, {4, 2}}, 4, "2(3(1)4)"},
	    /* Two nodes with one id: the first one is the parent. */
	    {{{1, 0}, {1, 0}, {2, 1}}, 3, "1(2)1"},
	    {{{2, 1}, {1, 0}, {2, 1}, {3, 2}}, 4, "1(2(3)2)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tree_node nodes[NODES] = {{0}};
		char text[4 * NODES];

		for (size_t j = 0; j < rows[i].count; j++) {
			nodes[j].id = rows[i].pairs[j][0];
			nodes[j].parent = rows[i].pairs[j][1];
		}
		assert_string_equal(tree_text(nodes, rows[i].count, text), rows[i].text);
	}
}

/* Each node is there once, whatever the parents are, and a chain of 20,000 is no trouble. */
static void test_any_tree(void **state)
{
	enum { COUNT = 20000 };
	struct tree_node *nodes = calloc(COUNT, sizeof(*nodes));
	size_t *ids = calloc(COUNT, sizeof(*ids)), *order = calloc(COUNT, sizeof(*order));
	uint32_t random = 1;

	(void)state;
	assert_true(nodes && ids && order);
	for (unsigned kind = 0; kind < 3; kind++) {
		bool *seen = calloc(COUNT, sizeof(*seen));

		assert_non_null(seen);
		for (size_t i = 0; i < COUNT; i++) {
			random = random * 1103515245 + 12345;
			nodes[i].id = (int64_t)i;
			/* A circle of all, a chain, any. */
			nodes[i].parent = kind == 0   ? (int64_t)((i + 1) % COUNT)
					  : kind == 1 ? (int64_t)i - 1
						      : (int64_t)(random >> 8) % COUNT;
		}
		tree_order(nodes, COUNT, ids, order);
		for (size_t i = 0; i < COUNT; i++) {
			assert_true(order[i] < COUNT && !seen[order[i]]);
			seen[order[i]] = true;
		}
		free(seen);
	}
	free(nodes);
	free(ids);
	free(order);
}

/* ---- Sections -------------------------------------------------------------------------------- */

static void test_columns(void **state)
{
	(void)state;
	for (size_t i = 0; i < SECTION_COUNT; i++) {
		struct section_processes processes = {0};
		struct section section;

		section_init(&section, i, &processes, 0);
		assert_true(section.column_count > 0);
		for (size_t j = 0; j < section.column_count; j++)
			if (!section.columns[j])
				fail_msg("%s has no column %s", section.kind->name,
					 section.kind->columns[j]);
		section_deinit(&section);
	}
}

static void take_process(struct section *section, int64_t pid, int64_t parent, const char *name)
{
	struct nunchi_cell cells[SECTION_MOST_COLUMNS];

	for (size_t i = 0; i < section->column_count; i++) {
		const char *column = section->columns[i]->name;

		cells[i] = !strcmp(column, "pid")      ? integer_cell(pid)
			   : !strcmp(column, "parent") ? integer_cell(parent)
			   : !strcmp(column, "name")   ? text_cell(name)
						       : absent_cell(NUNCHI_ABSENT_NOT_SAVED);
	}
	section_take(section, cells, section->column_count, false);
}

static void test_processes(void **state)
{
	struct section_processes processes = {0};
	_cleanup_buffer_ struct buffer out = {0};
	struct section section, sockets;
	struct nunchi_cell cells[SECTION_MOST_COLUMNS];

	(void)state;
	section_init(&section, SECTION_processes, &processes, 0);
	take_process(&section, 9, 1, "</td><script>alert(1)</script>");
	take_process(&section, 1, 0, "init");
	take_process(&section, 9, 1, "twin");
	assert_true(section_finish(&section));
	section_rows(&section, &out);
	assert_has(&out, "<tr id=\"p1\" data-depth=\"0\"><td class=\"number\">1</td><td>init</td>");
	assert_has(&out,
		   "<tr id=\"p9\" data-depth=\"1\"><td class=\"number\">9</td><td class=\"long\">"
		   "<span class=\"tree\">├─ </span>&lt;/td&gt;&lt;script&gt;alert(1)"
		   "&lt;/script&gt;</td>");
	/* An id is there once. */
	assert_has(&out, "<tr data-depth=\"1\"><td class=\"number\">9</td><td>"
			 "<span class=\"tree\">└─ </span>twin</td>");
	assert_null(strstr(buffer_string(&out), "<script"));
	assert_int_equal(section.absent[3][NUNCHI_ABSENT_NOT_SAVED], 3);

	section_init(&sockets, SECTION_process_open_sockets, &processes, 0);
	for (size_t i = 0; i < sockets.column_count; i++)
		cells[i] = absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE);
	cells[0] = integer_cell(1);
	section_take(&sockets, cells, sockets.column_count, true);
	cells[0] = integer_cell(-1);
	section_take(&sockets, cells, sockets.column_count, false);
	assert_true(section_finish(&sockets));
	buffer_clear(&out);
	section_rows(&sockets, &out);
	assert_has(&out, "<tr class=\" torn\"><td class=\"number\"><a href=\"#p1\">1</a></td>"
			 "<td>init</td>");
	assert_has(&out, "<tr><td class=\"number\">-1</td><td></td>");
	assert_int_equal(sockets.torn, 1);
	section_deinit(&section);
	section_deinit(&sockets);
	section_processes_deinit(&processes);
}

static void test_findings(void **state)
{
	static const char *const read[] = {"ok", "note", "alarm", "new word", "warning"};
	static const char *const shown[] = {"alarm", "warning", "note", "ok", "new word"};
	struct section_processes processes = {0};
	_cleanup_buffer_ struct buffer out = {0};
	struct nunchi_cell cells[SECTION_MOST_COLUMNS];
	const char *at;
	struct section section;

	(void)state;
	section_init(&section, SECTION_findings, &processes, 0);
	for (size_t i = 0; i < ARRAY_SIZE(read); i++) {
		for (size_t j = 0; j < section.column_count; j++)
			cells[j] = absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE);
		cells[0] = text_cell(read[i]);
		section_take(&section, cells, section.column_count, false);
	}
	assert_true(section_finish(&section));
	section_rows(&section, &out);
	at = buffer_string(&out);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		char cell[64];

		snprintf(cell, sizeof(cell), "<td>%s</td>", shown[i]);
		at = strstr(at, cell);
		if (!at)
			fail_msg("%s is out of order in:\n%s", shown[i], buffer_string(&out));
	}
	assert_has(&out, "<tr class=\"alarm\">");
	section_deinit(&section);
}

/* What does not fit is left out whole, and said. */
static void test_too_much(void **state)
{
	struct section_processes processes = {0};
	_cleanup_buffer_ struct buffer out = {0};
	struct section section;

	(void)state;
	section_init(&section, SECTION_processes, &processes, 4096);
	for (int64_t i = 1; i < 100; i++)
		take_process(&section, i, 1, "a");
	assert_true(section.cut);
	assert_true(section.count > 1 && section.count < 99);
	assert_int_equal(section.count, processes.count);
	assert_true(section_finish(&section));
	section_rows(&section, &out);
	assert_string_equal(buffer_string(&out) + out.size - 11, "</td></tr>\n");
	section_deinit(&section);
	section_processes_deinit(&processes);

	section_init(&section, SECTION_processes, &processes, 0);
	for (size_t i = 0; i < SECTION_MOST_ROWS + 1; i++)
		take_process(&section, (int64_t)i, 1, "a");
	assert_true(section.cut);
	assert_int_equal(section.count, SECTION_MOST_ROWS);
	section_deinit(&section);
	section_processes_deinit(&processes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),      cmocka_unit_test(test_each_byte),
	    cmocka_unit_test(test_long_text), cmocka_unit_test(test_cells),
	    cmocka_unit_test(test_tree),      cmocka_unit_test(test_any_tree),
	    cmocka_unit_test(test_columns),   cmocka_unit_test(test_processes),
	    cmocka_unit_test(test_findings),  cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
