/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tasks, what is derived from them, and the views on them where a kernel's types lack fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/clock.h"
#include "guest/linux/path.h"
#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"
#include "view/cursor.h"

#include "toy_kernel.h"

#define L (&toy->kernel.layout)

/* Offsets of the test's task_struct. */
enum { TGID = 20, FLAGS = 24, STATE = 32, EXIT_STATE = 40, COMM = 48 };

/* ---- Walks of some processes -------------------------------------------------------------------
 */

enum { FILTERED = 40 };

/* Walks those that pass; how many bytes of them all, besides their list, were read. */
static uint64_t walk_filtered(struct toy *toy, const struct number_filter *filter,
			      const int64_t *wanted, size_t count)
{
	uint64_t before = memory_stats(toy->memory).bytes_read, links;
	_cleanup_object_ struct object task = {0};
	struct linux_tasks walk;
	size_t given = 0;

	/* The first walk to a single process goes over the list. */
	toy->kernel.task_index.asked = 0;
	assert_null(linux_tasks_init(&walk, &toy->kernel, filter));
	while (linux_tasks_next(&walk, &task)) {
		assert_true(given < count);
		assert_int_equal(object_s64(&task, &L->task_pid), wanted[given++]);
	}
	assert_int_equal(given, count);
	assert_false(walk.list.broken);
	/* Each step of the list reads a link and the link back; the last one leads to the head. */
	links = (walk.list.count + (walk.left > 0)) * 16;
	linux_tasks_deinit(&walk);
	return memory_stats(toy->memory).bytes_read - before - links;
}

/* Of a process that does not pass only its id is read, and nothing behind the last that can. */
static void test_filtered_walk(void **state)
{
	static const int64_t some[] = {3, 5, 7, 200}, list_gives[] = {3, 5, 7}, one[] = {5},
			     last[] = {38, 39};
	const struct number_filter any = NUMBER_FILTER_ANY, equal = NUMBER_FILTER_EQUAL(5);
	struct number_filter list = any, range = any, none = NUMBER_FILTER_EQUAL(-1);
	struct toy *toy = *state;
	uint64_t tasks[FILTERED], whole = 4096;

	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_flags, (unsigned)whole - 4, 4);
	for (size_t i = 0; i < FILTERED; i++)
		tasks[i] = toy_alloc(toy, whole);
	toy_link_tasks(toy, tasks, FILTERED);
	list.values = some;
	list.count = 3;
	/* From then on the translation is kept. */
	walk_filtered(toy, &none, NULL, 0);
	/* Those up to 7 were asked for their ids. */
	assert_int_equal(walk_filtered(toy, &list, list_gives, 3), 3 * whole + 7 * 4);
	assert_int_equal(walk_filtered(toy, &equal, one, 1), whole + 5 * 4);
	/* One that is not there is looked for to the end. */
	list.count = 4;
	assert_int_equal(walk_filtered(toy, &list, list_gives, 3), 3 * whole + 39 * 4);
	number_filter_narrow(&range, 38, INT64_MAX);
	assert_int_equal(walk_filtered(toy, &range, last, 2), 2 * whole + 39 * 4);
	assert_int_equal(walk_filtered(toy, &none, NULL, 0), 39 * 4);
	number_filter_narrow(&range, 1, 0);
	assert_int_equal(walk_filtered(toy, &range, NULL, 0), 0);
	/* On a running guest the walk goes on: an exec may put another task in the place of one. */
	toy->kernel.guest.live = true;
	assert_true(walk_filtered(toy, &equal, one, 1) > whole + 39 * 4);
}

/* The address of the process that a walk to this id gives, 0 if none; then whether it warns. */
static uint64_t walk_to(struct toy *toy, int64_t id, bool *ret_warns)
{
	const struct number_filter filter = NUMBER_FILTER_EQUAL(id);
	_cleanup_object_ struct object task = {0}, more = {0};
	struct linux_tasks walk;
	uint64_t address = 0;

	assert_null(linux_tasks_init(&walk, &toy->kernel, &filter));
	if (linux_tasks_next(&walk, &task))
		address = task.address;
	assert_false(linux_tasks_next(&walk, &more));
	*ret_warns = walk.list.broken || walk.unread;
	linux_tasks_deinit(&walk);
	return address;
}

/* A walk to each id gives the same process and warning, whether it is the first one or a later one.
 */
static void compare_walks(struct toy *toy)
{
	bool warns, later_warns;

	memory_new_generation(toy->memory);
	walk_to(toy, -1, &warns);
	walk_to(toy, -1, &warns);
	for (int64_t id = -2; id < FILTERED + 2; id++) {
		uint64_t later = walk_to(toy, id, &later_warns);
		unsigned asked = toy->kernel.task_index.asked;
		bool complete = toy->kernel.task_index.complete;

		toy->kernel.task_index.asked = 0;
		toy->kernel.task_index.complete = false;
		assert_int_equal(walk_to(toy, id, &warns), later);
		assert_int_equal(warns, later_warns);
		toy->kernel.task_index.asked = asked;
		toy->kernel.task_index.complete = complete;
	}
}

/* The second walk to a single process makes an index, by which it is found, and so are later ones.
 */
