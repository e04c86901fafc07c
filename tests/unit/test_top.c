/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nunchi top makes of two readings: shares, order, tree, and readings on their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/array.h"
#include "core/cleanup.h"
#include "top/batch.h"
#include "top/model.h"
#include "top/source.h"
#include "top/text.h"

static struct top_cell known(int64_t value)
{
	return (struct top_cell){value, TOP_KNOWN};
}

static struct top_reading *reading_at(int64_t uptime_ms)
{
	struct top_reading *reading = top_reading_create();

	assert_non_null(reading);
	reading->general.uptime_ms = known(uptime_ms);
	reading->general.tasks_end_ms.absence = NUNCHI_ABSENT_NOT_COMPUTED;
	for (size_t i = 0; i < TOP_MEMORIES; i++)
		reading->general.memory[i] = known(0);
	reading->general.memory[TOP_MEMORY_TOTAL] = known(1000);
	return reading;
}

static struct top_task *add_task(struct top_reading *reading, int64_t id, int64_t parent,
				 int64_t ms, const char *command)
{
	struct top_task *task;

	assert_true(ARRAY_RESERVE(reading->tasks, reading->task_count, reading->task_capacity, 1));
	task = &reading->tasks[reading->task_count++];
	*task = (struct top_task){.state = 'S'};
	for (size_t i = 0; i < TOP_NUMBERS; i++)
		task->numbers[i] = known(0);
	task->numbers[TOP_PID] = task->numbers[TOP_PROCESS] = known(id);
	task->numbers[TOP_PARENT] = known(parent);
	task->numbers[TOP_USER_MS] = known(ms);
	task->numbers[TOP_TASK] = known(0x1000 + id);
	assert_true(top_reading_keep(reading, command, strlen(command), &task->command));
	assert_true(top_reading_keep(reading, command, strlen(command), &task->name));
	return task;
}

static void add_cpu(struct top_reading *reading, int64_t core, int64_t user, int64_t idle)
{
	struct top_cpu *cpu;

	assert_true(ARRAY_RESERVE(reading->cpus, reading->cpu_count, reading->cpu_capacity, 1));
	cpu = &reading->cpus[reading->cpu_count++];
	*cpu = (struct top_cpu){.core = core};
	for (size_t i = 0; i < TOP_MODES; i++)
		cpu->ms[i] = known(0);
	cpu->ms[TOP_MODE_USER] = known(user);
	cpu->ms[TOP_MODE_IDLE] = known(idle);
}

static const struct top_order by_cpu = {.column = TOP_COLUMN_CPU, .filter = ""};

static void update(struct top_model *model, const struct top_reading *now,
		   const struct top_reading *before, const struct top_order *order)
{
	assert_true(top_model_update(model, now, before, order));
}

static const struct top_row *row_of(const struct top_model *model, int64_t id)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->rows[i].task->numbers[TOP_PID].value == id)
			return &model->rows[i];
	fail_msg("no row of %lld", (long long)id);
	return NULL;
}

static void check_share(struct top_share share, double percent)
{
	assert_int_equal(share.absence, TOP_KNOWN);
	assert_true(share.percent > percent - 0.01 && share.percent < percent + 0.01);
}

/* The rows' ids in their order, as "1 2 3". */
static void check_order(const struct top_model *model, const char *expected)
{
	_cleanup_buffer_ struct buffer text = {0};

	for (size_t i = 0; i < model->count; i++)
		buffer_printf(&text, "%s%lld", i ? " " : "",
			      (long long)model->rows[i].task->numbers[TOP_PID].value);
	assert_string_equal(buffer_string(&text), expected);
}

