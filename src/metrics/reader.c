/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/reader.h"

#include "core/array.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/io.h"
#include "metrics/sockets.h"
#include "worker/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
	const struct metrics_reader_options *options;
	struct nunchi_guest *guest;
	struct metrics_reading *reading;
	struct metrics_sockets sockets;
	bool failed; /* out of memory */
	/* The view that is read warned that it gives fewer rows than there are; in one process. */
	bool cut, cut_in_one;
};

/* Why a cell is of no use: it is absent, or has a value that cannot be. */
static enum nunchi_absence absence_of(const struct nunchi_cell *cell)
{
	return cell->kind != NUNCHI_CELL_VALUE ? cell->absence : NUNCHI_ABSENT_BAD_DATA;
}

/* A number that cannot be negative; what is missing is counted. */
static int64_t number_of(struct reader *reader, enum metrics_family family,
			 const struct nunchi_cell *cell)
{
	if (cell->kind == NUNCHI_CELL_VALUE && cell->integer >= 0)
		return cell->integer;
	metrics_reading_miss(reader->reading, family, absence_of(cell));
	return METRICS_ABSENT;
}

/* Copies a text, cut where it is too long; what the guest names is escaped when it is written. */
static void copy_text(struct reader *reader, const struct nunchi_cell *cell, char *ret,
		      size_t capacity)
{
	size_t size = cell->text_size < capacity - 1 ? cell->text_size : capacity - 1;
	const char *end;

	if (cell->kind != NUNCHI_CELL_VALUE) {
		metrics_reading_miss(reader->reading, METRICS_GUEST, cell->absence);
		return;
	}
	end = size ? memchr(cell->text, '\0', size) : NULL;
	size = end ? (size_t)(end - cell->text) : size;
	if (size)
		memcpy(ret, cell->text, size);
	ret[size] = '\0';
}

static bool is_text(const struct nunchi_cell *cell, const char *text)
{
	return cell->kind == NUNCHI_CELL_VALUE && cell->text_size == strlen(text) &&
	       !memcmp(cell->text, text, cell->text_size);
}

/* ---- Rows of views --------------------------------------------------------------------------- */

#define TAKE(name)                                                                                 \
	static void name(void *reader_pointer, const struct nunchi_cell *cells, size_t count,      \
			 bool torn)

/* What every take function begins with. */
static struct reader *begin_row(void *reader_pointer, bool torn)
{
	struct reader *reader = reader_pointer;

	reader->reading->torn += torn;
	return reader;
}

static const char *const name_columns[] = {"hostname"};

TAKE(take_name)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)count;
	copy_text(reader, &cells[0], reader->reading->hostname, sizeof(reader->reading->hostname));
}

static const char *const kernel_columns[] = {"version"};

TAKE(take_kernel)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)count;
	copy_text(reader, &cells[0], reader->reading->kernel, sizeof(reader->reading->kernel));
}

static const char *const uptime_columns[] = {"total_milliseconds"};

TAKE(take_uptime)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)count;
	reader->reading->uptime_ms = number_of(reader, METRICS_UPTIME, &cells[0]);
}

static const char *const load_columns[] = {"period", "average"};

TAKE(take_load)
{
	static const char *const periods[] = {"1m", "5m", "15m"};
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)count;
	for (unsigned i = 0; i < ARRAY_SIZE(periods); i++) {
		if (!is_text(&cells[0], periods[i]))
			continue;
		if (cells[1].kind != NUNCHI_CELL_VALUE)
			metrics_reading_miss(reader->reading, METRICS_LOAD1 + i, cells[1].absence);
		else if (!isfinite(cells[1].real) || cells[1].real < 0)
			metrics_reading_miss(reader->reading, METRICS_LOAD1 + i,
					     NUNCHI_ABSENT_BAD_DATA);
		else
			reader->reading->load[i] = cells[1].real;
	}
}

