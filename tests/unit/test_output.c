/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/buffer.h"
#include "core/error.h"
#include "output/escape.h"
#include "output/unicode.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

DEFINE_CLEANUP(struct nunchi_writer, nunchi_writer_destroy)
#define _cleanup_writer_ _cleanup_(cleanup_nunchi_writer_destroy_p)

static const struct nunchi_column pid = {"pid", NUNCHI_TYPE_INTEGER, ""};
static const struct nunchi_column name = {"name", NUNCHI_TYPE_TEXT, ""};
static const struct nunchi_column base = {"base", NUNCHI_TYPE_ADDRESS, ""};
static const struct nunchi_column load = {"load", NUNCHI_TYPE_REAL, ""};

static bool collect(const char *data, size_t size, void *buffer)
{
	return buffer_append(buffer, data, size);
}

static bool refuse(const char *data, size_t size, void *count)
{
	(void)data;
	(void)size;
	return --*(int *)count > 0;
}

static struct nunchi_cell integer_cell(int64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = value};
}

static struct nunchi_cell real_cell(double value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_REAL, .real = value};
}

static struct nunchi_cell address_cell(uint64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_ADDRESS, .address = value};
}

static struct nunchi_cell bytes_cell(const char *text, size_t size)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_TEXT, .text = text, .text_size = size};
}

static struct nunchi_cell text_cell(const char *text)
{
	return bytes_cell(text, strlen(text));
}

static struct nunchi_cell absent_cell(enum nunchi_absence why)
{
	return (struct nunchi_cell){.kind = NUNCHI_CELL_ABSENT, .absence = why};
}

static struct nunchi_writer *open_writer(enum nunchi_output output, unsigned width,
					 const struct nunchi_column *const *columns, size_t count,
					 struct buffer *out)
{
	struct nunchi_writer_options options = {
	    .size = sizeof(options), .output = output, .width = width};
	struct nunchi_writer *writer = NULL;

	buffer_init(out, 0);
	assert_null(nunchi_writer_create(&options, columns, count, collect, out, &writer));
	return writer;
}

/* Writes rows of pid and name (two cells a row), the last of them torn if so. */
static void assert_rows(enum nunchi_output output, unsigned width, const struct nunchi_cell *cells,
			size_t rows, bool torn, const char *expected)
{
	const struct nunchi_column *columns[] = {&pid, &name};
	_cleanup_buffer_ struct buffer out;
	_cleanup_writer_ struct nunchi_writer *writer =
	    open_writer(output, width, columns, 2, &out);

	for (size_t i = 0; i < rows; i++)
		assert_null(nunchi_writer_row(writer, cells + 2 * i, torn && i + 1 == rows));
	assert_null(nunchi_writer_finish(writer));
	assert_string_equal(buffer_string(&out), expected);
}

static void assert_escaped(const char *text, size_t size, const char *expected)
{
	_cleanup_buffer_ struct buffer out;

	buffer_init(&out, 0);
	escape_text(&out, text, size);
	assert_string_equal(buffer_string(&out), expected);
}

#define ASSERT_ESCAPED(literal, expected) assert_escaped(literal, sizeof(literal) - 1, expected)

static void test_escape_leaves_printable_text(void **state)
{
	(void)state;
	ASSERT_ESCAPED("", "");
	ASSERT_ESCAPED("nginx: worker \"1\"", "nginx: worker \"1\"");
	ASSERT_ESCAPED("눈치 é ✓ 😀 a\xcc\x81", "눈치 é ✓ 😀 a\xcc\x81");
}

