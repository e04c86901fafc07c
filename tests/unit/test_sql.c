/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SQL over a saved guest made by hand: what tables give, what statements may do, how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"
#include "core/cleanup.h"

#include "api_guest.h"
#include "btf_blob.h"

#include <nunchi/sql.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#define ENDLESS "with recursive n(i) as (values(1) union all select i + 1 from n) "

struct sql_test {
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_sql *sql;
};

static char path[64];
static struct nunchi_sql *to_cancel;

static void succeeded(struct nunchi_error *err)
{
	if (err)
		fail_msg("%s", nunchi_error_message(err));
}

static int sql_setup(void **state)
{
	struct sql_test *test = calloc(1, sizeof(*test));
	/* More than the tests of the limit need, and less than they ask for. */
	const struct nunchi_sql_options options = {.size = sizeof(options), .max_bytes = 16 << 20};

	succeeded(nunchi_context_create(0, &test->context));
	succeeded(nunchi_sql_create(test->context, &options, &test->sql));
	succeeded(nunchi_guest_open(test->context, path, NULL, &test->guest));
	succeeded(nunchi_sql_add(test->sql, "main", test->guest));
	*state = test;
	return 0;
}

static int sql_teardown(void **state)
{
	struct sql_test *test = *state;

	nunchi_sql_destroy(test->sql);
	nunchi_guest_close(test->guest);
	nunchi_context_destroy(test->context);
	free(test);
	return 0;
}

static struct nunchi_statement *prepare(struct sql_test *test, const char *text)
{
	struct nunchi_statement *statement = NULL;
	struct nunchi_error *err = nunchi_sql_prepare(test->sql, text, &statement, NULL);

	if (err)
		fail_msg("%s: %s", text, nunchi_error_message(err));
	assert_non_null(statement);
	return statement;
}

/* All rows, a cell after the other with "|" between two, "\n" behind each row. To be freed. */
static char *answer(struct sql_test *test, const char *text)
{
	struct nunchi_statement *statement = prepare(test, text);
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	size_t count, size;
	char *all = NULL;
	FILE *out = open_memstream(&all, &size);

	nunchi_statement_columns(statement, &count);
	while (!(err = nunchi_statement_next(statement, &cells))) {
		for (size_t i = 0; i < count; i++) {
			const struct nunchi_cell *cell = &cells[i];

			if (i)
				fputc('|', out);
			if (cell->kind != NUNCHI_CELL_VALUE)
				fprintf(out, "<%s>", nunchi_absence_string(cell->absence));
			else if (cell->type == NUNCHI_TYPE_TEXT)
				fprintf(out, "%.*s", (int)cell->text_size, cell->text);
			else if (cell->type == NUNCHI_TYPE_INTEGER)
				fprintf(out, "%lld", (long long)cell->integer);
			else if (cell->type == NUNCHI_TYPE_ADDRESS)
				fprintf(out, "0x%llx", (unsigned long long)cell->address);
			else
				fprintf(out, "%g", cell->real);
		}
		fputc('\n', out);
	}
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		fail_msg("%s: %s", text, nunchi_error_message(err));
	nunchi_error_destroy(err);
	nunchi_statement_close(statement);
	fclose(out);
	return all;
}

static void answers(struct sql_test *test, const char *text, const char *wanted)
{
	_cleanup_free_ char *got = answer(test, text);

	if (strcmp(got, wanted) != 0)
		fail_msg("%s:\n%sinstead of\n%s", text, got, wanted);
}

/* The error of a statement, in whichever step; to be destroyed. */
static struct nunchi_error *failure(struct sql_test *test, const char *text)
{
	struct nunchi_statement *statement = NULL;
	const struct nunchi_cell *cells;
	struct nunchi_error *err = nunchi_sql_prepare(test->sql, text, &statement, NULL);

	while (!err)
		err = nunchi_statement_next(statement, &cells);
	nunchi_statement_close(statement);
	return err;
}

