/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/* The size of the heap for some 400 processes; a multiple of the size of a page. */
#define HEAP_TAKEN ((size_t)512 << 10)
#define PAGE       ((uintptr_t)4096)
/* Memory that a command may take, unless the user says otherwise. */
#define MEMORY_DEFAULT ((uint64_t)256 << 20)
/* The files of --types may be larger than any guest's own types, and are the user's. */
#define MEMORY_WITH_TYPES ((uint64_t)1 << 30)

struct nunchi_error *cli_writer(struct cli *cli, const struct nunchi_column *const *columns,
				size_t count, bool never_torn, const char *left_out_hint,
				struct nunchi_writer **ret)
{
	struct nunchi_writer_options options = {
	    .size = sizeof(options),
	    .output = cli->output,
	    .width = cli->width,
	    .color = cli->color,
	    .never_torn = never_torn,
	    .left_out_hint = left_out_hint,
	    .remains = cli->guest && nunchi_guest_remains(cli->guest),
	};

	return nunchi_writer_create(&options, columns, count, cli_write, cli, ret);
}

struct nunchi_error *cli_list_writer(struct cli *cli, const struct nunchi_column *columns,
				     size_t count, struct nunchi_writer **ret)
{
	const struct nunchi_column *pointers[16];

	if (count > ARRAY_SIZE(pointers))
		count = ARRAY_SIZE(pointers);
	for (size_t i = 0; i < count; i++)
		pointers[i] = &columns[i];
	return cli_writer(cli, pointers, count, true, "--wide shows all", ret);
}

/*
 * Allocates the heap's pages for some hundred rows at once: glibc would enlarge the heap step by
 * step, and in a PV dom0 each page fault costs several hypercalls.
 */
static void take_heap(void)
{
#if defined(__GLIBC__) && defined(MADV_POPULATE_WRITE)
	char *block;

	/* free() keeps the pages in the heap, and malloc() takes blocks up to this size from it. */
	mallopt(M_TRIM_THRESHOLD, 4 * HEAP_TAKEN);
	mallopt(M_MMAP_THRESHOLD, 2 * HEAP_TAKEN);
	block = malloc(HEAP_TAKEN + PAGE);
	if (block)
		(void)madvise(block + (-(uintptr_t)block & (PAGE - 1)), HEAP_TAKEN,
			      MADV_POPULATE_WRITE);
	free(block);
#endif
}

void cli_notes(struct cli *cli, const struct nunchi_guest *guest, size_t *printed)
{
	const char *note;

	while ((note = nunchi_guest_note(guest, *printed))) {
		cli_note(cli, note);
		(*printed)++;
	}
}

static void print_notes(struct cli *cli)
{
	cli_notes(cli, cli->guest, &cli->notes_printed);
}

/*
 * Has the C library read what it would read when it is first asked: the time zone, and the texts of
 * errors in the user's language. A confined process may not open these files.
 */
static void load_locale(void)
{
	tzset();
	(void)strerror(EIO);
}

#ifdef SANITIZED
/* What a sanitizer maps for itself is larger than any limit. */
void cli_limit_memory(const struct cli *cli)
{
	(void)cli;
}
#else
void cli_limit_memory(const struct cli *cli)
{
	uint64_t most = cli->guest_options.types_path ? MEMORY_WITH_TYPES : MEMORY_DEFAULT;
	struct rlimit limit;

	if (cli->memory)
		most = cli->memory;
	if (getrlimit(RLIMIT_DATA, &limit) || limit.rlim_cur <= most)
		return;
	limit.rlim_cur = most;
	setrlimit(RLIMIT_DATA, &limit);
}
#endif

void cli_worker_prepare(void *cli)
{
	cli_limit_memory(cli);
}

bool cli_worker_ended(void *cli)
{
	(void)cli;
	return cli_interrupted();
}

static bool is_same_file(const char *target, const char *path)
{
	struct stat read, written;

	return path && !stat(target, &read) && !stat(path, &written) && S_ISREG(read.st_mode) &&
	       read.st_dev == written.st_dev && read.st_ino == written.st_ino;
}