static void test_processes_by_id(void **state)
{
	struct toy *toy = *state;
	uint64_t tasks[FILTERED], before;
	bool warns;

	toy_task_layout(toy);
	for (size_t i = 0; i < FILTERED; i++)
		tasks[i] = toy_alloc(toy, 256);
	toy_link_tasks(toy, tasks, FILTERED);
	compare_walks(toy);
	assert_true(toy->kernel.task_index.complete);
	before = memory_stats(toy->memory).bytes_read;
	assert_int_equal(walk_to(toy, 39, &warns), tasks[39]);
	assert_in_range(memory_stats(toy->memory).bytes_read - before, 1, 256);
	/* Two processes of one id: the first one. */
	toy_set(toy, tasks[20], &L->task_pid, 5);
	compare_walks(toy);
	assert_int_equal(walk_to(toy, 5, &warns), tasks[5]);
	assert_int_equal(walk_to(toy, 20, &warns), 0);
	/* In the next generation another process may have the id. */
	toy_set(toy, tasks[20], &L->task_pid, 20);
	toy_set(toy, tasks[5], &L->task_pid, 500);
	memory_new_generation(toy->memory);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(walk_to(toy, 5, &warns), 0);
		assert_int_equal(walk_to(toy, 500, &warns), tasks[5]);
	}
	/* A running guest has no index: an id may change at any moment. */
	toy->kernel.guest.live = true;
	toy_set(toy, tasks[5], &L->task_pid, 5);
	assert_int_equal(walk_to(toy, 5, &warns), tasks[5]);
	toy->kernel.guest.live = false;
	/* A list that leads to nowhere is walked each time, which says so. */
	toy_put(toy, tasks[30] + TOY_TASKS, 8, 8);
	compare_walks(toy);
	assert_false(toy->kernel.task_index.complete);
	assert_int_equal(walk_to(toy, 29, &warns), tasks[29]);
	assert_int_equal(walk_to(toy, 35, &warns), 0);
	assert_true(warns);
}

/* ---- Lists without end -------------------------------------------------------------------------
 */

enum { LONG_LIST = 6000 };

/* A list of processes that is longer than any that is looked through for process 1. */
static void make_long_list(struct toy *toy)
{
	static uint64_t tasks[LONG_LIST];

	toy_task_layout(toy);
	for (size_t i = 0; i < LONG_LIST; i++)
		tasks[i] = toy_alloc(toy, 256);
	toy_link_tasks(toy, tasks, LONG_LIST);
	/* Process 1, which the kernel makes first, is the last one here. */
	for (size_t i = 0; i < LONG_LIST; i++)
		toy_set(toy, tasks[i], &L->task_pid, i == LONG_LIST - 1 ? 1 : i + 2);
}

/* The first row's path needs the root of process 1: the time of ps must not go into that. */
static void test_init_is_not_sought_for_ever(void **state)
{
	struct toy *toy = *state;
	struct linux_path root;
	uint64_t before;

	make_long_list(toy);
	before = memory_stats(toy->memory).bytes_read;
	assert_int_equal(linux_init_root(&toy->kernel, &root), READ_LIMIT);
	/* A step reads 16 bytes of links and 4 of the id. */
	assert_in_range(memory_stats(toy->memory).bytes_read - before, 1, 5000 * 20);
}

/* A walk ends when the query's time is over, whether it has given anything or not. */
static void test_walk_ends_in_time(void **state)
{
	const struct number_filter none = NUMBER_FILTER_EQUAL(-1);
	struct toy *toy = *state;
	_cleanup_object_ struct object task = {0};
	struct linux_tasks walk;

	make_long_list(toy);
	for (int i = 0; i < 2; i++) {
		toy->kernel.guest.live = true;
		toy->kernel.guest.until_us = i ? 1 : CLOCK_NEVER;
		toy->kernel.guest.late = false;
		assert_null(linux_tasks_init(&walk, &toy->kernel, &none));
		assert_false(linux_tasks_next(&walk, &task));
		assert_int_equal(toy->kernel.guest.late, i);
		assert_int_equal(walk.list.broken, i ? READ_LIMIT : READ_OK);
		assert_true(i ? walk.list.count < 100 : walk.list.count == LONG_LIST - 1);
		linux_tasks_deinit(&walk);
	}
}

/* ---- State ----------------------------------------------------------------------------------- */

static void has_state(struct toy *toy, uint64_t task_state, uint64_t exit_state, char letter)
{
	uint8_t bytes[64] = {0};
	struct object task = {.data = bytes, .size = sizeof(bytes)};

	memcpy(bytes + STATE, &task_state, 8);
	memcpy(bytes + EXIT_STATE, &exit_state, 4);
	assert_int_equal(linux_task_state(&toy->kernel, &task), letter);
}

static void test_states(void **state)
{
	struct toy *toy = *state;

	toy_field(toy, LAYOUT_task, &L->task_state, STATE, 8);
	toy_field(toy, LAYOUT_task, &L->task_exit_state, EXIT_STATE, 4);
	has_state(toy, 0, 0, 'R');
	has_state(toy, 1, 0, 'S');
	has_state(toy, 2, 0, 'D');
	has_state(toy, 4, 0, 'T');
	has_state(toy, 8, 0, 't');
	has_state(toy, 0, 0x10, 'X');
	has_state(toy, 0, 0x20, 'Z');
	has_state(toy, 0x40, 0, 'P');
	has_state(toy, 0x402, 0, 'I');
	has_state(toy, 0x8000, 0, 'D'); /* frozen */
	has_state(toy, 0x1000, 0, 'D'); /* waits for a lock, PREEMPT_RT */
	has_state(toy, 0x102, 0, 'D');  /* killable */
	/* Anything at all has a letter. */
	has_state(toy, UINT64_MAX, UINT32_MAX, 'I');
	has_state(toy, 0xfffffffffffffbff, 0, 'D');
}

/* ---- Processes of which little is known ------------------------------------------------------ */

static const struct nunchi_cell *only_row(struct toy *toy, const char *name, uint64_t limit,
					  struct view_cursor **ret)
{
	struct target *target = calloc(1, sizeof(*target));
	struct view_source source = {.kernel = &toy->kernel.guest, .target = target};
	struct nunchi_query query = {.size = sizeof(query), .limit = limit};
	struct nunchi_error *err = view_cursor_create(&source, view_find(name), &query, ret);
	const struct nunchi_cell *cells = NULL;
	bool torn;

