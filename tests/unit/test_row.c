/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows: cells, absences, constraints, and when a row of a running guest has settled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "view/linux_cells.h"
#include "view/row.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS(X)                                                                                 \
	X(number, INTEGER, "a number")                                                             \
	X(name, TEXT, "a text")                                                                    \
	X(place, ADDRESS, "an address")                                                            \
	X(share, REAL, "a real number")                                                            \
	X(mood, TEXT, "a text that changes")                                                       \
	X(bits, OCTAL, "a number in octal")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};
static const struct view things = {.schema = {"things", "things", columns, ARRAY_SIZE(columns)}};

static int setup(void **state)
{
	struct view_row *row = malloc(sizeof(*row));

	row_init(row, &things.schema);
	*state = row;
	return 0;
}

static int teardown(void **state)
{
	row_deinit(*state);
	free(*state);
	return 0;
}

static void absent(const struct view_row *row, unsigned column, enum nunchi_absence why)
{
	assert_int_equal(row->cells[column].kind, NUNCHI_CELL_ABSENT);
	assert_int_equal(row->cells[column].absence, why);
}

static void test_starts_empty(void **state)
{
	struct view_row *row = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(columns); i++) {
		absent(row, i, NUNCHI_ABSENT_NOT_COMPUTED);
		assert_int_equal(row->cells[i].type, columns[i].type);
	}
}

static void test_text_moves_with_its_buffer(void **state)
{
	struct view_row *row = *state;
	char large[5000];

	memset(large, 'x', sizeof(large));
	row_text(row, COLUMN_name, "first", 5);
	row_text(row, COLUMN_mood, large, sizeof(large));
	assert_null(row_finish(row));
	assert_memory_equal(row->cells[COLUMN_name].text, "first", 5);
	assert_int_equal(row->cells[COLUMN_name].text_size, 5);
	assert_memory_equal(row->cells[COLUMN_mood].text, large, sizeof(large));
	row_reset(row);
	absent(row, COLUMN_name, NUNCHI_ABSENT_NOT_COMPUTED);
	assert_int_equal(row->cells[COLUMN_name].text_size, 0);
}

static void test_text_has_a_limit(void **state)
{
	struct view_row *row = *state;
	size_t size = (size_t)10 << 20;
	char *large = calloc(1, size);

	row_text(row, COLUMN_name, large, size);
	row_text(row, COLUMN_mood, large, size);
	free(large);
	assert_null(row_finish(row));
	assert_int_equal(row->cells[COLUMN_name].kind, NUNCHI_CELL_VALUE);
	absent(row, COLUMN_mood, NUNCHI_ABSENT_LIMIT);
}

static void test_fields(void **state)
{
	uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'h', 'i', 0, 'x'};
	struct object object = {.data = bytes, .size = sizeof(bytes)};
	struct object none = {.result = READ_NOT_SAVED};
	struct field number = {.size = 4, .is_signed = true, .present = true};
	struct field id = {.size = 4, .present = true};
	struct field text = {.offset = 4, .size = 4, .present = true};
	struct field missing = {.size = 4}, wide = {.size = 16, .present = true};
	_cleanup_buffer_ struct buffer buffer = {0};
	int64_t value = 0;

	(void)state;
	assert_int_equal(object_number(&object, &number, &value), READ_OK);
	assert_int_equal(value, -1);
	assert_int_equal(object_number(&object, &id, &value), READ_OK);
	assert_int_equal(value, 0xffffffff);
	/* What the types lack is not what could not be read, and neither is 0 or "". */
	assert_int_equal(object_number(&object, &missing, &value), READ_NO_LAYOUT);
	assert_int_equal(object_number(&object, &wide, &value), READ_NO_LAYOUT);
	assert_int_equal(object_number(&none, &number, &value), READ_NOT_SAVED);
	assert_int_equal(object_number(&none, &missing, &value), READ_NO_LAYOUT);
	assert_int_equal(object_append_text(&object, &missing, &buffer), READ_NO_LAYOUT);
	assert_int_equal(object_append_text(&none, &text, &buffer), READ_NOT_SAVED);
	assert_int_equal(buffer.size, 0);
	assert_int_equal(object_append_text(&object, &text, &buffer), READ_OK);
	assert_string_equal(buffer_string(&buffer), "hi");
	/* An empty text is a value. */
	bytes[4] = 0;
	assert_int_equal(object_append_text(&object, &text, &buffer), READ_OK);
	assert_int_equal(buffer.size, 2);
}