static void fails(struct sql_test *test, const char *text, enum nunchi_error_code code,
		  const char *words)
{
	struct nunchi_error *err = failure(test, text);

	if (nunchi_error_code(err) != code || !strstr(nunchi_error_message(err), words))
		fail_msg("%s: code %d: %s", text, nunchi_error_code(err),
			 nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static void every_view_is_a_table_with_its_columns(void **state)
{
	size_t view_count, count;
	const struct nunchi_view *const *views = nunchi_views(&view_count);

	for (size_t i = 0; i < view_count; i++) {
		const struct nunchi_column *const *columns;
		struct nunchi_statement *statement;
		char text[128];

		snprintf(text, sizeof(text), "select * from %s", views[i]->name);
		statement = prepare(*state, text);
		columns = nunchi_statement_columns(statement, &count);
		assert_int_equal(count, views[i]->column_count);
		for (size_t j = 0; j < count; j++) {
			assert_string_equal(columns[j]->name, views[i]->columns[j].name);
			assert_int_equal(columns[j]->type, views[i]->columns[j].type);
			assert_int_equal(columns[j]->unit, views[i]->columns[j].unit);
		}
		nunchi_statement_close(statement);
	}
}

static void same_cell(const struct nunchi_cell *got, const struct nunchi_cell *wanted)
{
	assert_int_equal(got->kind, wanted->kind);
	if (wanted->kind != NUNCHI_CELL_VALUE) {
		assert_int_equal(got->absence, wanted->absence);
		return;
	}
	assert_int_equal(got->type, wanted->type);
	assert_int_equal(got->text_size, wanted->text_size);
	if (wanted->type == NUNCHI_TYPE_TEXT)
		assert_memory_equal(got->text, wanted->text, wanted->text_size);
	else if (wanted->type == NUNCHI_TYPE_ADDRESS)
		assert_true(got->address == wanted->address);
	else if (wanted->type == NUNCHI_TYPE_INTEGER)
		assert_true(got->integer == wanted->integer);
}

static size_t count_rows(struct nunchi_guest *guest, const struct nunchi_view *view)
{
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	size_t count = 0;
	bool torn;

	succeeded(nunchi_cursor_open(guest, view, NULL, &cursor));
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)))
		count++;
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_STOP);
	nunchi_error_destroy(err);
	nunchi_cursor_close(cursor);
	return count;
}

/* Returns the number of cells without a value. */
static size_t compare_view(struct sql_test *test, const struct nunchi_view *view)
{
	const struct nunchi_cell *wanted, *got;
	struct nunchi_statement *statement;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	size_t absent = 0, rows = 0;
	char text[128];
	bool torn;

	snprintf(text, sizeof(text), "select * from %s", view->name);
	statement = prepare(test, text);
	err = nunchi_statement_next(statement, &got);
	if (err && nunchi_error_code(err) == NUNCHI_ERROR_UNSUPPORTED) {
		nunchi_error_destroy(err);
		nunchi_statement_close(statement);
		err = nunchi_cursor_open(test->guest, view, NULL, &cursor);
		if (!err) {
			err = nunchi_cursor_next(cursor, &wanted, &torn);
			nunchi_cursor_close(cursor);
		}
		assert_non_null(err);
		assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
		nunchi_error_destroy(err);
		return 0;
	}
	succeeded(nunchi_cursor_open(test->guest, view, NULL, &cursor));
	for (; !err; rows++) {
		succeeded(nunchi_cursor_next(cursor, &wanted, &torn));
		for (size_t i = 0; i < view->column_count; i++) {
			same_cell(&got[i], &wanted[i]);
			absent += wanted[i].kind != NUNCHI_CELL_VALUE;
		}
		err = nunchi_statement_next(statement, &got);
	}
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_STOP);
	nunchi_error_destroy(err);
	nunchi_statement_close(statement);
	nunchi_cursor_close(cursor);
	assert_int_equal(rows, count_rows(test->guest, view));
	return absent;
}

static void tables_have_the_cells_of_views(void **state)
{
	size_t count, absent = 0;
	const struct nunchi_view *const *views = nunchi_views(&count);

	for (size_t i = 0; i < count; i++)
		absent += compare_view(*state, views[i]);
	/* Some have no value, or this tests little. */
	assert_true(absent > 0);
}

/*
 * A condition gives the same rows whether the view is given it or, for SQLite cannot pass on what
 * is said of an expression, it is not.
 */
