/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes: what a running guest does, as rows. A probe is set in the guest's kernel; each time the
 * kernel gets there, the guest stands still for the moment in which its row is read.
 *
 * The rules of nunchi.h hold here too: for errors, ownership, threads, and fork().
 *
 * The guest goes on, without breakpoints, whatever happens to this process: before the first
 * breakpoint is set, the library writes the undo log and starts the program nunchi-guard (see enum
 * nunchi_pause). If both are killed, the next nunchi that opens the guest repairs it.
 */
#ifndef NUNCHI_TRACE_H
#define NUNCHI_TRACE_H

#include <nunchi/nunchi.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The probes, in alphabetical order. All have the columns time, uptime, vcpu, pid, tid, name,
 * parent, uid, cgroup_path and container, in this order, before their own. Static storage; any
 * thread may call this.
 */
#define NUNCHI_PROBE_COMMON_COLUMNS 10
NUNCHI_API const struct nunchi_view *const *nunchi_probes(size_t *ret_count);
/* The probe with this name, or NULL. Static storage; any thread may call this. */
NUNCHI_API const struct nunchi_view *nunchi_probe_find(const char *name);

struct nunchi_trace_options {
	size_t size; /* sizeof(struct nunchi_trace_options) */
	/*
	 * Columns and constraints for each of the probes, all of which must have these columns;
	 * NULL: all rows, and all columns but those whose description says that they must be named.
	 * Its limits are not used. Constraints on the columns that all probes have are tested
	 * before the rest of a row is read.
	 */
	const struct nunchi_query *query;
	/*
	 * Only the process that has this id when the trace begins, and those that descend from it;
	 * 0: all.
	 */
	int64_t pid;
	/* leave out, with a warning, probes whose functions or types the kernel lacks */
	bool lenient;
};

struct nunchi_trace;

/*
 * Sets probes in a guest that was opened with nunchi_guest_options.events. A name is that of a
 * probe of nunchi_probes(), or "msr:NUMBER", or "kernel:FUNCTION", which has the function's
 * parameters as columns, and with `kernel:FUNCTION(EXPRESSION,…)` what the expressions give: paths
 * from a parameter such as "sk->__sk_common.skc_dport". options may be NULL. A guest has one trace
 * at a time; the caller ends it by nunchi_trace_close(), before the guest is closed.
 *
 * Fails with NUNCHI_ERROR_UNSUPPORTED if the target has no events or the kernel lacks what a probe
 * needs, NUNCHI_ERROR_NOT_FOUND if there is no such probe, function or process, and
 * NUNCHI_ERROR_BUSY if somebody else traces or debugs the guest, has it paused, or uses up the
 * processor's breakpoints.
 */
NUNCHI_API struct nunchi_error *nunchi_trace_open(struct nunchi_guest *guest,
						  const char *const *probes, size_t count,
						  const struct nunchi_trace_options *options,
						  struct nunchi_trace **ret);
/* The schema of probe number `index` of those given, or NULL. Owned by the trace. */
NUNCHI_API const struct nunchi_view *nunchi_trace_probe(const struct nunchi_trace *trace,
							size_t index);
/* The columns of that probe's rows. Owned by the trace. */
NUNCHI_API const struct nunchi_column *const *nunchi_trace_columns(const struct nunchi_trace *trace,
								   size_t index, size_t *ret_count);

/*
 * A descriptor that is readable when nunchi_trace_next() has something to do; owned by the trace.
 */
NUNCHI_API int nunchi_trace_fd(const struct nunchi_trace *trace);

struct nunchi_trace_row {
	size_t probe;                    /* number of the probe, of those given */
	const struct nunchi_cell *cells; /* one for each column; valid until the next call */
};

/*
 * Gets the next row, and waits for it up to timeout_ms milliseconds; 0: not at all. Returns with
 * ret->cells NULL if there was none. A guest that has met a probe stands still until this is
 * called: call it again without delay. Rows that are not taken in time are dropped and counted.
 *
 * Fails with NUNCHI_ERROR_GONE if the guest has ended, with NUNCHI_ERROR_REBOOTED if another
 * kernel runs now; rows that came before are given first.
 */
NUNCHI_API struct nunchi_error *nunchi_trace_next(struct nunchi_trace *trace, unsigned timeout_ms,
						  struct nunchi_trace_row *ret);
/*
 * Ends tracing: no more events come, and the guest goes on without probes. Rows of calls that have
 * not returned yet are given by the next calls of nunchi_trace_next(), their results absent; then
 * it fails with NUNCHI_ERROR_STOP. Does nothing if tracing has ended.
 */
NUNCHI_API void nunchi_trace_stop(struct nunchi_trace *trace);

/* What a trace has cost. */
struct nunchi_trace_cost {
	uint64_t events;     /* hits of probes; a return that was waited for is not counted */
	uint64_t rows;       /* of those, the rows that met all conditions */
	uint64_t dropped;    /* rows that were lost because nobody took them, or memory was short */
	uint64_t pending;    /* calls that have not returned yet */
	uint64_t stopped_us; /* how long the guest stood still for events, in microseconds */
};
NUNCHI_API void nunchi_trace_cost(const struct nunchi_trace *trace, struct nunchi_trace_cost *ret);
/* Whether somebody else has the guest paused. */
NUNCHI_API bool nunchi_trace_is_paused(struct nunchi_trace *trace);
/* Warning number `index`, from 0, about cells that could not be read; NULL if there are no more. */
NUNCHI_API const char *nunchi_trace_warning(const struct nunchi_trace *trace, size_t index);
/* Ends tracing and frees the trace. NULL is accepted. */
NUNCHI_API void nunchi_trace_close(struct nunchi_trace *trace);

#ifdef __cplusplus
}
#endif

#endif