static void test_results(void **state)
{
	static const struct {
		enum read_result result;
		enum nunchi_absence absence;
	} cases[] = {
	    {READ_NONE, NUNCHI_ABSENT_NOT_APPLICABLE}, {READ_PAGED_OUT, NUNCHI_ABSENT_PAGED_OUT},
	    {READ_NOT_SAVED, NUNCHI_ABSENT_NOT_SAVED}, {READ_NOT_MAPPED, NUNCHI_ABSENT_NOT_MAPPED},
	    {READ_NO_RAM, NUNCHI_ABSENT_NOT_MAPPED},   {READ_NO_LAYOUT, NUNCHI_ABSENT_NO_LAYOUT},
	    {READ_NO_SYMBOL, NUNCHI_ABSENT_NO_SYMBOL}, {READ_BAD_DATA, NUNCHI_ABSENT_BAD_DATA},
	    {READ_LIMIT, NUNCHI_ABSENT_LIMIT},         {READ_IO, NUNCHI_ABSENT_IO},
	};
	_cleanup_buffer_ struct buffer text = {0};
	struct view_row *row = *state;

	buffer_append_string(&text, "abc");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		row_read_integer(row, COLUMN_number, cases[i].result, 7);
		absent(row, COLUMN_number, cases[i].absence);
		row_read_address(row, COLUMN_place, cases[i].result, 7);
		absent(row, COLUMN_place, cases[i].absence);
		row_read_text(row, COLUMN_name, cases[i].result, &text);
		absent(row, COLUMN_name, cases[i].absence);
		assert_string_not_equal(read_result_string(cases[i].result), "unknown fault");
	}
	row_read_integer(row, COLUMN_number, READ_OK, 7);
	assert_int_equal(row->cells[COLUMN_number].integer, 7);
	row_read_address(row, COLUMN_place, READ_OK, 8);
	assert_int_equal(row->cells[COLUMN_place].address, 8);
	row_read_text(row, COLUMN_name, READ_OK, &text);
	assert_null(row_finish(row));
	assert_memory_equal(row->cells[COLUMN_name].text, "abc", 3);
	/* Memory of our own that is lacking is no property of the guest. */
	row_read_integer(row, COLUMN_number, READ_NO_MEMORY, 7);
	assert_ptr_equal(row_finish(row), &error_nomem);
	row_reset(row);
	assert_null(row_finish(row));
}

static void test_warnings(void **state)
{
	struct view_row *row = *state;

	row_warn(row, "cut after %d", 3);
	row_warn(row, "cut after %d", 3);
	row_warn(row, "cut after %d", 4);
	assert_int_equal(row->warning_count, 2);
	assert_string_equal(row->warnings[1], "cut after 4");
	for (int i = 0; i < 100; i++)
		row_warn(row, "warning %d", i);
	assert_int_equal(row->warning_count, ROW_MAX_WARNINGS);
	/* They outlive the row they came with. */
	row_reset(row);
	assert_int_equal(row->warning_count, ROW_MAX_WARNINGS);
}

/* ---- Constraints ----------------------------------------------------------------------------- */

static void takes(unsigned column, const char *text, int64_t integer, uint64_t address, double real)
{
	struct nunchi_cell cell;
	struct nunchi_error *err = row_parse_cell(&columns[column], text, &cell);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	assert_int_equal(cell.kind, NUNCHI_CELL_VALUE);
	assert_int_equal(cell.integer, integer);
	assert_int_equal(cell.address, address);
	assert_true(cell.real == real);
}

