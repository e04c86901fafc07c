/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queries: columns, filters, limits; and what becomes of them while the guest changes or goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "view/cursor.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 4096
#define RAM   ((uint64_t)PAGES * PAGE_SIZE)

#define COLUMNS(X)                                                                                 \
	X(number, INTEGER, "a number")                                                             \
	X(name, TEXT, "a text")                                                                    \
	X(bytes, INTEGER, "what the guest's memory holds")                                         \
	X(empty, TEXT, "nothing")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* What the test's guest and its provider do. */
struct guest {
	struct target target;
	struct guest_kernel kernel;
	struct cancel cancel;
	/* The memory: every read gives another number, unless the guest is paused or still. */
	bool still;
	bool paused;
	uint64_t reads;
	unsigned pauses, resumes;
	enum nunchi_error_code pause_fails, resume_fails; /* 0: they do not */
	/* The provider. */
	int64_t rows;
	unsigned row_ms;  /* how long a row takes */
	size_t name_size; /* instead of its number in words */
	int64_t cancel_at, cut_at, shrink_at, new_page_at;
	unsigned torn_moments; /* the first ones, in which the kernel writes row 2 */
	int fd;                /* of the file behind the memory, or -1 */
	unsigned opened, closed, runs;
	uint64_t columns_wanted;
	bool filtered; /* there was a filter for `number`, of that size and lower bound */
	uint64_t filter_size;
	int64_t filter_low;
};

static struct guest *current; /* the provider's open is given the kernel alone */

struct things {
	struct guest *guest;
	int64_t next;
};

static struct nunchi_error *things_open(void *data, struct guest_kernel *kernel,
					const struct view_request *request)
{
	struct things *state = data;

	(void)kernel;
	state->guest = current;
	current->opened++;
	current->runs++;
	current->columns_wanted = request->columns;
	current->filtered = request->numbers[COLUMN_number];
	if (current->filtered) {
		current->filter_size = number_filter_size(request->numbers[COLUMN_number]);
		current->filter_low = request->numbers[COLUMN_number]->low;
	}
	return NULL;
}

static void put_name(struct view_row *row, const struct guest *guest, int64_t number)
{
	char text[32];
	char *large;

	if (!guest->name_size) {
		snprintf(text, sizeof(text), "thing %d", (int)number);
		row_string(row, COLUMN_name, text);
		return;
	}
	large = malloc(guest->name_size);
	memset(large, 'n', guest->name_size);
	row_text(row, COLUMN_name, large, guest->name_size);
	free(large);
}

static bool things_fill(void *data, struct view_row *row)
{
	struct things *state = data;
	struct guest *guest = state->guest;
	uint64_t page = (uint64_t)state->next, value = 0;

	/* In every run another page, so that none was copied before. */
	if (state->next == guest->new_page_at)
		page = 100 + guest->runs;
	row_integer(row, COLUMN_number, state->next);
	put_name(row, guest, state->next);
	row_string(row, COLUMN_empty, "");
	if (memory_read(guest->kernel.memory, gpa(page * PAGE_SIZE), &value, 8, NULL) == MEMORY_OK)
		row_integer(row, COLUMN_bytes, (int64_t)value);
	else
		row_absent(row, COLUMN_bytes, NUNCHI_ABSENT_BAD_DATA);
	return true;
}

static struct nunchi_error *things_next(void *data, struct view_row *row)
{
	struct things *state = data;
	struct guest *guest = state->guest;

	if (guest->row_ms)
		usleep(guest->row_ms * 1000);
	if (state->next == guest->cancel_at)
		cancel_request(&guest->cancel);
	if (state->next == guest->shrink_at)
		assert_int_equal(ftruncate(guest->fd, 0), 0);
	if (state->next == guest->cut_at) {
		row_warn(row, "cut short");
		row_torn(row);
		return &error_stop;
	}
	/* As a walk does that looks at the flag. */
	if (cancel_requested(&guest->cancel) || state->next == guest->rows)
		return &error_stop;
	row_settle(row, &guest->kernel, ~(uint64_t)0, things_fill, state);
	if (state->next == 2 && guest->torn_moments && guest->pauses <= guest->torn_moments)
		row_torn(row);
	state->next++;
	return NULL;
}

