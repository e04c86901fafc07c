/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nunchi sql on a terminal without a query: statements are typed in, each up to its semicolon. */
#include "sql.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST_INPUT ((size_t)1 << 20)

struct shell {
	struct cli *cli;
	struct sql_state *state;
	char *text; /* what was typed of a statement; MOST_INPUT + 1 bytes */
	size_t size;
	char *line; /* EDIT_MOST_LINE bytes */
	bool timer, quits;
};

/* ---- Commands -------------------------------------------------------------------------------- */

static void print_tables(struct shell *shell, const char *argument)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	(void)argument;
	for (size_t i = 0; i < count; i++)
		cli_printf(shell->cli, "%-20s %s\n", views[i]->name, views[i]->description);
}

static void print_schema(struct shell *shell, const char *table)
{
	static const char *const types[] = {"integer", "real", "address", "text"};
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		if (table && strcmp(table, views[i]->name) != 0)
			continue;
		any = true;
		cli_printf(shell->cli, "%s(", views[i]->name);
		for (size_t j = 0; j < views[i]->column_count; j++)
			cli_printf(shell->cli, "%s%s %s", j ? ", " : "", views[i]->columns[j].name,
				   types[views[i]->columns[j].type]);
		cli_printf(shell->cli, ")\n");
	}
	if (!any)
		fprintf(stderr, "there is no such table; .tables lists them\n");
}

/* In the order of enum nunchi_output. */
static const char *const modes[] = {"table", "json", "csv", "line", NULL};

static void set_mode(struct shell *shell, const char *mode)
{
	for (size_t i = 0; mode && modes[i]; i++) {
		if (!strcmp(mode, modes[i])) {
			shell->cli->output = (enum nunchi_output)i;
			return;
		}
	}
	fprintf(stderr, ".mode takes table, json, csv or line\n");
}

static const char *const states[] = {"on", "off", NULL};

static void set_timer(struct shell *shell, const char *wanted)
{
	shell->timer = !wanted || !strcmp(wanted, "on");
}

static void quit(struct shell *shell, const char *argument)
{
	(void)argument;
	shell->quits = true;
}

static void print_help(struct shell *shell, const char *argument);

/* The words are those that may follow; so may names of tables where .tables says so. */
static const struct shell_command {
	struct edit_command edit;
	const char *argument, *help; /* help is NULL for another name of the command before */
	void (*run)(struct shell *shell, const char *argument);
} shell_commands[] = {
    {{".tables", NULL, false}, "", "the tables", print_tables},
    {{".schema", NULL, true},
     "[TABLE]",
     "the columns of all tables or one, with types",
     print_schema},
    {{".mode", modes, false}, "table|json|csv|line", "how rows are printed", set_mode},
    {{".timer", states, false},
     "on|off",
     "whether the time of each statement is printed",
     set_timer},
    {{".help", NULL, false}, "", "this text", print_help},
    {{".quit", NULL, false}, "", "ends; so do exit, quit and the end of the input (Ctrl-D)", quit},
    {{".exit", NULL, false}, "", NULL, quit},
};

static void print_help(struct shell *shell, const char *argument)
{
	(void)argument;
	for (size_t i = 0; i < ARRAY_SIZE(shell_commands); i++) {
		const struct shell_command *command = &shell_commands[i];

		if (command->help)
			cli_printf(shell->cli, "%s %-*s %s\n", command->edit.name,
				   (int)(25 - strlen(command->edit.name)), command->argument,
				   command->help);
	}
	cli_printf(shell->cli, "A statement ends with a semicolon. Ctrl-C ends a statement that "
			       "runs, or drops what was typed.\n");
	if (shell->state->edited)
		cli_printf(shell->cli, "Tab completes names; up and down, and Ctrl-R, go through "
				       "the lines typed before.\n");
}

static const struct shell_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(shell_commands); i++) {
		if (!strcmp(name, shell_commands[i].edit.name))
			return &shell_commands[i];
	}
	return NULL;
}

/* A line that begins with a period. */
static void run_command(struct shell *shell, char *line)
{
	const char *word = strtok(line, " \t"), *argument = strtok(NULL, " \t");
	const struct shell_command *command = find_command(word);

	if (command)
		command->run(shell, argument);
	else
		fprintf(stderr, "there is no such command; .help lists them\n");
}

/*
 * The command that is all of the line: one with its period, or a word that other shells take, with
 * a semicolon or without. No statement is such a word. NULL: it is none.
 */
