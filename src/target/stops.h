/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stops of a guest at addresses of its code. A target that has the capability TARGET_EVENTS offers
 * these functions; the room event/ builds breakpoints on them.
 *
 * All functions that fail leave the guest as it was, or end watching (target_stops_ops.close()).
 * Whatever happens to this process, the guest goes on without breakpoints: open() writes the undo
 * log and starts a guard before it changes the guest. No function is called twice at once.
 */
#ifndef NUNCHI_TARGET_STOPS_H
#define NUNCHI_TARGET_STOPS_H

#include "arch/x86/registers.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum target_stop_kind {
	TARGET_STOP_NONE, /* nothing has happened since */
	/* A vCPU is about to execute the instruction at registers.rip, which has a breakpoint. */
	TARGET_STOP_BREAKPOINT,
	/*
	 * A vCPU has done something that observe() asked for, and stands still until go(). Other
	 * vCPUs run.
	 */
	TARGET_STOP_EVENT,
	/*
	 * Somebody else has stopped the guest. It is not resumed by us; next() goes on when they
	 * have resumed it.
	 */
	TARGET_STOP_PAUSED,
	TARGET_STOP_GONE, /* the guest has ended */
};

/* What a vCPU can be observed to do, beside executing an instruction. */
enum target_event {
	TARGET_EVENT_CR3, /* it writes another value to the register */
	TARGET_EVENT_CR4,
	TARGET_EVENT_MSR, /* it writes to the MSR with a given index */
};

struct target_stop {
	enum target_stop_kind kind;
	unsigned vcpu;
	bool others_run; /* the vCPU alone stands still, until go() */
	/*
	 * Of the vCPU, unless the kind is another one. For an event gs_base is the kernel's, if
	 * either of the two bases is.
	 */
	struct x86_registers registers;
	/* For TARGET_STOP_EVENT. */
	enum target_event event;
	uint32_t index; /* of the MSR */
	uint64_t value, old;
};

struct target;

struct target_stops_ops {
	/*
	 * Begins to watch. The guest runs when this returns. NUNCHI_ERROR_BUSY, which names the
	 * other, if somebody else watches or debugs the guest, or has paused it.
	 */
	struct nunchi_error *(*open)(struct target *target);
	/*
	 * Removes all breakpoints, resumes the guest unless somebody else has paused it, and ends
	 * watching. Does nothing if open() was not called or has failed.
	 */
	void (*close)(struct target *target);
	/* A descriptor that is readable (POLLIN) when next() has something; owned by the target. */
	int (*fd)(const struct target *target);
	/*
	 * Gets what has happened, without waiting. After TARGET_STOP_BREAKPOINT the guest, or the
	 * vCPU if others run, stands still until go().
	 */
	struct nunchi_error *(*next)(struct target *target, struct target_stop *ret);
	/*
	 * Resumes the guest after a breakpoint. The vCPU goes on at rip: if that is the address of
	 * the breakpoint, it executes the instruction there first, without another stop. After an
	 * event it goes on where it is.
	 */
	struct nunchi_error *(*go)(struct target *target, const struct target_stop *stop,
				   uint64_t rip);
	/*
	 * Stops the guest for insert() and remove(), until release(). Not between a breakpoint and
	 * go(), where the guest stands still already. A breakpoint that is met meanwhile is
	 * reported by next() after release().
	 */
	struct nunchi_error *(*hold)(struct target *target);
	struct nunchi_error *(*release)(struct target *target);
	/*
	 * Sets and removes a breakpoint at a virtual address of the kernel, while the guest or a
	 * vCPU stands still. NUNCHI_ERROR_BUSY if the processor has no more of them,
	 * NUNCHI_ERROR_UNSUPPORTED if none can be at this address.
	 */
	struct nunchi_error *(*insert)(struct target *target, uint64_t address);
	struct nunchi_error *(*remove)(struct target *target, uint64_t address);
	/*
	 * Has next() tell of an event from now on, until close(). index: of the MSR. NULL: the
	 * target has no events.
	 */
	struct nunchi_error *(*observe)(struct target *target, enum target_event event,
					uint32_t index);
	/*
	 * Breakpoints are in the guest's memory, and would be in a copy of the guest. To be read in
	 * target_ops.stops.
	 */
	bool in_memory;
};

/* The functions for a target, which a confined process may call too; NULL if it has none. */
const struct target_stops_ops *target_stops(const struct target *target);

#endif
