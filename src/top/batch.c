/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/batch.h"

#include "core/array.h"
#include "core/cleanup.h"
#include "top/text.h"

#include <string.h>

#define MOST_COLUMNS 16

/* ---- Text ------------------------------------------------------------------------------------ */

static void append_row(const struct top_reading *reading, const struct top_row *row,
		       struct buffer *ret)
{
	const struct top_cell *numbers = row->task->numbers;
	char pid[TOP_CELL_SIZE], uid[TOP_CELL_SIZE], threads[TOP_CELL_SIZE], cpu[TOP_CELL_SIZE];
	char resident[TOP_CELL_SIZE], memory[TOP_CELL_SIZE], time[TOP_CELL_SIZE];

	top_text_number(numbers[TOP_PID], pid);
	top_text_number(numbers[TOP_UID], uid);
	top_text_number(numbers[TOP_THREADS], threads);
	top_text_share(row->cpu, cpu);
	top_text_size(numbers[TOP_RESIDENT], resident);
	top_text_share(row->memory, memory);
	top_text_time(row->time_ms, time);
	buffer_printf(ret, "%7s %6s %c %4s %6s %6s %5s %9s  %*s", pid, uid,
		      row->task->state >= ' ' && row->task->state < 127 ? row->task->state : '?',
		      threads, cpu, resident, memory, time,
		      (int)(2 * (row->depth < 16 ? row->depth : 16)), "");
	top_text_command(reading, row->task, ret);
}

/* Cuts the line that begins at `start`, between two characters. */
static void end_line(struct buffer *ret, size_t start, unsigned width)
{
	size_t at = start, columns = 0;

	for (; width && at < ret->size; at++) {
		columns += ((unsigned char)ret->data[at] & 0xc0) != 0x80;
		if (columns > width)
			break;
	}
	if (width)
		ret->size = at;
	buffer_append_char(ret, '\n');
}