static void things_close(void *data)
{
	((struct things *)data)->guest->closed++;
}

static const struct guest_system test_system = {.name = "a test"};

static const struct view view_things = {
    .schema = {"things", "things", columns, ARRAY_SIZE(columns)},
    .providers = {{&test_system, sizeof(struct things), things_open, things_next, things_close}},
};

static enum memory_fault read_guest(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	struct guest *guest = data;

	(void)fault_offset;
	memset(buffer, 0, size);
	if (!guest->still && !guest->paused)
		guest->reads++;
	for (size_t at = 0; at + 8 <= size; at += 8)
		memcpy((char *)buffer + at, &guest->reads, 8);
	(void)offset;
	return MEMORY_OK;
}

static struct nunchi_error *pause_guest(struct target *target)
{
	struct guest *guest = (struct guest *)target;

	if (guest->pause_fails)
		return error_create(guest->pause_fails, "somebody else has it");
	guest->pauses++;
	guest->paused = true;
	return NULL;
}

static struct nunchi_error *resume_guest(struct target *target)
{
	struct guest *guest = (struct guest *)target;

	guest->resumes++;
	if (guest->resume_fails)
		return error_create(guest->resume_fails, "it does not answer");
	guest->paused = false;
	return NULL;
}

static const struct target_control control = {.pause = pause_guest, .resume = resume_guest};
static const struct target_ops ops = {.kind = "test", .control = &control};

static int setup(void **state)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	assert_null(target_init(&guest->target, &ops, "test"));
	target_set_support(&guest->target, TARGET_PAUSE, true, "test");
	assert_null(memory_create(true, &guest->target.memory));
	assert_null(memory_add_reader(guest->target.memory, gpa(0), RAM, read_guest, NULL, guest));
	assert_null(memory_seal(guest->target.memory));
	guest->kernel.system = &test_system;
	guest->kernel.memory = guest->target.memory;
	guest->kernel.cancel = &guest->cancel;
	guest->fd = -1;
	guest->rows = 5;
	guest->cancel_at = guest->cut_at = guest->shrink_at = guest->new_page_at = -1;
	current = guest;
	*state = guest;
	return 0;
}

static int teardown(void **state)
{
	struct guest *guest = *state;

	/* Whatever happened: it runs, and reads are reads again. */
	if (!guest->resume_fails) {
		assert_false(guest->paused);
		assert_int_equal(guest->pauses, guest->resumes);
		assert_int_equal(guest->target.pause_depth, 0);
	}
	assert_int_equal(guest->opened, guest->closed);
	assert_int_equal(memory_capture_misses(guest->kernel.memory), 0);
	memory_destroy(guest->target.memory);
	for (size_t i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		free(guest->target.support_text[i]);
	free(guest->target.name);
	if (guest->fd >= 0)
		close(guest->fd);
	free(guest);
	return 0;
}

static void run_live(struct guest *guest)
{
	guest->target.live = guest->kernel.live = true;
}

static struct nunchi_error *try_open(struct guest *guest, enum nunchi_pause pause,
				     const struct nunchi_query *query, struct view_cursor **ret)
{
	struct view_source source = {
	    .kernel = &guest->kernel, .target = &guest->target, .pause = pause};

	return view_cursor_create(&source, &view_things, query, ret);
}

static struct view_cursor *open_cursor(struct guest *guest, enum nunchi_pause pause,
				       const struct nunchi_query *query)
{
	struct view_cursor *cursor = NULL;
	struct nunchi_error *err = try_open(guest, pause, query, &cursor);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return cursor;
}

static void refused(struct guest *guest, const struct nunchi_query *query,
		    enum nunchi_error_code code, const char *words)
{
	struct view_cursor *cursor = NULL;
	struct nunchi_error *err = try_open(guest, NUNCHI_PAUSE_AUTO, query, &cursor);

	assert_non_null(err);
	assert_null(cursor);
	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("code %d: %s", nunchi_error_code(err), nunchi_error_message(err));
	nunchi_error_destroy(err);
}

static const struct nunchi_cell *next(struct view_cursor *cursor, bool *ret_torn)
{
	const struct nunchi_cell *cells = NULL;
	struct nunchi_error *err = view_cursor_next(cursor, &cells, ret_torn);

	if (err)
		fail_msg("%s", nunchi_error_message(err));
	return cells;
}

/* Reads to the end: how many rows, and how many of them are torn. */
static size_t count_rows(struct view_cursor *cursor, size_t *ret_torn)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	size_t count = 0;
	bool torn;

	*ret_torn = 0;
	while (!(err = view_cursor_next(cursor, &cells, &torn))) {
		count++;
		*ret_torn += torn;
	}
	assert_ptr_equal(err, &error_stop);
	/* And so it stays. */
	assert_ptr_equal(view_cursor_next(cursor, &cells, &torn), &error_stop);
	return count;
}