static const char *const memory_columns[] = {
    [METRICS_MEMORY_TOTAL] = "memory_total",     [METRICS_MEMORY_FREE] = "memory_free",
    [METRICS_MEMORY_BUFFERS] = "buffers",        [METRICS_MEMORY_CACHED] = "cached",
    [METRICS_MEMORY_ACTIVE] = "active",          [METRICS_MEMORY_INACTIVE] = "inactive",
    [METRICS_MEMORY_SHARED] = "shared",          [METRICS_MEMORY_SLAB] = "slab_reclaimable",
    [METRICS_MEMORY_SWAP_TOTAL] = "swap_total",  [METRICS_MEMORY_SWAP_FREE] = "swap_free",
    [METRICS_MEMORY_SWAP_CACHED] = "swap_cached"};

TAKE(take_memory)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	for (size_t i = 0; i < count; i++)
		reader->reading->memory[i] = number_of(reader, METRICS_MEMORY, &cells[i]);
}

static const char *const cpu_columns[] = {"user", "nice",    "system", "idle", "iowait",
					  "irq",  "softirq", "steal",  "core"};

TAKE(take_cpu)
{
	struct reader *reader = begin_row(reader_pointer, torn);
	struct metrics_reading *reading = reader->reading;
	int64_t core = number_of(reader, METRICS_CPU, &cells[METRICS_MODES]);
	struct metrics_cpu *cpu = &reading->cpus[reading->cpu_count];

	(void)count;
	if (core < 0)
		return;
	if (core >= METRICS_MOST_CPUS || reading->cpu_count == METRICS_MOST_CPUS) {
		metrics_reading_miss(reading, METRICS_CPU, NUNCHI_ABSENT_LIMIT);
		return;
	}
	if (reading->cpu_count && core <= cpu[-1].core) {
		metrics_reading_miss(reading, METRICS_CPU, NUNCHI_ABSENT_BAD_DATA);
		return;
	}
	reading->cpu_count++;
	cpu->core = core;
	for (size_t i = 0; i < METRICS_MODES; i++)
		cpu->ms[i] = number_of(reader, METRICS_CPU, &cells[i]);
}

static const char *const process_columns[] = {"state", "threads"};

TAKE(take_process)
{
	/* By enum metrics_state. */
	static const char letters[] = "RSDTtZI";
	struct reader *reader = begin_row(reader_pointer, torn);
	struct metrics_reading *reading = reader->reading;
	int64_t threads = number_of(reader, METRICS_THREADS, &cells[1]);
	const char *found;

	(void)count;
	if (threads > 0)
		reading->threads += threads;
	if (cells[0].kind != NUNCHI_CELL_VALUE || !cells[0].text_size) {
		metrics_reading_miss(reading, METRICS_PROCESSES, absence_of(&cells[0]));
		return;
	}
	found = cells[0].text[0] ? strchr(letters, cells[0].text[0]) : NULL;
	reading->processes[found ? found - letters : METRICS_OTHER]++;
}

static const char *const module_columns[] = {"module"};

TAKE(take_module)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)cells;
	(void)count;
	reader->reading->modules++;
}

static const char *const socket_columns[] = {"sock", "family", "protocol", "state"};

TAKE(take_socket)
{
	struct reader *reader = begin_row(reader_pointer, torn);

	(void)count;
	if (!metrics_sockets_add(&reader->sockets, cells))
		reader->failed = true;
}

static const char *const finding_columns[] = {"check", "severity"};

/* The findings of a check follow each other, but that is not relied on. */
static struct metrics_check *find_check(struct metrics_reading *reading, const char *name,
					size_t size)
{
	struct metrics_check *check = reading->checks;

	if (!size || size >= sizeof(check->name))
		return NULL;
	for (; check < reading->checks + reading->check_count; check++)
		if (strlen(check->name) == size && !memcmp(check->name, name, size))
			return check;
	if (reading->check_count == METRICS_MOST_FINDINGS)
		return NULL;
	reading->check_count++;
	memcpy(check->name, name, size);
	return check;
}

