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
	bool timer, quits;
};

static const char help_text[] =
    ".tables               the tables\n"
    ".schema [TABLE]       the columns of all tables or one, with types\n"
    ".mode table|json|csv|line  how rows are printed\n"
    ".timer on|off         whether the time of each statement is printed\n"
    ".quit                 ends; so does the end of the input (Ctrl-D)\n"
    "A statement ends with a semicolon. Ctrl-C ends a statement that runs, or drops what was "
    "typed.\n";

/* ---- Commands -------------------------------------------------------------------------------- */

static void print_tables(const struct shell *shell)
{
	size_t count;
	const struct nunchi_view *const *views = nunchi_views(&count);

	for (size_t i = 0; i < count; i++)
		cli_printf(shell->cli, "%-20s %s\n", views[i]->name, views[i]->description);
}

static void print_schema(const struct shell *shell, const char *table)
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

static void set_mode(const struct shell *shell, const char *mode)
{
	static const char *const modes[] = {"table", "json", "csv", "line"};

	for (size_t i = 0; mode && i < ARRAY_SIZE(modes); i++) {
		if (!strcmp(mode, modes[i])) {
			shell->cli->output = (enum nunchi_output)i;
			return;
		}
	}
	fprintf(stderr, ".mode takes table, json, csv or line\n");
}

/* A line that begins with a period. */
static void run_command(struct shell *shell, char *line)
{
	const char *word = strtok(line, " \t"), *argument = strtok(NULL, " \t");

	if (!strcmp(word, ".tables"))
		print_tables(shell);
	else if (!strcmp(word, ".schema"))
		print_schema(shell, argument);
	else if (!strcmp(word, ".mode"))
		set_mode(shell, argument);
	else if (!strcmp(word, ".timer"))
		shell->timer = !argument || !strcmp(argument, "on");
	else if (!strcmp(word, ".quit") || !strcmp(word, ".exit"))
		shell->quits = true;
	else if (!strcmp(word, ".help"))
		cli_printf(shell->cli, "%s", help_text);
	else
		fprintf(stderr, "there is no such command; .help lists them\n");
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
	size_t size = strlen(line);

	if (!shell->size && line[strspn(line, " \t")] == '.') {
		run_command(shell, line);
		return;
	}
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

/* A line of the terminal, which gives one at a time. 0: the end; below 0: Ctrl-C. */
static ssize_t read_line(char *line, size_t capacity)
{
	size_t size = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, line + size, capacity - 1 - size);

		if (got < 0)
			return errno == EINTR ? -1 : 0;
		if (!got)
			return 0;
		size += (size_t)got;
		if (line[size - 1] == '\n' || size == capacity - 1)
			break;
	}
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return (ssize_t)size;
}

/* Says something to who types: not in the output, if that is no terminal. */
static bool say(struct cli *cli, const char *text)
{
	if (!isatty(STDOUT_FILENO))
		return fputs(text, stderr) >= 0 && fflush(stderr) == 0;
	cli_printf(cli, "%s", text);
	return cli_flush(cli);
}

int sql_shell(struct cli *cli, struct sql_state *state)
{
	struct shell shell = {.cli = cli, .state = state};
	char line[8192];

	shell.text = calloc(1, MOST_INPUT + 1);
	if (!shell.text)
		return cli_fail_with(cli, "out of memory");
	say(cli, "SQL over ");
	say(cli, cli->target);
	say(cli, "; .help explains, .quit ends\n");
	while (!shell.quits && !cli_interrupted()) {
		ssize_t got;

		cli_on_interrupt(cancel, &shell);
		if (!cli_flush(cli) || !say(cli, shell.size ? "   ...> " : "nunchi> "))
			break;
		got = read_line(line, sizeof(line));
		if (!got)
			break;
		/* It may have come before read() began, which is not interrupted then. */
		if (cli_interrupt_called())
			shell.size = 0;
		if (got < 0) {
			say(cli, "\n");
			continue;
		}
		take_line(&shell, line);
	}
	cli_on_interrupt(NULL, NULL);
	say(cli, shell.quits ? "" : "\n");
	free(shell.text);
	return CLI_DONE;
}