static void conditions_lose_no_row(void **state)
{
	static const char *const conditions[] = {
	    "%sname = 'phys_base'",
	    "%sname = 'PHYS_base' collate nocase",
	    "%sname in ('phys_base', 'init_top_pgt', 'nothing')",
	    "%sname in ('phys_base', 5)",
	    "%sname in (select name from symbols where name glob 'i*')",
	    "%sname collate nocase in ('PHYS_BASE')",
	    "%sname like 'Init%%'",
	    "%sname like '_nit%%'",
	    "%sname like '%%'",
	    "%sname glob 'i*'",
	    "%sname glob '*base'",
	    "%sname glob 'I*'",
	    "%sname = 5",
	    "%sname < 'j'",
	    "%sname = null",
	    "%sname in (null)",
	    "%sname is not null",
	    "%saddress = 0xffffffff81000000",
	    "%saddress = (select address from symbols where name = 'phys_base')",
	    "%saddress in (select address from symbols where name glob 'p*')",
	    "%saddress > 0xffffffff81000000",
	    "%saddress < 5",
	    "%saddress = '0xffffffff81000000'",
	    "%saddress = -2130706432.0",
	    "%stype in ('t', 'T') and name > 'a'",
	    "%sname = 'phys_base' or name like 'init%%'",
	    "%sname glob 'i*' or address = 0xffffffff81000000 or address in (5, -2130706432)",
	};

	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		_cleanup_free_ char *passed = NULL, *kept = NULL;
		char text[512], condition[256];

		for (int plus = 0; plus < 2; plus++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(condition, sizeof(condition), conditions[i], plus ? "+" : "");
#pragma GCC diagnostic pop
			snprintf(text, sizeof(text),
				 "select name, address from symbols where %s order by 2, 1",
				 condition);
			*(plus ? &kept : &passed) = answer(*state, text);
		}
		if (strcmp(passed, kept) != 0)
			fail_msg("%s: %s instead of %s", condition, passed, kept);
	}
}

/* What the plan of a statement passes on to the view. */
static void plans(struct sql_test *test, const char *text, const char *wanted)
{
	_cleanup_free_ char *plan = NULL;
	char explain[512];

	snprintf(explain, sizeof(explain), "explain query plan %s", text);
	plan = answer(test, explain);
	if (!strstr(plan, wanted))
		fail_msg("%s: %s", text, plan);
}

static void conditions_are_passed_on(void **state)
{
	plans(*state, "select * from processes where pid = 7", " pid =\n");
	plans(*state, "select * from processes where pid in (7, 8)", " pid i\n");
	plans(*state, "select * from processes where pid between 7 and 8", " pid g pid l\n");
	plans(*state, "select * from processes where name like '/x%'", " name L\n");
	plans(*state, "select * from processes where name glob 'x*'", " name G\n");
	plans(*state, "select * from processes where name = 'x' and uid > 5", " name = uid >\n");
	/* No column is asked for but these two: 1 << 0 | 1 << 7. */
	plans(*state, "select pid from processes where uid", "INDEX 0:81\n");
	plans(*state, "select count(*) from process_open_files", "INDEX 0:0\n");
	/* Each process's files once, whichever table is named first. */
	plans(*state,
	      "select p.name, f.path from processes p join process_open_files f using (pid)",
	      "SCAN f VIRTUAL TABLE INDEX 0:5 pid =\n");
	plans(*state,
	      "select p.name, f.path from process_open_files f join processes p using (pid)",
	      "SCAN f VIRTUAL TABLE INDEX 0:5 pid =\n");
}

static void a_reason_is_kept_by_plain_columns(void **state)
{
	answers(*state, "select absence(null), absence(5), null", "null|<not applicable>|<null>\n");
	answers(*state,
		"select count(*) from symbols where name = 'phys_base' and absence(name) is null",
		"1\n");
}

/* ---- Statements ------------------------------------------------------------------------------ */

