/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sql.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Statements read from standard input at most. */
#define MOST_TEXT ((size_t)1 << 20)
/* Of the memory that the command may take, SQLite has a half. */
#define SQLITE_MEMORY ((uint64_t)128 << 20)
#define MOST_NAMES    512
#define MOST_NAME     64

/* ---- Names ----------------------------------------------------------------------------------- */

/* The names of tables and columns, each once. */
struct names {
	const char *all[MOST_NAMES];
	size_t count;
};

static void add_name(struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (!strcmp(names->all[i], name))
			return;
	}
	if (names->count < MOST_NAMES)
		names->all[names->count++] = name;
}

static const char *name_at(size_t i, const void *data)
{
	const struct names *names = data;

	return i < names->count ? names->all[i] : NULL;
}

/* Whether the statement names the view. */
static bool mentions(const char *text, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = text; (at = strcasestr(at, name)); at += size) {
		if ((at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_')) &&
		    !(isalnum((unsigned char)at[size]) || at[size] == '_'))
			return true;
	}
	return false;
}

static const char no_table[] = "no such table: ";

/*
 * The name that the user may have meant, where SQLite says that there is no table or column of that
 * name; NULL otherwise. Columns are those of the tables that the statement names.
 */
static const char *suggest_name(const char *message, const char *text)
{
	static const char no_column[] = "no such column: ";
	bool columns = !strncmp(message, no_column, strlen(no_column));
	const char *word = message + (columns ? strlen(no_column) : strlen(no_table));
	struct names names = {.count = 0};
	const struct nunchi_view *const *views;
	size_t count;

	if (!columns && strncmp(message, no_table, strlen(no_table)) != 0)
		return NULL;
	if (strrchr(word, '.'))
		word = strrchr(word, '.') + 1;
	views = nunchi_views(&count);
	for (size_t i = 0; i < count; i++) {
		if (!columns)
			add_name(&names, views[i]->name);
		for (size_t j = 0;
		     columns && mentions(text, views[i]->name) && j < views[i]->column_count; j++)
			add_name(&names, views[i]->columns[j].name);
	}
	return suggest(word, name_at, &names);
}

/* Says why a statement was refused, where, and what may have been meant. */
static int fail_statement(struct cli *cli, struct sql_state *state, const char *text,
			  struct nunchi_error *err)
{
	enum nunchi_error_code code = nunchi_error_code(err);
	const char *near = suggest_name(nunchi_error_message(err), text);
	bool lacks_table = !strncmp(nunchi_error_message(err), no_table, strlen(no_table));
	size_t offset;
	int status;

	status = cli_fail(cli, err);
	if (nunchi_sql_error_offset(state->sql, &offset))
		cli_print_place(text, offset);
	if (near)
		fprintf(stderr, "  did you mean \"%s\"?\n", near);
	else if (lacks_table)
		fprintf(stderr, "  %s lists the tables\n",
			state->in_shell ? ".tables" : "\"nunchi views\"");
	return code == NUNCHI_ERROR_PERMISSION ? CLI_USAGE : status;
}

/* ---- Targets ----------------------------------------------------------------------------------
 */

/* The size of NAME in NAME=TARGET; 0 if the word is something else. */
static size_t name_size(const char *word)
{
	size_t size = 0;

	while (isalnum((unsigned char)word[size]) || word[size] == '_')
		size++;
	return word[size] == '=' && !isdigit((unsigned char)word[0]) ? size : 0;
}

static bool is_named_target(const char *word)
{
	return name_size(word) && !strpbrk(word, " \t\n");
}

/* The word of a target without its name. */
static const char *target_of(const char *word)
{
	return is_named_target(word) ? word + name_size(word) + 1 : word;
}

/* ---- Statements ------------------------------------------------------------------------------ */

static void print_warnings(struct cli *cli, const struct nunchi_statement *statement)
{
	uint64_t torn = nunchi_statement_torn(statement);
	const char *warning;
	char text[128];

	for (size_t i = 0; (warning = nunchi_statement_warning(statement, i)); i++)
		cli_warn(cli, warning);
	if (torn) {
		snprintf(text, sizeof(text),
			 "%llu rows that were read are torn: the guest kept changing them",
			 (unsigned long long)torn);
		cli_warn(cli, text);
	}
	if (!nunchi_statement_is_one_moment(statement))
		cli_warn(cli, "the guest ran on while its tables were read, so that rows may be of "
			      "different moments; --pause always shows one moment");
}

