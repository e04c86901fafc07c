/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command nunchi: it uses the public header alone. Each subcommand is a struct command in a
 * file of its own; help, option parsing and shell completion are derived from the struct.
 */
#ifndef NUNCHI_CLI_CLI_H
#define NUNCHI_CLI_CLI_H

#include <nunchi/nunchi.h>
#include <nunchi/sql.h>
#include <nunchi/trace.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit statuses. */
/* CLI_FOUND: a check has found a warning or an alarm. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_FOUND = 3 };

/* What getopt_long() returns for options without a letter. */
enum {
	OPTION_JSON = 256,
	OPTION_CSV,
	OPTION_PAUSE,
	OPTION_TIMING,
	OPTION_SYMBOLS,
	OPTION_TYPES,
	OPTION_COLOR,
	OPTION_NO_COLOR,
	OPTION_WIDE,
	OPTION_KERNEL,
	OPTION_REMAINS,
	OPTION_NO_NOTE,
	OPTION_NO_SANDBOX,
	OPTION_MEMORY,
	OPTION_VERSION,
	OPTION_COLUMNS,
	OPTION_WHERE,
	OPTION_LIMIT,
	OPTION_PID,
	OPTION_CONTAINER,
	OPTION_CR3,
	OPTION_PHYS,
	OPTION_FORMAT,
	OPTION_PROGRESS,
	OPTION_ROOT,
	OPTION_COLLECT,
	OPTION_ANONYMOUS,
	OPTION_TRIAL,
	OPTION_MINUTES,
	OPTION_ALL,
	OPTION_BRIEF,
	OPTION_EXPLAIN,
	OPTION_COUNT,
	OPTION_DURATION,
	OPTION_SUMMARY,
	OPTION_LINE,
	OPTION_DEPTH,
	OPTION_STDIO,
	OPTION_LISTEN,
	OPTION_FD,
	OPTION_FILL,
	OPTION_NAME,
	OPTION_TEXTFILE,
	OPTION_FINDINGS,
	OPTION_RAM,
	OPTION_KERNEL_IMAGE,
	OPTION_TIMEOUT,
	OPTION_JOBS,
	OPTION_DELETED,
	OPTION_MIN
};

struct cli_option {
	const char *name;
	int letter;           /* a character, or one of OPTION_… */
	const char *argument; /* name of the value in help; NULL if the option takes none */
	const char *help;
};

struct cli;

/* A command gives all texts: "" where there is none. */
struct command {
	const char *name;
	const char *arguments;   /* as help shows them */
	const char *summary;     /* one line */
	const char *description; /* paragraphs, a newline between two */
	const char *examples;    /* lines, each ending in a newline */
	/* What the n-th word of an argument can be, NULL behind the last, and the heading of these
	 * in help; NULL if help lists none. */
	const char *words;
	const char *(*word)(size_t n);
	const struct cli_option *options;
	size_t option_count;
	int least, most;   /* arguments */
	size_t state_size; /* of the state that option() fills and run() uses; zeroed at first */
	/* Handles one of `options`; a status other than CLI_DONE ends the program. */
	int (*option)(struct cli *cli, void *state, int letter, const char *value);
	int (*run)(struct cli *cli, void *state, char **arguments, int count);
	/* Frees what the state holds; may be NULL. */
	void (*clean)(void *state);
};

struct cli {
	const struct command *command; /* NULL until it is known */
	void *state;                   /* of the command; kept until the guest is closed */
	struct nunchi_context *context;
	struct nunchi_guest *guest;
	struct nunchi_guest_options guest_options;
	const char *output_path; /* the file that the command makes; NULL if it makes none */
	const char *target; /* the TARGET given, for error messages; NULL before there is one */
	enum nunchi_output output;
	bool help;
	bool version;
	bool timing;
	uint64_t memory; /* bytes that the command may take; 0: the default */
	bool color;
	bool until_signal; /* a signal is the usual end of the command, and no failure */
	size_t notes_printed;
	unsigned width;  /* of the terminal; 0 without one and with --wide: no limit */
	int write_errno; /* of the first write to standard output that failed, or 0 */
	/*
	 * Writing does not wait for the reader (cli_never_wait()): what finds no room in `out` is
	 * left out, and `overflowed` is set.
	 */
	bool never_waits, overflowed;
	int ready_fd; /* standard output without waiting; -1: as it is */
	size_t out_size;
	char out[65536]; /* on its way to standard output */
};

/* ---- commands.c ---- */

extern const struct command *const commands[];
extern const size_t command_count;
const struct command *command_find(const char *name);
/* The command most like the word, or NULL. */
const char *command_suggest(const char *word);

