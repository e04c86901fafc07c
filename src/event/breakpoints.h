/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints in the code of a guest, and events of its registers: many users of one address share
 * its breakpoint, and the guest goes on behind each as if there were none. Built on the stops of a
 * target (target/stops.h).
 *
 * Use a set in one thread at a time.
 */
#ifndef NUNCHI_EVENT_BREAKPOINTS_H
#define NUNCHI_EVENT_BREAKPOINTS_H

#include "memory/virtual.h"
#include "target/stops.h"
#include "target/target.h"

/* The greatest number of addresses with a breakpoint. */
#define BREAKPOINTS_MAX 4096

struct breakpoints;
struct breakpoint; /* of one user */

/*
 * Called when a vCPU is about to execute the instruction, while the guest stands still. May add and
 * remove breakpoints.
 */
typedef void breakpoint_hit_fn(void *data, const struct target_stop *stop);

/*
 * Creates a set without breakpoints for a target whose stops were opened. code reads the
 * instructions of the guest. Both must outlive the set.
 */
struct nunchi_error *breakpoints_create(struct target *target, struct address_space *code,
					struct breakpoints **ret);
/*
 * Frees the set. The breakpoints stay in the guest until the target's stops are closed; NULL is
 * accepted.
 */
void breakpoints_destroy(struct breakpoints *set);

/*
 * Adds a user of an address. Within a hit, or between target_stops_ops.hold() and release().
 * NUNCHI_ERROR_BUSY if the processor or this set has no more breakpoints.
 */
struct nunchi_error *breakpoints_add(struct breakpoints *set, uint64_t address,
				     breakpoint_hit_fn *hit, void *data, struct breakpoint **ret);
/*
 * Removes a user. The breakpoint of an address without users stays in the guest until room is
 * needed for another one: functions are traced again and again. NULL is accepted.
 */
void breakpoints_remove(struct breakpoints *set, struct breakpoint *breakpoint);

/*
 * Adds a user of an event, for as long as the set lives. index: of the MSR. Within a hit, or
 * between target_stops_ops.hold() and release(). NUNCHI_ERROR_UNSUPPORTED if the target has none.
 */
struct nunchi_error *breakpoints_observe(struct breakpoints *set, enum target_event event,
					 uint32_t index, breakpoint_hit_fn *hit, void *data);

/*
 * Within a hit: has the dispatch end watching (target_stops_ops.close()) in place of going on, so
 * that the guest goes on without breakpoints. It then fails with NUNCHI_ERROR_GONE, and this
 * reason.
 */
void breakpoints_end(struct breakpoints *set, const char *reason);

/* What has happened in a dispatch. */
struct breakpoints_result {
	enum target_stop_kind kind; /* TARGET_STOP_NONE: nothing was pending */
	uint64_t stood_us;          /* how long the guest stood still for it */
};
/*
 * Handles one stop, without waiting for it: calls the users of its address, and resumes the guest.
 * If this fails, watching has ended: close the target's stops.
 */
struct nunchi_error *breakpoints_dispatch(struct breakpoints *set, struct breakpoints_result *ret);

#endif