static void has_rows(struct guest *guest, enum nunchi_pause pause, const struct nunchi_query *query,
		     size_t rows, size_t torn)
{
	struct view_cursor *cursor = open_cursor(guest, pause, query);
	size_t was_torn;

	assert_int_equal(count_rows(cursor, &was_torn), rows);
	assert_int_equal(was_torn, torn);
	view_cursor_destroy(cursor);
}

/* ---- Columns, filters, limits ---------------------------------------------------------------- */

static void test_all(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	const struct nunchi_column *const *given;
	size_t count, torn;

	given = view_cursor_columns(cursor, &count);
	assert_int_equal(count, ARRAY_SIZE(columns));
	for (size_t i = 0; i < count; i++)
		assert_ptr_equal(given[i], &columns[i]);
	assert_int_equal(count_rows(cursor, &torn), 5);
	assert_int_equal(torn, 0);
	assert_null(view_cursor_warning(cursor, 0));
	view_cursor_destroy(cursor);
	assert_int_equal(guest->pauses, 0);
}

static void check_columns(struct guest *guest)
{
	static const char *const names[] = {"name", "number", "name"};
	struct nunchi_query query = {sizeof(query), names, 3, NULL, 0, 0};
	struct view_cursor *cursor = open_cursor(guest, NUNCHI_PAUSE_NEVER, &query);
	const struct nunchi_column *const *given;
	const struct nunchi_cell *cells;
	size_t count;
	bool torn;

	given = view_cursor_columns(cursor, &count);
	assert_int_equal(count, 3);
	assert_string_equal(given[0]->name, "name");
	assert_string_equal(given[1]->name, "number");
	next(cursor, &torn);
	cells = next(cursor, &torn);
	assert_memory_equal(cells[0].text, "thing 1", 7);
	assert_int_equal(cells[0].text_size, 7);
	assert_int_equal(cells[1].integer, 1);
	assert_memory_equal(cells[2].text, "thing 1", 7);
	/* Nobody asked for the others. */
	assert_int_equal(guest->columns_wanted,
			 VIEW_COLUMN_BIT(COLUMN_name) | VIEW_COLUMN_BIT(COLUMN_number));
	view_cursor_destroy(cursor);
}

static void test_columns(void **state)
{
	struct guest *guest = *state;

	check_columns(guest);
	guest->still = true;
	run_live(guest);
	check_columns(guest);
}

static void test_constraints(void **state)
{
	static const char *const names[] = {"number"};
	struct guest *guest = *state;
	struct nunchi_constraint constraints[] = {{"name", "thing 3"}, {"number", "3"}};
	struct nunchi_query query = {sizeof(query), names, 1, constraints, 1, 0};

	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 1, 0);
	/* A column is computed for its constraint, though not shown. */
	assert_int_equal(guest->columns_wanted,
			 VIEW_COLUMN_BIT(COLUMN_name) | VIEW_COLUMN_BIT(COLUMN_number));
	query.constraint_count = 2;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 1, 0);
	constraints[1].value = "4";
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 0, 0);
	/* What is not as often as the limit wants is no limit. */
	query.constraint_count = 1;
	query.limit = 2;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 1, 0);
}

