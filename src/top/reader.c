/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/reader.h"

#include "core/array.h"
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/io.h"
#include "worker/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Longer command lines are cut: no screen shows them. */
#define MOST_COMMAND 1024
#define MOST_LINES   4096
#define MOST_COLUMNS 16

struct reader {
	struct nunchi_guest *guest;
	bool live;
	struct top_reading *reading;
	bool failed; /* out of memory */
};

/* ---- Rows of views --------------------------------------------------------------------------- */

static struct top_cell number_of(const struct nunchi_cell *cell)
{
	if (cell->kind != NUNCHI_CELL_VALUE)
		return (struct top_cell){.absence = (int32_t)cell->absence};
	return (struct top_cell){
	    cell->type == NUNCHI_TYPE_ADDRESS ? (int64_t)cell->address : cell->integer, TOP_KNOWN};
}

static void keep(struct reader *reader, const struct nunchi_cell *cell, size_t most,
		 struct top_text *ret)
{
	size_t size = cell->text_size < most ? cell->text_size : most;

	*ret = (struct top_text){.absence = (int32_t)cell->absence};
	if (cell->kind == NUNCHI_CELL_VALUE &&
	    !top_reading_keep(reader->reading, cell->text, size, ret))
		reader->failed = true;
}

static void take_warning(void *reader_pointer, const char *text)
{
	struct reader *reader = reader_pointer;
	struct top_reading *reading = reader->reading;

	if (reading->warning_count >= MOST_COLUMNS)
		return;
	if (!ARRAY_RESERVE(reading->warnings, reading->warning_count, reading->warning_capacity,
			   1) ||
	    !top_reading_keep(reading, text, strlen(text),
			      &reading->warnings[reading->warning_count]))
		reader->failed = true;
	else
		reading->warning_count++;
}

/* A view that this kernel does not permit is a warning: the others are shown. */
static struct nunchi_error *read_rows(struct reader *reader, const struct rows_query *given)
{
	struct rows_query query = *given;
	struct nunchi_error *err;

	query.live = reader->live;
	query.warn = take_warning;
	query.data = reader;
	err = rows_read(reader->guest, &query);
	if (!err || rows_error_is_of_guest(err))
		return err;
	take_warning(reader, nunchi_error_message(err));
	nunchi_error_destroy(err);
	return NULL;
}

/* ---- What is read ---------------------------------------------------------------------------- */

static const char *const uptime_columns[] = {"total_milliseconds"};

static void take_uptime(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
			bool torn)
{
	struct reader *reader = reader_pointer;
	(void)count;
	(void)torn;
	reader->reading->general.uptime_ms = number_of(&cells[0]);
}

static void take_tasks_end(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
			   bool torn)
{
	struct reader *reader = reader_pointer;
	(void)count;
	(void)torn;
	reader->reading->general.tasks_end_ms = number_of(&cells[0]);
}

static const char *const load_columns[] = {"period", "average"};

static void take_load(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
		      bool torn)
{
	struct reader *reader = reader_pointer;
	static const char *const periods[] = {"1m", "5m", "15m"};

	(void)count;
	(void)torn;
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		if (cells[0].kind == NUNCHI_CELL_VALUE &&
		    cells[0].text_size == strlen(periods[i]) &&
		    !memcmp(cells[0].text, periods[i], cells[0].text_size))
			reader->reading->general.load[i] =
			    (struct top_real){cells[1].real, cells[1].kind == NUNCHI_CELL_VALUE
								 ? TOP_KNOWN
								 : (int32_t)cells[1].absence};
	}
}

static const char *const memory_columns[] = {
    [TOP_MEMORY_TOTAL] = "memory_total",    [TOP_MEMORY_FREE] = "memory_free",
    [TOP_MEMORY_BUFFERS] = "buffers",       [TOP_MEMORY_CACHED] = "cached",
    [TOP_MEMORY_SLAB] = "slab_reclaimable", [TOP_MEMORY_SHARED] = "shared",
    [TOP_SWAP_TOTAL] = "swap_total",        [TOP_SWAP_FREE] = "swap_free",
};

static void take_memory(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
			bool torn)
{
	struct reader *reader = reader_pointer;
	(void)torn;
	for (size_t i = 0; i < count; i++)
		reader->reading->general.memory[i] = number_of(&cells[i]);
}

