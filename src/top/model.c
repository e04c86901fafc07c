/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top/model.h"

#include "core/array.h"
#include "core/cleanup.h"
#include "top/tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The kernel counts time by ticks of up to 10 ms, and a task's time of one tick later than the
 * clock's: a counter may be this much above what is possible.
 */
#define SLACK_MS 50

static const struct top_share not_compared = {.absence = NUNCHI_ABSENT_NOT_COMPUTED};
static const struct top_share bad_data = {.absence = NUNCHI_ABSENT_BAD_DATA};

void top_model_deinit(struct top_model *model)
{
	free(model->rows);
	free(model->cpus);
	*model = (struct top_model){0};
}

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* What each mode took between two readings; false with the reason if that is not known. */
static bool cpu_spent(const struct top_cpu *now, const struct top_cpu *before,
		      int64_t ret[TOP_MODES], int32_t *ret_why)
{
	for (size_t i = 0; i < TOP_MODES; i++) {
		const struct top_cell *a = &before->ms[i], *b = &now->ms[i];

		*ret_why = top_known(a) ? b->absence : a->absence;
		if (!top_known(a) || !top_known(b))
			return false;
		*ret_why = NUNCHI_ABSENT_BAD_DATA;
		if (a->value < 0 || b->value < 0 || b->value < a->value - SLACK_MS)
			return false;
		/* The kernel moves a little from time idle to time waiting for a device, and back.
		 */
		ret[i] = b->value < a->value ? 0 : b->value - a->value;
	}
	return true;
}

static struct top_share share_of(int64_t part, int64_t whole)
{
	return (struct top_share){whole ? 100 * (double)part / (double)whole : 0, TOP_KNOWN};
}

static struct top_load absent_load(int64_t core, int32_t why)
{
	const struct top_share none = {.absence = why};

	return (struct top_load){core, none, none, none, none, none, none};
}

static struct top_load load_of(int64_t core, const int64_t spent[TOP_MODES])
{
	int64_t whole = 0, system;

	for (size_t i = 0; i < TOP_MODES; i++)
		whole += spent[i];
	system = spent[TOP_MODE_SYSTEM] + spent[TOP_MODE_IRQ] + spent[TOP_MODE_SOFTIRQ];
	return (struct top_load){
	    .core = core,
	    .busy = share_of(whole - spent[TOP_MODE_IDLE] - spent[TOP_MODE_IOWAIT], whole),
	    .user = share_of(spent[TOP_MODE_USER], whole),
	    .nice = share_of(spent[TOP_MODE_NICE], whole),
	    .system = share_of(system, whole),
	    .steal = share_of(spent[TOP_MODE_STEAL], whole),
	    .iowait = share_of(spent[TOP_MODE_IOWAIT], whole),
	};
}

static const struct top_cpu *find_cpu(const struct top_reading *reading, int64_t core)
{
	for (size_t i = 0; reading && i < reading->cpu_count; i++)
		if (reading->cpus[i].core == core)
			return &reading->cpus[i];
	return NULL;
}

/* A counter that is that far from the one before is not of this guest's time. */
#define MOST_MS ((int64_t)1 << 40)

static bool compare_cpus(struct top_model *model, const struct top_reading *now,
			 const struct top_reading *before)
{
	int32_t why_none = before ? NUNCHI_ABSENT_NOT_APPLICABLE : NUNCHI_ABSENT_NOT_COMPUTED;
	int64_t sum[TOP_MODES] = {0};
	size_t known = 0;

	for (size_t i = 0; i < now->cpu_count; i++) {
		const struct top_cpu *cpu = &now->cpus[i], *old = find_cpu(before, cpu->core);
		int64_t spent[TOP_MODES];
		int32_t why = why_none;
		bool good = old && cpu_spent(cpu, old, spent, &why);

		for (size_t mode = 0; good && mode < TOP_MODES; mode++)
			good = spent[mode] < MOST_MS;
		if (!ARRAY_RESERVE(model->cpus, model->cpu_count, model->cpu_capacity, 1))
			return false;
		model->cpus[model->cpu_count++] =
		    good ? load_of(cpu->core, spent)
			 : absent_load(cpu->core, why == TOP_KNOWN ? NUNCHI_ABSENT_BAD_DATA : why);
		for (size_t mode = 0; good && mode < TOP_MODES; mode++)
			sum[mode] += spent[mode];
		known += good;
	}
	model->all = known && known == now->cpu_count ? load_of(-1, sum)
		     : model->cpu_count               ? absent_load(-1, model->cpus[0].busy.absence)
						      : absent_load(-1, why_none);
	if (known && known < now->cpu_count)
		model->all = absent_load(-1, NUNCHI_ABSENT_BAD_DATA);
	return true;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* What programs and the kernel hold: what could not be given back at once. */
static struct top_cell used_memory(const struct top_cell memory[TOP_MEMORIES])
{
	static const enum top_memory needed[] = {TOP_MEMORY_TOTAL,   TOP_MEMORY_FREE,
						 TOP_MEMORY_BUFFERS, TOP_MEMORY_CACHED,
						 TOP_MEMORY_SLAB,    TOP_MEMORY_SHARED};
	struct top_cell ret = {0, TOP_KNOWN};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		const struct top_cell *cell = &memory[needed[i]];
		bool adds = needed[i] == TOP_MEMORY_TOTAL || needed[i] == TOP_MEMORY_SHARED;

		if (!top_known(cell))
			return (struct top_cell){.absence = cell->absence};
		ret.value = (int64_t)(adds ? (uint64_t)ret.value + (uint64_t)cell->value
					   : (uint64_t)ret.value - (uint64_t)cell->value);
	}
	if (ret.value < 0 || ret.value > memory[TOP_MEMORY_TOTAL].value)
		return (struct top_cell){.absence = NUNCHI_ABSENT_BAD_DATA};
	return ret;
}