extern const struct command command_cat;
extern const struct command command_check;
extern const struct command command_core;
extern const struct command command_diff;
extern const struct command command_doctor;
extern const struct command command_export;
extern const struct command command_extract;
extern const struct command command_find_names;
extern const struct command command_gdb;
extern const struct command command_help;
extern const struct command command_info;
extern const struct command command_list;
extern const struct command command_log;
extern const struct command command_ls;
extern const struct command command_metrics;
extern const struct command command_modules;
extern const struct command command_mount;
extern const struct command command_print;
extern const struct command command_probes;
extern const struct command command_ps;
extern const struct command command_read;
extern const struct command command_report;
extern const struct command command_rescue;
extern const struct command command_show;
extern const struct command command_snapshot;
extern const struct command command_sockets;
extern const struct command command_sql;
extern const struct command command_strings;
extern const struct command command_symbol;
extern const struct command command_top;
extern const struct command command_trace;
extern const struct command command_translate;
extern const struct command command_type;
extern const struct command command_version;
extern const struct command command_views;
extern const struct command command_yara;

/* ---- options.c ---- */

/*
 * Parses the options before the subcommand. *ret_index is the index of the subcommand in argv, or
 * argc if there is none.
 */
int options_before(struct cli *cli, int argc, char **argv, int *ret_index);
/*
 * Parses the options behind the subcommand, which is argv[0]. *ret_arguments points into argv, to
 * the *ret_count words that are not options.
 */
int options_after(struct cli *cli, void *state, int argc, char **argv, char ***ret_arguments,
		  int *ret_count);
/* Prints the help of a subcommand. */
void options_help(struct cli *cli, const struct command *command);
/* Prints the options that every command takes; with --version in the overview of all commands. */
void options_help_common(struct cli *cli, bool overview);
/* Prints what the exit statuses mean. */
void options_help_status(struct cli *cli);

/* ---- print.c: everything that is printed ---- */

/* Appends to standard output's buffer; data is the struct cli. False once writing has failed. */
bool cli_write(const char *data, size_t size, void *cli);
/* Writes the buffer. False once writing has failed. */
bool cli_flush(struct cli *cli);
/* Waits until a descriptor is ready; false if a signal asks us to end, or asked before. */
bool cli_wait(int fd, short events);
/*
 * write(), of a part that a pipe or socket takes without waiting for its reader longer than until a
 * signal asks us to end; then errno is EINTR.
 */
ssize_t cli_write_part(int fd, const void *data, size_t size);
/*
 * Has no writing wait for the reader of standard output from now on; never_waits = false ends that.
 * Call it before the guest is opened: a confined process may not open files.
 */
void cli_never_wait(struct cli *cli);
/*
 * Writes of the buffer what can be written without waiting for the reader. False once writing has
 * failed.
 */
