/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a trace share. */
#ifndef NUNCHI_PROBE_TRACE_INTERNAL_H
#define NUNCHI_PROBE_TRACE_INTERNAL_H

#include "core/hash.h"
#include "event/breakpoints.h"
#include "probe/trace.h"
#include "view/selection.h"

struct set_probe {
	struct probe_trace *trace;
	const struct probe *probe;
	struct probe *named; /* the same, if it is in no registry; owned */
	size_t index;        /* among those given */
	struct selection selection;
};

struct set_hook {
	struct probe_trace *trace;
	struct set_probe *probe; /* NULL: probe_system.born */
	const struct probe_hook *hook;
	uint64_t address;
	unsigned alternative;
};

struct trace_row {
	struct set_probe *probe;
	struct view_row row;
	struct trace_row *next;
};

/* A call that has not returned. */
struct call {
	struct set_hook *hook;
	struct trace_row *row;
	uint64_t stack; /* the stack pointer when it has returned */
	uint64_t kept;  /* of the hit */
	struct breakpoint *breakpoint;
	struct call *next, *before;
};

struct probe_trace {
	struct target *target;
	struct guest_kernel *kernel;
	const struct probe_system *system;
	void *state; /* of the system */
	int64_t pid;
	struct breakpoints *breakpoints;
	struct set_probe *probes;
	size_t probe_count;
	struct set_hook *hooks;
	size_t hook_count;
	struct trace_row *first, **last; /* rows that are complete, the oldest first */
	size_t row_count;
	struct trace_row *given; /* the row of the last probe_trace_take() */
	struct nunchi_cell cells[VIEW_MAX_COLUMNS];
	struct trace_row *spare; /* rows to be used again */
	struct call *calls;
	size_t call_count;
	struct hash_map places; /* that were looked at; 1: the kernel rewrites what stands there */
	struct nunchi_trace_cost cost;
	bool paused;
	bool no_memory;
	char *warnings[ROW_MAX_WARNINGS];
	size_t warning_count;
};

/* ---- trace.c ---- */

/* Keeps a warning, unless it was given before; takes the text. */
void trace_add_warning(struct probe_trace *trace, char *text);
/* Fails if no breakpoint may be set at the address. */
struct nunchi_error *trace_check_place(struct probe_trace *trace, uint64_t address);

/* ---- trace_choose.c ---- */

/* Looks all probes up before the first is set; the guest still runs. */
struct nunchi_error *trace_take_probes(struct probe_trace *trace, const char *const *names,
				       size_t count, const struct probe_trace_options *options);
/* Finds the first of the functions, with spaces between them, that the kernel has. */
struct nunchi_error *trace_find_function(struct guest_kernel *kernel, const char *names,
					 uint64_t *ret, unsigned *ret_alternative);
/* Leaves a probe out of a lenient trace. */
void trace_warn_of_missing(struct probe_trace *trace, const char *name,
			   const struct nunchi_error *err);

#endif