static void columns_have_names_of_their_own_and_types(void **state)
{
	const struct nunchi_column *const *columns;
	const struct nunchi_cell *cells;
	struct nunchi_statement *statement =
	    prepare(*state, "select a.name, b.name, 1 as name, 2.5 as r, 'x' as t, null as n from "
			    "symbols a, symbols b limit 1");
	size_t count;

	succeeded(nunchi_statement_next(statement, &cells));
	columns = nunchi_statement_columns(statement, &count);
	assert_int_equal(count, 6);
	assert_string_equal(columns[0]->name, "name");
	assert_string_equal(columns[1]->name, "name:1");
	assert_string_equal(columns[2]->name, "name:2");
	assert_int_equal(columns[0]->type, NUNCHI_TYPE_TEXT);
	assert_int_equal(columns[2]->type, NUNCHI_TYPE_INTEGER);
	assert_int_equal(columns[3]->type, NUNCHI_TYPE_REAL);
	assert_int_equal(columns[4]->type, NUNCHI_TYPE_TEXT);
	assert_int_equal(cells[5].kind, NUNCHI_CELL_ABSENT);
	nunchi_statement_close(statement);
}

static void a_text_may_have_several_statements(void **state)
{
	struct sql_test *test = *state;
	struct nunchi_statement *statement = NULL;
	const char *rest = "select 1; -- one\n select 2 ;; /* end */ ";
	unsigned count = 0;

	while (*rest) {
		statement = NULL;
		succeeded(nunchi_sql_prepare(test->sql, rest, &statement, &rest));
		count += statement != NULL;
		nunchi_statement_close(statement);
	}
	assert_int_equal(count, 2);
}

static void one_statement_runs_at_a_time(void **state)
{
	struct nunchi_statement *first = prepare(*state, "select * from symbols");
	struct nunchi_statement *second = prepare(*state, "select * from symbols");
	const struct nunchi_cell *cells;
	struct nunchi_error *err;

	succeeded(nunchi_statement_next(first, &cells));
	err = nunchi_statement_next(second, &cells);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_BUSY);
	nunchi_error_destroy(err);
	nunchi_statement_close(first);
	/* What was refused can be begun later. */
	succeeded(nunchi_statement_next(second, &cells));
	nunchi_statement_close(second);
	answers(*state, "select count(*) from symbols where name = 'phys_base'", "1\n");
}

/* The session of a statement is closed with it, and one of somebody else is told. */
static void a_statement_has_a_session(void **state)
{
	struct sql_test *test = *state;
	struct nunchi_session *session;

	succeeded(nunchi_session_open(test->guest, NULL, &session));
	fails(test, "select * from symbols", NUNCHI_ERROR_BUSY, "a session is open");
	succeeded(nunchi_session_close(session));
	answers(test, "select count(*) from symbols where name = 'phys_base'", "1\n");
	succeeded(nunchi_session_open(test->guest, NULL, &session));
	succeeded(nunchi_session_close(session));
}

static void errors_say_where(void **state)
{
	struct sql_test *test = *state;
	size_t offset = 0;

	fails(test, "select nam from symbols", NUNCHI_ERROR_ARGUMENT, "no such column: nam");
	assert_true(nunchi_sql_error_offset(test->sql, &offset));
	assert_int_equal(offset, 7);
	fails(test, "select * from symbols wher name", NUNCHI_ERROR_ARGUMENT, "near \"name\"");
	assert_true(nunchi_sql_error_offset(test->sql, &offset));
	assert_int_equal(offset, 27);
	fails(test, "select * from symbol", NUNCHI_ERROR_ARGUMENT, "no such table: symbol");
	answers(test, "select 1", "1\n");
	assert_false(nunchi_sql_error_offset(test->sql, &offset));
	fails(test, "select pid from processes", NUNCHI_ERROR_UNSUPPORTED, "view processes");
}