static void refuses(unsigned column, const char *text)
{
	struct nunchi_cell cell = {.integer = 77};
	struct nunchi_error *err = row_parse_cell(&columns[column], text, &cell);

	if (!err)
		fail_msg("\"%s\" is taken", text);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	assert_int_equal(cell.integer, 77);
	nunchi_error_destroy(err);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = {"",    " 1", "1 ",  "+1", "1x", "0x",
					  "--1", "x1", "1.0", "-",  "\n", "0x-1"};

	(void)state;
	takes(COLUMN_number, "12", 12, 0, 0);
	takes(COLUMN_number, "-12", -12, 0, 0);
	takes(COLUMN_number, "0x1f", 31, 0, 0);
	takes(COLUMN_number, "-0x1f", -31, 0, 0);
	/* A leading zero is octal only where a table shows it so. */
	takes(COLUMN_number, "010", 10, 0, 0);
	takes(COLUMN_bits, "0100000", 32768, 0, 0);
	takes(COLUMN_bits, "32768", 32768, 0, 0);
	takes(COLUMN_bits, "0x8000", 32768, 0, 0);
	takes(COLUMN_bits, "0", 0, 0, 0);
	refuses(COLUMN_bits, "08");
	takes(COLUMN_number, "-9223372036854775808", INT64_MIN, 0, 0);
	refuses(COLUMN_number, "9223372036854775808");
	takes(COLUMN_place, "0xffffffffffffffff", 0, UINT64_MAX, 0);
	takes(COLUMN_place, "4096", 0, 4096, 0);
	refuses(COLUMN_place, "-1");
	refuses(COLUMN_place, "0x10000000000000000");
	takes(COLUMN_share, "1.5", 0, 0, 1.5);
	takes(COLUMN_share, "-.5", 0, 0, -.5);
	refuses(COLUMN_share, "nan");
	refuses(COLUMN_share, "inf");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		refuses(COLUMN_number, bad[i]);
		refuses(COLUMN_place, bad[i]);
	}
}

/* Whether the row's cell meets `op value` (of IN: one of two values). */
static bool meets(struct view_row *row, unsigned column, enum nunchi_operator op, const char *value,
		  const char *other)
{
	struct nunchi_cell cells[2];
	struct view_constraint constraint = {
	    .column = column, .op = op, .values = cells, .count = other ? 2 : 1};

	assert_null(row_finish(row));
	assert_null(row_parse_cell(&columns[column], value, &cells[0]));
	if (other)
		assert_null(row_parse_cell(&columns[column], other, &cells[1]));
	return row_cell_meets(&row->cells[column], &constraint);
}

static void test_equality(void **state)
{
	struct view_row *row = *state;

	row_text(row, COLUMN_name, "abcd", 4);
	assert_false(meets(row, COLUMN_name, NUNCHI_EQUAL, "abc", NULL));
	row_text(row, COLUMN_name, "abc", 3);
	assert_true(meets(row, COLUMN_name, NUNCHI_EQUAL, "abc", NULL));
	row_absent(row, COLUMN_name, NUNCHI_ABSENT_NOT_APPLICABLE);
	assert_false(meets(row, COLUMN_name, NUNCHI_EQUAL, "abc", NULL));
	/* An absence is not the empty text. */
	assert_false(meets(row, COLUMN_name, NUNCHI_EQUAL, "", NULL));
	assert_false(meets(row, COLUMN_name, NUNCHI_PREFIX, "", NULL));
	assert_false(meets(row, COLUMN_number, NUNCHI_EQUAL, "0", NULL));
	assert_false(meets(row, COLUMN_number, NUNCHI_LESS, "1", NULL));
	row_integer(row, COLUMN_number, 0);
	assert_true(meets(row, COLUMN_number, NUNCHI_EQUAL, "0", NULL));
}

