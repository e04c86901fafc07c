/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The view `processes` as a tree. */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Limits of the memory for all processes, and of the time for reading a running guest. */
#define MOST_BYTES ((size_t)64 << 20)
#define MOST_MS    4000

/* Descendants deeper than this are not indented further. */
#define MOST_DEPTH 16

static const char *const wanted[] = {
    "pid",     "parent",           "uid",          "state", "threads", "name", "start_time",
    "cmdline", "is_kernel_thread", "resident_size"};
enum { PID, PARENT, UID, STATE, THREADS, NAME, START, CMDLINE, IS_KERNEL, RESIDENT };

static const struct nunchi_column columns[] = {
    {"PID", NUNCHI_TYPE_INTEGER, "process id"},
    {"PPID", NUNCHI_TYPE_INTEGER, "of the parent"},
    {"UID", NUNCHI_TYPE_INTEGER, "real user id"},
    {"S", NUNCHI_TYPE_TEXT, "state: R, S, D, T, t, Z or I"},
    {"THR", NUNCHI_TYPE_INTEGER, "threads"},
    {"RSS", NUNCHI_TYPE_INTEGER, "memory in RAM", NUNCHI_UNIT_BYTES},
    {"START", NUNCHI_TYPE_TEXT, "UTC, by the guest's clock"},
    {"COMMAND", NUNCHI_TYPE_TEXT, "command line, or [name] of a kernel thread"},
};

struct process {
	int64_t pid, parent;
	struct nunchi_cell cells[ARRAY_SIZE(wanted)]; /* texts point into text */
	char *text;                                   /* owned */
	bool torn;
	bool pushed;
};

/* A process about to be printed. */
struct branch {
	struct process *process;
	unsigned depth;
};

struct tree {
	struct process *all; /* sorted by parent, then pid */
	size_t count, capacity;
	int64_t *pids;   /* sorted */
	int newest_year; /* in which a process started */
	struct branch *stack;
	size_t stack_size;
	bool failed; /* out of memory */
};

static bool copy_texts(struct process *process)
{
	size_t size = 0;
	char *to;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		size += process->cells[i].text_size;
	to = process->text = malloc(size + 1);
	if (!to)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct nunchi_cell *cell = &process->cells[i];

		if (cell->text_size)
			memcpy(to, cell->text, cell->text_size);
		cell->text = to;
		to += cell->text_size;
	}
	return true;
}

static bool grow(struct tree *tree)
{
	size_t capacity = tree->capacity ? tree->capacity + tree->capacity / 2 : 256;
	struct process *all;

	if (tree->count < tree->capacity)
		return true;
	all = reallocarray(tree->all, capacity, sizeof(*all));
	if (!all)
		return false;
	tree->all = all;
	tree->capacity = capacity;
	return true;
}

static int64_t integer_or(const struct nunchi_cell *cell, int64_t otherwise)
{
	return cell->kind == NUNCHI_CELL_VALUE ? cell->integer : otherwise;
}

static struct nunchi_error *add_process(const struct nunchi_cell *cells, bool torn, void *data)
{
	struct tree *tree = data;
	struct process *process;

	if (tree->failed || !grow(tree)) {
		tree->failed = true;
		return NULL;
	}
	process = &tree->all[tree->count];
	*process = (struct process){.torn = torn};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		process->cells[i] = cells[i];
		if (cells[i].kind != NUNCHI_CELL_VALUE || cells[i].type != NUNCHI_TYPE_TEXT)
			process->cells[i].text_size = 0;
	}
	process->pid = integer_or(&cells[PID], -1);
	process->parent = integer_or(&cells[PARENT], -1);
	tree->failed = !copy_texts(process);
	tree->count += !tree->failed;
	return NULL;
}