	if (!err)
		err = view_cursor_next(*ret, &cells, &torn);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	free(target);
	return cells;
}

/*
 * A field that is missing is said to be; it is no 0, and no reason of another kind, but for paths,
 * which lead through many structures.
 */
static void check_columns(struct toy *toy, const char *view, const char *const *known)
{
	struct view_cursor *cursor;
	const struct nunchi_cell *cells = only_row(toy, view, 1, &cursor);
	const struct nunchi_column *const *columns;
	size_t count;

	columns = view_cursor_columns(cursor, &count);
	for (size_t i = 0; i < count; i++) {
		bool is_known = false;

		for (size_t j = 0; known[j]; j++)
			is_known |= !strcmp(columns[i]->name, known[j]);
		if (is_known != (cells[i].kind == NUNCHI_CELL_VALUE))
			fail_msg("%s.%s is %s", view, columns[i]->name,
				 is_known ? "absent" : "there");
		if (!is_known && cells[i].absence != NUNCHI_ABSENT_NO_LAYOUT &&
		    !strstr("cwd root cgroup_path", columns[i]->name))
			fail_msg("%s.%s: absence %d", view, columns[i]->name, cells[i].absence);
	}
	view_cursor_destroy(cursor);
}

static void test_processes_without_layout(void **state)
{
	static const char *const known[] = {"pid", "task", NULL};
	struct toy *toy = *state;
	uint64_t tasks[] = {toy_alloc(toy, 512), toy_alloc(toy, 512)};

	toy_task_layout(toy);
	toy_link_tasks(toy, tasks, 2);
	check_columns(toy, "processes", known);
}

/* The same with the pointers of a task, but not what they point to. */
static void test_processes_with_pointers_alone(void **state)
{
	static const char *const known[] = {"pid", "task", "is_kernel_thread", "name", NULL};
	struct toy *toy = *state;
	struct field *pointers[] = {&L->task_mm,      &L->task_real_parent, &L->task_real_cred,
				    &L->task_fs,      &L->task_signal,      &L->task_cgroups,
				    &L->task_nsproxy, &L->task_thread_pid};
	uint64_t tasks[] = {toy_alloc(toy, 512), toy_alloc(toy, 512)};

	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_flags, FLAGS, 4);
	toy_field(toy, LAYOUT_task, &L->task_comm, COMM, 16);
	toy_link_tasks(toy, tasks, 2);
	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		toy_field(toy, LAYOUT_task, pointers[i], 128 + 8 * (unsigned)i, 8);
		toy_set(toy, tasks[1], pointers[i], toy_alloc(toy, 512));
	}
	check_columns(toy, "processes", known);
}

/* The first process's cells of these columns (NULL: all); how many bytes that read. */
static uint64_t query_columns(struct toy *toy, const char *const *names, size_t count, bool live,
			      struct view_cursor **ret, const struct nunchi_cell **ret_cells)
{
	struct target target = {.live = live, .memory = toy->memory};
	struct view_source source = {
	    .kernel = &toy->kernel.guest, .target = &target, .pause = NUNCHI_PAUSE_NEVER};
	struct nunchi_query query = {
	    .size = sizeof(query), .columns = names, .column_count = count};
	uint64_t before = memory_stats(toy->memory).bytes_read;
	bool torn;

	toy->kernel.guest.live = live;
	assert_null(view_cursor_create(&source, view_find("processes"), &query, ret));
	assert_null(view_cursor_next(*ret, ret_cells, &torn));
	assert_false(torn);
	return memory_stats(toy->memory).bytes_read - before;
}

/* A column that is asked for alone, for which only a part of the task is read, is the same. */
static void test_each_column_alone(void **state)
{
	struct toy *toy = *state;
	const struct {
		struct field *field;
		unsigned size;
		uint64_t value;
	} fields[] = {
	    {&L->task_flags, 4, 0},       {&L->task_kthread, 8, 0},
	    {&L->task_mm, 8, 0},          {&L->task_state, 4, 2},
	    {&L->task_exit_state, 4, 0},  {&L->task_fs, 8, 0},
	    {&L->task_real_cred, 8, 1},   {&L->task_signal, 8, 1},
	    {&L->task_utime, 8, 9},       {&L->task_stime, 8, 9},
	    {&L->task_runtime, 8, 9},     {&L->task_start_boottime, 8, 9},
	    {&L->task_real_parent, 8, 0}, {&L->task_static_prio, 4, 115},
	    {&L->task_cgroups, 8, 0},     {&L->task_thread_pid, 8, 0},
	    {&L->task_nsproxy, 8, 0},     {&L->task_tgid, 4, 1},
	};
	enum { APART = 400, SIZE = APART * (ARRAY_SIZE(fields) + 2) };
	uint64_t tasks[] = {toy_alloc(toy, SIZE), toy_alloc(toy, SIZE)};
	size_t count = view_find("processes")->schema.column_count;

	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_comm, COMM, 16);
	toy_link_tasks(toy, tasks, 2);
	toy_put_bytes(toy, tasks[1] + COMM, "toy", 4);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		toy_field(toy, LAYOUT_task, fields[i].field, APART * ((unsigned)i + 1),
			  fields[i].size);
		toy_set(toy, tasks[1], fields[i].field, fields[i].value);
	}
	for (size_t i = 0; i < 2 * count; i++) {
		const struct nunchi_column *column = &view_find("processes")->schema.columns[i / 2];
		const struct nunchi_cell *whole, *alone;
		struct view_cursor *all, *one;

		query_columns(toy, NULL, 0, i & 1, &all, &whole);
		query_columns(toy, &column->name, 1, i & 1, &one, &alone);
		whole += i / 2;
		if (whole->kind != alone->kind || whole->integer != alone->integer ||
		    whole->address != alone->address || whole->text_size != alone->text_size ||
		    (whole->kind == NUNCHI_CELL_ABSENT && whole->absence != alone->absence))
			fail_msg("%s is another alone", column->name);
		view_cursor_destroy(all);
		view_cursor_destroy(one);
	}
}