static void statements_read_and_do_nothing_else(void **state)
{
	static const char *const refused[] = {
	    "create table x(a)",
	    "create temp table x(a)",
	    "create view x as select 1",
	    "insert into symbols values('a', 1, 't')",
	    "delete from symbols",
	    "update symbols set name = 'x'",
	    "update sqlite_master set type = 'x'",
	    "insert into sqlite_master values(1, 2, 3, 4, 5)",
	    "drop table symbols",
	    "attach '/tmp/nunchi-test-sql' as x",
	    "detach main",
	    "pragma temp_store = file",
	    "pragma journal_mode",
	    "vacuum into '/tmp/nunchi-test-sql'",
	    "begin",
	    "analyze",
	    "create virtual table x using nunchi",
	    "explain create table x(a)",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct nunchi_error *err = failure(*state, refused[i]);

		if (nunchi_error_code(err) != NUNCHI_ERROR_PERMISSION &&
		    !strstr(nunchi_error_message(err), "may not be"))
			fail_msg("%s: %s", refused[i], nunchi_error_message(err));
		nunchi_error_destroy(err);
	}
	assert_int_equal(access("/tmp/nunchi-test-sql", F_OK), -1);
	fails(*state, "select load_extension('x')", NUNCHI_ERROR_ARGUMENT, "not authorized");
	answers(*state, "select name from pragma_table_info('uptime') limit 1", "days\n");
	answers(*state, "select value from json_each('[7]')", "7\n");
	answers(*state, "values(1) union all select 2", "1\n2\n");
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void on_alarm(int number)
{
	(void)number;
	nunchi_sql_cancel(to_cancel);
}

static void a_statement_can_be_cancelled(void **state)
{
	static const char *const endless[] = {
	    ENDLESS "select count(*) from n",
	    "select count(*) from symbols a, symbols b, symbols c, symbols d",
	};
	const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
	struct sql_test *test = *state;
	struct sigaction action = {.sa_handler = on_alarm};

	to_cancel = test->sql;
	sigaction(SIGALRM, &action, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
		setitimer(ITIMER_REAL, &soon, NULL);
		fails(test, endless[i], NUNCHI_ERROR_CANCELLED, "cancelled");
		answers(test, "select count(*) from symbols where name = 'phys_base'", "1\n");
	}
	nunchi_context_cancel(test->context);
	fails(test, ENDLESS "select count(*) from n", NUNCHI_ERROR_CANCELLED, "cancelled");
}

static void memory_has_a_limit(void **state)
{
	/* 100 MB to sort. */
	fails(*state,
	      "with recursive n(i) as (values(1) union all select i + 1 from n limit 100000) "
	      "select i from n order by randomblob(1000)",
	      NUNCHI_ERROR_NOMEM, "needs more memory than SQLite may take (16 MiB)");
	fails(*state, "select length(randomblob(1000000000))", NUNCHI_ERROR_ARGUMENT, "too big");
	answers(*state, "select count(*) from symbols where name = 'phys_base'", "1\n");
}

static void functions_answer(void **state)
{
	answers(*state, "select hex(255), hex(-1), hex('az'), hex(null)",
		"0xff|0xffffffffffffffff|617A|\n");
	answers(*state,
		"select split('/usr//bin/x', '/', 0), split('a: b ,c', ':,', 1), "
		"split('a b', ' ', 2), split(null, ' ', 0)",
		"usr|b|<not applicable>|<not applicable>\n");
	fails(*state, "select split('a', ' ', -1)", NUNCHI_ERROR_ARGUMENT, "split() takes");
	answers(*state,
		"select symbol(address), symbol(address + 4) from symbols where name = 'phys_base'",
		"phys_base|phys_base+0x4\n");
	answers(*state, "select symbol(0), symbol('x')", "<not applicable>|<not applicable>\n");
}

/* A file of types that the guest is opened with. */
static void write_types(char *name)
{
	struct blob blob = {0};
	uint32_t number = blob_int(&blob, "long unsigned int", 8, 0), pointer;
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	FILE *file;
	int fd;

	blob_int(&blob, "char", 1, 1);
	blob_int(&blob, "int", 4, 1);
	pointer = blob_type(&blob, 2, 0, 0, "", number);
	blob_type(&blob, 4, 0, 2, "list_head", 16);
	blob_member(&blob, "next", pointer, 0);
	blob_member(&blob, "prev", pointer, 64);
	data = blob_finish(&blob, &size);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	file = fdopen(fd, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* The table each(). */
static void each_answers(struct sql_test *test)
{
	answers(test, "select value, typeof(value), type, address, error from each('1 + 1')",
		"2|integer|long|<not applicable>|<not applicable>\n");
	answers(test, "select expression, value from each where expression = 'sizeof(int)'",
		"sizeof(int)|4\n");
	answers(test,
		"select e.value = s.address from symbols s join each('&' || s.name) e "
		"where s.name = 'phys_base'",
		"1\n");
	answers(test, "with e(n) as (values ('1'), (null), ('2')) select value from e, each(n)",
		"1\n2\n");
	/* What cannot be read is a row. */
	answers(test,
		"select value, error like '%NULL%' from each('*(int *)0') union all "
		"select value, error like '%not mapped%' or error like '%cannot be read%' "
		"from each('*(int *)0x10')",
		"<null>|1\n<null>|1\n");
	answers(test, "select count(*) from each('1') a, each('2') b where a.value < b.value",
		"1\n");
	answers(test,
		"select value from each where expression = '1' or expression = '2' order by 1",
		"1\n2\n");
	answers(test, "select value from main.each('3')", "3\n");
	fails(test, "select value from zz.each('3')", NUNCHI_ERROR_ARGUMENT, "no such table");
	fails(test, "select * from each(cast(x'31002b31' as text))", NUNCHI_ERROR_ARGUMENT,
	      "byte 0");
	fails(test, "select * from each", NUNCHI_ERROR_ARGUMENT, "each() takes an expression");
	fails(test, "select * from each('1 +')", NUNCHI_ERROR_ARGUMENT, "character 4");
	fails(test, "select * from each('each(1)')", NUNCHI_ERROR_ARGUMENT, "not a list");
	fails(test, "select * from each('1', 2)", NUNCHI_ERROR_ARGUMENT, "too many arguments");
}

/* That of a schema is about its guest: each has types of its own. */
static void each_of_schemas(void **state)
{
	const char *const names[] = {"a", "b"};
	struct sql_test test = {.context = ((struct sql_test *)*state)->context};
	char types[] = "/tmp/nunchi-types-XXXXXX";
	const struct nunchi_guest_options options[] = {
	    {.size = sizeof(options[0])}, {.size = sizeof(options[0]), .types_path = types}};
	struct nunchi_guest *guests[2];

	write_types(types);
	succeeded(nunchi_sql_create(test.context, NULL, &test.sql));
	for (size_t i = 0; i < 2; i++) {
		succeeded(nunchi_guest_open(test.context, path, &options[i], &guests[i]));
		succeeded(nunchi_sql_add(test.sql, names[i], guests[i]));
	}
	answers(&test, "select value from b.each('1')", "1\n");
	fails(&test, "select value from a.each('1')", NUNCHI_ERROR_NOT_FOUND, "type");
	fails(&test, "select value from each('1')", NUNCHI_ERROR_NOT_FOUND, "type");
	fails(&test, "select value from zz.each('1')", NUNCHI_ERROR_ARGUMENT, "no such table");
	nunchi_sql_destroy(test.sql);
	nunchi_guest_close(guests[0]);
	nunchi_guest_close(guests[1]);
	unlink(types);
}

static void expressions_answer(void **state)
{
	struct sql_test test = {.context = ((struct sql_test *)*state)->context};
	char types[] = "/tmp/nunchi-types-XXXXXX";
	const struct nunchi_guest_options options = {.size = sizeof(options), .types_path = types};

	fails(*state, "select print('1 + 1')", NUNCHI_ERROR_NOT_FOUND, "type");
	write_types(types);
	succeeded(nunchi_sql_create(test.context, NULL, &test.sql));
	succeeded(nunchi_guest_open(test.context, path, &options, &test.guest));
	succeeded(nunchi_sql_add(test.sql, "main", test.guest));
	answers(&test, "select print('1 + 1'), typeof(print('1')), print('-5 / 2')",
		"2|integer|-2\n");
	answers(&test,
		"select print('&' || name) = address, hex(print('&' || name)) = hex(address) "
		"from symbols where name = 'phys_base'",
		"1|1\n");
	answers(
	    &test,
	    "select print('*(struct list_head *)0x10'), print(null), absence(print('*(int *)0'))",
	    "<not mapped>|<not applicable>|not applicable\n");
	answers(&test, "select print('sizeof(struct list_head)') * 2", "32\n");
	fails(&test, "select print('1 +')", NUNCHI_ERROR_ARGUMENT, "character 4");
	fails(&test, "select print('&phys_bas')", NUNCHI_ERROR_NOT_FOUND, "character 2: no symbol");
	fails(&test, "select print('each(1)')", NUNCHI_ERROR_ARGUMENT, "not a list");
	each_answers(&test);
	nunchi_sql_destroy(test.sql);
	nunchi_guest_close(test.guest);
	unlink(types);
}

static void regular_expressions_answer(void **state)
{
#ifdef HAVE_PCRE2
	answers(
	    *state,
	    "select regex_match('/usr/bin/x', '.*/(.*)/(.*)', 2), "
	    "regex_match('abc', 'b', 0), regex_match('abc', 'd', 0), regex_match('abc', 'b', 1), "
	    "regex_match(null, 'b', 0), regex_match('ab', '(x)?b', 1)",
	    "x|b|<null>|<null>|<null>|<null>\n");
	answers(*state,
		"select regex_split('a1b22c', '[0-9]+', 0), regex_split('a1b22c', '[0-9]+', 2), "
		"regex_split('a1b22c', '[0-9]+', 3), regex_split(',a', ',', 0), "
		"regex_split('abc', '', 0)",
		"a|c|<null>||abc\n");
	/* A pattern that matches nothing but the end is not tried at each byte of 1 MB. */
	answers(*state, "select length(regex_split(hex(zeroblob(500000)), '/*$', 0))", "1000000\n");
	/* The pattern differs from row to row. */
	answers(*state, "with p(x) as (values('a'), ('b')) select regex_match('ab', x, 0) from p",
		"a\nb\n");
	fails(*state, "select regex_match('a', '(', 0)", NUNCHI_ERROR_ARGUMENT, "cannot be used");
	fails(*state, "select regex_match('a', 'a', -1)", NUNCHI_ERROR_ARGUMENT, "an index");
	fails(*state,
	      "select regex_match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac', '(a+)+[bd]', 0)",
	      NUNCHI_ERROR_ARGUMENT, "too many steps");
#else
	fails(*state, "select regex_match('a', 'a', 0)", NUNCHI_ERROR_ARGUMENT,
	      "no regular expressions");
#endif
}

/* SQLite looks for a table in "main" first. */
static void main_is_the_first_schema(void **state)
{
	struct sql_test *test = *state;
	struct nunchi_sql *sql;
	struct nunchi_error *err;

	succeeded(nunchi_sql_create(test->context, NULL, &sql));
	succeeded(nunchi_sql_add(sql, "before", test->guest));
	err = nunchi_sql_add(sql, "main", test->guest);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	nunchi_sql_destroy(sql);
}

static void guests_have_schemas(void **state)
{
	struct sql_test *test = *state;
	struct nunchi_guest *other;
	struct nunchi_error *err;

	succeeded(nunchi_guest_open(test->context, path, NULL, &other));
	err = nunchi_sql_add(test->sql, "MAIN", other);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	err = nunchi_sql_add(test->sql, "a b", other);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_ARGUMENT);
	nunchi_error_destroy(err);
	succeeded(nunchi_sql_add(test->sql, "after", other));
	answers(test,
		"select count(*) from symbols where name = 'phys_base' or name = 'init_top_pgt'",
		"2\n");
	answers(
	    test,
	    "select (select count(*) from main.symbols) = (select count(*) from after.symbols), "
	    "count(*) > 0 from after.symbols",
	    "1|1\n");
	answers(test, "select name from after.symbols except select name from main.symbols", "");
	nunchi_sql_destroy(test->sql);
	test->sql = NULL;
	nunchi_guest_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sql_setup, sql_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(every_view_is_a_table_with_its_columns),
	    TEST(tables_have_the_cells_of_views),
	    TEST(conditions_lose_no_row),
	    TEST(conditions_are_passed_on),
	    TEST(a_reason_is_kept_by_plain_columns),
	    TEST(columns_have_names_of_their_own_and_types),
	    TEST(expressions_answer),
	    TEST(each_of_schemas),
	    TEST(a_text_may_have_several_statements),
	    TEST(one_statement_runs_at_a_time),
	    TEST(a_statement_has_a_session),
	    TEST(errors_say_where),
	    TEST(statements_read_and_do_nothing_else),
	    TEST(a_statement_can_be_cancelled),
	    TEST(memory_has_a_limit),
	    TEST(functions_answer),
	    TEST(regular_expressions_answer),
	    TEST(main_is_the_first_schema),
	    TEST(guests_have_schemas),
	};
	int failed;

	api_guest_save(path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