static void test_escape_of_every_class(void **state)
{
	(void)state;
	ASSERT_ESCAPED("a\nb\tc\rd\\", "a\\nb\\tc\\rd\\\\");
	ASSERT_ESCAPED("\033[31m\0\x07\x7f", "\\x1b[31m\\x00\\x07\\x7f");
	ASSERT_ESCAPED("\xc2\x9b"
		       "31m",
		       "\\u{009b}31m");
	ASSERT_ESCAPED("\xe2\x80\xae"
		       "gpj\xe2\x80\x8b",
		       "\\u{202e}gpj\\u{200b}");
	ASSERT_ESCAPED("\xe2\x81\xa6\xef\xbb\xbf\xe2\x80\xa8", "\\u{2066}\\u{feff}\\u{2028}");
	ASSERT_ESCAPED("\xf3\xa0\x81\x81\xef\xbf\xbe", "\\u{e0041}\\u{fffe}");
	/* Not UTF-8: a lone byte, an overlong form, a surrogate, too large, cut off. */
	ASSERT_ESCAPED("a\xff"
		       "b",
		       "a\\xffb");
	ASSERT_ESCAPED("\xc0\xaf", "\\xc0\\xaf");
	ASSERT_ESCAPED("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	ASSERT_ESCAPED("\xed\xb2\x80", "\\xed\\xb2\\x80");
	ASSERT_ESCAPED("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	ASSERT_ESCAPED("\xe2\x82", "\\xe2\\x82");
}

/* Whatever comes out for one byte or two is printable, on one line, and tells them apart. */
static void test_escape_of_every_pair_of_bytes(void **state)
{
	static char seen[65536][16];

	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		char text[2] = {(char)(i >> 8), (char)i};
		_cleanup_buffer_ struct buffer out;
		uint32_t c;

		buffer_init(&out, 0);
		escape_text(&out, text, 2);
		for (size_t at = 0, step; at < out.size; at += step) {
			step = unicode_decode(out.data + at, out.size - at, &c);
			assert_true(step && !unicode_is_hidden(c));
		}
		assert_true(out.size < sizeof(seen[0]));
		memcpy(seen[i], out.data, out.size + 1);
	}
	for (unsigned i = 1; i < 65536; i += 257)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
}

/* Plain text is passed over in words: wherever a byte stands in one, it is seen. */
static void test_escape_of_every_byte_in_every_place(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t place = 0; place < 19; place++) {
			_cleanup_buffer_ struct buffer out, alone;
			char text[19], expected[64];

			memset(text, 'a', sizeof(text));
			text[place] = (char)byte;
			buffer_init(&out, 0);
			buffer_init(&alone, 0);
			escape_text(&out, text, sizeof(text));
			escape_text(&alone, &text[place], 1);
			snprintf(expected, sizeof(expected), "%.*s%s%.*s", (int)place,
				 "aaaaaaaaaaaaaaaaaaa", buffer_string(&alone), (int)(18 - place),
				 "aaaaaaaaaaaaaaaaaaa");
			assert_string_equal(buffer_string(&out), expected);
		}
	}
}

static void test_public_escape_cuts_between_characters(void **state)
{
	char text[8];

	(void)state;
	assert_int_equal(nunchi_escape("abc", 3, text, sizeof(text)), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(nunchi_escape("abcd\033x", 6, text, sizeof(text)), 9);
	assert_string_equal(text, "abcd");
	assert_int_equal(nunchi_escape("abcde\xc3\xa9\xc3\xa9", 9, text, sizeof(text)), 9);
	assert_string_equal(text, "abcde\xc3\xa9");
	assert_int_equal(nunchi_escape("\n", 1, NULL, 0), 2);
}

static void test_table_aligns(void **state)
{
	struct nunchi_cell cells[] = {integer_cell(1), text_cell("init"), integer_cell(12345),
				      text_cell("눈치")};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_TABLE, 0, cells, 2, false,
		    "  pid  name\n    1  init\n12345  눈치\n");
	assert_rows(NUNCHI_OUTPUT_TABLE, 0, cells, 0, false, "pid  name\n");
}

static void test_table_keeps_absence_apart(void **state)
{
	struct nunchi_cell cells[] = {absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE),
				      text_cell("-"),
				      absent_cell(NUNCHI_ABSENT_PAGED_OUT),
				      text_cell("<paged out>"),
				      integer_cell(3),
				      absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE)};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_TABLE, 0, cells, 3, false,
		    "        pid  name\n          -  \\-\n<paged out>  \\<paged out>\n"
		    "          3  -\n");
}