static const struct shell_command *meant_command(const char *line)
{
	static const char *const words[] = {".exit", ".quit", ".help"};
	char name[16];
	size_t size;

	line += strspn(line, " \t");
	size = strcspn(line, " \t;");
	if (!size || size >= sizeof(name) - 1 || line[size + strspn(line + size, " \t;")])
		return NULL;
	snprintf(name, sizeof(name), "%s%.*s", *line == '.' ? "" : ".", (int)size, line);
	for (size_t i = 0; *line != '.' && i < ARRAY_SIZE(words); i++) {
		if (!strcmp(name, words[i]))
			return find_command(name);
	}
	return *line == '.' ? find_command(name) : NULL;
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* Where the quoted text or comment ends that begins here; NULL: it has no end. */
static const char *skip_quoted(const char *at)
{
	const char *end;

	if (!strncmp(at, "--", 2)) {
		end = strchr(at, '\n');
		return end ? end + 1 : at + strlen(at);
	}
	if (!strncmp(at, "/*", 2)) {
		end = strstr(at + 2, "*/");
		return end ? end + 2 : NULL;
	}
	end = strchr(at + 1, *at == '[' ? ']' : *at);
	return end ? end + 1 : NULL;
}

/* Whether the text ends with a semicolon that is in no quotes and no comment. */
static bool is_complete(const char *text)
{
	bool complete = false;

	while (text && *text) {
		bool comment = !strncmp(text, "--", 2) || !strncmp(text, "/*", 2);

		if (comment || strchr("'\"`[", *text)) {
			complete = complete && comment;
			text = skip_quoted(text);
			continue;
		}
		if (!strchr(" \t\r\n", *text))
			complete = *text == ';';
		text++;
	}
	return text && complete;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void cancel(void *data)
{
	const struct shell *shell = data;

	nunchi_sql_cancel(shell->state->sql);
}

static void run_typed(struct shell *shell)
{
	double start = now_ms();

	/* What came before has no effect any more. */
	cli_on_interrupt(cancel, shell);
	(void)sql_run_text(shell->cli, shell->state, shell->text);
	if (shell->timer)
		cli_printf(shell->cli, "%.1f ms\n", now_ms() - start);
	shell->size = 0;
	shell->text[0] = '\0';
}

/* Takes a line without its newline. */
static void take_line(struct shell *shell, char *line)
{
	const struct shell_command *meant = meant_command(line);
	size_t size = strlen(line);

	if (!shell->size && line[strspn(line, " \t")] == '.') {
		run_command(shell, line);
		return;
	}
	if (!shell->size && meant) {
		meant->run(shell, NULL);
		return;
	}
	if (meant)
		fprintf(stderr,
			"this is a part of the statement, which a semicolon ends and Ctrl-C "
			"drops; then type %s\n",
			meant->edit.name);
	if (size + 1 > MOST_INPUT - shell->size) {
		fprintf(stderr, "the statement has more than 1 MiB; it is dropped\n");
		shell->size = 0;
		return;
	}
	memcpy(shell->text + shell->size, line, size);
	shell->size += size;
	shell->text[shell->size++] = '\n';
	shell->text[shell->size] = '\0';
	if (is_complete(shell->text))
		run_typed(shell);
	else if (strspn(shell->text, " \t\r\n") == shell->size)
		shell->size = 0;
}

/* A line as the terminal gives it, without its newline. */
static enum edit_answer read_line(char *line, size_t capacity)
{
	size_t size = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, line + size, capacity - 1 - size);

		if (got < 0)
			return errno == EINTR ? EDIT_INTERRUPTED : EDIT_END;
		if (!got)
			return EDIT_END;
		size += (size_t)got;
		if (line[size - 1] == '\n' || size == capacity - 1)
			break;
	}
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return EDIT_LINE;
}

/* Says something to who types: not in the output, if that is no terminal. */
static bool say(struct cli *cli, const char *text)
{
	if (!isatty(STDOUT_FILENO))
		return fputs(text, stderr) >= 0 && fflush(stderr) == 0;
	cli_printf(cli, "%s", text);
	return cli_flush(cli);
}

#define FIRST_PROMPT "nunchi> "
#define MORE_PROMPT  "   ...> "

/* A signal came while a line is edited: Ctrl-C, before the editor had it, has nothing to end. */
static bool has_ended(void *data)
{
	cli_on_interrupt(cancel, data);
	return cli_interrupted();
}

/* The next line, after a prompt; false at the end. */
static bool get_line(struct shell *shell)
{
	enum edit_answer answer;

	cli_on_interrupt(cancel, shell);
	if (!cli_flush(shell->cli))
		return false;
	if (shell->state->edited)
		answer = edit_ask(shell->size != 0, shell->line, has_ended, shell);
	else if (say(shell->cli, shell->size ? MORE_PROMPT : FIRST_PROMPT))
		answer = read_line(shell->line, EDIT_MOST_LINE);
	else
		return false;
	/* It may have come before read() began, which is not interrupted then. */
	if (cli_interrupt_called() || answer == EDIT_INTERRUPTED)
		shell->size = 0;
	if (answer == EDIT_INTERRUPTED) {
		/* An editor's line has ended; this one has not. */
		if (!shell->state->edited)
			say(shell->cli, "\n");
		shell->line[0] = '\0';
	}
	return answer != EDIT_END;
}

int sql_shell(struct cli *cli, struct sql_state *state)
{
	struct shell shell = {.cli = cli, .state = state};
	bool memory;

	shell.text = calloc(1, MOST_INPUT + 1);
	shell.line = malloc(EDIT_MOST_LINE);
	memory = shell.text && shell.line;
	if (memory) {
		say(cli, "SQL over ");
		say(cli, cli->target);
		say(cli, "; .help explains, .quit ends\n");
		while (!shell.quits && !cli_interrupted() && get_line(&shell))
			take_line(&shell, shell.line);
		cli_on_interrupt(NULL, NULL);
		say(cli, shell.quits ? "" : "\n");
	}
	free(shell.line);
	free(shell.text);
	return memory ? CLI_DONE : cli_fail_with(cli, "out of memory");
}

/* ---- The start ------------------------------------------------------------------------------- */

enum edit_role sql_shell_start(const char *const *schemas, size_t count, int *ret_status)
{
	struct edit_command list[ARRAY_SIZE(shell_commands)];
	const struct edit_options options = {
	    .name = "sql_history",
	    .first_prompt = FIRST_PROMPT,
	    .more_prompt = MORE_PROMPT,
	    .schemas = schemas,
	    .schema_count = count,
	    .commands = list,
	    .command_count = ARRAY_SIZE(list),
	};
	enum edit_role role;
	struct nunchi_error *err;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = shell_commands[i].edit;
	err = edit_start(&options, &role, ret_status);
	if (err)
		fprintf(stderr, "nunchi: lines cannot be edited: %s\n", nunchi_error_message(err));
	if (err && nunchi_error_hint(err))
		fprintf(stderr, "hint: %s\n", nunchi_error_hint(err));
	nunchi_error_destroy(err);
	return role;
}
