/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/trace_internal.h"

#include <stdio.h>
#include <string.h>

/* Limits of what is kept: rows that nobody takes, and calls that have not returned. */
#define MAX_ROWS  8192
#define MAX_CALLS 8192
/* Places of which is remembered whether the kernel rewrites them. */
#define MAX_PLACES 65536
/* Of a command line, in bytes: to copy a megabyte takes long for a guest that stands still. */
#define MAX_TEXT 8192

static const struct probe_system *const systems[] = {&probe_linux};

/* ---- Rows ------------------------------------------------------------------------------------ */

static void free_row(struct trace_row *row)
{
	if (row) {
		row_deinit(&row->row);
		free(row);
	}
}

/* Has the storage used again for a row of any probe. */
static void spare_row(struct probe_trace *trace, struct trace_row *row)
{
	if (!row)
		return;
	row->next = trace->spare;
	trace->spare = row;
}

static struct trace_row *new_row(struct probe_trace *trace, struct set_probe *probe)
{
	struct trace_row *row = trace->spare;

	if (row && row->probe == probe) {
		trace->spare = row->next;
		row_reset(&row->row);
		return row;
	}
	if (row) {
		trace->spare = row->next;
		row_deinit(&row->row);
	} else {
		row = malloc(sizeof(*row));
	}
	if (!row) {
		trace->no_memory = true;
		return NULL;
	}
	row->probe = probe;
	row_init(&row->row, &probe->probe->schema);
	return row;
}

/* Keeps a text, which it takes over, once. */
void trace_add_warning(struct probe_trace *trace, char *text)
{
	for (size_t i = 0; i < trace->warning_count; i++) {
		if (!strcmp(trace->warnings[i], text)) {
			free(text);
			return;
		}
	}
	if (trace->warning_count < ROW_MAX_WARNINGS)
		trace->warnings[trace->warning_count++] = text;
	else
		free(text);
}

/* Keeps the warnings of a row. */
static void take_warnings(struct probe_trace *trace, struct view_row *row)
{
	for (size_t i = 0; i < row->warning_count; i++)
		trace_add_warning(trace, row->warnings[i]);
	row->warning_count = 0;
}

static void finish_row(struct probe_trace *trace, struct trace_row *row)
{
	bool lost = row_finish(&row->row) != NULL;

	take_warnings(trace, &row->row);
	if (!lost && !selection_accepts(&row->probe->selection, &row->row)) {
		spare_row(trace, row);
		return;
	}
	if (lost || trace->row_count == MAX_ROWS) {
		trace->cost.dropped++;
		spare_row(trace, row);
		return;
	}
	trace->cost.rows++;
	trace->row_count++;
	row->next = NULL;
	*trace->last = row;
	trace->last = &row->next;
}