static void test_table_marks_torn_rows(void **state)
{
	struct nunchi_cell cells[] = {integer_cell(1), text_cell("fake ~"), integer_cell(2),
				      text_cell("b~")};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_TABLE, 0, cells, 2, true,
		    "pid  name\n  1  fake \\~\n  2  b~ ~\n"
		    "~ the guest changed this row while it was read\n");
}

static void test_table_shortens_to_the_width(void **state)
{
	struct nunchi_cell cells[] = {integer_cell(1), text_cell("0123456789abcdef"),
				      integer_cell(2), text_cell("0123456789ab\ncdef"),
				      integer_cell(3), text_cell("눈치눈치눈치눈치"),
				      integer_cell(4), text_cell("0123456789abc")};

	(void)state;
	/* 20 columns: 3 + 2 + 13, and two for the mark of a torn row; an escape is never cut. */
	assert_rows(NUNCHI_OUTPUT_TABLE, 20, cells, 4, false,
		    "pid  name\n  1  0123456789ab…\n  2  0123456789ab…\n  3  눈치눈치눈치…\n"
		    "  4  0123456789abc\n");
}

static void test_table_leaves_out_what_does_not_fit(void **state)
{
	const struct nunchi_column *columns[] = {&name, &pid, &base, &load};
	struct nunchi_cell cells[] = {text_cell("0123456789"), integer_cell(7), address_cell(~0ull),
				      real_cell(0.5)};
	_cleanup_buffer_ struct buffer out;
	_cleanup_writer_ struct nunchi_writer *writer =
	    open_writer(NUNCHI_OUTPUT_TABLE, 20, columns, 4, &out);

	(void)state;
	assert_null(nunchi_writer_row(writer, cells, false));
	assert_null(nunchi_writer_finish(writer));
	assert_string_equal(buffer_string(&out), "name        pid\n0123456789    7\n"
						 "left out: base, load\n");
}

static void test_table_leaves_out_before_texts_get_unreadable(void **state)
{
	const struct nunchi_column second = {"second", NUNCHI_TYPE_TEXT, ""};
	const struct nunchi_column third = {"third", NUNCHI_TYPE_TEXT, ""};
	const struct nunchi_column *columns[] = {&pid,  &name, &second, &third,
						 &load, &base, &base,   &base};
	char text[64];
	struct nunchi_cell cells[] = {integer_cell(7),
				      bytes_cell(text, sizeof(text)),
				      bytes_cell(text, sizeof(text)),
				      bytes_cell(text, sizeof(text)),
				      real_cell(0.5),
				      address_cell(1),
				      address_cell(2),
				      address_cell(3)};
	struct nunchi_writer_options options = {.size = sizeof(options),
						.output = NUNCHI_OUTPUT_TABLE,
						.left_out_hint = "--wide shows all"};
	/* 3 and three times 2 + 20 and two for the mark of a torn row; 2 + 4 more for the load. */
	static const unsigned widths[] = {70, 71, 77, 22};
	static const size_t counts[] = {5, 5, 5, 8};
	static const char *const ends[] = {"left out: third, load (--wide shows all)\n",
					   "left out: load (--wide shows all)\n", "…   0.5\n",
					   ("left out: second,\nthird, load, base,\n"
					    "base, base (--wide\nshows all)\n")};

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		_cleanup_writer_ struct nunchi_writer *writer = NULL;
		_cleanup_buffer_ struct buffer out;
		size_t length = strlen(ends[i]);

		buffer_init(&out, 0);
		options.width = widths[i];
		assert_null(
		    nunchi_writer_create(&options, columns, counts[i], collect, &out, &writer));
		assert_null(nunchi_writer_row(writer, cells, false));
		assert_null(nunchi_writer_finish(writer));
		assert_true(out.size > length);
		assert_string_equal(buffer_string(&out) + out.size - length, ends[i]);
		for (const char *line = buffer_string(&out); *line;) {
			size_t size = strcspn(line, "\n");

			assert_true(escape_width(line, size) <= widths[i]);
			line += size + 1;
		}
	}
}

