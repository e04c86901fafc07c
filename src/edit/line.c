/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "edit/line.h"

#include "core/buffer.h"
#include "edit/complete.h"
#include "edit/history.h"
#include "edit/libedit.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <wchar.h>

/* Names that Tab shows at once. */
#define MOST_SHOWN 120
#define MOST_TEXT  ((size_t)1 << 20)

struct editor {
	const struct edit_options *options;
	struct libedit lib;
	EditLine *line;
	History *history;
	FILE *terminal; /* standard output, or standard error where that is no terminal */
	struct history_file file;
	struct buffer statement; /* its lines before this one */
	struct buffer typed;     /* the line */
	mbstate_t partial;       /* of a character of several bytes */
	int signals, child;
	int signal; /* that came, and ends the program; 0: none */
	bool more, interrupted;
};

/* Whom the functions that libedit calls belong to: a process has one terminal. */
static struct editor *current;

/* ---- Keys ------------------------------------------------------------------------------------ */

/* The terminal's mode is that of editing again, whatever has become of it. */
static void edit_again(struct editor *editor)
{
	editor->lib.el_set(editor->line, EL_PREP_TERM, 0);
	editor->lib.el_set(editor->line, EL_PREP_TERM, 1);
	editor->lib.el_set(editor->line, EL_REFRESH);
}

/* Takes a signal; false if it ends the program. */
static bool take_signal(struct editor *editor)
{
	struct signalfd_siginfo info;

	if (read(editor->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGWINCH)
		editor->lib.el_resize(editor->line);
	else if (info.ssi_signo == SIGCONT)
		edit_again(editor);
	else
		editor->signal = (int)info.ssi_signo;
	return !editor->signal;
}

/* A byte of the terminal: 1; 0: there will be none; below 0: an error. */
static int read_byte(struct editor *editor, char *ret)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
				       {.fd = editor->signals, .events = POLLIN},
				       {.fd = editor->child, .events = POLLIN}};
		ssize_t got;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -1;
		if (fds[2].revents || (fds[1].revents && !take_signal(editor)))
			return 0;
		if (!fds[0].revents)
			continue;
		got = read(STDIN_FILENO, ret, 1);
		if (got >= 0 || errno != EINTR)
			return got > 0 ? 1 : 0;
	}
}

static int read_character(EditLine *line, wchar_t *ret)
{
	struct editor *editor = current;
	size_t used;
	char byte;

	(void)line;
	do {
		int got = read_byte(editor, &byte);

		if (got <= 0)
			return got;
		used = mbrtowc(ret, &byte, 1, &editor->partial);
		/* What is no character begins a new one. */
		if (used == (size_t)-1)
			editor->partial = (mbstate_t){0};
	} while (used == (size_t)-2 || used == (size_t)-1);
	if (!used)
		*ret = L'\0';
	return 1;
}

static char *prompt(EditLine *line)
{
	static char text[32];

	(void)line;
	snprintf(text, sizeof(text), "%s",
		 current->more ? current->options->more_prompt : current->options->first_prompt);
	return text;
}

/* Ctrl-C: the line ends as with Enter, so that it stays to be seen, and is then dropped. */
static unsigned char interrupt(EditLine *line, int key)
{
	(void)key;
	current->interrupted = true;
	current->lib.el_push(line, "\n");
	return CC_NORM;
}

/* Ctrl-Z stops what the terminal's own key would stop. SIGCONT has the line drawn again. */
static unsigned char suspend(EditLine *line, int key)
{
	(void)key;
	current->lib.el_set(line, EL_PREP_TERM, 0);
	kill(0, SIGTSTP);
	current->lib.el_set(line, EL_PREP_TERM, 1);
	return CC_NORM;
}

/* ---- Completion ------------------------------------------------------------------------------ */