static const char *const cpu_columns[] = {"user", "nice",    "system", "idle", "iowait",
					  "irq",  "softirq", "steal",  "core"};

static void take_cpu(void *reader_pointer, const struct nunchi_cell *cells, size_t count, bool torn)
{
	struct reader *reader = reader_pointer;
	struct top_reading *reading = reader->reading;
	struct top_cpu *cpu;

	(void)torn;
	(void)count;
	if (!ARRAY_RESERVE(reading->cpus, reading->cpu_count, reading->cpu_capacity, 1)) {
		reader->failed = true;
		return;
	}
	cpu = &reading->cpus[reading->cpu_count++];
	*cpu = (struct top_cpu){.core = cells[TOP_MODES].integer};
	for (size_t i = 0; i < TOP_MODES; i++)
		cpu->ms[i] = number_of(&cells[i]);
}

/* The first of both lists are those of enum top_number; the same number of columns in both. */
enum { TASK_NAME = TOP_NUMBERS, TASK_STATE, TASK_IS_KERNEL, TASK_COMMAND };
static const char *const process_columns[] = {[TOP_PID] = "pid",
					      [TOP_PROCESS] = "pid",
					      [TOP_PARENT] = "parent",
					      [TOP_UID] = "uid",
					      [TOP_NICE] = "nice",
					      [TOP_THREADS] = "threads",
					      [TOP_RESIDENT] = "resident_size",
					      [TOP_USER_MS] = "user_time",
					      [TOP_SYSTEM_MS] = "system_time",
					      [TOP_TASK] = "task",
					      [TASK_NAME] = "name",
					      [TASK_STATE] = "state",
					      [TASK_IS_KERNEL] = "is_kernel_thread",
					      [TASK_COMMAND] = "cmdline"};
/* What a thread has not of its own is put in by take_thread(). */
static const char *const thread_columns[] = {[TOP_PID] = "tid",
					     [TOP_PROCESS] = "tgid",
					     [TOP_PARENT] = "tgid",
					     [TOP_UID] = "uid",
					     [TOP_NICE] = "nice",
					     [TOP_THREADS] = "tid",
					     [TOP_RESIDENT] = "tid",
					     [TOP_USER_MS] = "user_time",
					     [TOP_SYSTEM_MS] = "system_time",
					     [TOP_TASK] = "task",
					     [TASK_NAME] = "name",
					     [TASK_STATE] = "state",
					     [TASK_IS_KERNEL] = "is_kernel_thread"};

static struct top_task *add_task(struct reader *reader, const struct nunchi_cell *cells, bool torn)
{
	struct top_reading *reading = reader->reading;
	struct top_task *task;

	if (!ARRAY_RESERVE(reading->tasks, reading->task_count, reading->task_capacity, 1)) {
		reader->failed = true;
		return NULL;
	}
	task = &reading->tasks[reading->task_count++];
	*task = (struct top_task){.torn = torn, .state = '?'};
	for (size_t i = 0; i < TOP_NUMBERS; i++)
		task->numbers[i] = number_of(&cells[i]);
	keep(reader, &cells[TASK_NAME], MOST_COMMAND, &task->name);
	if (cells[TASK_STATE].kind == NUNCHI_CELL_VALUE && cells[TASK_STATE].text_size)
		task->state = cells[TASK_STATE].text[0];
	task->is_kernel =
	    cells[TASK_IS_KERNEL].kind == NUNCHI_CELL_VALUE && cells[TASK_IS_KERNEL].integer;
	task->command.absence = NUNCHI_ABSENT_NOT_APPLICABLE;
	return task;
}

static void take_process(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
			 bool torn)
{
	struct reader *reader = reader_pointer;
	struct top_task *task = add_task(reader, cells, torn);

	(void)count;
	if (task)
		keep(reader, &cells[TASK_COMMAND], MOST_COMMAND, &task->command);
}