bool probe_trace_take(struct probe_trace *trace, size_t *ret_probe,
		      const struct nunchi_cell **ret_cells)
{
	struct trace_row *row = trace->first;

	spare_row(trace, trace->given);
	trace->given = row;
	if (!row)
		return false;
	trace->first = row->next;
	if (!trace->first)
		trace->last = &trace->first;
	trace->row_count--;
	for (size_t i = 0; i < row->probe->selection.column_count; i++)
		trace->cells[i] = row->row.cells[row->probe->selection.column_index[i]];
	*ret_probe = row->probe->index;
	*ret_cells = trace->cells;
	return true;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void remove_call(struct probe_trace *trace, struct call *call)
{
	breakpoints_remove(trace->breakpoints, call->breakpoint);
	if (call->before)
		call->before->next = call->next;
	else
		trace->calls = call->next;
	if (call->next)
		call->next->before = call->before;
	trace->call_count--;
	free(call);
}

/* A row whose call will not be seen to return. */
static void finish_without_result(const struct set_hook *hook, struct trace_row *row)
{
	if (hook->hook->needs_result)
		spare_row(hook->trace, row);
	else
		finish_row(hook->trace, row);
}

static void finish_call(struct probe_trace *trace, struct call *call)
{
	finish_without_result(call->hook, call->row);
	remove_call(trace, call);
}

static double host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct probe_hit make_hit(const struct set_hook *hook, struct trace_row *row,
				 const struct target_stop *stop)
{
	return (struct probe_hit){
	    .kernel = hook->trace->kernel,
	    .probe = row->probe->probe,
	    .hook = hook->hook,
	    .registers = &stop->registers,
	    .row = &row->row,
	    .request = &row->probe->selection.request,
	    .system = hook->trace->state,
	    .time = host_time(),
	    .alternative = hook->alternative,
	    .stop = stop,
	};
}

/* Refuses a place that the kernel rewrites while it runs, if breakpoints stand in its memory. */
struct nunchi_error *trace_check_place(struct probe_trace *trace, uint64_t address)
{
	const uint64_t *known;
	bool rewritten;

	if (!trace->target->ops->stops->in_memory || !trace->system->is_rewritten)
		return NULL;
	/* The guest says where its calls return to. */
	if (trace->places.count == MAX_PLACES)
		hash_map_clear(&trace->places);
	known = hash_map_find(&trace->places, address);
	rewritten = known ? *known : trace->system->is_rewritten(trace->kernel, address);
	if (!known && hash_map_insert(&trace->places, address, rewritten) == HASH_NOMEM)
		return &error_nomem;
	return rewritten
		   ? error_create_at(NUNCHI_ERROR_UNSUPPORTED, address,
				     "the kernel rewrites the instruction there while it runs")
		   : NULL;
}

static void on_return(void *data, const struct target_stop *stop)
{
	struct call *call = data;
	struct set_hook *hook = call->hook;
	struct probe_trace *trace = hook->trace;
	struct trace_row *row = call->row;
	struct probe_hit hit;

	if (stop->registers.rsp != call->stack)
		return;
	hit = make_hit(hook, row, stop);
	hit.kept = call->kept;
	remove_call(trace, call);
	if (hook->hook->leave(&hit))
		finish_row(trace, row);
	else
		spare_row(trace, row);
}

/* Waits for the return of the function at whose start the hit is. */
static void await_return(struct set_hook *hook, const struct probe_hit *hit, struct trace_row *row)
{
	struct probe_trace *trace = hook->trace;
	uint64_t address, stack;
	struct call *call;
	struct nunchi_error *err;

	if (!trace->system->return_frame(hit, &address, &stack)) {
		finish_without_result(hook, row);
		return;
	}
	/* A call with the same stack pointer has ended without returning: its thread was killed. */
	for (struct call *old = trace->calls; old; old = old->next) {
		if (old->stack == stack && old->hook == hook) {
			finish_call(trace, old);
			break;
		}
	}
	call = trace->call_count < MAX_CALLS ? malloc(sizeof(*call)) : NULL;
	if (!call) {
		row_warn(&row->row,
			 "the results of some calls are not known: more than %d have not returned",
			 MAX_CALLS);
		finish_without_result(hook, row);
		return;
	}
	*call = (struct call){.hook = hook, .row = row, .stack = stack, .kept = hit->kept};
	err = trace_check_place(trace, address);
	if (!err)
		err = breakpoints_add(trace->breakpoints, address, on_return, call,
				      &call->breakpoint);
	if (err) {
		row_warn(&row->row, "the results of some calls are not known: %s",
			 nunchi_error_message(err));
		nunchi_error_destroy(err);
		free(call);
		finish_without_result(hook, row);
		return;
	}
	call->next = trace->calls;
	if (call->next)
		call->next->before = call;
	trace->calls = call;
	trace->call_count++;
}

void probe_trace_flush(struct probe_trace *trace)
{
	while (trace->calls)
		finish_call(trace, trace->calls);
}

/* ---- Hits ------------------------------------------------------------------------------------ */

/* Whether the conditions on the cells that are known are met. */
static bool may_accept(const struct set_probe *probe, struct view_row *row)
{
	const struct selection *selection = &probe->selection;

	/* If memory is short, finish_row() counts the row as dropped. */
	if (selection->request.constraint_count && row_finish(row))
		return true;
	for (size_t i = 0; i < selection->request.constraint_count; i++) {
		const struct view_constraint *constraint = &selection->constraints[i];
		const struct nunchi_cell *cell = &row->cells[constraint->column];
		bool known =
		    cell->kind == NUNCHI_CELL_VALUE || cell->absence != NUNCHI_ABSENT_NOT_COMPUTED;

		if (known && !row_cell_meets(cell, constraint))
			return false;
	}
	return true;
}

static void enter(struct set_hook *hook, struct trace_row *row, const struct target_stop *stop)
{
	struct probe_trace *trace = hook->trace;
	struct probe_hit hit = make_hit(hook, row, stop);
	enum probe_next next = PROBE_NO_ROW;
	bool known;

	row_real(&row->row, PROBE_time, hit.time);
	row_integer(&row->row, PROBE_vcpu, stop->vcpu);
	known = trace->system->begin(trace->state, &hit);
	if (hook->hook->timed_at_return) {
		row_absent(&row->row, PROBE_time, NUNCHI_ABSENT_NOT_COMPUTED);
		row_absent(&row->row, PROBE_uptime, NUNCHI_ABSENT_NOT_COMPUTED);
	}
	if (!trace->pid || (known && trace->system->descends(trace->state))) {
		if (!hook->probe || may_accept(row->probe, &row->row))
			next = hook->hook->enter(&hit);
	}
	/* What the rest would tell does not matter if this is not wanted. */
	if (next != PROBE_NO_ROW && hook->probe && !may_accept(row->probe, &row->row))
		next = PROBE_NO_ROW;
	if (next == PROBE_RETURNS && hook->hook->leave)
		await_return(hook, &hit, row);
	else if (next == PROBE_NO_ROW)
		spare_row(trace, row);
	else
		finish_row(trace, row);
}

static void on_hit(void *data, const struct target_stop *stop)
{
	struct set_hook *hook = data;
	struct probe_trace *trace = hook->trace;
	struct trace_row *row = new_row(trace, hook->probe ? hook->probe : &trace->probes[0]);

	trace->cost.events += hook->probe != NULL;
	if (row)
		enter(hook, row, stop);
	else
		trace->cost.dropped += hook->probe != NULL;
}

struct nunchi_error *probe_trace_dispatch(struct probe_trace *trace, bool *ret_any)
{
	struct breakpoints_result result;
	struct nunchi_error *err;

	/*
	 * The guest stands still during a hit, or on Xen the vCPU whose registers and task are read
	 * then, so that nothing has to be read twice.
	 */
	trace->kernel->live = false;
	trace->kernel->text_limit = MAX_TEXT;
	err = breakpoints_dispatch(trace->breakpoints, &result);
	trace->kernel->live = true;
	trace->kernel->text_limit = 0;
	trace->cost.stopped_us += result.stood_us;
	if (result.kind == TARGET_STOP_PAUSED)
		trace->paused = true;
	else if (result.kind != TARGET_STOP_NONE)
		trace->paused = false;
	*ret_any = result.kind == TARGET_STOP_BREAKPOINT || result.kind == TARGET_STOP_EVENT;
	if (!err && trace->no_memory)
		err = &error_nomem;
	if (!err && result.kind == TARGET_STOP_GONE)
		err = error_create(NUNCHI_ERROR_GONE, "the guest has ended");
	return err;
}

bool probe_trace_is_paused(struct probe_trace *trace)
{
	enum target_state state;
	struct nunchi_error *err;

	if (!trace->paused)
		return false;
	/* Whoever resumes it does not tell us. */
	err = target_get_state(trace->target, &state);
	trace->paused = err || state != TARGET_RUNNING;
	nunchi_error_destroy(err);
	return trace->paused;
}

/*
 * The copy of the guest must not have the breakpoints. The vCPU stands still before anything of it
 * is written, but for a guest that runs while it is moved.
 */
static void on_suspend(void *data, const struct target_stop *stop)
{
	struct probe_trace *trace = data;

	(void)stop;
	breakpoints_end(trace->breakpoints,
			"the guest is about to be saved or moved to another host, and watching "
			"ends before that");
}

/* ---- Setting --------------------------------------------------------------------------------- */

/* Whether there will be breakpoints, in the guest's memory. */
static bool writes_to_guest(const struct probe_trace *trace)
{
	for (size_t i = 0; i < trace->hook_count; i++) {
		if (trace->hooks[i].hook->functions)
			return trace->target->ops->stops->in_memory;
	}
	return false;
}

static struct nunchi_error *check_kernel(struct probe_trace *trace)
{
	const char *reason = writes_to_guest(trace) && trace->system->forbids_writing
				 ? trace->system->forbids_writing(trace->kernel)
				 : NULL;

	return reason ? error_create(NUNCHI_ERROR_UNSUPPORTED,
				     "no breakpoint is set in the kernel: %s", reason)
		      : NULL;
}

/* Sees the guest being saved, if breakpoints are in its memory. The guest stands still. */
static struct nunchi_error *set_suspend(struct probe_trace *trace)
{
	const char *function = trace->system->suspends;
	struct breakpoint *breakpoint;
	struct nunchi_error *err;
	unsigned alternative;
	uint64_t address;

	if (!function || !writes_to_guest(trace))
		return NULL;
	err = trace_find_function(trace->kernel, function, &address, &alternative);
	if (error_is(err, NUNCHI_ERROR_NOT_FOUND)) {
		nunchi_error_destroy(err);
		return NULL;
	}
	if (!err)
		err = trace_check_place(trace, address);
	if (!err)
		err = breakpoints_add(trace->breakpoints, address, on_suspend, trace, &breakpoint);
	return error_context(err, "cannot see when the guest is saved (%s)", function);
}

/* The guest stands still. */
static struct nunchi_error *set_all(struct probe_trace *trace, bool lenient)
{
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < trace->hook_count && !err; i++) {
		struct set_hook *hook = &trace->hooks[i];
		struct breakpoint *breakpoint;

		err = hook->hook->functions
			  ? breakpoints_add(trace->breakpoints, hook->address, on_hit, hook,
					    &breakpoint)
			  : breakpoints_observe(trace->breakpoints, hook->hook->event,
						hook->hook->index, on_hit, hook);
		if (lenient && hook->probe &&
		    (error_is(err, NUNCHI_ERROR_BUSY) || error_is(err, NUNCHI_ERROR_UNSUPPORTED))) {
			trace_warn_of_missing(trace, hook->probe->probe->schema.name, err);
			nunchi_error_destroy(err);
			err = NULL;
		}
		if (hook->probe)
			err = error_context(err, "probe %s", hook->probe->probe->schema.name);
	}
	return err;
}