/* What a list of ids and names reads of each process: fields, and no whole task. */
static void test_few_columns_read_little(void **state)
{
	static const char *const names[] = {"pid", "name"};
	enum { SIZE = 9000 };
	struct toy *toy = *state;
	uint64_t tasks[] = {toy_alloc(toy, SIZE), toy_alloc(toy, SIZE)};
	const struct nunchi_cell *cells;
	struct view_cursor *cursor;

	toy_task_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_flags, 44, 4);
	toy_field(toy, LAYOUT_task, &L->task_comm, 3000, 16);
	toy_field(toy, LAYOUT_task, &L->task_kthread, 3400, 8);
	toy_field(toy, LAYOUT_task, &L->task_cgroups, SIZE - 8, 8);
	toy_link_tasks(toy, tasks, 2);
	toy_put_bytes(toy, tasks[1] + 3000, "toy", 4);
	assert_true(query_columns(toy, names, 2, false, &cursor, &cells) < 300);
	assert_int_equal(cells[0].integer, 1);
	assert_memory_equal(cells[1].text, "toy", 3);
	view_cursor_destroy(cursor);
	/* Settled on a running guest, by what tells the task from others as well. */
	assert_true(query_columns(toy, names, 2, true, &cursor, &cells) < 600);
	view_cursor_destroy(cursor);
	/* Of init alone all is read, to know the root directory. */
	assert_true(query_columns(toy, NULL, 0, false, &cursor, &cells) < SIZE + 1500);
	view_cursor_destroy(cursor);
}

static void test_threads_without_layout(void **state)
{
	static const char *const known[] = {"tid", "task", NULL};
	static const char *const alone[] = {"tid", "task", "cpu", NULL};
	struct toy *toy = *state;
	uint64_t tasks[] = {toy_alloc(toy, 512), toy_alloc(toy, 512)}, signal = toy_alloc(toy, 512);
	struct view_source source = {.kernel = &toy->kernel.guest};
	struct target target = {0};
	struct view_cursor *cursor;
	struct nunchi_error *err;

	toy_task_layout(toy);
	toy_link_tasks(toy, tasks, 2);
	source.target = &target;
	err = view_cursor_create(&source, view_find("threads"), NULL, &cursor);
	assert_non_null(err);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	nunchi_error_destroy(err);
	toy_field(toy, LAYOUT_task, &L->task_signal, 128, 8);
	toy_field(toy, LAYOUT_task, &L->task_thread_node, 136, 16);
	toy_field(toy, LAYOUT_signal, &L->signal_thread_head, 32, 16);
	toy_set(toy, tasks[1], &L->task_signal, signal);
	toy_put(toy, signal + 32, tasks[1] + 136, 8);
	toy_put(toy, signal + 40, tasks[1] + 136, 8);
	toy_put(toy, tasks[1] + 136, signal + 32, 8);
	toy_put(toy, tasks[1] + 144, signal + 32, 8);
	snprintf(toy->kernel.banner, sizeof(toy->kernel.banner), "Linux version 6.1 #1 SMP today");
	check_columns(toy, "threads", known);
	/* Without SMP there is one CPU, and no field for it. */
	snprintf(toy->kernel.banner, sizeof(toy->kernel.banner), "Linux version 6.1 #1 today");
	check_columns(toy, "threads", alone);
}

/* A process that has ended keeps its signal_struct: without one its threads are missing. */
static void test_threads_of_a_damaged_zombie(void **state)
{
	enum { PF_EXITING = 4 };
	struct toy *toy = *state;
	uint64_t tasks[] = {toy_alloc(toy, 512), toy_alloc(toy, 512)};
	struct target target = {0};
	struct view_source source = {.kernel = &toy->kernel.guest, .target = &target};
	const struct nunchi_cell *cells;
	struct view_cursor *cursor;
	bool torn;

	toy_task_layout(toy);
	toy_link_tasks(toy, tasks, 2);
	toy_field(toy, LAYOUT_task, &L->task_flags, FLAGS, 4);
	toy_field(toy, LAYOUT_task, &L->task_signal, 128, 8);
	toy_field(toy, LAYOUT_task, &L->task_thread_node, 136, 16);
	toy_field(toy, LAYOUT_signal, &L->signal_thread_head, 32, 16);
	toy_set(toy, tasks[1], &L->task_flags, PF_EXITING);
	assert_null(view_cursor_create(&source, view_find("threads"), NULL, &cursor));
	assert_ptr_equal(view_cursor_next(cursor, &cells, &torn), &error_stop);
	assert_non_null(view_cursor_warning(cursor, 0));
	assert_non_null(strstr(view_cursor_warning(cursor, 0), "its threads cannot be found"));
	view_cursor_destroy(cursor);
}

static void test_modules_without_layout(void **state)
{
	static const char *const known[] = {"module", NULL};
	struct toy *toy = *state;
	uint64_t head = toy_alloc(toy, 16), module = toy_alloc(toy, 512);

	toy_field(toy, LAYOUT_module, &L->module_list, 64, 16);
	toy->kernel.symbol[LINUX_modules] = head;
	toy_put(toy, head, module + 64, 8);
	toy_put(toy, head + 8, module + 64, 8);
	toy_put(toy, module + 64, head, 8);
	toy_put(toy, module + 72, head, 8);
	check_columns(toy, "kernel_modules", known);
}