static void test_shares(void **state)
{
	struct top_reading *before = reading_at(10000), *now = reading_at(11000);
	struct top_model model = {0};

	(void)state;
	add_cpu(before, 0, 100, 900);
	add_cpu(before, 1, 100, 900);
	add_cpu(now, 0, 350, 1650);
	add_cpu(now, 1, 1100, 900);
	add_task(before, 1, 0, 5000, "busy");
	add_task(before, 2, 0, 300, "idle");
	add_task(now, 2, 0, 300, "idle");
	add_task(now, 1, 0, 5500, "busy");
	add_task(now, 3, 1, 200, "new")->numbers[TOP_RESIDENT] = known(250);
	update(&model, now, before, &by_cpu);
	check_order(&model, "1 3 2");
	check_share(row_of(&model, 1)->cpu, 50);
	check_share(row_of(&model, 2)->cpu, 0);
	check_share(row_of(&model, 3)->cpu, 20);
	check_share(row_of(&model, 3)->memory, 25);
	check_share(model.cpus[0].busy, 25);
	check_share(model.cpus[1].busy, 100);
	check_share(model.all.busy, 62.5);
	assert_int_equal(model.counts.processes, 3);
	/* One reading says nothing about what is used now. */
	update(&model, now, NULL, &by_cpu);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_NOT_COMPUTED);
	assert_int_equal(model.all.busy.absence, NUNCHI_ABSENT_NOT_COMPUTED);
	top_model_deinit(&model);
	top_reading_destroy(before);
	top_reading_destroy(now);
}