static struct top_cell used_swap(const struct top_cell memory[TOP_MEMORIES])
{
	const struct top_cell *total = &memory[TOP_SWAP_TOTAL], *free_swap = &memory[TOP_SWAP_FREE];

	if (!top_known(total) || !top_known(free_swap))
		return (struct top_cell){.absence = top_known(total) ? free_swap->absence
								     : total->absence};
	if (free_swap->value < 0 || free_swap->value > total->value)
		return (struct top_cell){.absence = NUNCHI_ABSENT_BAD_DATA};
	return (struct top_cell){total->value - free_swap->value, TOP_KNOWN};
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static struct top_cell time_of(const struct top_task *task)
{
	const struct top_cell *user = &task->numbers[TOP_USER_MS];
	const struct top_cell *system = &task->numbers[TOP_SYSTEM_MS];

	if (!top_known(user) || !top_known(system))
		return (struct top_cell){.absence =
					     top_known(user) ? system->absence : user->absence};
	if (user->value < 0 || system->value < 0 || user->value > INT64_MAX - system->value)
		return (struct top_cell){.absence = NUNCHI_ABSENT_BAD_DATA};
	return (struct top_cell){user->value + system->value, TOP_KNOWN};
}

/* Tasks of a reading, by id; a process and its first thread are one. */
static int compare_ids(const void *a_pointer, const void *b_pointer)
{
	const struct top_task *const *a = a_pointer, *const *b = b_pointer;
	int64_t x = (*a)->numbers[TOP_PID].value, y = (*b)->numbers[TOP_PID].value;

	return x < y ? -1 : x > y;
}

static const struct top_task **tasks_by_id(const struct top_reading *reading)
{
	const struct top_task **tasks = calloc(reading->task_count + 1, sizeof(struct top_task *));

	if (!tasks)
		return NULL;
	for (size_t i = 0; i < reading->task_count; i++)
		tasks[i] = &reading->tasks[i];
	qsort(tasks, reading->task_count, sizeof(struct top_task *), compare_ids);
	return tasks;
}

/* The same task in the reading before, by id and by the address of its task_struct. */
static const struct top_task *find_before(const struct top_task *const *tasks, size_t count,
					  const struct top_task *task)
{
	const struct top_task *const *found;

	if (!top_known(&task->numbers[TOP_PID]))
		return NULL;
	found = bsearch(&task, tasks, count, sizeof(struct top_task *), compare_ids);
	if (!found || !top_known(&(*found)->numbers[TOP_PID]) ||
	    (*found)->numbers[TOP_TASK].value != task->numbers[TOP_TASK].value)
		return NULL;
	return *found;
}

/* The time from one reading of the tasks to the next, by the guest's clock. */
struct interval {
	int64_t ms;   /* from the middle of one to the middle of the other */
	int64_t most; /* from the begin of one to the end of the other */
	int64_t cpus;
	int32_t absence; /* TOP_KNOWN, or why it is not known */
};

/*
 * A host that does other things takes long for a reading, and the guest goes on meanwhile: a task's
 * counter is of some moment between both clocks. False if the clocks contradict each other.
 */
static bool moments_of(const struct top_general *general, int64_t *ret_begin, int64_t *ret_end)
{
	const struct top_cell *end = &general->tasks_end_ms;

	*ret_begin = *ret_end = general->uptime_ms.value;
	if (top_known(end))
		*ret_end = end->value;
	return *ret_begin >= 0 && *ret_end >= *ret_begin && *ret_end - *ret_begin <= MOST_MS;
}

static struct interval interval_of(const struct top_reading *now, const struct top_reading *before)
{
	const struct top_cell *a, *b = &now->general.uptime_ms;
	struct interval ret = {.cpus = now->cpu_count ? (int64_t)now->cpu_count : 1,
			       .absence = NUNCHI_ABSENT_NOT_COMPUTED};
	int64_t old_begin, old_end, begin, end;