TAKE(take_finding)
{
	struct reader *reader = begin_row(reader_pointer, torn);
	struct metrics_check *check;

	(void)count;
	if (cells[0].kind != NUNCHI_CELL_VALUE || !cells[0].text_size) {
		metrics_reading_miss(reader->reading, METRICS_FINDINGS, absence_of(&cells[0]));
		return;
	}
	check = find_check(reader->reading, cells[0].text, cells[0].text_size);
	for (size_t i = 0; check && i < METRICS_SEVERITIES; i++)
		check->count[i] += is_text(&cells[1], metrics_severities[i]);
	if (!check)
		metrics_reading_miss(reader->reading, METRICS_FINDINGS, NUNCHI_ABSENT_LIMIT);
}

/* ---------------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *word)
{
	return !strncmp(text, word, strlen(word));
}

/*
 * Of the columns that are read here, a view warns of rows that are missing, or may be, and of
 * nothing else. A check that could not be made is a finding as well.
 */
static void take_warning(void *reader_pointer, const char *text)
{
	struct reader *reader = reader_pointer;

	reader->reading->warnings++;
	if (begins(text, "process "))
		reader->cut_in_one = true;
	else if (!begins(text, "check "))
		reader->cut = true;
}

/* The mask has some 20 bits; its low half is read, so that its size in the kernel does not matter.
 */
static struct nunchi_error *read_taint(struct reader *reader)
{
	struct nunchi_symbol symbol = {0};
	struct nunchi_place place = {.space = NUNCHI_SPACE_KERNEL};
	struct nunchi_error *err;
	uint8_t bytes[4];

	err = nunchi_symbol_find(reader->guest, "tainted_mask", &symbol);
	if (!err) {
		place.address = symbol.address;
		err = nunchi_read(reader->guest, &place, sizeof(bytes), bytes);
	}
	if (!err)
		reader->reading->taint = (int64_t)bytes[0] | (int64_t)bytes[1] << 8 |
					 (int64_t)bytes[2] << 16 | (int64_t)bytes[3] << 24;
	return err;
}

/* What one view does not give is counted as missing: the others are shown. */
static struct nunchi_error *settle(struct reader *reader, enum metrics_family family,
				   struct nunchi_error *err)
{
	if (!err || rows_error_is_of_guest(err))
		return err;
	metrics_reading_fail(reader->reading, family, nunchi_error_code(err));
	reader->reading->warnings++;
	nunchi_error_destroy(err);
	return NULL;
}

/* A kernel without a list of modules is warned of too; that there are none is the whole truth. */
static bool has_no_list(struct reader *reader, enum metrics_family family)
{
	struct nunchi_symbol symbol = {0};
	struct nunchi_error *err;
	bool none;

	if (family != METRICS_MODULES || reader->reading->modules)
		return false;
	err = nunchi_symbol_find(reader->guest, "modules", &symbol);
	none = nunchi_error_code(err) == NUNCHI_ERROR_NOT_FOUND;
	nunchi_error_destroy(err);
	return none;
}

/* What the view's warnings mean for its counts. */
static void note_loss(struct reader *reader, enum metrics_family family)
{
	bool cut = reader->cut && !has_no_list(reader, family);

	/* A finding is true whatever else there is; one process has few sockets of all. */
	if (cut && family != METRICS_FINDINGS)
		metrics_reading_cut(reader->reading, family);
	else if (cut || reader->cut_in_one)
		metrics_reading_part(reader->reading, family);
}

struct wanted {
	enum metrics_family family;
	const char *view;
	const char *const *columns;
	size_t count;
	void (*take)(void *data, const struct nunchi_cell *cells, size_t count, bool torn);
};

static struct nunchi_error *read_view(struct reader *reader, const struct wanted *wanted)
{
	const struct rows_query query = {
	    .view = wanted->view,
	    .columns = wanted->columns,
	    .count = wanted->count,
	    .live = reader->options->live,
	    .take = wanted->take,
	    .warn = take_warning,
	    .data = reader,
	};
	struct nunchi_error *err;