/* Values at the edge of what a number holds, from types that make a field too wide. */
static void test_numbers_at_the_edge(void **state)
{
	struct toy *toy = *state;
	uint64_t tasks[] = {toy_alloc(toy, 512), toy_alloc(toy, 512)};
	struct view_cursor *cursor;

	toy_task_layout(toy);
	toy_link_tasks(toy, tasks, 2);
	toy_field(toy, LAYOUT_task, &L->task_static_prio, 128, 8);
	toy_set(toy, tasks[1], &L->task_static_prio, 0x8000000000000000);
	only_row(toy, "processes", 1, &cursor);
	view_cursor_destroy(cursor);
}

/* ---- Sizes and times ------------------------------------------------------------------------- */

static void test_resident_counters(void **state)
{
	struct toy *toy = *state;
	struct object mm = {.address = toy_alloc(toy, 64)};
	uint64_t pages = 77;

	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), READ_NO_LAYOUT);
	assert_int_equal(pages, 77);
	toy_field(toy, LAYOUT_mm, &L->mm_rss_counts, 0, 32);
	toy_put(toy, mm.address, 10, 8);
	toy_put(toy, mm.address + 8, 20, 8);
	toy_put(toy, mm.address + 16, 1000, 8); /* swapped out */
	toy_put(toy, mm.address + 24, 5, 8);
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), MEMORY_OK);
	assert_int_equal(pages, 35);
	/* Below zero for a moment. */
	toy_put(toy, mm.address + 8, (uint64_t)-3, 8);
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), MEMORY_OK);
	assert_int_equal(pages, 15);
	/* Nonsense is added as it is. */
	toy_put(toy, mm.address, INT64_MAX, 8);
	toy_put(toy, mm.address + 8, INT64_MAX, 8);
	toy_put(toy, mm.address + 24, INT64_MAX, 8);
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), MEMORY_OK);
	assert_int_equal(pages, 3 * (uint64_t)INT64_MAX);
}

static void test_resident_per_cpu(void **state)
{
	struct toy *toy = *state;
	struct object mm = {.address = toy_alloc(toy, 256)};
	uint64_t offsets = toy_alloc(toy, 16), areas = toy_alloc(toy, 4096), cpus;
	uint64_t pages;

	toy_field(toy, LAYOUT_mm, &L->mm_rss_percpu, 0, 128);
	toy_field(toy, LAYOUT_percpu_counter, &L->percpu_counter_count, 8, 8);
	toy_field(toy, LAYOUT_percpu_counter, &L->percpu_counter_counters, 16, 8);
	L->size[LAYOUT_percpu_counter] = 32;
	toy_put(toy, mm.address + 8, 100, 8);
	toy_put(toy, mm.address + 16, 0x40, 8); /* an offset, which the CPUs' own are added to */
	/* How many CPUs there are is not known: then neither is the sum. */
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), READ_NO_SYMBOL);
	cpus = toy_alloc(toy, 4);
	toy->kernel.symbol[LINUX_nr_cpu_ids] = cpus;
	toy_put(toy, cpus, 2, 4);
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), READ_NO_SYMBOL);
	toy->kernel.symbol[LINUX_per_cpu_offset] = offsets;
	toy_put(toy, offsets, areas, 8);
	toy_put(toy, offsets + 8, areas + 2048, 8);
	toy_put(toy, areas + 0x40, 7, 4);
	toy_put(toy, areas + 2048 + 0x40, (uint32_t)-2, 4);
	assert_int_equal(linux_process_resident(&toy->kernel, &mm, &pages), MEMORY_OK);
	assert_int_equal(pages, 105);
}

static void times_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_task, &L->task_utime, 128, 8);
	toy_field(toy, LAYOUT_task, &L->task_stime, 136, 8);
	toy_field(toy, LAYOUT_task, &L->task_runtime, 144, 8);
	toy_field(toy, LAYOUT_task, &L->task_signal, 152, 8);
	toy_field(toy, LAYOUT_task, &L->task_thread_node, 160, 16);
	toy_field(toy, LAYOUT_signal, &L->signal_nr_threads, 0, 4);
	toy_field(toy, LAYOUT_signal, &L->signal_thread_head, 8, 16);
	toy_field(toy, LAYOUT_signal, &L->signal_utime, 32, 8);
	toy_field(toy, LAYOUT_signal, &L->signal_stime, 40, 8);
	toy_field(toy, LAYOUT_signal, &L->signal_runtime, 48, 8);
	toy_field(toy, LAYOUT_signal, &L->signal_prev_utime, 56, 8);
	toy_field(toy, LAYOUT_signal, &L->signal_prev_stime, 64, 8);
}

/* Two processes whose threads are the same list: what is looked at in all has a bound. */
static void test_cpu_time_of_threads(void **state)
{
	struct toy *toy = *state;
	uint64_t task[] = {toy_alloc(toy, 256), toy_alloc(toy, 256)}, at = toy_alloc(toy, 128);
	_cleanup_object_ struct object leader = {0}, signal = {0};
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_cpu_time time;
	uint64_t left = 5;

	toy_task_layout(toy);
	times_layout(toy);
	for (size_t i = 0; i < 2; i++) {
		toy_set(toy, task[i], &L->task_utime, 100);
		toy_set(toy, task[i], &L->task_stime, 300);
		toy_set(toy, task[i], &L->task_runtime, 500);
		toy_set(toy, task[i], &L->task_signal, at);
	}
	toy_put(toy, at + 8, task[0] + 160, 8);
	toy_put(toy, task[0] + 160, task[1] + 160, 8);
	toy_put(toy, task[1] + 160, at + 8, 8);
	toy_put(toy, at + 16, task[1] + 160, 8);
	toy_put(toy, task[1] + 168, task[0] + 160, 8);
	toy_put(toy, task[0] + 168, at + 8, 8);
	toy_set(toy, at, &L->signal_nr_threads, 2);
	toy_set(toy, at, &L->signal_runtime, 200);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task[0], &leader), READ_OK);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_signal, at, &signal), READ_OK);
	/* 1200 that it ran, divided as 200 : 600 ticks. */
	assert_int_equal(
	    linux_process_cpu_time(&toy->kernel, &leader, &signal, &seen, &left, &time), READ_OK);
	assert_int_equal(time.user, 300);
	assert_int_equal(time.system, 900);
	assert_int_equal(left, 3);
	assert_int_equal(
	    linux_process_cpu_time(&toy->kernel, &leader, &signal, &seen, &left, &time), READ_OK);
	assert_int_equal(left, 1);
	assert_int_equal(
	    linux_process_cpu_time(&toy->kernel, &leader, &signal, &seen, &left, &time),
	    READ_LIMIT);
	assert_int_equal(left, 0);
	/* A list that is broken gives no part of the sum. */
	left = 100;
	toy_put(toy, task[0] + 160, 0, 8);
	assert_int_equal(
	    linux_process_cpu_time(&toy->kernel, &leader, &signal, &seen, &left, &time),
	    READ_NOT_MAPPED);
	L->task_stime.present = false;
	assert_int_equal(
	    linux_process_cpu_time(&toy->kernel, &leader, &signal, &seen, &left, &time),
	    READ_NO_LAYOUT);
}