bool cli_flush_ready(struct cli *cli);
/* For text of our own only. */
void cli_printf(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * For text of our own or escaped text, broken at its spaces into lines of at most `width` columns
 * (0: not broken). It begins in `column`; the lines that follow are indented.
 */
void cli_print_folded(struct cli *cli, const char *text, int column, int indent, int width);
/* The same with a width of 79 columns, as help has it. */
void cli_print_wrapped(struct cli *cli, const char *text, int column, int indent);
/* How many columns the text takes on a terminal. */
int cli_columns(const char *text, int size);
/* Text from elsewhere, escaped. */
void cli_print_escaped(struct cli *cli, const char *text);
/* The text escaped, to be freed; never NULL. */
char *cli_escape(const char *text, size_t size);
/* Whether the word names a guest that runs: it begins as "xen:NAME" does. */
bool cli_target_is_live(const char *word);
/* The context is there when a command runs. One that forks closes it before, and opens another. */
int cli_open_context(struct cli *cli);
void cli_close_context(struct cli *cli);
/*
 * Has the next Ctrl-C call this, from within the signal handler, and do nothing else. A second one
 * ends the command, unless this was called again. NULL: Ctrl-C ends the command as usual.
 */
void cli_on_interrupt(void (*call)(void *data), void *data);
/* Whether Ctrl-C has called it since cli_on_interrupt(). */
bool cli_interrupt_called(void);
/* Whether a signal asked us to end. */
bool cli_interrupted(void);

/* Shows the line of the text in which an error is, with a mark below the place. */
void cli_print_place(const char *text, size_t offset);
/* Prints and destroys the error; gives the exit status. NULL gives CLI_DONE. */
int cli_fail(struct cli *cli, struct nunchi_error *err);
/* Prints an error message of the command's own and returns CLI_FAILED. */
int cli_fail_with(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints what is wrong with the arguments, the likely word in `hint` if not NULL; returns
 * CLI_USAGE. */
int cli_misuse(struct cli *cli, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cli_warn(struct cli *cli, const char *text);
/* Prints a note on the guest to standard error. */
void cli_note(struct cli *cli, const char *text);

/* ---- output_file.c ---- */

/* Where a command writes bytes; the path is set before, the rest is zeros. */
struct output_file {
	const char *path; /* NULL, "-": standard output */
	char *temporary;  /* its name until it is complete; owned */
	int fd;           /* -1: standard output */
};

/* Refuses to write bytes of the guest to a terminal; path is that of -o, or NULL. */
int output_file_check(struct cli *cli, const char *path);
/*
 * Makes a new file under a temporary name in the same directory, or opens a device or pipe as it
 * is; before the guest is opened.
 */
int output_file_open(struct cli *cli, struct output_file *file);
int output_file_write(struct cli *cli, struct output_file *file, const void *data, size_t size);
/*
 * Writes at a place of a new file, of which the rest is holes. False with errno if that fails, or a
 * signal came.
 */
bool output_file_write_at(struct output_file *file, uint64_t at, const void *data, size_t size);
/* Gives the file its name if status is CLI_DONE. Returns the status, or that of a failure here. */
int output_file_close(struct cli *cli, struct output_file *file, int status);
void output_file_clean(struct output_file *file);

/* ---- extract_files.c ---- */

/* Bytes of one record, at most. */
#define EXTRACT_CHUNK ((size_t)256 << 10)

enum extract_kind {
	EXTRACT_FILE,     /* begins a file: its path below the directory; is answered */
	EXTRACT_DATA,     /* its bytes at a place */
	EXTRACT_END,      /* its size is `at`; is answered */
	EXTRACT_MANIFEST, /* bytes of the manifest */
	EXTRACT_DONE,     /* the manifest is whole, and gets its name; is answered */
	EXTRACT_END_ALL   /* the process ends */
};

/* A process that makes files below one directory. */
struct extract_files {
	pid_t pid; /* 0: there is none */
	int fd;
};

/* Makes the directory, unless it is there, empty and the caller's, and starts the process. */
int extract_start(struct cli *cli, const char *path, struct extract_files *files);
/* Sends a record; false if the process has ended. */
bool extract_send(struct extract_files *files, enum extract_kind kind, uint64_t at,
		  const void *bytes, size_t size);
/* The errno of what failed; 0: nothing did; -1: the process has ended. */
int extract_answer(struct extract_files *files);
/* Ends the process. */
void extract_end(struct extract_files *files);

/* ---- progress.c ---- */

/* Of a long copy, on standard error. `always`: also where that is no terminal. */
struct progress {
	bool always;
	bool terminal;
	bool shown; /* a line stands on the terminal without a newline */
	double last;
};

#define PROGRESS_OPTION                                                                            \
	{                                                                                          \
		"progress", OPTION_PROGRESS, NULL,                                                 \
		    "print progress every two seconds also where standard error is no terminal"    \
	}
void progress_begin(struct progress *progress);
/* Shows how many bytes were copied, if it is time; total 0: not known. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress);

/* ---- held.c ---- */

/* Refuses a running guest that may not be paused. */
int held_check(struct cli *cli, const char *target);
/* Calls work() in a session in which the guest, which was opened, stands still. */
int held_run(struct cli *cli, int (*work)(struct cli *cli, void *data), void *data);

/* ---- names.c ---- */

/* What ls and find are asked for; zeros at first. */
struct names_wanted {
	const char *path;
	const char *glob; /* NULL: all names */
	unsigned depth;
	uint64_t pid;
	bool has_pid;
};

#define NAMES_OPTION_COUNT 2
extern const struct cli_option names_options[NAMES_OPTION_COUNT];
int names_option(struct cli *cli, void *state, int letter, const char *value);
int names_run(struct cli *cli, struct names_wanted *names, const char *target);

/* ---- rows.c ---- */

/*
 * A writer to standard output in the form asked for. left_out_hint: how the user sees columns that
 * a narrow terminal has no room for.
 */
struct nunchi_error *cli_writer(struct cli *cli, const struct nunchi_column *const *columns,
				size_t count, bool never_torn, const char *left_out_hint,
				struct nunchi_writer **ret);
/* The same for an array of columns; its rows are never torn. */
struct nunchi_error *cli_list_writer(struct cli *cli, const struct nunchi_column *columns,
				     size_t count, struct nunchi_writer **ret);

/* A row of a query; the cells live for the call. */
typedef struct nunchi_error *cli_row(const struct nunchi_cell *cells, bool torn, void *data);
/* Prints the guest's notes, calls row() for each row, prints the warnings. Returns the exit status.
 */
int cli_rows(struct cli *cli, const struct nunchi_view *view, const struct nunchi_query *query,
	     cli_row *row, void *data);
/* The same, with the warnings given to warn(). */
typedef void cli_warning(struct cli *cli, const char *text, void *data);
int cli_rows_warned(struct cli *cli, const struct nunchi_view *view,
		    const struct nunchi_query *query, cli_row *row, cli_warning *warn, void *data);
/* Prints the rows of a query as they come. */
int cli_show(struct cli *cli, const struct nunchi_view *view, const struct nunchi_query *query);
/*
 * Has the kernel keep the limit of memory: private memory that can be written (RLIMIT_DATA), which
 * files and guests that are mapped do not count for. A lower limit of the user stays.
 */
void cli_limit_memory(const struct cli *cli);
/* For top and metrics, which have a process read each guest: what that process does first, and
 * whether they are to end. `cli` is a struct cli. */
void cli_worker_prepare(void *cli);
bool cli_worker_ended(void *cli);
/*
 * Prints notes on a guest, the first *printed of which were printed already; counts those that it
 * prints.
 */
void cli_notes(struct cli *cli, const struct nunchi_guest *guest, size_t *printed);
/* Opens cli->guest; prints why if it cannot. */
int cli_open(struct cli *cli, const char *target);

/* ---- log.c ---- */

#define LOG_COLUMN_COUNT 2
extern const char *const log_columns[LOG_COLUMN_COUNT];
/* Writes a row of these columns of kernel_log as dmesg does. */
void log_record(const struct nunchi_cell *cells, bool torn,
		bool (*write)(const char *text, size_t size, void *to), void *to);

/* ---- targets.c: several guests ---- */

#define MOST_TARGETS 11

struct targets {
	const char *words[MOST_TARGETS]; /* as nunchi_guest_open() takes them */
	size_t count;
	struct nunchi_guest *guests[MOST_TARGETS];
	size_t main;                /* the one that is cli->guest */
	size_t notes[MOST_TARGETS]; /* that were printed of each */
	size_t order[MOST_TARGETS]; /* in which they are opened */
};

/*
 * Opens the guests of `words`; cli->guest is that of the running guest if there is one, else the
 * last one. Gives the exit status.
 */
int targets_open(struct cli *cli, struct targets *targets);
/* Prints the notes of all of them that were not printed yet. */
void targets_notes(struct cli *cli, struct targets *targets);
/* Closes all but that of the command. */
void targets_close(struct targets *targets);

struct nunchi_cell cell_integer(int64_t value);
struct nunchi_cell cell_address(uint64_t value);
/* NULL is an absence. */
struct nunchi_cell cell_text(const char *text);
struct nunchi_cell cell_not_applicable(void);

/* ---- select.c: --columns, --where and --limit ---- */

#define SELECT_MOST_COLUMNS 64
#define SELECT_MOST_WHERE   16

struct select {
	const char *columns_text; /* as given */
	char *columns_split;      /* the same, cut at its commas; owned */
	const char *columns[SELECT_MOST_COLUMNS];
	char *where_split[SELECT_MOST_WHERE]; /* owned */
	struct nunchi_constraint where[SELECT_MOST_WHERE];
	struct nunchi_query query;
};

#define SELECT_OPTION_COUNT 3
/* --columns and --where are the first two of them. */
extern const struct cli_option select_options[SELECT_OPTION_COUNT];
int select_option(struct cli *cli, void *state, int letter, const char *value);
/*
 * Completes the query, after checking the names against the view. NULL: they are not checked here,
 * but by the library.
 */
int select_finish(struct cli *cli, struct select *select, const struct nunchi_view *view);
void select_clean(void *state);

/* ---- filter.c: --columns, --where and --limit of rows that no cursor gives ---- */

#define FILTER_MOST_COLUMNS 16

struct filter {
	const struct nunchi_view *view;
	const struct select *select;
	struct nunchi_writer *writer;
	size_t chosen[FILTER_MOST_COLUMNS];
	size_t chosen_count;
	uint64_t given;
};

/* Whether the values of --where are of the columns' types; gives the exit status. */
int filter_check(struct cli *cli, const struct nunchi_view *view, const struct select *select);
/* Begins to write rows; the select was finished with this view. Gives the exit status. */
int filter_open(struct cli *cli, struct filter *filter, const struct nunchi_view *view,
		const struct select *select);
/* Writes a row, a cell for each column of the view, if it meets the conditions. */
struct nunchi_error *filter_row(struct filter *filter, const struct nunchi_cell *cells);
/* Whether there are as many rows as --limit says. */
bool filter_is_full(const struct filter *filter);
/* Ends writing; returns the status, or that of a failure here. */
int filter_close(struct cli *cli, struct filter *filter, int status);

/* ---- views.c ---- */

/* Checks the name of a probe, which the user gave; gives the exit status. */
int probe_check(struct cli *cli, const char *name);

/* ---- event.c: rows of probes ---- */

/*
 * Prints a row of a probe on one line, as "TIME PID NAME PROBE COLUMN=VALUE …". Of the columns
 * before `first` only the three that stand at the start of the line are shown.
 */
void event_print(struct cli *cli, const struct nunchi_view *probe,
		 const struct nunchi_column *const *columns, size_t count,
		 const struct nunchi_cell *cells, size_t first);

/* ---- summary.c ---- */

struct summary;

/* NULL if memory is short. */
struct summary *summary_create(void);
/* NULL is accepted. */
void summary_destroy(struct summary *summary);
/* Counts a row of a probe. */
void summary_add(struct summary *summary, const struct nunchi_view *probe,
		 const struct nunchi_column *const *columns, size_t count,
		 const struct nunchi_cell *cells);
/* Writes what was counted, the most frequent first. */
struct nunchi_error *summary_write(struct cli *cli, struct summary *summary);

/* ---- show.c ---- */

/* The view of that name, which the user gave. */
int view_argument(struct cli *cli, const char *name, const struct nunchi_view **ret);
/* Shows what is selected of a view of the target. */
int show_selected(struct cli *cli, struct select *select, const char *target, const char *name);

/* ---- place.c: addresses ---- */

/* A whole number: decimal or 0x…. */
bool parse_number(const char *text, uint64_t *ret);
/* The same with an optional k, M or G behind it (powers of 1024). */
bool parse_size(const char *text, uint64_t *ret);
/* Seconds of the monotonic clock. */
double cli_now(void);
/* Seconds, as the value of an option; says what is wrong with it, and gives the exit status. */
int cli_seconds(struct cli *cli, const char *option, const char *value, double least, double most,
		double *ret);
/* "0x…", a decimal number or 16 hexadecimal digits beginning with a letter. */
bool parse_address(const char *text, uint64_t *ret);
/* ADDRESS or SYMBOL, either with +OFFSET; gives the exit status. */
int place_resolve(struct cli *cli, const char *text, struct nunchi_place *place);

/* Which page table, of --pid, --cr3 and --phys. */
int place_option(struct cli *cli, struct nunchi_place *place, int letter, const char *value);

/* ---- doctor_page.c: what the doctor says, for people ---- */

struct nunchi_diagnosis;
/* How much of it: neither is the page that fits a screen. */
struct doctor_detail {
	bool brief, explain, all;
	const char *only_path; /* the only file that was given, or NULL */
};
void doctor_page(struct cli *cli, const struct nunchi_diagnosis *diagnosis,
		 const struct doctor_detail *detail);

/* ---- doctor_change.c: plan, apply, undo and stay of the doctor ---- */

bool doctor_change_is(const char *word);
int doctor_change_minutes(struct cli *cli, const char *value, unsigned *ret);
/* arguments[0] is such a word; minutes 0: the default. */
int doctor_change_run(struct cli *cli, const char *root, bool trial, unsigned minutes,
		      char **arguments, int count);

/* ---- language.c ---- */

/* Sets the language of translated messages from the environment. */
void language_choose(void);

/* ---- listen.c ---- */

/* A socket that listens; zeros at first. */
struct listener {
	int fd;           /* 0: there is none */
	const char *path; /* of the socket in the file system; NULL: a port */
	unsigned port;
};

/*
 * Listens at unix:PATH, which only this user may use, or at 127.0.0.1:PORT; the port 0 is one that
 * the kernel chooses. The path must live as long as the listener. Gives the exit status; close it
 * after a failure, too.
 */
int listener_open(struct cli *cli, const char *word, int backlog, struct listener *ret);
/* Closes it, and removes the socket from the file system. */
void listener_close(struct listener *listener);

/* ---- suggest.c ---- */

/* The candidate most like the word, or NULL if none is. name(i, data) gives candidates, then NULL.
 */
const char *suggest(const char *word, const char *(*name)(size_t i, const void *data),
		    const void *data);

#endif