	metrics_reading_set(reader->reading, wanted->family, 0);
	reader->cut = reader->cut_in_one = false;
	err = rows_read(reader->guest, &query);
	if (err)
		return settle(reader, wanted->family, err);
	note_loss(reader, wanted->family);
	return NULL;
}

#define QUERY(family, view, list, function)                                                        \
	{                                                                                          \
		METRICS_##family, view, list, ARRAY_SIZE(list), function                           \
	}

static struct nunchi_error *read_all(struct reader *reader)
{
	static const struct wanted all[] = {
	    QUERY(GUEST, "system_info", name_columns, take_name),
	    QUERY(GUEST, "kernel_info", kernel_columns, take_kernel),
	    QUERY(UPTIME, "uptime", uptime_columns, take_uptime),
	    QUERY(CPU, "cpu_time", cpu_columns, take_cpu),
	    QUERY(LOAD1, "load_average", load_columns, take_load),
	    QUERY(MEMORY, "memory_info", memory_columns, take_memory),
	    QUERY(PROCESSES, "processes", process_columns, take_process),
	    QUERY(MODULES, "kernel_modules", module_columns, take_module),
	    QUERY(SOCKETS, "process_open_sockets", socket_columns, take_socket),
	    /* The last one, which is left out without --findings. */
	    QUERY(FINDINGS, "findings", finding_columns, take_finding),
	};
	size_t count = ARRAY_SIZE(all) - !reader->options->findings;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < count && !err; i++)
		err = read_view(reader, &all[i]);
	if (!err)
		metrics_sockets_count(&reader->sockets, reader->reading);
	return err ? err : settle(reader, METRICS_TAINT, read_taint(reader));
}

/* Sends what came of it; false if there is no more to be read. */
static bool answer(struct reader *reader, struct nunchi_error *err, int fd)
{
	struct metrics_reading *reading = reader->reading;

	if (!err && reader->failed)
		err = nunchi_error_create(NUNCHI_ERROR_NOMEM, 0, "out of memory", NULL);
	if (err) {
		const char *hint = nunchi_error_hint(err);

		reading->error = (int32_t)nunchi_error_code(err);
		reading->errnum = nunchi_error_errno(err);
		snprintf(reading->message, sizeof(reading->message), "%s",
			 nunchi_error_message(err));
		snprintf(reading->hint, sizeof(reading->hint), "%s", hint ? hint : "");
	}
	nunchi_error_destroy(err);
	return !io_write_quietly(fd, reading, sizeof(*reading)) && !reading->error;
}

/* Answers a request in a session of its own. */
static bool serve(struct reader *reader, int fd)
{
	struct nunchi_timing timing = {.size = sizeof(timing)};
	struct metrics_reading *reading = reader->reading;
	struct nunchi_session *session = NULL;
	uint64_t start = clock_us();
	struct nunchi_error *err;

	metrics_reading_clear(reading);
	err = nunchi_session_open(reader->guest, NULL, &session);
	if (!err)
		err = read_all(reader);
	nunchi_error_destroy(nunchi_session_close(session));
	nunchi_guest_timing(reader->guest, &timing);
	reading->attach_us = (int64_t)(timing.attach_ms * 1000);
	reading->read_us = (int64_t)(clock_us() - start);
	return answer(reader, err, fd);
}

void metrics_reader_run(const struct metrics_reader_options *options, int fd)
{
	static struct metrics_reading reading;
	struct reader reader = {.options = options, .reading = &reading};
	struct nunchi_context *context = NULL;
	struct nunchi_error *err;
	char request;

	options->prepare(options->data);
	err = rows_open_guest(options->target, options->guest, &context, &reader.guest);
	metrics_reading_clear(&reading);
	if (answer(&reader, err, fd))
		while (io_read_full(fd, &request, 1) == 1 && serve(&reader, fd))
			;
	metrics_sockets_deinit(&reader.sockets);
	nunchi_guest_close(reader.guest);
	nunchi_context_destroy(context);
}
