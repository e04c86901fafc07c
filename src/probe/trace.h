/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace: probes that are set in a running guest, and their rows. At each hit the guest stands
 * still while the row is read; a row whose probe waits for the function's return is kept until
 * then, by the stack pointer that the return will leave, which no other call has meanwhile.
 *
 * Use a trace in one thread at a time.
 */
#ifndef NUNCHI_PROBE_TRACE_H
#define NUNCHI_PROBE_TRACE_H

#include "probe/probe.h"
#include "target/target.h"

#include <nunchi/trace.h>

struct probe_trace;

struct probe_trace_options {
	struct target *target; /* whose stops are open; outlives the trace */
	struct guest_kernel *kernel;
	const struct nunchi_query *query; /* applied to each probe; may be NULL */
	int64_t pid;  /* only this process and those that descend from it; 0: all */
	bool lenient; /* leave out, with a warning, probes that this kernel cannot have */
};

/*
 * Sets the probes with these names. Fails as a whole, without breakpoints left, if one of them
 * cannot be set.
 */
struct nunchi_error *probe_trace_create(const struct probe_trace_options *options,
					const char *const *names, size_t count,
					struct probe_trace **ret);
/* Frees the trace. The breakpoints stay until the target's stops are closed. NULL is accepted. */
void probe_trace_destroy(struct probe_trace *trace);

/* The schema of probe number i of those given, and the columns that the query selects. */
const struct nunchi_view *probe_trace_schema(const struct probe_trace *trace, size_t i);
const struct nunchi_column *const *probe_trace_columns(const struct probe_trace *trace, size_t i,
						       size_t *ret_count);

/*
 * Handles one stop of the guest, without waiting for it; *ret_any: there was one. Fails with
 * NUNCHI_ERROR_GONE when the guest has ended; then nothing more will come.
 */
struct nunchi_error *probe_trace_dispatch(struct probe_trace *trace, bool *ret_any);
/* Whether somebody else has the guest paused, so that nothing can happen. */
bool probe_trace_is_paused(struct probe_trace *trace);
/*
 * Makes rows of the calls that have not returned yet, without what their return would tell. For
 * the end of a trace.
 */
void probe_trace_flush(struct probe_trace *trace);

/*
 * Takes the next row: the selected cells of a row of probe *ret_probe, valid until the next call.
 * false: there is none now.
 */
bool probe_trace_take(struct probe_trace *trace, size_t *ret_probe,
		      const struct nunchi_cell **ret_cells);
/* See nunchi_cursor_warning(). */
const char *probe_trace_warning(const struct probe_trace *trace, size_t index);
void probe_trace_cost(const struct probe_trace *trace, struct nunchi_trace_cost *ret);

#endif