static void test_order(void **state)
{
	struct view_row *row = *state;

	row_integer(row, COLUMN_number, -5);
	assert_true(meets(row, COLUMN_number, NUNCHI_LESS, "-4", NULL));
	assert_false(meets(row, COLUMN_number, NUNCHI_LESS, "-5", NULL));
	assert_true(meets(row, COLUMN_number, NUNCHI_LESS_EQUAL, "-5", NULL));
	assert_true(meets(row, COLUMN_number, NUNCHI_GREATER, "-6", NULL));
	assert_false(meets(row, COLUMN_number, NUNCHI_GREATER, "-5", NULL));
	assert_true(meets(row, COLUMN_number, NUNCHI_GREATER_EQUAL, "-5", NULL));
	/* Without a sign. */
	row_address(row, COLUMN_place, UINT64_MAX);
	assert_true(meets(row, COLUMN_place, NUNCHI_GREATER, "0x7fffffffffffffff", NULL));
	row_real(row, COLUMN_share, 0.25);
	assert_true(meets(row, COLUMN_share, NUNCHI_LESS, "0.5", NULL));
	assert_false(meets(row, COLUMN_share, NUNCHI_GREATER_EQUAL, "0.5", NULL));
	/* By bytes, a shorter text before one that goes on. */
	row_text(row, COLUMN_name, "ssh\xc3\xa9", 5);
	assert_true(meets(row, COLUMN_name, NUNCHI_GREATER, "sshd", NULL));
	assert_true(meets(row, COLUMN_name, NUNCHI_GREATER, "ssh", NULL));
	assert_false(meets(row, COLUMN_name, NUNCHI_LESS, "", NULL));
}

static void test_list_and_prefix(void **state)
{
	struct view_row *row = *state;

	row_integer(row, COLUMN_number, 7);
	assert_true(meets(row, COLUMN_number, NUNCHI_IN, "3", "7"));
	assert_false(meets(row, COLUMN_number, NUNCHI_IN, "3", "8"));
	row_text(row, COLUMN_name, "sshd", 4);
	assert_true(meets(row, COLUMN_name, NUNCHI_IN, "cron", "sshd"));
	assert_false(meets(row, COLUMN_name, NUNCHI_IN, "cron", "ssh"));
	assert_true(meets(row, COLUMN_name, NUNCHI_PREFIX, "ssh", NULL));
	assert_true(meets(row, COLUMN_name, NUNCHI_PREFIX, "", NULL));
	assert_false(meets(row, COLUMN_name, NUNCHI_PREFIX, "sshd:", NULL));
	assert_false(meets(row, COLUMN_name, NUNCHI_PREFIX, "shd", NULL));
}

/*
 * Takes a locale in which a comma stands before the fraction, made for the test: few hosts have one
 * installed. False where it cannot be made.
 */
static bool take_comma_locale(void)
{
	char directory[] = "/tmp/nunchi-test-row-XXXXXX", command[256];
	bool taken = false;

	if (!mkdtemp(directory))
		return false;
	snprintf(command, sizeof(command),
		 "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", directory);
	if (!system(command) && !setenv("LOCPATH", directory, 1))
		taken = setlocale(LC_ALL, "de_DE.UTF-8");
	unsetenv("LOCPATH");
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
	return taken;
}

/* The program that uses the library may have chosen any locale. */
static void test_locale(void **state)
{
	char text[16];

	(void)state;
	if (!take_comma_locale())
		skip();
	snprintf(text, sizeof(text), "%.1f", 1.5);
	assert_string_equal(text, "1,5");
	takes(COLUMN_share, "1.5", 0, 0, 1.5);
	refuses(COLUMN_share, "1,5");
	setlocale(LC_ALL, "C");
}

/* ---- Settling -------------------------------------------------------------------------------- */

#define STABLE (~VIEW_COLUMN_BIT(COLUMN_mood))