static void assert_unit(enum nunchi_unit unit, int64_t value, const char *expected)
{
	const struct nunchi_column column = {"n", NUNCHI_TYPE_INTEGER, "", unit};
	const struct nunchi_column *columns[] = {&column};
	const struct nunchi_cell cell = integer_cell(value);

	for (int form = NUNCHI_OUTPUT_TABLE; form <= NUNCHI_OUTPUT_CSV; form++) {
		_cleanup_buffer_ struct buffer out, want;
		_cleanup_writer_ struct nunchi_writer *writer =
		    open_writer((enum nunchi_output)form, 0, columns, 1, &out);

		buffer_init(&want, 0);
		assert_null(nunchi_writer_row(writer, &cell, false));
		assert_null(nunchi_writer_finish(writer));
		if (form == NUNCHI_OUTPUT_TABLE)
			buffer_printf(&want, "%*s\n%s\n", (int)strlen(expected), "n", expected);
		else if (form == NUNCHI_OUTPUT_JSON)
			buffer_printf(&want, "{\"n\":%lld}\n", (long long)value);
		else
			buffer_printf(&want, "n,torn\n%lld,0\n", (long long)value);
		assert_string_equal(buffer_string(&out), buffer_string(&want));
	}
}

static void test_table_alone_shows_units(void **state)
{
	(void)state;
	assert_unit(NUNCHI_UNIT_NONE, 268435456, "268435456");
	assert_unit(NUNCHI_UNIT_BYTES, 0, "0 B");
	assert_unit(NUNCHI_UNIT_BYTES, 1023, "1023 B");
	assert_unit(NUNCHI_UNIT_BYTES, 1024, "1 KiB");
	assert_unit(NUNCHI_UNIT_BYTES, 1025, "1.0 KiB");
	assert_unit(NUNCHI_UNIT_BYTES, 1536, "1.5 KiB");
	assert_unit(NUNCHI_UNIT_BYTES, 102399, "100 KiB");
	assert_unit(NUNCHI_UNIT_BYTES, 131000, "128 KiB");
	assert_unit(NUNCHI_UNIT_BYTES, 268435456, "256 MiB");
	assert_unit(NUNCHI_UNIT_BYTES, INT64_MAX, "8 EiB");
	assert_unit(NUNCHI_UNIT_BYTES, -1, "-1");
	assert_unit(NUNCHI_UNIT_MILLISECONDS, 0, "0.00 s");
	assert_unit(NUNCHI_UNIT_MILLISECONDS, 59999, "59.99 s");
	assert_unit(NUNCHI_UNIT_MILLISECONDS, 62500, "1 min 02 s");
	assert_unit(NUNCHI_UNIT_SECONDS, 59, "59 s");
	assert_unit(NUNCHI_UNIT_SECONDS, 3599, "59 min 59 s");
	assert_unit(NUNCHI_UNIT_SECONDS, 11100, "3 h 05 min");
	assert_unit(NUNCHI_UNIT_SECONDS, 93600, "1 d 02 h");
	assert_unit(NUNCHI_UNIT_SECONDS, INT64_MAX, "106751991167300 d 15 h");
	assert_unit(NUNCHI_UNIT_UNIX_TIME, 1764460800, "2025-11-30 00:00:00");
	assert_unit(NUNCHI_UNIT_UNIX_TIME, -1, "1969-12-31 23:59:59");
	assert_unit(NUNCHI_UNIT_UNIX_TIME, 253402300800, "253402300800");
	assert_unit(NUNCHI_UNIT_UNIX_TIME, INT64_MIN, "-9223372036854775808");
	assert_unit(NUNCHI_UNIT_OCTAL, 0, "0");
	assert_unit(NUNCHI_UNIT_OCTAL, 0100002, "0100002");
}