static int compare_processes(const void *a_pointer, const void *b_pointer)
{
	const struct process *a = a_pointer, *b = b_pointer;

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int compare_pids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The first process with that parent, or the end. */
static size_t first_child(const struct tree *tree, int64_t parent)
{
	size_t low = 0, high = tree->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tree->all[mid].parent < parent)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Puts a process on the stack, once: so the stack never holds more than `count` processes. */
static void push(struct tree *tree, struct process *process, unsigned depth)
{
	if (process->pushed)
		return;
	process->pushed = true;
	tree->stack[tree->stack_size++] = (struct branch){process, depth};
}

static void push_children(struct tree *tree, int64_t parent, unsigned depth)
{
	size_t first = first_child(tree, parent);
	size_t end = first;

	while (end < tree->count && tree->all[end].parent == parent)
		end++;
	while (end > first)
		push(tree, &tree->all[--end], depth);
}

/*
 * The indented command line, or the name where there is none. "[name]" is written for kernel
 * threads only, and " <paged out>" behind the name of a process whose command line could not be
 * read; a process whose own text looks like one of these, or begins with spaces, is put in quotes,
 * so that it cannot pass for them. To be freed.
 */
static char *command_text(const struct process *process, unsigned depth, size_t *ret_size)
{
	const struct nunchi_cell *name = &process->cells[NAME];
	const struct nunchi_cell *cmdline = &process->cells[CMDLINE];
	bool kernel = integer_or(&process->cells[IS_KERNEL], 0) == 1;
	const struct nunchi_cell *from = kernel || !cmdline->text_size ? name : cmdline;
	bool lacking =
	    cmdline->kind != NUNCHI_CELL_VALUE && cmdline->absence != NUNCHI_ABSENT_NOT_APPLICABLE;
	const char *absence = lacking ? nunchi_absence_string(cmdline->absence) : "";
	size_t indent = 2 * (size_t)(depth < MOST_DEPTH ? depth : MOST_DEPTH), at = indent;
	size_t capacity = indent + from->text_size + strlen(absence) + sizeof("[] <>");
	char *text = malloc(capacity);
	bool quote;

	if (!text)
		return NULL;
	quote = from->text_size && !kernel &&
		(strchr("[ \"", from->text[0]) || from->text[from->text_size - 1] == '>');
	memset(text, ' ', indent);
	if (kernel || quote)
		text[at++] = kernel ? '[' : '"';
	if (from->text_size)
		memcpy(text + at, from->text, from->text_size);
	at += from->text_size;
	if (kernel || quote)
		text[at++] = kernel ? ']' : '"';
	if (lacking)
		at += (size_t)snprintf(text + at, capacity - at, " <%s>", absence);
	*ret_size = at;
	return text;
}

/* False if there is no time, or none that can be written as a date. */
static bool start_time(const struct nunchi_cell *cell, struct tm *ret)
{
	time_t seconds = (time_t)cell->integer;

	return cell->kind == NUNCHI_CELL_VALUE && gmtime_r(&seconds, ret);
}

/* "Nov 22 12:06", or "2025-11-22" in a year before that of the newest process. */
static struct nunchi_cell start_cell(const struct nunchi_cell *cell, int newest_year, char *text,
				     size_t capacity)
{
	struct tm tm;

	if (cell->kind != NUNCHI_CELL_VALUE)
		return *cell;
	if (!start_time(cell, &tm) ||
	    !strftime(text, capacity, tm.tm_year == newest_year ? "%b %e %H:%M" : "%Y-%m-%d", &tm))
		snprintf(text, capacity, "%" PRId64, cell->integer);
	return cell_text(text);
}

static struct nunchi_error *write_process(struct nunchi_writer *writer, const struct tree *tree,
					  const struct process *process, unsigned depth)
{
	const struct nunchi_cell *from = process->cells;
	struct nunchi_error *err;
	char start[32];
	struct nunchi_cell cells[] = {
	    from[PID],
	    from[PARENT],
	    from[UID],
	    from[STATE],
	    from[THREADS],
	    from[RESIDENT],
	    start_cell(&from[START], tree->newest_year, start, sizeof(start)),
	    cell_text(""),
	};
	struct nunchi_cell *command = &cells[ARRAY_SIZE(cells) - 1];
	char *text = command_text(process, depth, &command->text_size);

	if (text)
		command->text = text;
	else
		*command = from[NAME];
	err = nunchi_writer_row(writer, cells, process->torn);
	free(text);
	return err;
}

static struct nunchi_error *write_branches(struct nunchi_writer *writer, struct tree *tree)
{
	while (tree->stack_size) {
		struct branch branch = tree->stack[--tree->stack_size];
		struct nunchi_error *err =
		    write_process(writer, tree, branch.process, branch.depth);

		if (err)
			return err;
		push_children(tree, branch.process->pid, branch.depth + 1);
	}
	return NULL;
}

/* First the trees whose root has no parent in the list, then processes whose parents form a loop.
 */
static struct nunchi_error *write_tree(struct nunchi_writer *writer, struct tree *tree)
{
	struct nunchi_error *err;

	for (size_t i = tree->count; i-- > 0;) {
		struct process *process = &tree->all[i];

		if (process->parent == process->pid ||
		    !bsearch(&process->parent, tree->pids, tree->count, sizeof(*tree->pids),
			     compare_pids))
			push(tree, process, 0);
	}
	err = write_branches(writer, tree);
	for (size_t i = 0; i < tree->count && !err; i++) {
		push(tree, &tree->all[i], 0);
		err = write_branches(writer, tree);
	}
	return err ? err : nunchi_writer_finish(writer);
}

static int print_tree(struct cli *cli, struct tree *tree)
{
	struct nunchi_writer *writer;
	struct nunchi_error *err;

	tree->pids = calloc(tree->count + 1, sizeof(*tree->pids));
	tree->stack = calloc(tree->count + 1, sizeof(*tree->stack));
	if (tree->failed || !tree->pids || !tree->stack)
		return cli_fail(cli,
				nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL));
	qsort(tree->all, tree->count, sizeof(*tree->all), compare_processes);
	for (size_t i = 0; i < tree->count; i++) {
		struct tm tm;

		tree->pids[i] = tree->all[i].pid;
		if (start_time(&tree->all[i].cells[START], &tm) && tm.tm_year > tree->newest_year)
			tree->newest_year = tm.tm_year;
	}
	qsort(tree->pids, tree->count, sizeof(*tree->pids), compare_pids);
	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &writer);
	if (err)
		return cli_fail(cli, err);
	err = write_tree(writer, tree);
	nunchi_writer_destroy(writer);
	return cli_fail(cli, err);
}