/* Which numbers a query with these constraints on `number` gives: a digit each. */
static void numbers_are(struct guest *guest, const struct nunchi_constraint *constraints,
			size_t count, const char *wanted)
{
	static const char *const names[] = {"number"};
	struct nunchi_query query = {sizeof(query), names, 1, constraints, count, 0};
	struct view_cursor *cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, &query);
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	char given[16] = "";
	bool torn;

	for (size_t i = 0; !(err = view_cursor_next(cursor, &cells, &torn)); i++)
		given[i] = (char)('0' + cells[0].integer);
	assert_ptr_equal(err, &error_stop);
	assert_string_equal(given, wanted);
	view_cursor_destroy(cursor);
}

static void test_operators(void **state)
{
	static const char *const some[] = {"9", "3", "0x1", "3"}, *const few[] = {"3", "2"};
	struct guest *guest = *state;
	struct nunchi_constraint range[] = {{"number", "1", NUNCHI_GREATER},
					    {"number", "4", NUNCHI_LESS_EQUAL},
					    {"number", "4", NUNCHI_LESS}};
	struct nunchi_constraint lists[] = {
	    {"number", NULL, NUNCHI_IN, some, ARRAY_SIZE(some)},
	    {"number", NULL, NUNCHI_IN, few, ARRAY_SIZE(few)},
	    {"number", "3", NUNCHI_GREATER_EQUAL},
	    {"number", "4", NUNCHI_GREATER_EQUAL},
	};
	struct nunchi_constraint names[] = {{"name", "thing ", NUNCHI_PREFIX},
					    {"name", "thing 3", NUNCHI_GREATER_EQUAL}};
	struct nunchi_constraint extremes[] = {
	    {"number", "9223372036854775807", NUNCHI_GREATER},
	    {"number", "-9223372036854775808", NUNCHI_LESS},
	    {"number", "-9223372036854775808", NUNCHI_GREATER_EQUAL},
	};

	numbers_are(guest, range, 1, "234");
	numbers_are(guest, range, 2, "234");
	numbers_are(guest, range, 3, "23");
	numbers_are(guest, lists, 1, "13");
	numbers_are(guest, lists, 2, "3");
	numbers_are(guest, lists, 3, "3");
	numbers_are(guest, lists, 4, "");
	lists[0].value_count = 0;
	numbers_are(guest, lists, 1, "");
	numbers_are(guest, names, 1, "01234");
	numbers_are(guest, names, 2, "34");
	numbers_are(guest, &extremes[0], 1, "");
	numbers_are(guest, &extremes[1], 1, "");
	numbers_are(guest, &extremes[2], 1, "01234");
}

/* What the provider is told of a column of whole numbers: the constraints in one. */
static void test_number_filter(void **state)
{
	static const char *const some[] = {"9", "3", "1", "3"};
	struct guest *guest = *state;
	struct nunchi_constraint constraints[] = {
	    {"number", NULL, NUNCHI_IN, some, ARRAY_SIZE(some)}, {"number", "2", NUNCHI_GREATER}};
	struct nunchi_query query = {.size = sizeof(query),
				     .constraints = constraints,
				     .constraint_count = ARRAY_SIZE(constraints)};

	numbers_are(guest, NULL, 0, "01234");
	assert_false(guest->filtered);
	view_cursor_destroy(open_cursor(guest, NUNCHI_PAUSE_AUTO, &query));
	assert_true(guest->filtered);
	assert_int_equal(guest->filter_size, 3);
	assert_int_equal(guest->filter_low, 3);
}

static void test_limit(void **state)
{
	struct guest *guest = *state;
	struct nunchi_query query = {.size = sizeof(query), .limit = 3};

	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 3, 0);
	query.limit = UINT64_MAX;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 5, 0);
	guest->still = true;
	run_live(guest);
	query.limit = 3;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 3, 0);
}