static struct nunchi_error *start(struct probe_trace *trace, const char *const *names, size_t count,
				  const struct probe_trace_options *options)
{
	const struct target_stops_ops *stops = target_stops(trace->target);
	struct nunchi_error *err, *released;

	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		if (systems[i]->system == trace->kernel->system)
			trace->system = systems[i];
	}
	if (!trace->system)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "guests that run %s have no probes",
				    trace->kernel->system->name);
	err = trace->system->create(trace->kernel, &trace->state);
	if (!err)
		err = trace_take_probes(trace, names, count, options);
	if (!err)
		err = check_kernel(trace);
	if (!err)
		err = breakpoints_create(trace->target, trace->kernel->space, &trace->breakpoints);
	if (!err)
		err = stops->hold(trace->target);
	if (err)
		return err;
	err = set_all(trace, options->lenient);
	if (!err)
		err = set_suspend(trace);
	released = stops->release(trace->target);
	if (err)
		nunchi_error_destroy(released);
	else
		err = released;
	if (!err && trace->pid)
		err = trace->system->find_process(trace->state, trace->pid);
	return err;
}

struct nunchi_error *probe_trace_create(const struct probe_trace_options *options,
					const char *const *names, size_t count,
					struct probe_trace **ret)
{
	struct probe_trace *trace = calloc(1, sizeof(*trace));
	struct nunchi_error *err;