/* The first thread of a process is the process, which is there already. */
static void take_thread(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
			bool torn)
{
	struct reader *reader = reader_pointer;
	struct top_task *task;

	(void)count;
	if (cells[TOP_PID].kind == NUNCHI_CELL_VALUE &&
	    cells[TOP_PROCESS].kind == NUNCHI_CELL_VALUE &&
	    cells[TOP_PID].integer == cells[TOP_PROCESS].integer)
		return;
	task = add_task(reader, cells, torn);
	if (!task)
		return;
	task->is_thread = true;
	task->numbers[TOP_THREADS].absence = NUNCHI_ABSENT_NOT_APPLICABLE;
	task->numbers[TOP_RESIDENT].absence = NUNCHI_ABSENT_NOT_APPLICABLE;
}

/* ---- Of the chosen process ------------------------------------------------------------------- */

/* The cells of a row, separated by tabs: what the guest names is escaped, and so has none. */
static void take_line(struct reader *reader, const struct nunchi_cell *cells, size_t count,
		      struct top_text **lines, size_t *line_count, size_t *capacity)
{
	_cleanup_buffer_ struct buffer text = {.limit = 65536};
	char escaped[4096];

	for (size_t i = 0; i < count; i++) {
		const struct nunchi_cell *cell = &cells[i];

		if (i)
			buffer_append_char(&text, '\t');
		if (cell->kind != NUNCHI_CELL_VALUE) {
			if (cell->absence == NUNCHI_ABSENT_NOT_APPLICABLE)
				buffer_append_char(&text, '-');
			else
				buffer_printf(&text, "<%s>", nunchi_absence_string(cell->absence));
		} else if (cell->type == NUNCHI_TYPE_TEXT) {
			nunchi_escape(cell->text, cell->text_size, escaped, sizeof(escaped));
			buffer_append_string(&text, escaped);
		} else if (cell->type == NUNCHI_TYPE_ADDRESS) {
			buffer_printf(&text, "%" PRIx64, cell->address);
		} else {
			buffer_printf(&text, "%" PRId64, cell->integer);
		}
	}
	if (*line_count >= MOST_LINES)
		return;
	if (text.failed || !ARRAY_RESERVE(*lines, *line_count, *capacity, 1) ||
	    !top_reading_keep(reader->reading, buffer_string(&text), text.size,
			      &(*lines)[*line_count]))
		reader->failed = true;
	else
		(*line_count)++;
}

static const char *const file_columns[] = {"fd", "path", "offset", "flags"};
static const char *const socket_columns[] = {
    "fd", "local_address", "local_port", "remote_address", "remote_port", "state"};
static const char *const map_columns[] = {"start", "end", "permissions", "offset", "path"};

static void take_file(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
		      bool torn)
{
	struct reader *reader = reader_pointer;
	struct top_reading *reading = reader->reading;

	(void)torn;
	take_line(reader, cells, count, &reading->files, &reading->file_count,
		  &reading->file_capacity);
}

static void take_map(void *reader_pointer, const struct nunchi_cell *cells, size_t count, bool torn)
{
	struct reader *reader = reader_pointer;
	struct top_reading *reading = reader->reading;

	(void)torn;
	take_line(reader, cells, count, &reading->maps, &reading->map_count,
		  &reading->map_capacity);
}

#define QUERY(name, list, function)                                                                \
	{                                                                                          \
		.view = name, .columns = list, .count = ARRAY_SIZE(list), .take = function         \
	}

static struct nunchi_error *read_details(struct reader *reader, const struct top_request *request)
{
	char pid[24];
	const struct nunchi_constraint where = {.column = "pid", .value = pid, .op = NUNCHI_EQUAL};
	struct rows_query files = QUERY("process_open_files", file_columns, take_file);
	struct rows_query sockets = QUERY("process_open_sockets", socket_columns, take_file);
	struct rows_query maps = QUERY("process_memory_map", map_columns, take_map);
	struct nunchi_error *err = NULL;

	snprintf(pid, sizeof(pid), "%" PRId64, request->pid);
	files.where = sockets.where = maps.where = &where;
	files.limit = sockets.limit = maps.limit = MOST_LINES;
	reader->reading->general.details_pid = request->pid;
	if (request->files) {
		err = read_rows(reader, &files);
		if (!err)
			err = read_rows(reader, &sockets);
	}
	if (!err && request->maps)
		err = read_rows(reader, &maps);
	return err;
}

/* ---------------------------------------------------------------------------------------------- */

