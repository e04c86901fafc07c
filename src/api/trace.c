/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <nunchi/trace.h>

#include "api/guest.h"
#include "core/io.h"
#include "core/options.h"
#include "probe/trace.h"
#include "target/stops.h"

#include <errno.h>
#include <poll.h>

/* How often the guest is asked whether it still runs the same kernel. */
#define CHECK_US (2 * CLOCK_US_PER_S)

struct nunchi_trace {
	struct nunchi_guest *guest;
	struct probe_trace *trace;
	bool ended;
	uint64_t check_us; /* when the kernel is checked next */
};

const struct nunchi_view *const *nunchi_probes(size_t *ret_count)
{
	/* struct probe begins with its schema, so both have the same address. */
	_Static_assert(offsetof(struct probe, schema) == 0, "schema comes first");
	_Static_assert(PROBE_COLUMN_COUNT == NUNCHI_PROBE_COMMON_COLUMNS, "in trace.h");
	return (const struct nunchi_view *const *)probe_registry(ret_count);
}

const struct nunchi_view *nunchi_probe_find(const char *name)
{
	const struct probe *probe = name ? probe_find(name) : NULL;

	return probe ? &probe->schema : NULL;
}

/* Whether the guest can be traced now. */
static struct nunchi_error *check_guest(const struct nunchi_guest *guest)
{
	const struct target *target = guest->target;

	if (!target->support[TARGET_EVENTS].available || !target->ops->stops)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED, "it cannot be traced: %s",
					       target->support[TARGET_EVENTS].reason),
				  "nunchi info TARGET says what a guest can be asked for, nunchi "
				  "list which ones run here");
	if (!guest->events)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "a guest that is to be traced is opened with "
				    "nunchi_guest_options.events");
	return NULL;
}

static struct nunchi_error *start(struct nunchi_guest *guest, const char *const *probes,
				  size_t count, const struct nunchi_trace_options *options,
				  struct nunchi_trace *trace)
{
	struct probe_trace_options own = {.target = guest->target};
	struct nunchi_trace_options taken = {0};
	struct nunchi_query query = {0};
	struct nunchi_error *err = check_guest(guest);

	if (!err && options)
		err = options_take("nunchi_trace_options", options, options->size,
				   offsetof(struct nunchi_trace_options, query), &taken,
				   sizeof(taken));
	if (!err && taken.query)
		err = options_take("nunchi_query", taken.query, taken.query->size,
				   offsetof(struct nunchi_query, columns), &query, sizeof(query));
	if (!err)
		err = guest_kernel(guest, &own.kernel);
	if (err)
		return err;
	own.query = taken.query ? &query : NULL;
	own.pid = taken.pid;
	own.lenient = taken.lenient;
	trace->guest = guest;
	trace->check_us = clock_us() + CHECK_US;
	err = target_stops(guest->target)->open(guest->target);
	if (err)
		return err;
	err = probe_trace_create(&own, probes, count, &trace->trace);
	if (err)
		target_stops(guest->target)->close(guest->target);
	return err;
}

struct nunchi_error *nunchi_trace_open(struct nunchi_guest *guest, const char *const *probes,
				       size_t count, const struct nunchi_trace_options *options,
				       struct nunchi_trace **ret)
{
	API_REQUIRE(guest && probes && ret);

	struct nunchi_trace *trace;
	struct nunchi_error *err;

	if (!count)
		return error_create(NUNCHI_ERROR_ARGUMENT, "a trace needs a probe");
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return &error_nomem;
	err = start(guest, probes, count, options, trace);
	if (err) {
		free(trace);
		return guest_error(guest, err);
	}
	*ret = trace;
	return NULL;
}

const struct nunchi_view *nunchi_trace_probe(const struct nunchi_trace *trace, size_t index)
{
	return probe_trace_schema(trace->trace, index);
}

const struct nunchi_column *const *nunchi_trace_columns(const struct nunchi_trace *trace,
							size_t index, size_t *ret_count)
{
	return probe_trace_columns(trace->trace, index, ret_count);
}

int nunchi_trace_fd(const struct nunchi_trace *trace)
{
	const struct target *target = trace->guest->target;

	return target_stops(target)->fd(target);
}

/* The guest's kernel is checked now and then: a guest that was reset meets no probe any more. */
static struct nunchi_error *check_kernel(struct nunchi_trace *trace)
{
	struct nunchi_guest *guest = trace->guest;

	if (clock_us() < trace->check_us)
		return NULL;
	trace->check_us = clock_us() + CHECK_US;
	target_renew(guest->target);
	return guest->kernel->system->check(guest->kernel, guest->target, true);
}

/* Waits until the guest has met a probe, or for the next check of its kernel. */
static struct nunchi_error *wait_for_event(struct nunchi_trace *trace, uint64_t deadline)
{
	uint64_t until = deadline < trace->check_us ? deadline : trace->check_us;
	int ready = io_wait(nunchi_trace_fd(trace), POLLIN, until, &trace->guest->cancel);

	if (ready == -ECANCELED)
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (ready < 0)
		return error_create_errno(-ready, "cannot wait for events");
	return NULL;
}

static bool take(struct nunchi_trace *trace, struct nunchi_trace_row *ret)
{
	return probe_trace_take(trace->trace, &ret->probe, &ret->cells);
}

struct nunchi_error *nunchi_trace_next(struct nunchi_trace *trace, unsigned timeout_ms,
				       struct nunchi_trace_row *ret)
{
	API_REQUIRE(trace && ret);

	uint64_t deadline = clock_us() + timeout_ms * CLOCK_US_PER_MS;
	struct nunchi_error *err = NULL;

	ret->cells = NULL;
	while (!err) {
		bool any;

		if (take(trace, ret))
			return NULL;
		if (trace->ended)
			return &error_stop;
		err = probe_trace_dispatch(trace->trace, &any);
		if (take(trace, ret)) {
			/* An error comes again. */
			nunchi_error_destroy(err);
			return NULL;
		}
		if (!err)
			err = check_kernel(trace);
		if (!err && clock_us() >= deadline)
			return NULL;
		if (!err && !any)
			err = wait_for_event(trace, deadline);
	}
	return guest_error(trace->guest, err);
}

void nunchi_trace_stop(struct nunchi_trace *trace)
{
	struct target *target = trace->guest->target;

	if (trace->ended)
		return;
	trace->ended = true;
	target_stops(target)->close(target);
	probe_trace_flush(trace->trace);
}

void nunchi_trace_cost(const struct nunchi_trace *trace, struct nunchi_trace_cost *ret)
{
	probe_trace_cost(trace->trace, ret);
}

bool nunchi_trace_is_paused(struct nunchi_trace *trace)
{
	return probe_trace_is_paused(trace->trace);
}

const char *nunchi_trace_warning(const struct nunchi_trace *trace, size_t index)
{
	return probe_trace_warning(trace->trace, index);
}

void nunchi_trace_close(struct nunchi_trace *trace)
{
	if (!trace)
		return;
	nunchi_trace_stop(trace);
	probe_trace_destroy(trace->trace);
	free(trace);
}