static void test_mistakes(void **state)
{
	static const char *const names[] = {"number", "nubmer"};
	struct guest *guest = *state;
	struct nunchi_constraint constraints[] = {{"number", "3"}, {"number", "4"}};
	struct nunchi_query query = {.size = sizeof(query), .columns = names, .column_count = 2};

	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "no column \"nubmer\"");
	query = (struct nunchi_query){
	    .size = sizeof(query), .constraints = constraints, .constraint_count = 2};
	/* Two that cannot hold together are no mistake. */
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 0, 0);
	constraints[0].op = NUNCHI_PREFIX;
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "cannot be compared with a prefix");
	constraints[0].op = (enum nunchi_operator)77;
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "unknown operator 77");
	constraints[0].op = NUNCHI_EQUAL;
	constraints[0].value = NULL;
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "has no value");
	query.constraint_count = 1;
	constraints[0].value = "three";
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "takes a number");
	constraints[0].value = "99999999999999999999999";
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "out of range");
	constraints[0].column = "size";
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "no column \"size\"");
	query.columns = names;
	query.column_count = VIEW_MAX_COLUMNS + 1;
	refused(guest, &query, NUNCHI_ERROR_ARGUMENT, "more than");
}

static void test_empty_text(void **state)
{
	static const char *const names[] = {"empty"};
	struct guest *guest = *state;
	struct nunchi_query query = {.size = sizeof(query), .columns = names, .column_count = 1};

	guest->still = true;
	for (int live = 0; live < 2; live++) {
		struct view_cursor *cursor;
		const struct nunchi_cell *cells;
		bool torn;

		if (live)
			run_live(guest);
		cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, &query);
		cells = next(cursor, &torn);
		assert_int_equal(cells[0].kind, NUNCHI_CELL_VALUE);
		assert_int_equal(cells[0].text_size, 0);
		/* One byte behind the text may be looked at, if only by a sanitizer. */
		assert_non_null(cells[0].text);
		assert_int_equal(strnlen(cells[0].text, cells[0].text_size), 0);
		view_cursor_destroy(cursor);
	}
}

/* ---- Cancelling and losing the guest --------------------------------------------------------- */

/* A walk that ends because it was cancelled is not the end of the rows. */
static void test_cancelled(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	bool torn;

	guest->cancel_at = 2;
	next(cursor, &torn);
	next(cursor, &torn);
	err = view_cursor_next(cursor, &cells, &torn);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
	view_cursor_destroy(cursor);
	cancel_clear(&guest->cancel);
	guest->still = true;
	run_live(guest);
	refused(guest, NULL, NUNCHI_ERROR_CANCELLED, "cancelled");
}

/* Cancelled while the query runs on copies: the guest goes on, and the capture ends. */
static void test_cancelled_in_a_capture(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor = NULL;
	struct nunchi_error *err;

	run_live(guest);
	guest->cancel_at = 4;
	err = try_open(guest, NUNCHI_PAUSE_ALWAYS, NULL, &cursor);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
}

/* The file behind the memory is cut while it is read. */
static void test_memory_goes(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	bool torn;

	memory_destroy(guest->target.memory);
	guest->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(guest->fd, (off_t)RAM), 0);
	assert_int_equal(pwrite(guest->fd, "x", 1, 0), 1);
	for (off_t page = 0; page < 8; page++)
		assert_int_equal(pwrite(guest->fd, "12345678", 8, page * PAGE_SIZE), 8);
	assert_null(memory_create(true, &guest->target.memory));
	assert_null(memory_add_window(guest->target.memory, gpa(0), RAM, guest->fd, 0, 0));
	assert_null(memory_seal(guest->target.memory));
	guest->kernel.memory = guest->target.memory;
	guest->shrink_at = 2;
	cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	next(cursor, &torn);
	next(cursor, &torn);
	err = view_cursor_next(cursor, &cells, &torn);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
	view_cursor_destroy(cursor);
}