static void test_table_is_held_back_for_a_thousand_rows(void **state)
{
	const struct nunchi_column *columns[] = {&name, &pid};
	struct nunchi_cell cells[] = {text_cell("a"), integer_cell(7)};
	_cleanup_buffer_ struct buffer out;
	_cleanup_writer_ struct nunchi_writer *writer =
	    open_writer(NUNCHI_OUTPUT_TABLE, 0, columns, 2, &out);

	(void)state;
	for (int i = 0; i < 999; i++)
		assert_null(nunchi_writer_row(writer, cells, false));
	assert_int_equal(out.size, 0);
	assert_null(nunchi_writer_row(writer, cells, false));
	assert_int_equal(out.size, 1001 * strlen("name  pid\n"));
	buffer_clear(&out);
	/* A later, wider row stands out, and is written at once. */
	cells[0] = text_cell("abcdef");
	assert_null(nunchi_writer_row(writer, cells, true));
	assert_string_equal(buffer_string(&out), "abcdef    7 ~\n");
	assert_null(nunchi_writer_finish(writer));
	assert_non_null(strstr(buffer_string(&out), "\n~ the guest changed"));
}

static void test_table_header_is_bold_with_color_only(void **state)
{
	struct nunchi_writer_options options = {.size = sizeof(options), .color = true};
	const struct nunchi_column *columns[] = {&pid};
	_cleanup_writer_ struct nunchi_writer *writer = NULL;
	_cleanup_buffer_ struct buffer out;

	(void)state;
	buffer_init(&out, 0);
	assert_null(nunchi_writer_create(&options, columns, 1, collect, &out, &writer));
	assert_null(nunchi_writer_finish(writer));
	assert_string_equal(buffer_string(&out), "\033[1mpid\033[0m\n");
}

static void test_csv_quotes(void **state)
{
	struct nunchi_cell cells[] = {
	    integer_cell(-5),
	    text_cell("a,b"),
	    integer_cell(INT64_MIN),
	    text_cell("say \"hi\""),
	    absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE),
	    text_cell("line\nfeed"),
	    absent_cell(NUNCHI_ABSENT_PAGED_OUT),
	    text_cell(""),
	};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_CSV, 0, cells, 4, true,
		    "pid,name,torn\n-5,\"a,b\",0\n-9223372036854775808,\"say \"\"hi\"\"\",0\n"
		    "-,line\\nfeed,0\n<paged out>,,1\n");
}

/* Rows of a kernel that does not run. */
static void test_remains(void **state)
{
	static const char *const expected[] = {
	    [NUNCHI_OUTPUT_TABLE] = "pid\n  1\n",
	    [NUNCHI_OUTPUT_JSON] = "{\"pid\":1,\"torn\":true,\"remains\":true}\n",
	    [NUNCHI_OUTPUT_CSV] = "pid,torn\n1,0\n",
	};
	const struct nunchi_column *columns[] = {&pid};
	struct nunchi_cell cell = integer_cell(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct nunchi_writer_options options = {
		    .size = sizeof(options), .output = (enum nunchi_output)i, .remains = true};
		_cleanup_writer_ struct nunchi_writer *writer = NULL;
		_cleanup_buffer_ struct buffer out;

		buffer_init(&out, 0);
		assert_null(nunchi_writer_create(&options, columns, 1, collect, &out, &writer));
		assert_null(nunchi_writer_row(writer, &cell, i == NUNCHI_OUTPUT_JSON));
		assert_null(nunchi_writer_finish(writer));
		assert_string_equal(buffer_string(&out), expected[i]);
	}
}

static void test_csv_without_torn(void **state)
{
	struct nunchi_writer_options options = {
	    .size = sizeof(options), .output = NUNCHI_OUTPUT_CSV, .never_torn = true};
	const struct nunchi_column *columns[] = {&pid};
	struct nunchi_cell cell = integer_cell(1);
	_cleanup_writer_ struct nunchi_writer *writer = NULL;
	_cleanup_buffer_ struct buffer out;

	(void)state;
	buffer_init(&out, 0);
	assert_null(nunchi_writer_create(&options, columns, 1, collect, &out, &writer));
	assert_null(nunchi_writer_row(writer, &cell, false));
	assert_null(nunchi_writer_finish(writer));
	assert_string_equal(buffer_string(&out), "pid\n1\n");
}