/* Counters that go back, or that no CPU could have counted, are no shares. */
static void test_damaged_counters(void **state)
{
	struct top_reading *before = reading_at(10000), *now = reading_at(11000);
	struct top_model model = {0};

	(void)state;
	add_cpu(before, 0, 5000, 0);
	add_cpu(now, 0, 100, 0);
	add_task(before, 1, 0, 5000, "back");
	add_task(before, 2, 0, 0, "much");
	add_task(before, 3, 0, 0, "most");
	add_task(before, 4, 0, 0, "other");
	add_task(now, 1, 0, 100, "back");
	add_task(now, 2, 0, 90000, "much");
	add_task(now, 3, 0, INT64_MAX, "most")->numbers[TOP_SYSTEM_MS] = known(INT64_MAX);
	add_task(now, 4, 0, 400, "other")->numbers[TOP_TASK] = known(1);
	add_task(now, 5, 0, -1, "negative");
	update(&model, now, before, &by_cpu);
	assert_int_equal(model.all.busy.absence, NUNCHI_ABSENT_BAD_DATA);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	assert_int_equal(row_of(&model, 2)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	assert_int_equal(row_of(&model, 3)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	assert_int_equal(row_of(&model, 3)->time_ms.absence, NUNCHI_ABSENT_BAD_DATA);
	/* Another process with the same id. */
	check_share(row_of(&model, 4)->cpu, 40);
	assert_int_equal(row_of(&model, 5)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	check_order(&model, "4 1 2 3 5");
	/* A clock that goes back, and one that stands still. */
	now->general.uptime_ms = known(9000);
	update(&model, now, before, &by_cpu);
	assert_int_equal(row_of(&model, 4)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	now->general.uptime_ms = known(10000);
	now->tasks[0].numbers[TOP_USER_MS] = known(5000);
	update(&model, now, before, &by_cpu);
	check_share(row_of(&model, 1)->cpu, 0);
	assert_int_equal(row_of(&model, 4)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	/* More memory in use than there is. */
	now->general.memory[TOP_MEMORY_SHARED] = known(INT64_MAX);
	update(&model, now, before, &by_cpu);
	assert_int_equal(model.memory_used.absence, NUNCHI_ABSENT_BAD_DATA);
	top_model_deinit(&model);
	top_reading_destroy(before);
	top_reading_destroy(now);
}

/* A task's time counts on while a slow host reads: what it had meanwhile is no damage. */
static void test_slow_reading(void **state)
{
	struct top_reading *before = reading_at(10000), *now = reading_at(11000);
	struct top_model model = {0};

	(void)state;
	add_cpu(before, 0, 0, 0);
	add_cpu(now, 0, 1000, 0);
	add_task(before, 1, 0, 0, "busy");
	add_task(now, 1, 0, 1300, "busy");
	update(&model, now, before, &by_cpu);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	before->general.tasks_end_ms = known(10200);
	now->general.tasks_end_ms = known(11400);
	update(&model, now, before, &by_cpu);
	check_share(row_of(&model, 1)->cpu, 100);
	now->tasks[0].numbers[TOP_USER_MS] = known(550);
	update(&model, now, before, &by_cpu);
	check_share(row_of(&model, 1)->cpu, 50);
	now->tasks[0].numbers[TOP_USER_MS] = known(1451);
	update(&model, now, before, &by_cpu);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	/* An end before the begin, and a reading that begins before the last one ended. */
	now->tasks[0].numbers[TOP_USER_MS] = known(550);
	now->general.tasks_end_ms = known(10999);
	update(&model, now, before, &by_cpu);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	now->general.tasks_end_ms = known(11400);
	before->general.tasks_end_ms = known(11001);
	update(&model, now, before, &by_cpu);
	assert_int_equal(row_of(&model, 1)->cpu.absence, NUNCHI_ABSENT_BAD_DATA);
	top_model_deinit(&model);
	top_reading_destroy(before);
	top_reading_destroy(now);
}

static void test_order(void **state)
{
	struct top_order order = {.column = TOP_COLUMN_PID, .filter = ""};
	struct top_reading *now = reading_at(1000);
	struct top_model model = {0};

	(void)state;
	add_task(now, 30, 10, 1, "sshd: root");
	add_task(now, 10, 1, 5, "sshd");
	add_task(now, 1, 0, 3, "init");
	add_task(now, 20, 1, 9, "cron");
	add_task(now, 40, 99, 9, "orphan");
	/* Two that are each other's parent. */
	add_task(now, 50, 51, 0, "circle");
	add_task(now, 51, 50, 0, "circle");
	update(&model, now, NULL, &order);
	check_order(&model, "1 10 20 30 40 50 51");
	order.reverse = true;
	update(&model, now, NULL, &order);
	check_order(&model, "51 50 40 30 20 10 1");
	order = (struct top_order){.column = TOP_COLUMN_TIME, .filter = ""};
	update(&model, now, NULL, &order);
	check_order(&model, "20 40 10 1 30 50 51");
	order = (struct top_order){.column = TOP_COLUMN_COMMAND, .filter = ""};
	update(&model, now, NULL, &order);
	check_order(&model, "50 51 20 1 40 10 30");
	order = (struct top_order){.column = TOP_COLUMN_PID, .tree = true, .filter = ""};
	update(&model, now, NULL, &order);
	check_order(&model, "1 10 30 20 40 51 50");
	assert_int_equal(row_of(&model, 30)->depth, 2);
	assert_true(row_of(&model, 20)->is_last);
	assert_false(row_of(&model, 10)->is_last);
	order.filter = "SSHD";
	update(&model, now, NULL, &order);
	check_order(&model, "10 30");
	order.filter = "40";
	update(&model, now, NULL, &order);
	check_order(&model, "40");
	assert_int_equal(model.counts.processes, 7);
	top_model_deinit(&model);
	top_reading_destroy(now);
}

/* Ten thousand processes, each the parent of the next. */
static void test_many(void **state)
{
	const struct top_order order = {.column = TOP_COLUMN_PID, .tree = true, .filter = ""};
	struct top_reading *now = reading_at(1000);
	struct top_model model = {0};

	(void)state;
	for (int64_t id = 10000; id > 0; id--)
		add_task(now, id, id - 1, 0, "deep");
	update(&model, now, now, &order);
	assert_int_equal(model.count, 10000);
	for (size_t i = 0; i < model.count; i++) {
		assert_int_equal(model.rows[i].task->numbers[TOP_PID].value, i + 1);
		assert_int_equal(model.rows[i].depth, i);
	}
	top_model_deinit(&model);
	top_reading_destroy(now);
}

/* Rows that all have the same id: each is shown once. */
static void test_one_id(void **state)
{
	const struct top_order order = {.column = TOP_COLUMN_PID, .tree = true, .filter = ""};
	struct top_reading *now = reading_at(1000);
	struct top_model model = {0};

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		add_task(now, 7, i % 2 ? 7 : 1, 0, "same");
	add_task(now, 1, 0, 0, "parent");
	update(&model, now, now, &order);
	assert_int_equal(model.count, 101);
	assert_int_equal(model.rows[0].task->numbers[TOP_PID].value, 1);
	top_model_deinit(&model);
	top_reading_destroy(now);
}

/* ---- Which readings are compared ------------------------------------------------------------- */

static void test_comparison(void **state)
{
	struct top_source source = {.options.live = true, .worker.fd = -1};
	struct top_reading *readings[4];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		top_source_keep(&source, readings[i] = reading_at((int64_t)i));
	/* The third came too soon behind the second, and takes its place. */
	assert_ptr_equal(source.before, readings[0]);
	assert_ptr_equal(source.now, readings[2]);
	/* The one after it is compared with it, however short the interval is. */
	usleep(TOP_LEAST_US + 10000);
	top_source_keep(&source, readings[3] = reading_at(3));
	assert_ptr_equal(source.before, readings[2]);
	assert_ptr_equal(source.now, readings[3]);
	/* A saved guest is compared with nothing. */
	source.options.live = false;
	top_source_keep(&source, reading_at(4));
	assert_null(source.before);
	top_source_stop(&source);
}

/* ---- On their way ---------------------------------------------------------------------------- */

static uint8_t *sent(const struct top_reading *reading, size_t *ret_size)
{
	uint8_t *data = malloc(65536);
	ssize_t size;
	int ends[2];

	assert_non_null(data);
	assert_int_equal(pipe(ends), 0);
	assert_true(top_reading_send(reading, ends[1]));
	close(ends[1]);
	size = read(ends[0], data, 65536);
	close(ends[0]);
	assert_true(size > 0);
	*ret_size = (size_t)size;
	return data;
}

static void test_frames(void **state)
{
	struct top_reading *reading = reading_at(1234), *copy;
	const char *text;
	uint8_t *data;
	size_t size, text_size;

	(void)state;
	add_cpu(reading, 3, 1, 2);
	add_task(reading, 7, 1, 9, "seven");
	data = sent(reading, &size);
	assert_int_equal(top_reading_size(data, 8), 0);
	assert_int_equal(top_reading_size(data, size), size);
	assert_null(top_reading_decode(data, size - 1));
	copy = top_reading_decode(data, size);
	assert_non_null(copy);
	assert_int_equal(copy->general.uptime_ms.value, 1234);
	assert_int_equal(copy->cpus[0].core, 3);
	text = top_reading_text(copy, &copy->tasks[0].command, &text_size);
	assert_int_equal(text_size, 5);
	assert_memory_equal(text, "seven", 5);
	/* Texts that do not lie in what came. */
	copy->tasks[0].command.size = UINT32_MAX;
	top_reading_text(copy, &copy->tasks[0].command, &text_size);
	assert_int_equal(text_size, 0);
	copy->tasks[0].command = (struct top_text){UINT32_MAX, 1, TOP_KNOWN};
	top_reading_text(copy, &copy->tasks[0].command, &text_size);
	assert_int_equal(text_size, 0);
	top_reading_destroy(copy);
	/* Two texts at one place, which could be any number at a long one. */
	reading->tasks[0].name = reading->tasks[0].command;
	reading->text_size = 5;
	free(data);
	data = sent(reading, &size);
	assert_null(top_reading_decode(data, size));
	/* More CPUs than a kernel can have, a count that no guest has, and what is no reading. */
	memcpy(data + 4, &(uint32_t){8193}, 4);
	assert_int_equal(top_reading_size(data, size), SIZE_MAX);
	memset(data + 4, 0xff, 4);
	assert_int_equal(top_reading_size(data, size), SIZE_MAX);
	memset(data, 0, 4);
	assert_int_equal(top_reading_size(data, size), SIZE_MAX);
	free(data);
	top_reading_destroy(reading);
}

/* ---- As text --------------------------------------------------------------------------------- */

static void check_command(struct top_reading *reading, const struct top_task *task,
			  const char *expected)
{
	_cleanup_buffer_ struct buffer text = {0};

	top_text_command(reading, task, &text);
	assert_string_equal(buffer_string(&text), expected);
}

/* What a process calls itself neither reaches the terminal nor passes for a kernel thread. */
static void test_hostile_text(void **state)
{
	struct top_reading *reading = reading_at(1);
	struct top_task *task;

	(void)state;
	check_command(reading, add_task(reading, 1, 0, 0, "a\033[2Jb\n"), "a\\x1b[2Jb\\n");
	check_command(reading, add_task(reading, 2, 0, 0, "[kthreadd]"), "\"[kthreadd]\"");
	check_command(reading, add_task(reading, 3, 0, 0, "x <paged out>"), "\"x <paged out>\"");
	task = add_task(reading, 4, 0, 0, "kthreadd");
	task->is_kernel = true;
	task->command.absence = NUNCHI_ABSENT_NOT_APPLICABLE;
	check_command(reading, task, "[kthreadd]");
	task = add_task(reading, 5, 0, 0, "gone");
	task->command.absence = NUNCHI_ABSENT_PAGED_OUT;
	check_command(reading, task, "gone <paged out>");
	top_reading_destroy(reading);
}

static void check_cell(void (*write)(struct top_cell cell, char ret[TOP_CELL_SIZE]), int64_t value,
		       const char *expected)
{
	char text[TOP_CELL_SIZE];

	write(known(value), text);
	assert_string_equal(text, expected);
}

static void test_cells(void **state)
{
	const struct top_cell none = {.absence = NUNCHI_ABSENT_NO_LAYOUT};
	char text[TOP_CELL_SIZE];

	(void)state;
	check_cell(top_text_size, 0, "0B");
	check_cell(top_text_size, 999, "999B");
	check_cell(top_text_size, 4096, "4.0K");
	check_cell(top_text_size, 1014079488, "967M");
	check_cell(top_text_size, INT64_MAX, "8.0E");
	check_cell(top_text_time, 754560, "12:34.56");
	check_cell(top_text_time, INT64_C(100) * 3600 * 1000, "100h00");
	check_cell(top_text_uptime, INT64_C(3) * 86400000 + 8110000, "3 d 02:15:10");
	check_cell(top_text_number, -5, "-5");
	top_text_size(none, text);
	assert_string_equal(text, "-");
}

/* JSON keeps why a cell has no value, and escapes what it holds. */
static void test_json(void **state)
{
	struct top_reading *reading = reading_at(1500);
	_cleanup_buffer_ struct buffer text = {0};
	struct top_model model = {0};

	(void)state;
	add_cpu(reading, 0, 1, 2);
	add_task(reading, 1, 0, 10, "say \"\xff\"");
	update(&model, reading, NULL, &by_cpu);
	assert_null(top_batch_json("qemu:x", reading, &model, &text));
	assert_non_null(strstr(buffer_string(&text), "{\"target\":\"qemu:x\","));
	assert_non_null(strstr(buffer_string(&text), "\"uptime\":1500,"));
	assert_non_null(strstr(buffer_string(&text), "\"cpu_percent\":null,"));
	assert_non_null(strstr(buffer_string(&text), "\"cpu_percent\":\"not computed\""));
	assert_non_null(strstr(buffer_string(&text), "\"raw\":{"));
	assert_non_null(strstr(buffer_string(&text), ",\"warnings\":[]}\n"));
	assert_string_equal(text.data + text.size - 2, "}\n");
	top_model_deinit(&model);
	top_reading_destroy(reading);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares),       cmocka_unit_test(test_damaged_counters),
	    cmocka_unit_test(test_slow_reading), cmocka_unit_test(test_order),
	    cmocka_unit_test(test_many),         cmocka_unit_test(test_one_id),
	    cmocka_unit_test(test_comparison),   cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_cells),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