/* ---- A running guest ------------------------------------------------------------------------- */

static void test_settled_rows_need_no_pause(void **state)
{
	struct guest *guest = *state;

	guest->still = true;
	run_live(guest);
	has_rows(guest, NUNCHI_PAUSE_AUTO, NULL, 5, 0);
	assert_int_equal(guest->pauses, 0);
	has_rows(guest, NUNCHI_PAUSE_NEVER, NULL, 5, 0);
	assert_int_equal(guest->pauses, 0);
	has_rows(guest, NUNCHI_PAUSE_ALWAYS, NULL, 5, 0);
	assert_int_equal(guest->pauses, 1);
}

static void test_torn_rows_make_a_capture(void **state)
{
	struct guest *guest = *state;

	run_live(guest);
	has_rows(guest, NUNCHI_PAUSE_NEVER, NULL, 5, 5);
	assert_int_equal(guest->pauses, 0);
	has_rows(guest, NUNCHI_PAUSE_AUTO, NULL, 5, 0);
	assert_int_equal(guest->pauses, 1);
	has_rows(guest, NUNCHI_PAUSE_ALWAYS, NULL, 5, 0);
	assert_int_equal(guest->pauses, 2);
}

/* The guest was paused while its kernel wrote what a row shows: another moment is taken. */
static void test_torn_moments(void **state)
{
	struct guest *guest = *state;

	guest->torn_moments = 2;
	run_live(guest);
	has_rows(guest, NUNCHI_PAUSE_ALWAYS, NULL, 5, 0);
	assert_int_equal(guest->pauses, 3);
	guest->torn_moments = UINT_MAX;
	has_rows(guest, NUNCHI_PAUSE_ALWAYS, NULL, 5, 1);
	assert_int_equal(guest->pauses, 6);
	has_rows(guest, NUNCHI_PAUSE_AUTO, NULL, 5, 1);
	assert_int_equal(guest->pauses, 9);
}

/* Cursors of one session see one moment, unless one of them wants more than was copied for it. */
static void test_cursors_of_one_moment(void **state)
{
	struct guest *guest = *state;
	struct moment moment = {.target = &guest->target};
	struct view_source source = {.kernel = &guest->kernel,
				     .target = &guest->target,
				     .pause = NUNCHI_PAUSE_ALWAYS,
				     .moment = &moment};
	struct nunchi_query query = {.size = sizeof(query), .limit = 3};
	int64_t seen[4];

	run_live(guest);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		struct view_cursor *cursor = NULL;
		bool torn;

		/* The third one reads two pages more. */
		query.limit = i < 2 ? 3 : 5;
		assert_null(view_cursor_create(&source, &view_things, &query, &cursor));
		assert_int_equal(guest->pauses, i < 2 ? 1 : 2);
		assert_int_equal(moment.number, i < 2 ? 1 : 2);
		seen[i] = next(cursor, &torn)[COLUMN_bytes].integer;
		assert_false(torn);
		view_cursor_destroy(cursor);
	}
	assert_int_equal(seen[0], seen[1]);
	assert_int_not_equal(seen[1], seen[2]);
	assert_int_equal(seen[2], seen[3]);
	moment_end(&moment);
	assert_false(memory_capture_replays(guest->target.memory));
}

/* A list that was cut short because it changed is no better than a torn row. */
static void test_cut_list_makes_a_capture(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	size_t torn;

	guest->still = true;
	guest->cut_at = 3;
	run_live(guest);
	cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	assert_int_equal(guest->pauses, 1);
	assert_int_equal(count_rows(cursor, &torn), 3);
	assert_string_equal(view_cursor_warning(cursor, 0), "cut short");
	assert_null(view_cursor_warning(cursor, 1));
	view_cursor_destroy(cursor);
	has_rows(guest, NUNCHI_PAUSE_NEVER, NULL, 3, 0);
	assert_int_equal(guest->pauses, 1);
}