/* A process with two threads, of which the first has ended. */
static void test_process_mm(void **state)
{
	struct toy *toy = *state;
	uint64_t task[] = {toy_alloc(toy, 256), toy_alloc(toy, 256)}, at = toy_alloc(toy, 128), mm;
	_cleanup_object_ struct object process = {0};

	toy_task_layout(toy);
	times_layout(toy);
	toy_field(toy, LAYOUT_task, &L->task_mm, 176, 8);
	toy_field(toy, LAYOUT_task, &L->task_active_mm, 184, 8);
	for (size_t i = 0; i < 2; i++)
		toy_set(toy, task[i], &L->task_signal, at);
	toy_put(toy, at + 8, task[0] + 160, 8);
	toy_put(toy, task[0] + 160, task[1] + 160, 8);
	toy_put(toy, task[1] + 160, at + 8, 8);
	toy_put(toy, at + 16, task[1] + 160, 8);
	toy_put(toy, task[1] + 168, task[0] + 160, 8);
	toy_put(toy, task[0] + 168, at + 8, 8);
	toy_set(toy, at, &L->signal_nr_threads, 2);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task[0], &process), READ_OK);
	assert_int_equal(linux_process_mm(&toy->kernel, &process, &mm), READ_NONE);
	toy_set(toy, task[1], &L->task_mm, at);
	toy_set(toy, task[1], &L->task_active_mm, at);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task[0], &process), READ_OK);
	assert_int_equal(linux_process_mm(&toy->kernel, &process, &mm), READ_OK);
	assert_int_equal(mm, at);
	assert_int_equal(process.address, task[1]);
	/* One word of the two is changed. */
	toy_set(toy, task[1], &L->task_mm, at + 8);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task[1], &process), READ_OK);
	assert_int_equal(linux_process_mm(&toy->kernel, &process, &mm), READ_BAD_DATA);
	toy->kernel.guest.live = true;
	assert_int_equal(linux_process_mm(&toy->kernel, &process, &mm), READ_OK);
	toy->kernel.guest.live = false;
	/* None of the threads can be found. */
	toy_put(toy, task[0] + 160, 0, 8);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task[0], &process), READ_OK);
	assert_int_equal(linux_process_mm(&toy->kernel, &process, &mm), READ_NOT_MAPPED);
}

static void test_pid_namespace(void **state)
{
	struct toy *toy = *state;
	uint64_t pid = toy_alloc(toy, 128), space = toy_alloc(toy, 64), inum = 77;

	toy_field(toy, LAYOUT_pid, &L->pid_level, 0, 4);
	toy_field(toy, LAYOUT_pid, &L->pid_namespace, 24, 8);
	toy_field(toy, LAYOUT_pid_namespace, &L->pid_namespace_inum, 8, 4);
	assert_int_equal(linux_pid_namespace(&toy->kernel, pid, &inum), READ_NO_LAYOUT);
	L->size[LAYOUT_upid] = 16;
	toy_put(toy, pid, 2, 4);
	toy_put(toy, pid + 24 + 2 * 16, space, 8);
	toy_put(toy, space + 8, 4026531836, 4);
	assert_int_equal(linux_pid_namespace(&toy->kernel, pid, &inum), MEMORY_OK);
	assert_int_equal(inum, 4026531836);
	toy_put(toy, space + 8, 0, 4);
	assert_int_equal(linux_pid_namespace(&toy->kernel, pid, &inum), READ_BAD_DATA);
	toy_put(toy, pid, 33, 4);
	assert_int_equal(linux_pid_namespace(&toy->kernel, pid, &inum), READ_BAD_DATA);
}

/* ---- Names ------------------------------------------------------------------------------------
 */

enum { NAME_FLAGS = 40, NAME_COMM = 48, NAME_KTHREAD = 64, WORKER_DATA = 8 };

/* The name, or NULL with the fault. */
static char *name_of(struct toy *toy, uint64_t address, enum read_result *ret_fault)
{
	_cleanup_object_ struct object task = {0};
	struct buffer name;
	char *text = NULL;

	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, address, &task), MEMORY_OK);
	buffer_init(&name, 0);
	*ret_fault = linux_task_name(&toy->kernel, &task, &name);
	if (*ret_fault == READ_OK)
		text = strdup(buffer_string(&name));
	else
		assert_int_equal(name.size, 0);
	buffer_deinit(&name);
	return text;
}

