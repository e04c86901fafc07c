/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every probe in a guest whose memory and registers are the input. The first byte chooses the
 * probe, the second which conditions the trace has; registers follow for each hit, and the rest is
 * memory, over and over. Each function is entered and, where the probe waits for that, returns.
 */
#include "input_guest.h"
#include "probe/trace.h"
#include "target/stops.h"

#include <stdio.h>

#define HITS      6
#define HIT_WORDS 17
/* Breakpoints that the target has room for: too few for the probe with the most hooks. */
#define MAX_SET 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target whose stops the input gives. */
struct stops {
	struct input_guest guest;
	uint64_t set[MAX_SET];
	size_t count;
	struct target_stop pending;
};

static struct stops *current;

static struct nunchi_error *next(struct target *target, struct target_stop *ret)
{
	(void)target;
	*ret = current->pending;
	current->pending.kind = TARGET_STOP_NONE;
	return NULL;
}

static struct nunchi_error *go(struct target *target, const struct target_stop *stop, uint64_t rip)
{
	(void)target;
	(void)stop;
	(void)rip;
	return NULL;
}

static struct nunchi_error *hold(struct target *target)
{
	(void)target;
	return NULL;
}

static struct nunchi_error *insert(struct target *target, uint64_t address)
{
	(void)target;
	if (current->count == MAX_SET)
		return error_create(NUNCHI_ERROR_BUSY, "no more breakpoints");
	current->set[current->count++] = address;
	return NULL;
}

static struct nunchi_error *take_out(struct target *target, uint64_t address)
{
	(void)target;
	for (size_t i = 0; i < current->count; i++) {
		if (current->set[i] == address) {
			current->set[i] = current->set[--current->count];
			return NULL;
		}
	}
	__builtin_trap();
}

static const struct target_stops_ops stops_ops = {
    .next = next, .go = go, .hold = hold, .release = hold, .insert = insert, .remove = take_out};
static const struct target_ops ops = {.kind = "fuzz", .stops = &stops_ops};

static void drain(struct probe_trace *trace)
{
	const struct nunchi_cell *cells;
	size_t probe;

	while (probe_trace_take(trace, &probe, &cells)) {
		const struct nunchi_view *schema = probe_trace_schema(trace, probe);

		/* Each text must be readable as a whole. */
		for (size_t i = 0; i < schema->column_count; i++) {
			if (cells[i].kind == NUNCHI_CELL_VALUE &&
			    cells[i].type == NUNCHI_TYPE_TEXT && cells[i].text_size &&
			    memchr(cells[i].text, 0xff, cells[i].text_size))
				nunchi_escape(cells[i].text, cells[i].text_size, NULL, 0);
		}
	}
}

static void stop_at(struct probe_trace *trace, uint64_t address, const uint64_t *words)
{
	struct x86_registers *registers = &current->pending.registers;
	bool any;

	current->pending.kind = TARGET_STOP_BREAKPOINT;
	*registers = (struct x86_registers){.rax = words[0],
					    .rcx = words[1],
					    .rdx = words[2],
					    .rsi = words[3],
					    .rdi = words[4],
					    .r8 = words[5],
					    .r9 = words[6],
					    .rsp = words[7] & ~7ULL,
					    .cr3 = words[8],
					    .rip = address,
					    .gs_base = words[9],
					    .fs_base = words[10],
					    .rflags = words[11] & 0xffff};
	nunchi_error_destroy(probe_trace_dispatch(trace, &any));
	drain(trace);
}

static void run_hits(struct probe_trace *trace, const uint8_t *data)
{
	uint64_t words[HIT_WORDS];

	for (unsigned i = 0; i < HITS; i++) {
		size_t functions = current->count;
		uint64_t stack;

		memcpy(words, data + i * sizeof(words), sizeof(words));
		if (!functions)
			return;
		stop_at(trace, current->set[words[12] % functions], words);
		/* Behind the functions stand the places to which calls return. */
		stack = words[7];
		words[7] += 8;
		if (current->count > functions)
			stop_at(trace, current->set[current->count - 1], words);
		words[7] = stack;
	}
}

static void run(const struct probe *probe, unsigned conditions)
{
	const struct nunchi_constraint constraint = {"name", "a", NUNCHI_GREATER};
	const struct nunchi_query query = {
	    .size = sizeof(query), .constraints = &constraint, .constraint_count = conditions & 1};
	const struct probe_trace_options options = {.target = &current->guest.target,
						    .kernel = &current->guest.kernel.guest,
						    .query = &query,
						    .pid = conditions & 2 ? 1 : 0};
	const char *name = probe->schema.name;
	struct probe_trace *trace;
	struct nunchi_error *err = probe_trace_create(&options, &name, 1, &trace);

	if (!err) {
		run_hits(trace, current->guest.input.data);
		probe_trace_flush(trace);
		drain(trace);
		probe_trace_destroy(trace);
	}
	nunchi_error_destroy(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *functions[PROBE_MAX_HOOKS + 1] = {"wake_up_new_task"};
	const struct probe *const *probes;
	const struct probe *probe;
	static struct stops stops;
	size_t count, function_count = 1;

	if (size < 2 + HITS * HIT_WORDS * 8)
		return 0;
	probes = probe_registry(&count);
	probe = probes[data[0] % count];
	for (size_t i = 0; i < PROBE_MAX_HOOKS && probe->providers[0].hooks[i].functions; i++) {
		if (strcmp(probe->providers[0].hooks[i].functions, functions[0]) != 0)
			functions[function_count++] = probe->providers[0].hooks[i].functions;
	}
	current = &stops;
	stops = (struct stops){.count = 0};
	input_guest_init(&stops.guest,
			 &(struct input){.data = data + 2, .size = size - 2, .live = true},
			 functions, function_count);
	stops.guest.target.ops = &ops;
	run(probe, data[1]);
	input_guest_deinit(&stops.guest);
	return 0;
}