/* Each run wants a page that no run wanted before: at last it runs while the guest is paused. */
static void test_pages_that_nobody_knew_of(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	const struct nunchi_cell *cells;
	bool torn;

	guest->new_page_at = 3;
	run_live(guest);
	cursor = open_cursor(guest, NUNCHI_PAUSE_ALWAYS, NULL);
	assert_int_equal(guest->pauses, 7);
	for (int i = 0; i < 5; i++) {
		cells = next(cursor, &torn);
		assert_false(torn);
		assert_int_equal(cells[COLUMN_bytes].kind, NUNCHI_CELL_VALUE);
	}
	view_cursor_destroy(cursor);
}

/* Nor may it bring about more than that if nobody asked for pauses: then the rows are torn. */
static void test_new_pages_without_end(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	size_t torn;

	guest->new_page_at = 3;
	run_live(guest);
	cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	assert_int_equal(guest->pauses, 6);
	assert_int_equal(count_rows(cursor, &torn), 5);
	assert_int_equal(torn, 5);
	assert_non_null(strstr(view_cursor_warning(cursor, 0), "faster than nunchi can copy them"));
	view_cursor_destroy(cursor);
}

/* Torn rows are better than none, where a pause was only to mend them. */
static void test_pause_fails(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	struct nunchi_error *err;
	size_t torn;

	run_live(guest);
	guest->pause_fails = NUNCHI_ERROR_BUSY;
	cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	assert_int_equal(count_rows(cursor, &torn), 5);
	assert_int_equal(torn, 5);
	assert_non_null(strstr(view_cursor_warning(cursor, 0), "somebody else has it"));
	view_cursor_destroy(cursor);
	cursor = NULL;
	err = try_open(guest, NUNCHI_PAUSE_ALWAYS, NULL, &cursor);
	assert_true(error_is(err, NUNCHI_ERROR_BUSY));
	nunchi_error_destroy(err);
	/* A guest that is gone is not to be taken for one that is busy. */
	guest->pause_fails = NUNCHI_ERROR_GONE;
	err = try_open(guest, NUNCHI_PAUSE_AUTO, NULL, &cursor);
	assert_true(error_is(err, NUNCHI_ERROR_GONE));
	nunchi_error_destroy(err);
}

/* That the guest may stand still now is never kept quiet. */
static void test_resume_fails(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor = NULL;
	struct nunchi_error *err;

	run_live(guest);
	guest->resume_fails = NUNCHI_ERROR_TIMEOUT;
	err = try_open(guest, NUNCHI_PAUSE_AUTO, NULL, &cursor);
	assert_true(error_is(err, NUNCHI_ERROR_TIMEOUT));
	assert_non_null(strstr(nunchi_error_message(err), "cannot resume"));
	nunchi_error_destroy(err);
	guest->target.pause_depth = 0;
}

static void test_cannot_be_paused(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor = NULL;
	struct nunchi_error *err;

	run_live(guest);
	target_set_support(&guest->target, TARGET_PAUSE, false, "no way to ask it");
	has_rows(guest, NUNCHI_PAUSE_AUTO, NULL, 5, 5);
	err = try_open(guest, NUNCHI_PAUSE_ALWAYS, NULL, &cursor);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), "no way to ask it"));
	nunchi_error_destroy(err);
}

/* Long texts, of which there can be any number, do not make the others disappear. */
static void test_long_texts(void **state)
{
	struct guest *guest = *state;
	struct view_cursor *cursor;
	size_t values = 0, limits = 0;

	guest->still = true;
	guest->rows = 40;
	guest->name_size = (size_t)2 << 20;
	run_live(guest);
	cursor = open_cursor(guest, NUNCHI_PAUSE_AUTO, NULL);
	for (int64_t i = 0; i < guest->rows; i++) {
		bool torn;
		const struct nunchi_cell *cells = next(cursor, &torn);

		assert_int_equal(cells[COLUMN_number].integer, i);
		values += cells[COLUMN_name].kind == NUNCHI_CELL_VALUE;
		limits += cells[COLUMN_name].kind == NUNCHI_CELL_ABSENT &&
			  cells[COLUMN_name].absence == NUNCHI_ABSENT_LIMIT;
	}
	assert_int_equal(values, 23);
	assert_int_equal(limits, 17);
	view_cursor_destroy(cursor);
}