	if (!before)
		return ret;
	a = &before->general.uptime_ms;
	if (!top_known(a) || !top_known(b)) {
		ret.absence = top_known(a) ? b->absence : a->absence;
		return ret;
	}
	ret.absence = NUNCHI_ABSENT_BAD_DATA;
	if (!moments_of(&before->general, &old_begin, &old_end) ||
	    !moments_of(&now->general, &begin, &end) || begin < old_end ||
	    end - old_begin > MOST_MS)
		return ret;
	ret.ms = begin - old_end + (end - begin + old_end - old_begin) / 2;
	ret.most = end - old_begin;
	ret.absence = TOP_KNOWN;
	return ret;
}

/*
 * Of one CPU, as top has it; at most all that the CPUs have. A task that was not there before has
 * used all of its time since. One whose counter went back, or that had more time than all CPUs
 * have, is not believed.
 */
static struct top_share cpu_share(const struct top_task *task, const struct top_task *old,
				  const struct interval *interval)
{
	struct top_cell time = time_of(task), before = {0, TOP_KNOWN};
	int64_t spent;

	if (interval->absence != TOP_KNOWN)
		return (struct top_share){.absence = interval->absence};
	if (old)
		before = time_of(old);
	if (!top_known(&time) || !top_known(&before))
		return (struct top_share){.absence =
					      top_known(&time) ? before.absence : time.absence};
	spent = time.value - before.value;
	if (spent < 0 && spent >= -SLACK_MS)
		spent = 0;
	if (spent < 0 || spent > interval->most * interval->cpus + SLACK_MS)
		return bad_data;
	if (!interval->ms)
		return spent ? not_compared : (struct top_share){0, TOP_KNOWN};
	if (spent > interval->ms * interval->cpus)
		spent = interval->ms * interval->cpus;
	return share_of(spent, interval->ms);
}

static struct top_share memory_share(const struct top_task *task, const struct top_reading *now)
{
	const struct top_cell *part = &task->numbers[TOP_RESIDENT];
	const struct top_cell *total = &now->general.memory[TOP_MEMORY_TOTAL];

	if (!top_known(part) || !top_known(total))
		return (struct top_share){.absence =
					      top_known(part) ? total->absence : part->absence};
	if (part->value < 0 || total->value <= 0 || part->value > total->value)
		return bad_data;
	return share_of(part->value, total->value);
}

static bool holds(const char *text, size_t size, const char *wanted, size_t length)
{
	for (size_t i = 0; i + length <= size; i++)
		if (!strncasecmp(text + i, wanted, length))
			return true;
	return false;
}

bool top_task_matches(const struct top_reading *reading, const struct top_task *task,
		      const char *text)
{
	size_t size, length = strlen(text);
	const char *own = top_reading_text(reading, &task->command, &size);
	char id[24];

	if (!length || holds(own, size, text, length))
		return true;
	own = top_reading_text(reading, &task->name, &size);
	snprintf(id, sizeof(id), "%" PRId64, task->numbers[TOP_PID].value);
	return holds(own, size, text, length) || !strcmp(id, text);
}

static void count_task(struct top_counts *counts, const struct top_task *task)
{
	const char *state = task->state ? strchr(TOP_STATES, task->state) : NULL;

	counts->tasks++;
	if (task->is_thread) {
		counts->threads++;
		return;
	}
	counts->processes++;
	counts->kernel += task->is_kernel != 0;
	if (state)
		counts->states[state - TOP_STATES]++;
	else
		counts->others++;
}

static bool compare_tasks(struct top_model *model, const struct top_reading *now,
			  const struct top_reading *before, const struct top_order *order)
{
	const struct interval interval = interval_of(now, before);
	const struct top_task **old = before ? tasks_by_id(before) : NULL;

	if ((before && !old) ||
	    !ARRAY_RESERVE(model->rows, 0, model->capacity, now->task_count + 1)) {
		free(old);
		return false;
	}
	for (size_t i = 0; i < now->task_count; i++) {
		const struct top_task *task = &now->tasks[i];
		const struct top_task *same =
		    old ? find_before(old, before->task_count, task) : NULL;

		count_task(&model->counts, task);
		if (!top_task_matches(now, task, order->filter))
			continue;
		model->rows[model->count++] = (struct top_row){
		    .task = task,
		    .cpu = cpu_share(task, same, &interval),
		    .memory = memory_share(task, now),
		    .time_ms = time_of(task),
		};
	}
	free(old);
	return true;
}

bool top_model_update(struct top_model *model, const struct top_reading *now,
		      const struct top_reading *before, const struct top_order *order)
{
	model->count = model->cpu_count = 0;
	model->counts = (struct top_counts){0};
	model->compared = before != NULL;
	model->memory_used = used_memory(now->general.memory);
	model->swap_used = used_swap(now->general.memory);
	if (compare_cpus(model, now, before) && compare_tasks(model, now, before, order) &&
	    top_rows_sort(model->rows, model->count, now, order))
		return true;
	model->count = model->cpu_count = 0;
	return false;
}