int cli_open(struct cli *cli, const char *target)
{
	struct nunchi_error *err;

	cli_limit_memory(cli);
	load_locale();
	if (is_same_file(target, cli->output_path) ||
	    is_same_file(target, cli->guest_options.snapshot_path))
		return cli_misuse(cli, NULL, "\"%s\" is the saved guest, which would be lost",
				  target);
	cli->target = target;
	err = nunchi_guest_open(cli->context, target, &cli->guest_options, &cli->guest);
	if (err)
		return cli_fail(cli, err);
	take_heap();
	/*
	 * Whatever the command is, it does not show remains without a mark. If there is no kernel,
	 * the command says so itself, if it needs one.
	 */
	if (cli->guest_options.remains || cli->guest_options.kernel) {
		nunchi_error_destroy(nunchi_guest_attach(cli->guest));
		if (nunchi_guest_remains(cli->guest))
			print_notes(cli);
	}
	return CLI_DONE;
}

static int drain(struct cli *cli, struct nunchi_cursor *cursor, cli_row *row, cli_warning *warn,
		 void *data)
{
	const struct nunchi_cell *cells;
	struct nunchi_error *err;
	const char *warning;
	bool torn;

	do {
		err = nunchi_cursor_next(cursor, &cells, &torn);
		if (!err)
			err = row(cells, torn, data);
	} while (!err);
	for (size_t i = 0; (warning = nunchi_cursor_warning(cursor, i)); i++)
		warn(cli, warning, data);
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return cli_fail(cli, err);
	nunchi_error_destroy(err);
	return CLI_DONE;
}

/* Opens a cursor, then prints the notes: opening looks for the kernel, which may add notes. */
static struct nunchi_error *open_cursor(struct cli *cli, const struct nunchi_view *view,
					const struct nunchi_query *query,
					struct nunchi_cursor **ret)
{
	struct nunchi_error *err = nunchi_cursor_open(cli->guest, view, query, ret);

	print_notes(cli);
	return err;
}

static void print_warning(struct cli *cli, const char *text, void *data)
{
	(void)data;
	cli_warn(cli, text);
}

int cli_rows(struct cli *cli, const struct nunchi_view *view, const struct nunchi_query *query,
	     cli_row *row, void *data)
{
	return cli_rows_warned(cli, view, query, row, print_warning, data);
}

int cli_rows_warned(struct cli *cli, const struct nunchi_view *view,
		    const struct nunchi_query *query, cli_row *row, cli_warning *warn, void *data)
{
	struct nunchi_cursor *cursor;
	struct nunchi_error *err = open_cursor(cli, view, query, &cursor);
	int status;

	if (err)
		return cli_fail(cli, err);
	status = drain(cli, cursor, row, warn, data);
	nunchi_cursor_close(cursor);
	return status;
}

static struct nunchi_error *write_row(const struct nunchi_cell *cells, bool torn, void *writer)
{
	return nunchi_writer_row(writer, cells, torn);
}

int cli_show(struct cli *cli, const struct nunchi_view *view, const struct nunchi_query *query)
{
	const struct nunchi_column *const *columns;
	struct nunchi_writer *writer = NULL;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	int status, finished;
	size_t count;

	err = open_cursor(cli, view, query, &cursor);
	if (err)
		return cli_fail(cli, err);
	columns = nunchi_cursor_columns(cursor, &count);
	status = cli_fail(cli, cli_writer(cli, columns, count, false,
					  "--wide shows all, --columns A,B,… some", &writer));
	if (!status) {
		status = drain(cli, cursor, write_row, print_warning, writer);
		/* Rows read before a failure are shown too. */
		finished = cli_fail(cli, nunchi_writer_finish(writer));
		status = status ? status : finished;
	}
	nunchi_writer_destroy(writer);
	nunchi_cursor_close(cursor);
	return status;
}

struct nunchi_cell cell_integer(int64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_INTEGER, .integer = value};
}

struct nunchi_cell cell_address(uint64_t value)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_ADDRESS, .address = value};
}

struct nunchi_cell cell_not_applicable(void)
{
	return (struct nunchi_cell){.kind = NUNCHI_CELL_ABSENT,
				    .absence = NUNCHI_ABSENT_NOT_APPLICABLE};
}

struct nunchi_cell cell_text(const char *text)
{
	if (!text)
		return cell_not_applicable();
	return (struct nunchi_cell){.kind = NUNCHI_CELL_VALUE,
				    .type = NUNCHI_TYPE_TEXT,
				    .text = text,
				    .text_size = strlen(text)};
}