/* What each try shows: its number and name; '!' as the mood says that it changed meanwhile. */
struct guest {
	const char *names; /* one letter a try; '-': gone */
	const char *moods;
	int tries;
};

static bool fill(void *data, struct view_row *row)
{
	struct guest *guest = data;
	char name = guest->names[guest->tries], mood = guest->moods[guest->tries];

	guest->tries++;
	row_integer(row, COLUMN_number, 5);
	row_text(row, COLUMN_mood, &mood, 1);
	row_text(row, COLUMN_name, &name, 1);
	if (mood == '!')
		row_changed(row);
	return name != '-';
}

static void settles(struct view_row *row, const char *names, const char *moods, int tries,
		    bool torn)
{
	struct guest_kernel kernel = {.live = true};
	struct guest guest = {.names = names, .moods = moods};

	assert_true(row_settle(row, &kernel, STABLE, fill, &guest));
	assert_int_equal(guest.tries, tries);
	assert_int_equal(row->torn, torn);
	assert_null(row_finish(row));
	assert_int_equal(row->cells[COLUMN_name].text[0], names[tries - 1]);
	assert_int_equal(row->cells[COLUMN_name].text_size, 1);
}

static void test_settles(void **state)
{
	settles(*state, "aa", "..", 2, false);
	settles(*state, "abb", "...", 3, false);
	settles(*state, "ababb", ".....", 5, false);
	settles(*state, "ababa", ".....", 5, true);
}

/* A column that changes by itself does not matter, not even its text. */
static void test_settles_though_moods_change(void **state)
{
	settles(*state, "aa", "RS", 2, false);
	settles(*state, "baa", "RSD", 3, false);
}

/* Two equal tries count only if nothing changed within them. */
static void test_changed_tries_do_not_count(void **state)
{
	settles(*state, "aaaa", "!!..", 4, false);
	settles(*state, "aaaa", ".!..", 4, false);
	settles(*state, "aaaaa", "!!!!!", 5, true);
	settles(*state, "aaaaa", ".!.!.", 5, true);
}

static void test_gone(void **state)
{
	struct guest_kernel kernel = {.live = true};
	struct guest guest = {.names = "ab-", .moods = "..."};

	assert_false(row_settle(*state, &kernel, STABLE, fill, &guest));
	assert_int_equal(guest.tries, 3);
}

static void test_saved_guest_is_read_once(void **state)
{
	struct guest_kernel kernel = {.live = false};
	struct guest guest = {.names = "ab", .moods = "!."};
	struct view_row *row = *state;

	assert_true(row_settle(row, &kernel, STABLE, fill, &guest));
	assert_int_equal(guest.tries, 1);
	assert_false(row->torn);
}

/* The same bytes in other columns are another row. */
static bool fill_shifted(void *data, struct view_row *row)
{
	int *tries = data;

	row_text(row, COLUMN_name, "abc", *tries % 2 ? 1 : 2);
	row_text(row, COLUMN_mood, "bc", *tries % 2 ? 2 : 1);
	++*tries;
	return true;
}

static void test_text_belongs_to_its_column(void **state)
{
	struct guest_kernel kernel = {.live = true};
	struct view_row *row = *state;
	int tries = 0;

	assert_true(row_settle(row, &kernel, ~(uint64_t)0, fill_shifted, &tries));
	assert_true(row->torn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(starts_empty),
	    TEST(text_moves_with_its_buffer),
	    TEST(text_has_a_limit),
	    TEST(fields),
	    TEST(results),
	    TEST(warnings),
	    TEST(numbers),
	    TEST(equality),
	    TEST(order),
	    TEST(list_and_prefix),
	    TEST(locale),
	    TEST(settles),
	    TEST(settles_though_moods_change),
	    TEST(changed_tries_do_not_count),
	    TEST(gone),
	    TEST(saved_guest_is_read_once),
	    TEST(text_belongs_to_its_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