static int ps_tree(struct cli *cli, const struct nunchi_view *view)
{
	const struct nunchi_query query = {.size = sizeof(query),
					   .columns = wanted,
					   .column_count = ARRAY_SIZE(wanted),
					   .max_ms = MOST_MS,
					   .max_bytes = MOST_BYTES};
	struct tree tree = {0};
	int status, printed;

	status = cli_rows(cli, view, &query, add_process, &tree);
	printed = tree.count || !status ? print_tree(cli, &tree) : CLI_DONE;
	for (size_t i = 0; i < tree.count; i++)
		free(tree.all[i].text);
	free(tree.all);
	free(tree.pids);
	free(tree.stack);
	return status ? status : printed;
}

static int ps_run(struct cli *cli, void *state, char **arguments, int count)
{
	const struct nunchi_view *view = NULL;
	int status = view_argument(cli, "processes", &view);

	(void)state;
	(void)count;
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	return cli->output == NUNCHI_OUTPUT_TABLE ? ps_tree(cli, view) : cli_show(cli, view, NULL);
}

const struct command command_ps = {
    .name = "ps",
    .arguments = "TARGET",
    .summary = "show the processes as a tree",
    .description =
	"Shows the processes as a tree: children are below their parent and indented. UID is "
	"the real user id, S the state (R running, S sleeping, D waiting for a device, T "
	"stopped, Z zombie, I idle), THR the number of threads, RSS the memory in RAM, START "
	"the start in UTC by the guest's clock. The names of kernel threads are [in "
	"brackets]; where a process gives itself such a name, it is in quotes. Where the "
	"guest has paged a command line out, the kernel's name for the process is shown with "
	"that reason. With --json and --csv the result is that of \"nunchi show TARGET "
	"processes\", which takes as long as it needs. The tree of a running guest ends after 4 s, "
	"and any tree after 64 MiB, with a warning.",
    .examples = "  nunchi ps xen:web\n"
		"  nunchi ps qemu:demo\n"
		"  nunchi ps memory.raw\n"
		"  nunchi ps qemu:demo --pause always --timing\n",
    .least = 1,
    .most = 1,
    .run = ps_run,
};