static void test_json_absence_and_torn(void **state)
{
	struct nunchi_cell cells[] = {absent_cell(NUNCHI_ABSENT_NOT_APPLICABLE), text_cell("a"),
				      absent_cell(NUNCHI_ABSENT_PAGED_OUT),
				      absent_cell(NUNCHI_ABSENT_NOT_SAVED)};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_JSON, 0, cells, 2, true,
		    "{\"pid\":null,\"name\":\"a\",\"absent\":{\"pid\":\"not applicable\"}}\n"
		    "{\"pid\":null,\"name\":null,\"absent\":{\"pid\":\"paged out\","
		    "\"name\":\"not saved\"},\"torn\":true}\n");
	assert_rows(NUNCHI_OUTPUT_JSON, 0, cells, 0, false, "");
}

static void test_json_of_bytes_that_are_not_utf8(void **state)
{
	struct nunchi_cell cells[] = {integer_cell(1),
				      bytes_cell("a\xff\xc3\xa9\x80\xed\xa0\x80", 8)};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_JSON, 0, cells, 1, false,
		    "{\"pid\":1,\"name\":\"a\\ufffd\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\","
		    "\"raw\":{\"name\":\"61ffc3a980eda080\"}}\n");
}

static void test_json_escapes_what_is_hidden(void **state)
{
	struct nunchi_cell cells[] = {
	    integer_cell(1), text_cell("\"\\/\b\n\033\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81")};

	(void)state;
	assert_rows(NUNCHI_OUTPUT_JSON, 0, cells, 1, false,
		    "{\"pid\":1,\"name\":\"\\\"\\\\/\\u0008\\n\\u001b\\u007f\\u009b\\u202e"
		    "\\udb40\\udc41\"}\n");
}