/* Prints names side by side, below the line that is edited. */
static void show_names(const struct editor *editor, const struct completion *found)
{
	size_t shown = found->count < MOST_SHOWN ? found->count : MOST_SHOWN, longest = 0, columns;
	size_t rows, width = 80;
	struct winsize size;

	if (!ioctl(fileno(editor->terminal), TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	for (size_t i = 0; i < shown; i++)
		if (strlen(found->found[i].name) > longest)
			longest = strlen(found->found[i].name);
	columns = width / (longest + 2) ? width / (longest + 2) : 1;
	rows = (shown + columns - 1) / columns;
	fputc('\n', editor->terminal);
	for (size_t row = 0; row < rows; row++) {
		for (size_t i = row; i < shown; i += rows)
			fprintf(editor->terminal, "%-*s", i + rows < shown ? (int)longest + 2 : 0,
				found->found[i].name);
		fputc('\n', editor->terminal);
	}
	if (shown < found->count)
		fprintf(editor->terminal, "... and %zu more\n", found->count - shown);
	fflush(editor->terminal);
}

/* Inserts what all names have in common behind what is there. */
static bool insert_common(const struct editor *editor, const struct completion *found)
{
	_cleanup_buffer_ struct buffer text = {0};
	const struct candidate *first = &found->found[0];
	bool quoted = found->count == 1 && first->after == '"';

	if (quoted)
		buffer_printf(&text, "\"%.*s", (int)found->prefix, first->name);
	for (size_t i = found->prefix; i < found->common; i++) {
		char letter = first->name[i];

		if (found->capitals && letter >= 'a' && letter <= 'z')
			letter = (char)(letter - 'a' + 'A');
		buffer_append_char(&text, letter);
	}
	if (quoted && found->prefix)
		editor->lib.el_deletestr(editor->line, (int)found->prefix);
	if (found->count == 1 && first->after)
		buffer_append_char(&text, first->after);
	return text.size && !text.failed && !editor->lib.el_insertstr(editor->line, text.data);
}

/* Tab. Between blanks at the beginning of a line it is itself, as when text is pasted. */
static unsigned char complete_word(EditLine *line, int key)
{
	struct editor *editor = current;
	const LineInfo *info = editor->lib.el_line(line);
	size_t before = (size_t)(info->cursor - info->buffer);
	_cleanup_buffer_ struct buffer text = {.limit = MOST_TEXT + EDIT_MOST_LINE};
	struct completion found;
	unsigned char next = CC_REFRESH_BEEP;

	(void)key;
	if (strspn(info->buffer, " \t") >= before && (before || editor->more))
		return editor->lib.el_insertstr(line, "\t") ? CC_ERROR : CC_REFRESH;
	buffer_append(&text, buffer_string(&editor->statement), editor->statement.size);
	buffer_append(&text, info->buffer, (size_t)(info->lastchar - info->buffer));
	if (text.failed)
		return CC_ERROR;
	complete(editor->options, buffer_string(&text), editor->statement.size + before, &found);
	if (found.count && !found.no_memory) {
		if (insert_common(editor, &found)) {
			next = CC_REFRESH;
		} else if (found.count > 1) {
			show_names(editor, &found);
			next = CC_REDISPLAY;
		}
	}
	completion_deinit(&found);
	return next;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void say_not_kept(struct nunchi_error *err)
{
	if (err)
		fprintf(stderr, "nunchi: the history is not kept: %s\n", nunchi_error_message(err));
	nunchi_error_destroy(err);
}

/* A line of the history. One that has what is no character would hide all that are older. */
static void remember(const char *line, void *data)
{
	struct editor *editor = data;
	HistEvent event;

	if (mbstowcs(NULL, line, 0) == (size_t)-1)
		return;
	editor->lib.history(editor->history, &event, H_ENTER, line);
}

/* What was typed, without its newline. */
static enum edit_answer take_line(struct editor *editor, const char *typed, const char **ret)
{
	const char *line;

	buffer_clear(&editor->typed);
	buffer_append(&editor->typed, typed, strcspn(typed, "\n"));
	line = buffer_string(&editor->typed);
	if (line[strspn(line, " \t")]) {
		remember(line, editor);
		say_not_kept(history_add(&editor->file, line));
	}
	if (editor->statement.size < MOST_TEXT) {
		buffer_append_string(&editor->statement, line);
		buffer_append_char(&editor->statement, '\n');
	}
	*ret = line;
	return EDIT_LINE;
}

enum edit_answer editor_line(struct editor *editor, bool more, int child, const char **ret)
{
	const char *line;
	int size = 0;

	editor->child = child;
	editor->more = more;
	editor->partial = (mbstate_t){0};
	if (!more)
		buffer_clear(&editor->statement);
	for (;;) {
		editor->interrupted = false;
		/* el_gets() prints the prompt first: until then Ctrl-C would be a signal. */
		editor->lib.el_set(editor->line, EL_PREP_TERM, 1);
		line = editor->lib.el_gets(editor->line, &size);
		if (!line || size <= 0)
			return EDIT_END;
		if (editor->interrupted)
			return EDIT_INTERRUPTED;
		if ((size_t)size < EDIT_MOST_LINE && strlen(line) == (size_t)size)
			break;
		fprintf(stderr, "a line has fewer than %zu bytes, and no byte 0\n", EDIT_MOST_LINE);
	}
	return take_line(editor, line, ret);
}

int editor_signal(const struct editor *editor)
{
	return editor->signal;
}

/* ---------------------------------------------------------------------------------------------- */

static void bind_keys(struct editor *editor)
{
	const struct libedit *lib = &editor->lib;
	EditLine *line = editor->line;

	lib->el_set(line, EL_EDITOR, "emacs");
	lib->el_set(line, EL_ADDFN, "complete-word", "complete a name", complete_word);
	lib->el_set(line, EL_ADDFN, "interrupt", "drop the line", interrupt);
	lib->el_set(line, EL_ADDFN, "suspend", "stop the program", suspend);
	lib->el_set(line, EL_BIND, "^I", "complete-word", NULL);
	lib->el_set(line, EL_BIND, "^R", "em-inc-search-prev", NULL);
	/* ~/.editrc, where users of libedit keep keys of their own. */
	if (!history_home_is_foreign())
		lib->el_source(line, NULL);
	/* Not by signals, which the process that reads the guest would get too. */
	lib->el_set(line, EL_SETTY, "-d", "-isig", NULL);
	lib->el_set(line, EL_BIND, "^C", "interrupt", NULL);
	lib->el_set(line, EL_BIND, "^Z", "suspend", NULL);
	/* In vi's command mode too. */
	lib->el_set(line, EL_BIND, "-a", "^C", "interrupt", NULL);
	lib->el_set(line, EL_BIND, "-a", "^Z", "suspend", NULL);
}

/* The history of this run is kept in any case; that no file keeps it is no error. */
static void open_history(struct editor *editor)
{
	HistEvent event;

	editor->lib.history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
	editor->lib.history(editor->history, &event, H_SETUNIQUE, 1);
	editor->lib.el_set(editor->line, EL_HIST, editor->lib.history, editor->history);
	say_not_kept(history_open(editor->options->name, remember, editor, &editor->file));
}

struct editor *editor_create(const struct edit_options *options, const struct libedit *lib,
			     int signals)
{
	struct editor *editor = calloc(1, sizeof(*editor));

	if (!editor)
		return NULL;
	editor->options = options;
	editor->lib = *lib;
	editor->signals = signals;
	editor->file.fd = -1;
	editor->statement.limit = MOST_TEXT + EDIT_MOST_LINE;
	editor->terminal = isatty(STDOUT_FILENO) ? stdout : stderr;
	current = editor;
	/* What is typed is in the user's character set. Only this process needs to know it. */
	setlocale(LC_CTYPE, "");
	editor->line = lib->el_init("nunchi", stdin, editor->terminal, stderr);
	editor->history = lib->history_init();
	if (!editor->line || !editor->history) {
		editor_destroy(editor);
		return NULL;
	}
	editor->lib.el_set(editor->line, EL_GETCFN, read_character);
	editor->lib.el_set(editor->line, EL_PROMPT, prompt);
	bind_keys(editor);
	open_history(editor);
	return editor;
}

void editor_destroy(struct editor *editor)
{
	if (!editor)
		return;
	if (editor->history)
		editor->lib.history_end(editor->history);
	if (editor->line)
		editor->lib.el_end(editor->line);
	history_close(&editor->file);
	buffer_deinit(&editor->statement);
	buffer_deinit(&editor->typed);
	current = NULL;
	free(editor);
}