/* A worker is named with its work; where that was not saved, its name is not known. */
static void test_name_of_worker(void **state)
{
	struct toy *toy = *state;
	uint64_t task = toy_alloc(toy, 128), kthread = toy_alloc(toy, 64);
	uint64_t worker = toy_alloc(toy, 64);
	_cleanup_free_ char *full = NULL, *comm = NULL;
	enum read_result fault;

	toy_field(toy, LAYOUT_task, &L->task_flags, NAME_FLAGS, 4);
	toy_array(toy, LAYOUT_task, &L->task_comm, NAME_COMM, 1, 16);
	toy_field(toy, LAYOUT_task, &L->task_kthread, NAME_KTHREAD, 8);
	toy_field(toy, LAYOUT_kthread, &L->kthread_data, WORKER_DATA, 8);
	toy_field(toy, LAYOUT_worker, &L->worker_pool, 0, 8);
	toy_field(toy, LAYOUT_worker, &L->worker_current_work, 8, 8);
	toy_array(toy, LAYOUT_worker, &L->worker_desc, 16, 1, 24);
	toy_put(toy, task + NAME_FLAGS, LINUX_PF_KTHREAD | 0x20, 4);
	toy_put_bytes(toy, task + NAME_COMM, "kworker/0:1H", 13);
	toy_put(toy, task + NAME_KTHREAD, kthread, 8);
	toy_put(toy, kthread + WORKER_DATA, worker, 8);
	toy_put(toy, worker, worker, 8);
	toy_put_bytes(toy, worker + 16, "kblockd", 8);
	full = name_of(toy, task, &fault);
	assert_string_equal(full, "kworker/0:1H-kblockd");
	toy_put(toy, kthread + WORKER_DATA, TOY_MISSING, 8);
	assert_null(name_of(toy, task, &fault));
	assert_int_equal(fault, MEMORY_NOT_SAVED);
	/* A raw file says nothing of what it lacks: it was mapped, but there is no RAM. */
	toy_put(toy, kthread + WORKER_DATA, TOY_MISSING + PAGE_SIZE, 8);
	assert_null(name_of(toy, task, &fault));
	assert_int_equal(fault, MEMORY_NO_RAM);
	toy_put(toy, task + NAME_KTHREAD, TOY_MISSING, 8);
	assert_null(name_of(toy, task, &fault));
	assert_int_equal(fault, MEMORY_NOT_SAVED);
	/* A running guest may have taken it away a moment ago. */
	toy_put(toy, task + NAME_KTHREAD, 0, 8);
	comm = name_of(toy, task, &fault);
	assert_string_equal(comm, "kworker/0:1H");
}

/* ---- Whether it is still the same ------------------------------------------------------------ */

static void test_is_same(void **state)
{
	struct toy *toy = *state;
	uint64_t task = toy_alloc(toy, 256);
	_cleanup_object_ struct object copy = {0};
	struct field *fields[] = {&L->task_pid, &L->task_start_boottime, &L->task_mm,
				  &L->task_signal, &L->task_real_cred};

	toy_task_layout(toy);
	for (size_t i = 1; i < ARRAY_SIZE(fields); i++)
		toy_field(toy, LAYOUT_task, fields[i], 128 + 8 * (unsigned)i, 8);
	assert_int_equal(linux_read_object(&toy->kernel, LAYOUT_task, task, &copy), MEMORY_OK);
	assert_true(linux_task_is_same(&toy->kernel, &copy));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		toy_set(toy, task, fields[i], 1);
		assert_false(linux_task_is_same(&toy->kernel, &copy));
		/* What the types lack cannot change. */
		fields[i]->present = false;
		assert_true(linux_task_is_same(&toy->kernel, &copy));
		fields[i]->present = true;
		toy_set(toy, task, fields[i], 0);
	}
	assert_true(linux_task_is_same(&toy->kernel, &copy));
}

/* ---- The clock ------------------------------------------------------------------------------- */

static void clock_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_xtime_sec, 0, 8);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_xtime_nsec, 8, 8);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_shift, 16, 4);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_offs_real, 24, 8);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_offs_boot, 32, 8);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_wall_sec, 40, 8);
	toy_field(toy, LAYOUT_timekeeper, &L->timekeeper_wall_nsec, 48, 8);
}

static void set_clock(struct toy *toy, uint64_t keeper)
{
	toy_set(toy, keeper, &L->timekeeper_xtime_sec, 1700000100);
	toy_set(toy, keeper, &L->timekeeper_xtime_nsec, 500000000ull << 8);
	toy_set(toy, keeper, &L->timekeeper_shift, 8);
	toy_set(toy, keeper, &L->timekeeper_offs_real, 1700000000000000000);
	toy_set(toy, keeper, &L->timekeeper_offs_boot, 3000000000);
	toy_set(toy, keeper, &L->timekeeper_wall_sec, (uint64_t)-1700000000);
	toy_set(toy, keeper, &L->timekeeper_wall_nsec, 250000000);
}

static void has_clock(struct toy *toy)
{
	struct linux_clock clock;

	assert_int_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
	assert_int_equal(clock.boot_ns, 1700000000000000000 - 3000000000);
	assert_int_equal(clock.uptime_ns, 100 * 1000000000ll + 500000000 + 250000000 + 3000000000);
}

static void test_clock(void **state)
{
	struct toy *toy = *state;
	uint64_t core = toy_alloc(toy, 256);
	struct linux_clock clock;

	assert_int_not_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
	clock_layout(toy);
	assert_int_not_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
	/* Until 6.12: behind a counter, of 4 bytes if nothing says otherwise. */
	toy->kernel.symbol[LINUX_tk_core] = core;
	set_clock(toy, core + 8);
	has_clock(toy);
	/* With lock debugging the counter is larger. */
	L->size[LAYOUT_seqcount] = 60;
	memset(toy->ram + (core - TOY_BASE), 0, 256);
	set_clock(toy, core + 64);
	has_clock(toy);
	/* Since 6.13. */
	toy_field(toy, LAYOUT_tk_data, &L->tk_data_timekeeper, 16, 64);
	memset(toy->ram + (core - TOY_BASE), 0, 256);
	set_clock(toy, core + 16);
	has_clock(toy);
	/* Since 6.17. */
	toy->kernel.symbol[LINUX_tk_core] = 0;
	toy->kernel.symbol[LINUX_timekeeper_data] = core;
	has_clock(toy);
}