/* Another reader of JSON finds every valid character again. */
static void test_json_round_trip(void **state)
{
	const struct nunchi_column *columns[] = {&name, &pid, &base, &load};
	_cleanup_buffer_ struct buffer out, text;
	_cleanup_writer_ struct nunchi_writer *writer =
	    open_writer(NUNCHI_OUTPUT_JSON, 0, columns, 4, &out);
	struct nunchi_cell cells[4];
	json_error_t error;
	json_t *row;

	(void)state;
	buffer_init(&text, 0);
	for (uint32_t c = 0; c < 0x800; c++) {
		if (c >= 0x80)
			buffer_append_char(&text, (char)(0xc0 | c >> 6));
		buffer_append_char(&text, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
	}
	buffer_append_string(&text, "\xe2\x80\xae\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
	cells[0] = bytes_cell(text.data, text.size);
	cells[1] = integer_cell(INT64_MIN);
	cells[2] = address_cell(0xffffffff81000000);
	cells[3] = real_cell(0.1);
	assert_null(nunchi_writer_row(writer, cells, false));
	row = json_loadb(out.data, out.size, JSON_ALLOW_NUL, &error);
	assert_non_null(row);
	assert_int_equal(json_string_length(json_object_get(row, "name")), text.size);
	assert_memory_equal(json_string_value(json_object_get(row, "name")), text.data, text.size);
	assert_true(json_integer_value(json_object_get(row, "pid")) == INT64_MIN);
	assert_string_equal(json_string_value(json_object_get(row, "base")), "0xffffffff81000000");
	assert_true(json_real_value(json_object_get(row, "load")) == 0.1);
	json_decref(row);
}

static void test_reals(void **state)
{
	const struct nunchi_column *columns[] = {&load};
	const double values[] = {0, 1.5, 0.1, -1e300, 1.0 / 3, (double)NAN, (double)INFINITY};
	_cleanup_buffer_ struct buffer out;
	_cleanup_writer_ struct nunchi_writer *writer =
	    open_writer(NUNCHI_OUTPUT_CSV, 0, columns, 1, &out);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct nunchi_cell cell = real_cell(values[i]);

		assert_null(nunchi_writer_row(writer, &cell, false));
	}
	assert_string_equal(buffer_string(&out),
			    "load,torn\n0,0\n1.5,0\n0.1,0\n-1e+300,0\n0.33333333333333331,0\n"
			    "<bad data>,0\n<bad data>,0\n");
}

static void test_every_form_stops_when_refused(void **state)
{
	(void)state;
	for (int form = NUNCHI_OUTPUT_TABLE; form <= NUNCHI_OUTPUT_CSV; form++) {
		struct nunchi_writer_options options = {.size = sizeof(options),
							.output = (enum nunchi_output)form};
		const struct nunchi_column *columns[] = {&pid};
		struct nunchi_cell cell = integer_cell(1);
		_cleanup_writer_ struct nunchi_writer *writer = NULL;
		_cleanup_error_ struct nunchi_error *err = NULL;
		int count = 2;

		assert_null(nunchi_writer_create(&options, columns, 1, refuse, &count, &writer));
		for (int i = 0; i < 5000 && !err; i++)
			err = nunchi_writer_row(writer, &cell, false);
		assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
		assert_int_equal(count, 0);
	}
}

static void test_bad_arguments(void **state)
{
	const struct nunchi_column bad = {"absent", NUNCHI_TYPE_TEXT, ""};
	const struct nunchi_column *columns[] = {&bad};
	struct nunchi_writer_options options = {.size = sizeof(options)};
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	(void)state;
	err = nunchi_writer_create(&options, columns, 1, collect, NULL, &writer);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	columns[0] = &pid;
	options.output = (enum nunchi_output)17;
	err = nunchi_writer_create(&options, columns, 1, collect, NULL, &writer);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	options.size = 0;
	err = nunchi_writer_create(&options, columns, 1, collect, NULL, &writer);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	err = nunchi_writer_create(NULL, columns, 0, collect, NULL, &writer);
	assert_true(error_is(err, NUNCHI_ERROR_ARGUMENT));
	nunchi_error_destroy(err);
	assert_null(writer);
	nunchi_writer_destroy(NULL);
}

static void test_widths(void **state)
{
	(void)state;
	assert_int_equal(unicode_width('a'), 1);
	assert_int_equal(unicode_width(0xe9), 1);
	assert_int_equal(unicode_width(0x301), 0);
	assert_int_equal(unicode_width(0xb208), 2);
	assert_int_equal(unicode_width(0x1f600), 2);
	assert_int_equal(unicode_width(0x20000), 2);
	assert_int_equal(unicode_width(0x10fffd), 1);
	assert_int_equal(escape_width("a\\u{202e}\\x1b\\n눈e\xcc\x81", 21), 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escape_leaves_printable_text),
	    cmocka_unit_test(test_escape_of_every_class),
	    cmocka_unit_test(test_escape_of_every_pair_of_bytes),
	    cmocka_unit_test(test_escape_of_every_byte_in_every_place),
	    cmocka_unit_test(test_public_escape_cuts_between_characters),
	    cmocka_unit_test(test_widths),
	    cmocka_unit_test(test_table_aligns),
	    cmocka_unit_test(test_table_keeps_absence_apart),
	    cmocka_unit_test(test_table_marks_torn_rows),
	    cmocka_unit_test(test_table_shortens_to_the_width),
	    cmocka_unit_test(test_table_leaves_out_what_does_not_fit),
	    cmocka_unit_test(test_table_leaves_out_before_texts_get_unreadable),
	    cmocka_unit_test(test_table_alone_shows_units),
	    cmocka_unit_test(test_table_is_held_back_for_a_thousand_rows),
	    cmocka_unit_test(test_table_header_is_bold_with_color_only),
	    cmocka_unit_test(test_csv_quotes),
	    cmocka_unit_test(test_remains),
	    cmocka_unit_test(test_csv_without_torn),
	    cmocka_unit_test(test_json_absence_and_torn),
	    cmocka_unit_test(test_json_of_bytes_that_are_not_utf8),
	    cmocka_unit_test(test_json_escapes_what_is_hidden),
	    cmocka_unit_test(test_json_round_trip),
	    cmocka_unit_test(test_reals),
	    cmocka_unit_test(test_every_form_stops_when_refused),
	    cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