/* The rows, until the end; how many of them have their name. */
static size_t count_named(struct view_cursor *cursor, size_t *ret_named)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	size_t rows = 0;
	bool torn;

	*ret_named = 0;
	while (!(err = view_cursor_next(cursor, &cells, &torn))) {
		rows++;
		*ret_named += cells[COLUMN_name].kind == NUNCHI_CELL_VALUE;
	}
	assert_ptr_equal(err, &error_stop);
	return rows;
}

static void run_within(struct guest *guest, const struct nunchi_query *query, bool live,
		       size_t rows, size_t named, const char *warning)
{
	struct view_cursor *cursor;
	size_t found, got;

	guest->target.live = live;
	cursor = open_cursor(guest, NUNCHI_PAUSE_NEVER, query);
	got = count_named(cursor, &found);
	if (rows)
		assert_int_equal(got, rows);
	if (named)
		assert_int_equal(found, named);
	if (warning)
		assert_non_null(strstr(view_cursor_warning(cursor, 0), warning));
	else
		assert_null(view_cursor_warning(cursor, 0));
	view_cursor_destroy(cursor);
}

/* Half of the space for long texts, the rest for rows without; then the query ends. */
static void test_max_bytes(void **state)
{
	const struct nunchi_query few = {.max_bytes = (size_t)16 << 20};
	const struct nunchi_query many = {.max_bytes = (size_t)1 << 20};
	struct guest *guest = *state;

	guest->still = true;
	run_live(guest);
	for (unsigned live = 0; live < 2; live++) {
		guest->rows = 40;
		guest->name_size = (size_t)1 << 20;
		run_within(guest, &few, live, 40, 7, NULL);
		guest->rows = 1000000;
		guest->name_size = 200;
		run_within(guest, &many, live, 0, 0, "rows are missing");
	}
}

/* A running guest whose list has no end. */
static void test_max_ms(void **state)
{
	const struct nunchi_query query = {.max_ms = 50, .max_bytes = (size_t)512 << 20};
	struct guest *guest = *state;
	uint64_t start = clock_us();

	guest->still = true;
	guest->rows = INT64_MAX;
	run_live(guest);
	run_within(guest, &query, true, 0, 0, "longer than the limit");
	assert_in_range(clock_us() - start, 50000, 3000000);
}

/* What was read is not lost when the guest is read again, into copies and from these. */
static void test_max_ms_in_a_capture(void **state)
{
	const struct nunchi_query query = {.max_ms = 500};
	struct guest *guest = *state;

	run_live(guest);
	guest->row_ms = 60;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 5, 5);
	assert_int_equal(guest->pauses, 0);
	has_rows(guest, NUNCHI_PAUSE_ALWAYS, &query, 5, 0);
	guest->row_ms = 0;
	has_rows(guest, NUNCHI_PAUSE_AUTO, &query, 5, 0);
	assert_int_equal(guest->pauses, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(all),
	    TEST(columns),
	    TEST(constraints),
	    TEST(operators),
	    TEST(number_filter),
	    TEST(limit),
	    TEST(mistakes),
	    TEST(empty_text),
	    TEST(cancelled),
	    TEST(cancelled_in_a_capture),
	    TEST(memory_goes),
	    TEST(settled_rows_need_no_pause),
	    TEST(torn_rows_make_a_capture),
	    TEST(torn_moments),
	    TEST(cursors_of_one_moment),
	    TEST(cut_list_makes_a_capture),
	    TEST(pages_that_nobody_knew_of),
	    TEST(new_pages_without_end),
	    TEST(pause_fails),
	    TEST(resume_fails),
	    TEST(cannot_be_paused),
	    TEST(long_texts),
	    TEST(max_bytes),
	    TEST(max_ms),
	    TEST(max_ms_in_a_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