/* Prints the rows as they come. The first one is asked for before the types of columns are. */
static struct nunchi_error *print_rows(struct cli *cli, struct sql_state *state,
				       struct nunchi_statement *statement)
{
	const struct nunchi_column *const *columns;
	struct nunchi_writer *writer = NULL;
	const struct nunchi_cell *cells;
	struct nunchi_error *err, *finished;
	size_t count;

	err = nunchi_statement_next(statement, &cells);
	targets_notes(cli, &state->targets);
	if (err && nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return err;
	columns = nunchi_statement_columns(statement, &count);
	finished = cli_writer(cli, columns, count, true, "--wide shows all", &writer);
	if (finished) {
		nunchi_error_destroy(err);
		return finished;
	}
	while (!err) {
		err = nunchi_writer_row(writer, cells, false);
		if (!err)
			err = nunchi_statement_next(statement, &cells);
	}
	/* Rows read before a failure are shown too. */
	finished = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP) {
		nunchi_error_destroy(finished);
		return err;
	}
	nunchi_error_destroy(err);
	return finished;
}

int sql_run_text(struct cli *cli, struct sql_state *state, const char *text)
{
	int status = CLI_DONE;

	while (*text && !status) {
		struct nunchi_statement *statement = NULL;
		const char *rest;
		struct nunchi_error *err = nunchi_sql_prepare(state->sql, text, &statement, &rest);

		if (err)
			return fail_statement(cli, state, text, err);
		if (statement) {
			err = print_rows(cli, state, statement);
			print_warnings(cli, statement);
			nunchi_statement_close(statement);
			status = cli_fail(cli, err);
		}
		text = rest;
	}
	return status;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

/* The schema of a target: its name, which take_targets() has looked at, or "main". */
static const char *schema_of(const char *word, char *storage)
{
	if (!is_named_target(word))
		return "main";
	snprintf(storage, MOST_NAME, "%.*s", (int)name_size(word), word);
	return storage;
}

/* Makes the views of a target tables of its schema. */
static int add_target(struct cli *cli, struct sql_state *state, size_t at)
{
	char name[MOST_NAME];

	return cli_fail(cli, nunchi_sql_add(state->sql, schema_of(state->words[at], name),
					    state->targets.guests[at]));
}

/* Takes the targets, each with its name if there are several. */
static int take_targets(struct cli *cli, struct sql_state *state, char **words, int count)
{
	if (count > MOST_TARGETS)
		return cli_misuse(cli, NULL, "at most %d targets", MOST_TARGETS);
	state->words = words;
	state->targets.count = (size_t)count;
	for (int i = 0; i < count; i++) {
		state->targets.words[i] = target_of(words[i]);
		if (is_named_target(words[i]) && name_size(words[i]) >= MOST_NAME)
			return cli_misuse(cli, NULL, "the name of a target has at most %d letters",
					  MOST_NAME - 1);
		if (count > 1 && !is_named_target(words[i]))
			return cli_misuse(cli, NULL,
					  "of several targets each has a name, as in \"before=%s\"",
					  words[i]);
	}
	return CLI_DONE;
}

/* Reads standard input to its end. */
static int read_input(struct cli *cli, struct sql_state *state)
{
	size_t size = 0;

	state->text = malloc(MOST_TEXT + 1);
	if (!state->text)
		return cli_fail_with(cli, "out of memory");
	for (;;) {
		ssize_t got = read(STDIN_FILENO, state->text + size, MOST_TEXT + 1 - size);

		if (got < 0 && errno == EINTR && !cli_interrupted())
			continue;
		if (got < 0)
			return cli_fail_with(cli, "cannot read standard input: %s",
					     strerror(errno));
		if (!got)
			break;
		size += (size_t)got;
		if (size > MOST_TEXT)
			return cli_fail_with(cli, "standard input has more than 1 MiB");
	}
	state->text[size] = '\0';
	return strlen(state->text) == size
		   ? CLI_DONE
		   : cli_fail_with(cli, "standard input has a byte 0, which SQL has not");
}

static bool any_is_live(char **words, int count)
{
	for (int i = 0; i < count; i++) {
		if (cli_target_is_live(target_of(words[i])))
			return true;
	}
	return false;
}

/* Has the terminal's lines edited; true in the process that does it, when all has ended. */
static bool start_shell(struct cli *cli, struct sql_state *state, int *status)
{
	char storage[MOST_TARGETS][MOST_NAME];
	const char *schemas[MOST_TARGETS];
	enum edit_role role;

	for (size_t i = 0; i < state->targets.count; i++)
		schemas[i] = schema_of(state->words[i], storage[i]);
	cli_close_context(cli);
	role = sql_shell_start(schemas, state->targets.count, status);
	state->edited = role == EDIT_READER;
	if (role != EDIT_ENDED)
		*status = cli_open_context(cli);
	return role == EDIT_ENDED;
}

/* Opens the targets and makes them schemas. */
static int open_all(struct cli *cli, struct sql_state *state)
{
	struct nunchi_sql_options options = {
	    .size = sizeof(options),
	    /* A saved guest has one moment, and a statement is executed twice for that. */
	    .one_moment = cli->guest_options.pause == NUNCHI_PAUSE_ALWAYS &&
			  any_is_live(state->words, (int)state->targets.count),
	    .max_bytes = cli->memory ? cli->memory / 2 : SQLITE_MEMORY,
	};
	/* A confined process can load no library. */
	int status = cli_fail(cli, nunchi_sql_create(cli->context, &options, &state->sql));

	if (!status)
		status = targets_open(cli, &state->targets);
	for (size_t i = 0; i < state->targets.count && !status; i++)
		status = add_target(cli, state, i);
	return status;
}

static int sql_run(struct cli *cli, void *data, char **arguments, int count)
{
	struct sql_state *state = data;
	bool given = count > 1 && !is_named_target(arguments[count - 1]);
	bool shell = !given && isatty(STDIN_FILENO);
	int status = take_targets(cli, state, arguments, given ? count - 1 : count);
	const char *text = given ? arguments[count - 1] : "-";

	if (!status && shell && start_shell(cli, state, &status))
		return status;
	if (!status)
		status = open_all(cli, state);
	if (!status && shell) {
		state->in_shell = true;
		status = sql_shell(cli, state);
		text = "";
	} else if (!status && !strcmp(text, "-")) {
		status = read_input(cli, state);
		text = state->text;
	}
	if (!status)
		status = sql_run_text(cli, state, text);
	nunchi_sql_destroy(state->sql);
	state->sql = NULL;
	return status;
}

static int sql_option(struct cli *cli, void *state, int letter, const char *value)
{
	(void)state;
	(void)letter;
	(void)value;
	cli->output = NUNCHI_OUTPUT_LINE;
	return CLI_DONE;
}

static void sql_clean(void *data)
{
	struct sql_state *state = data;

	targets_close(&state->targets);
	free(state->text);
}

static const struct cli_option sql_options[] = {
    {"line", OPTION_LINE, NULL, "print one value a line, as \"name = value\""},
};

const struct command command_sql = {
    .name = "sql",
    .arguments = "[NAME=]TARGET… [QUERY]",
    .summary = "query the views with SQL",
    .description =
	"Answers a query in SQL, in the dialect of SQLite. Each view is a table with the view's "
	"columns (\"nunchi views\" lists them), which can be read and not changed. Without a "
	"QUERY, or with \"-\", statements are read from standard input, separated by "
	"semicolons; on a terminal that is a shell, with history and completion, which .help "
	"explains.\nSeveral targets have "
	"names, which are schemas: before.processes. A query "
	"reads no more than it needs: with pid = 7 one process, and no column that it does not "
	"name. All tables of a statement show one state of a saved guest, and with --pause always "
	"of a running one; otherwise a warning says that they may not.\nA value that could not be "
	"read is NULL; it is shown with its reason, as absence(COLUMN) gives it, where the column "
	"comes straight from its table. Addresses are integers with the same 64 bits. Other "
	"functions are symbol(ADDRESS), print(EXPRESSION), hex(X), split(TEXT, SEPARATORS, INDEX), "
	"regex_match() and "
	"regex_split(). The table each(EXPRESSION) has what a C expression over the kernel's "
	"memory gives, and with each() in it a row for each element.",
    .examples = "  nunchi sql memory.raw 'select pid, name from processes where uid = 0'\n"
		"  nunchi sql xen:web 'select p.name, f.path from processes p\n"
		"    join process_open_files f using (pid) where p.name = \"sshd\"'\n"
		"  nunchi sql before=a.elf after=xen:web 'select name from\n"
		"    after.kernel_modules except select name from before.kernel_modules'\n"
		"  nunchi sql memory.raw --json <queries.sql\n",
    .options = sql_options,
    .option_count = ARRAY_SIZE(sql_options),
    .least = 1,
    .most = MOST_TARGETS + 1,
    .state_size = sizeof(struct sql_state),
    .option = sql_option,
    .run = sql_run,
    .clean = sql_clean,
};