static struct nunchi_error *read_all(struct reader *reader, const struct top_request *request)
{
	const struct rows_query queries[] = {
	    QUERY("load_average", load_columns, take_load),
	    QUERY("memory_info", memory_columns, take_memory),
	    QUERY("cpu_time", cpu_columns, take_cpu),
	    QUERY("uptime", uptime_columns, take_uptime),
	    QUERY("processes", process_columns, take_process),
	};
	const struct rows_query threads = QUERY("threads", thread_columns, take_thread);
	const struct rows_query end = QUERY("uptime", uptime_columns, take_tasks_end);
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(queries) && !err; i++)
		err = read_rows(reader, &queries[i]);
	if (!err && request->threads)
		err = read_rows(reader, &threads);
	if (!err)
		err = read_rows(reader, &end);
	if (!err && (request->files || request->maps))
		err = read_details(reader, request);
	return err;
}

static void keep_error(struct top_reading *reading, struct nunchi_error *err)
{
	const char *message = nunchi_error_message(err), *hint = nunchi_error_hint(err);
	struct top_general *general = &reading->general;

	general->error = nunchi_error_code(err);
	general->errnum = nunchi_error_errno(err);
	top_reading_keep(reading, message, strlen(message), &general->message);
	general->hint.absence = NUNCHI_ABSENT_NOT_APPLICABLE;
	if (hint)
		top_reading_keep(reading, hint, strlen(hint), &general->hint);
	nunchi_error_destroy(err);
}

/* A reading in which nothing is known. */
static struct top_reading *begin(struct reader *reader, bool opened)
{
	struct top_reading *reading = top_reading_create();
	struct top_general *general;

	if (!reading)
		return NULL;
	reader->reading = reading;
	general = &reading->general;
	general->live = reader->live;
	general->opened = opened;
	general->uptime_ms.absence = general->tasks_end_ms.absence = NUNCHI_ABSENT_NOT_COMPUTED;
	for (size_t i = 0; i < ARRAY_SIZE(general->load); i++)
		general->load[i].absence = NUNCHI_ABSENT_NOT_COMPUTED;
	for (size_t i = 0; i < TOP_MEMORIES; i++)
		general->memory[i].absence = NUNCHI_ABSENT_NOT_COMPUTED;
	general->hostname.absence = NUNCHI_ABSENT_NOT_COMPUTED;
	return reading;
}

/* Sends what came of it; false if there is no more to be read. */
static bool answer(struct reader *reader, struct nunchi_error *err, int fd)
{
	bool sent;

	if (!err && reader->failed)
		err = nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL);
	sent = !err;
	if (err)
		keep_error(reader->reading, err);
	sent = top_reading_send(reader->reading, fd) && sent;
	top_reading_destroy(reader->reading);
	reader->reading = NULL;
	return sent;
}

static void take_name(void *reader_pointer, const struct nunchi_cell *cells, size_t count,
		      bool torn)
{
	struct reader *reader = reader_pointer;
	(void)count;
	(void)torn;
	keep(reader, &cells[0], MOST_COMMAND, &reader->reading->general.hostname);
}

/* Answers a request in a session of its own. */
static bool serve(struct reader *reader, const struct top_request *request, int fd)
{
	static const char *const columns[] = {"hostname"};
	const struct rows_query name = QUERY("system_info", columns, take_name);
	struct nunchi_session *session = NULL;
	struct nunchi_error *err;

	if (!begin(reader, true))
		return false;
	err = nunchi_session_open(reader->guest, NULL, &session);
	if (!err)
		err = read_rows(reader, &name);
	if (!err)
		err = read_all(reader, request);
	nunchi_error_destroy(nunchi_session_close(session));
	return answer(reader, err, fd);
}

void top_reader_run(const struct top_reader_options *options, int fd)
{
	struct reader reader = {.live = options->live};
	struct nunchi_context *context = NULL;
	struct top_request request;
	struct nunchi_error *err;

	options->prepare(options->data);
	err = rows_open_guest(options->target, options->guest, &context, &reader.guest);
	if (!begin(&reader, !err))
		nunchi_error_destroy(err);
	else if (answer(&reader, err, fd)) {
		while (io_read_full(fd, &request, sizeof(request)) == sizeof(request) &&
		       serve(&reader, &request, fd))
			;
	}
	nunchi_guest_close(reader.guest);
	nunchi_context_destroy(context);
}