void top_batch_text(const char *target, const struct top_reading *reading,
		    const struct top_model *model, unsigned width, struct buffer *ret)
{
	const struct top_general *general = &reading->general;
	char uptime[TOP_CELL_SIZE];

	top_text_uptime(general->uptime_ms, uptime);
	buffer_printf(ret, "%s", target);
	if (general->hostname.size) {
		buffer_append_string(ret, " (");
		top_text_append(reading, &general->hostname, ret);
		buffer_append_string(ret, ")");
	}
	buffer_printf(ret, ": up %s, ", uptime);
	top_text_load(general, ret);
	buffer_append_string(ret, "\nTasks: ");
	top_text_counts(&model->counts, ret);
	buffer_append_string(ret, "\nCPU: ");
	top_text_cpu(&model->all, ret);
	buffer_append_char(ret, '\n');
	for (size_t i = 0; i < model->cpu_count; i++) {
		buffer_printf(ret, "CPU%lld: ", (long long)model->cpus[i].core);
		top_text_cpu(&model->cpus[i], ret);
		buffer_append_char(ret, '\n');
	}
	buffer_append_string(ret, "Memory: ");
	top_text_memory(general, model, ret);
	buffer_append_string(ret,
			     "\n\n    PID    UID S  THR   %CPU    RSS  %MEM     TIME+  COMMAND\n");
	for (size_t i = 0; i < model->count && !ret->failed; i++) {
		size_t start = ret->size;

		append_row(reading, &model->rows[i], ret);
		end_line(ret, start, width);
	}
	buffer_append_char(ret, '\n');
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static struct nunchi_cell integer_cell(struct top_cell cell)
{
	return (struct nunchi_cell){
	    .kind = top_known(&cell) ? NUNCHI_CELL_VALUE : NUNCHI_CELL_ABSENT,
	    .type = NUNCHI_TYPE_INTEGER,
	    .absence = (enum nunchi_absence)cell.absence,
	    .integer = cell.value,
	};
}

static struct nunchi_cell real_cell(double value, int32_t absence)
{
	return (struct nunchi_cell){
	    .kind = absence == TOP_KNOWN ? NUNCHI_CELL_VALUE : NUNCHI_CELL_ABSENT,
	    .type = NUNCHI_TYPE_REAL,
	    .absence = (enum nunchi_absence)absence,
	    .real = value,
	};
}

/* In hundredths: more is not known. */
static struct nunchi_cell share_cell(struct top_share share)
{
	return real_cell((double)(int64_t)(share.percent * 100 + 0.5) / 100, share.absence);
}

static struct nunchi_cell string_cell(const char *text, size_t size)
{
	return (struct nunchi_cell){
	    .kind = NUNCHI_CELL_VALUE, .type = NUNCHI_TYPE_TEXT, .text = text, .text_size = size};
}

static struct nunchi_cell text_cell(const struct top_reading *reading, const struct top_text *text)
{
	size_t size;
	const char *bytes = top_reading_text(reading, text, &size);
	struct nunchi_cell cell = string_cell(bytes, size);

	cell.kind = text->absence == TOP_KNOWN ? NUNCHI_CELL_VALUE : NUNCHI_CELL_ABSENT;
	cell.absence = (enum nunchi_absence)text->absence;
	return cell;
}

static bool write_buffer(const char *data, size_t size, void *buffer)
{
	return buffer_append(buffer, data, size);
}

/* A writer of rows as JSON, which end in a newline each. */
static struct nunchi_error *json_writer(const struct nunchi_column *columns, size_t count,
					struct buffer *ret, struct nunchi_writer **ret_writer)
{
	const struct nunchi_writer_options options = {.size = sizeof(options),
						      .output = NUNCHI_OUTPUT_JSON};
	const struct nunchi_column *pointers[MOST_COLUMNS];

	for (size_t i = 0; i < count && i < MOST_COLUMNS; i++)
		pointers[i] = &columns[i];
	return nunchi_writer_create(&options, pointers, count, write_buffer, ret, ret_writer);
}

/* Ends what the writer wrote last: the newline becomes a comma, or whatever follows. */
static void replace_end(struct buffer *ret, const char *wrong, const char *right)
{
	size_t length = strlen(wrong);

	if (ret->size >= length && !memcmp(ret->data + ret->size - length, wrong, length))
		ret->size -= length;
	buffer_append_string(ret, right);
}

/* A row as an object. */
static struct nunchi_error *append_object(const struct nunchi_column *columns, size_t count,
					  const struct nunchi_cell *cells, bool torn,
					  struct buffer *ret)
{
	struct nunchi_writer *writer;
	struct nunchi_error *err = json_writer(columns, count, ret, &writer);

	if (err)
		return err;
	err = nunchi_writer_row(writer, cells, torn);
	if (!err)
		err = nunchi_writer_finish(writer);
	nunchi_writer_destroy(writer);
	replace_end(ret, "\n", "");
	return err;
}

static struct nunchi_error *append_cpus(const struct top_model *model, struct buffer *ret)
{
	static const struct nunchi_column columns[] = {
	    {"core", NUNCHI_TYPE_INTEGER, ""}, {"busy", NUNCHI_TYPE_REAL, ""},
	    {"user", NUNCHI_TYPE_REAL, ""},    {"nice", NUNCHI_TYPE_REAL, ""},
	    {"system", NUNCHI_TYPE_REAL, ""},  {"iowait", NUNCHI_TYPE_REAL, ""},
	    {"steal", NUNCHI_TYPE_REAL, ""},
	};
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	buffer_append_string(ret, ",\"cpus\":[");
	err = json_writer(columns, ARRAY_SIZE(columns), ret, &writer);
	for (size_t i = 0; i < model->cpu_count && !err; i++) {
		const struct top_load *load = &model->cpus[i];
		const struct nunchi_cell cells[] = {
		    integer_cell((struct top_cell){load->core, TOP_KNOWN}),
		    share_cell(load->busy),
		    share_cell(load->user),
		    share_cell(load->nice),
		    share_cell(load->system),
		    share_cell(load->iowait),
		    share_cell(load->steal),
		};

		err = nunchi_writer_row(writer, cells, false);
		replace_end(ret, "\n", ",");
	}
	nunchi_writer_destroy(writer);
	replace_end(ret, ",", "]");
	return err;
}

static const struct nunchi_column task_columns[] = {
    {"pid", NUNCHI_TYPE_INTEGER, ""},
    {"process", NUNCHI_TYPE_INTEGER, ""},
    {"parent", NUNCHI_TYPE_INTEGER, ""},
    {"uid", NUNCHI_TYPE_INTEGER, ""},
    {"state", NUNCHI_TYPE_TEXT, ""},
    {"nice", NUNCHI_TYPE_INTEGER, ""},
    {"threads", NUNCHI_TYPE_INTEGER, ""},
    {"cpu_percent", NUNCHI_TYPE_REAL, ""},
    {"resident_size", NUNCHI_TYPE_INTEGER, ""},
    {"memory_percent", NUNCHI_TYPE_REAL, ""},
    {"time", NUNCHI_TYPE_INTEGER, ""},
    {"name", NUNCHI_TYPE_TEXT, ""},
    {"cmdline", NUNCHI_TYPE_TEXT, ""},
    {"is_kernel_thread", NUNCHI_TYPE_INTEGER, ""},
};

static struct nunchi_error *append_task(const struct top_reading *reading,
					const struct top_row *row, struct nunchi_writer *writer)
{
	const struct top_task *task = row->task;
	const struct top_cell *numbers = task->numbers;
	const struct nunchi_cell cells[ARRAY_SIZE(task_columns)] = {
	    integer_cell(numbers[TOP_PID]),
	    integer_cell(numbers[TOP_PROCESS]),
	    integer_cell(numbers[TOP_PARENT]),
	    integer_cell(numbers[TOP_UID]),
	    string_cell(&task->state, 1),
	    integer_cell(numbers[TOP_NICE]),
	    integer_cell(numbers[TOP_THREADS]),
	    share_cell(row->cpu),
	    integer_cell(numbers[TOP_RESIDENT]),
	    share_cell(row->memory),
	    integer_cell(row->time_ms),
	    text_cell(reading, &task->name),
	    text_cell(reading, &task->command),
	    integer_cell((struct top_cell){task->is_kernel, TOP_KNOWN}),
	};

	return nunchi_writer_row(writer, cells, task->torn);
}

static struct nunchi_error *append_tasks(const struct top_reading *reading,
					 const struct top_model *model, struct buffer *ret)
{
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;

	buffer_append_string(ret, ",\"tasks\":[");
	err = json_writer(task_columns, ARRAY_SIZE(task_columns), ret, &writer);
	for (size_t i = 0; i < model->count && !err; i++) {
		err = append_task(reading, &model->rows[i], writer);
		replace_end(ret, "\n", ",");
	}
	nunchi_writer_destroy(writer);
	replace_end(ret, ",", "]");
	return err;
}

static struct nunchi_error *append_memory(const struct top_reading *reading,
					  const struct top_model *model, struct buffer *ret)
{
	static const struct nunchi_column columns[] = {
	    {"total", NUNCHI_TYPE_INTEGER, ""},
	    {"used", NUNCHI_TYPE_INTEGER, ""},
	    {"free", NUNCHI_TYPE_INTEGER, ""},
	    {"buffers", NUNCHI_TYPE_INTEGER, ""},
	    {"cached", NUNCHI_TYPE_INTEGER, ""},
	    {"shared", NUNCHI_TYPE_INTEGER, ""},
	    {"slab_reclaimable", NUNCHI_TYPE_INTEGER, ""},
	    {"swap_total", NUNCHI_TYPE_INTEGER, ""},
	    {"swap_used", NUNCHI_TYPE_INTEGER, ""},
	};
	const struct top_cell *memory = reading->general.memory;
	const struct nunchi_cell cells[ARRAY_SIZE(columns)] = {
	    integer_cell(memory[TOP_MEMORY_TOTAL]),  integer_cell(model->memory_used),
	    integer_cell(memory[TOP_MEMORY_FREE]),   integer_cell(memory[TOP_MEMORY_BUFFERS]),
	    integer_cell(memory[TOP_MEMORY_CACHED]), integer_cell(memory[TOP_MEMORY_SHARED]),
	    integer_cell(memory[TOP_MEMORY_SLAB]),   integer_cell(memory[TOP_SWAP_TOTAL]),
	    integer_cell(model->swap_used),
	};

	buffer_append_string(ret, ",\"memory\":");
	return append_object(columns, ARRAY_SIZE(columns), cells, false, ret);
}

static struct nunchi_error *append_warnings(const struct top_reading *reading, struct buffer *ret)
{
	static const struct nunchi_column columns[] = {{"text", NUNCHI_TYPE_TEXT, ""}};
	struct nunchi_error *err = NULL;

	buffer_append_string(ret, ",\"warnings\":[");
	for (size_t i = 0; i < reading->warning_count && !err; i++) {
		struct nunchi_cell cell = text_cell(reading, &reading->warnings[i]);

		err = append_object(columns, 1, &cell, false, ret);
		buffer_append_char(ret, ',');
	}
	replace_end(ret, ",", "]");
	return err;
}

static struct nunchi_error *finish(struct nunchi_error *err, struct buffer *ret)
{
	buffer_append_string(ret, "}\n");
	if (!ret->failed)
		return err;
	/* The writer knows only that its text was not taken. */
	nunchi_error_destroy(err);
	return &error_nomem;
}

struct nunchi_error *top_batch_json(const char *target, const struct top_reading *reading,
				    const struct top_model *model, struct buffer *ret)
{
	static const struct nunchi_column columns[] = {
	    {"target", NUNCHI_TYPE_TEXT, ""},       {"hostname", NUNCHI_TYPE_TEXT, ""},
	    {"uptime", NUNCHI_TYPE_INTEGER, ""},    {"load_1m", NUNCHI_TYPE_REAL, ""},
	    {"load_5m", NUNCHI_TYPE_REAL, ""},      {"load_15m", NUNCHI_TYPE_REAL, ""},
	    {"processes", NUNCHI_TYPE_INTEGER, ""}, {"running", NUNCHI_TYPE_INTEGER, ""},
	    {"cpu_busy", NUNCHI_TYPE_REAL, ""},
	};
	const struct top_general *general = &reading->general;
	const struct top_cell processes = {(int64_t)model->counts.processes, TOP_KNOWN};
	const struct top_cell running = {(int64_t)model->counts.states[0], TOP_KNOWN};
	const struct nunchi_cell cells[ARRAY_SIZE(columns)] = {
	    string_cell(target, strlen(target)),
	    text_cell(reading, &general->hostname),
	    integer_cell(general->uptime_ms),
	    real_cell(general->load[0].value, general->load[0].absence),
	    real_cell(general->load[1].value, general->load[1].absence),
	    real_cell(general->load[2].value, general->load[2].absence),
	    integer_cell(processes),
	    integer_cell(running),
	    share_cell(model->all.busy),
	};
	struct nunchi_error *err = append_object(columns, ARRAY_SIZE(columns), cells, false, ret);

	replace_end(ret, "}", "");
	if (!err)
		err = append_memory(reading, model, ret);
	if (!err)
		err = append_cpus(model, ret);
	if (!err)
		err = append_tasks(reading, model, ret);
	if (!err)
		err = append_warnings(reading, ret);
	return finish(err, ret);
}

struct nunchi_error *top_batch_json_error(const char *target, const struct nunchi_error *why,
					  struct buffer *ret)
{
	static const struct nunchi_column columns[] = {{"target", NUNCHI_TYPE_TEXT, ""},
						       {"error", NUNCHI_TYPE_TEXT, ""}};
	const char *message = nunchi_error_message(why);
	const struct nunchi_cell cells[] = {string_cell(target, strlen(target)),
					    string_cell(message, strlen(message))};
	struct nunchi_error *err = append_object(columns, ARRAY_SIZE(columns), cells, false, ret);

	replace_end(ret, "}", "");
	return finish(err, ret);
}