	if (!trace)
		return &error_nomem;
	trace->target = options->target;
	trace->kernel = options->kernel;
	trace->pid = options->pid;
	trace->last = &trace->first;
	err = start(trace, names, count, options);
	if (err) {
		probe_trace_destroy(trace);
		return err;
	}
	*ret = trace;
	return NULL;
}

static void free_rows(struct trace_row *row)
{
	while (row) {
		struct trace_row *next = row->next;

		free_row(row);
		row = next;
	}
}

void probe_trace_destroy(struct probe_trace *trace)
{
	if (!trace)
		return;
	while (trace->calls) {
		spare_row(trace, trace->calls->row);
		remove_call(trace, trace->calls);
	}
	free_row(trace->given);
	free_rows(trace->first);
	free_rows(trace->spare);
	breakpoints_destroy(trace->breakpoints);
	if (trace->state)
		trace->system->destroy(trace->state);
	for (size_t i = 0; i < trace->probe_count; i++)
		selection_deinit(&trace->probes[i].selection);
	for (size_t i = 0; i < trace->probe_count; i++) {
		if (trace->probes[i].named)
			trace->system->destroy_named(trace->probes[i].named);
	}
	for (size_t i = 0; i < trace->warning_count; i++)
		free(trace->warnings[i]);
	free(trace->probes);
	hash_map_deinit(&trace->places);
	free(trace->hooks);
	free(trace);
}

const struct nunchi_view *probe_trace_schema(const struct probe_trace *trace, size_t i)
{
	return i < trace->probe_count ? &trace->probes[i].probe->schema : NULL;
}

const struct nunchi_column *const *probe_trace_columns(const struct probe_trace *trace, size_t i,
						       size_t *ret_count)
{
	*ret_count = 0;
	if (i >= trace->probe_count)
		return NULL;
	*ret_count = trace->probes[i].selection.column_count;
	return trace->probes[i].selection.columns;
}

const char *probe_trace_warning(const struct probe_trace *trace, size_t index)
{
	return index < trace->warning_count ? trace->warnings[index] : NULL;
}

void probe_trace_cost(const struct probe_trace *trace, struct nunchi_trace_cost *ret)
{
	*ret = trace->cost;
	ret->pending = trace->call_count;
}