/* A guest that writes its clock at every read of it for a while: sequence counter, then all of it.
 */
struct ticking {
	struct toy *toy;
	uint64_t core;
	unsigned reads, ticks, writing; /* writing: the counter stays odd after so many reads */
};

static enum memory_fault ticking_read(void *data, uint64_t offset, void *buffer, size_t size,
				      uint64_t *fault_offset)
{
	struct ticking *ticking = data;
	struct toy *toy = ticking->toy;
	bool counter = offset == ticking->core - TOY_BASE && size == 4;

	(void)fault_offset;
	if (offset >= ticking->core - TOY_BASE && !counter && ticking->reads++ < ticking->ticks) {
		/* Half of it is of this tick, half of the next. */
		toy_put(toy, ticking->core, 2 * ticking->reads + ticking->writing, 4);
		toy_set(toy, ticking->core + 8, &L->timekeeper_xtime_sec, 1700000001);
		memcpy(buffer, toy->ram + offset, size);
		set_clock(toy, ticking->core + 8);
		return MEMORY_OK;
	}
	memcpy(buffer, toy->ram + offset, size);
	return MEMORY_OK;
}

/* What a clock that ticks so often reads as, on a guest that runs or stands. */
static struct linux_clock read_ticking(struct toy *toy, unsigned ticks, bool writing, bool live)
{
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = {TOY_PGD}};
	struct ticking ticking = {.toy = toy,
				  .core = toy->kernel.symbol[LINUX_tk_core],
				  .ticks = ticks,
				  .writing = writing};
	struct linux_kernel kernel = toy->kernel;
	struct linux_clock clock;

	toy_put(toy, ticking.core, writing, 4);
	assert_null(memory_create(false, &kernel.guest.memory));
	assert_null(
	    memory_add_reader(kernel.guest.memory, gpa(0), TOY_RAM, ticking_read, NULL, &ticking));
	assert_null(memory_seal(kernel.guest.memory));
	assert_null(address_space_create(kernel.guest.memory, &paging, &kernel.guest.space));
	kernel.guest.live = live;
	assert_int_equal(linux_clock_read(&kernel, &clock), READ_OK);
	address_space_destroy(kernel.guest.space);
	memory_destroy(kernel.guest.memory);
	return clock;
}

static void test_clock_that_ticks(void **state)
{
	const int64_t uptime = 100 * 1000000000ll + 500000000 + 250000000 + 3000000000;
	struct toy *toy = *state;
	struct linux_clock clock;

	clock_layout(toy);
	toy->kernel.symbol[LINUX_tk_core] = toy_alloc(toy, 256);
	set_clock(toy, toy->kernel.symbol[LINUX_tk_core] + 8);
	for (unsigned ticks = 0; ticks < 60; ticks += 7) {
		clock = read_ticking(toy, ticks, false, true);
		assert_false(clock.torn);
		assert_int_equal(clock.uptime_ns, uptime);
	}
	/* It never rests, or stopped while it was written. */
	assert_true(read_ticking(toy, 1000000, false, true).torn);
	assert_true(read_ticking(toy, 0, true, true).torn);
	assert_true(read_ticking(toy, 0, true, false).torn);
	assert_false(read_ticking(toy, 0, false, false).torn);
}

static void test_clock_of_nonsense(void **state)
{
	struct toy *toy = *state;
	uint64_t core = toy_alloc(toy, 256);
	struct field *fields[] = {&L->timekeeper_xtime_sec, &L->timekeeper_xtime_nsec,
				  &L->timekeeper_shift,     &L->timekeeper_offs_real,
				  &L->timekeeper_offs_boot, &L->timekeeper_wall_sec,
				  &L->timekeeper_wall_nsec};
	struct linux_clock clock;

	clock_layout(toy);
	toy->kernel.symbol[LINUX_tk_core] = core;
	set_clock(toy, core + 8);
	has_clock(toy);
	/* A clock without one of its parts is no clock. */
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i]->present = false;
		assert_int_not_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
		fields[i]->present = true;
	}
	toy_set(toy, core + 8, &L->timekeeper_shift, 64);
	assert_int_not_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
	toy_set(toy, core + 8, &L->timekeeper_shift, 8);
	toy_set(toy, core + 8, &L->timekeeper_xtime_sec, 0);
	assert_int_not_equal(linux_clock_read(&toy->kernel, &clock), READ_OK);
	/* Sums may wrap, but not end the program. */
	for (size_t at = 0; at < 64; at += 8)
		toy_put(toy, core + at, UINT64_MAX >> (at / 8), 8);
	linux_clock_read(&toy->kernel, &clock);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, toy_setup, toy_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(filtered_walk),
	    TEST(processes_by_id),
	    TEST(init_is_not_sought_for_ever),
	    TEST(walk_ends_in_time),
	    TEST(states),
	    TEST(processes_without_layout),
	    TEST(processes_with_pointers_alone),
	    TEST(each_column_alone),
	    TEST(few_columns_read_little),
	    TEST(threads_without_layout),
	    TEST(threads_of_a_damaged_zombie),
	    TEST(modules_without_layout),
	    TEST(numbers_at_the_edge),
	    TEST(resident_counters),
	    TEST(resident_per_cpu),
	    TEST(cpu_time_of_threads),
	    TEST(process_mm),
	    TEST(pid_namespace),
	    TEST(name_of_worker),
	    TEST(is_same),
	    TEST(clock),
	    TEST(clock_that_ticks),
	    TEST(clock_of_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
