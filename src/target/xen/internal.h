/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of the Xen target. */
#ifndef NUNCHI_TARGET_XEN_INTERNAL_H
#define NUNCHI_TARGET_XEN_INTERNAL_H

#include "core/cancel.h"
#include "journal/undo.h"
#include "target/target.h"
#include "target/xen/hypervisor.h"
#include "target/xen/monitor.h"
#include "target/xen/ring.h"
#include "target/xen/xen.h"

/* What the hypervisor and the toolstack say of the size of a domain (target_ops.measure). */
struct xen_size {
	uint64_t pages;          /* as in struct xen_domain */
	uint64_t most_pages;     /* as in struct xen_domain */
	uint64_t static_max;     /* the toolstack's limit in KiB, 0: unknown */
	uint64_t frame_hint;     /* xen_frame_hint(); 0 for PV guests */
	uint64_t machine_frames; /* the host's; 0: unknown, or no PV guest */
	uint64_t on_demand;      /* xen_pages_on_demand() */
};

/* What is switched on of the events of a domain. */
struct xen_source {
	uint32_t event, index; /* as for monitor_set() */
};
#define XEN_SOURCES_MAX 64

/* A breakpoint that is in the guest. */
struct xen_breakpoint {
	uint64_t address;
	struct undo_patch patch;
	/* The instruction has an effect: Xen executes it from `code`. */
	bool has_effect;
	uint8_t code[RING_INSTRUCTION_SIZE];
};

/* stops.c */
struct xen_stops {
	struct undo undo;
	struct monitor monitor;
	int channels;       /* descriptor of the event channel, or -1 */
	void *page;         /* of the ring; NULL: the guest is not watched by this process */
	struct ring *ring;  /* on that page */
	bool unmade;        /* making a ring had no effect, so that there is nothing to remove */
	uint64_t ticket;    /* of the event that next() gave, until go(); 0: none */
	bool at_breakpoint; /* that is one of a breakpoint */
	struct x86_registers registers; /* of its vCPU */
	char end[256];                  /* why watching has ended; "" if somebody asked for that */
	struct xen_source sources[XEN_SOURCES_MAX];
	size_t source_count;
	bool ignores_length;        /* xen_host_ignores_length() */
	const char *no_breakpoints; /* why there can be none; NULL: there can */
	struct xen_breakpoint breakpoints[UNDO_PATCHES_MAX];
	size_t breakpoint_count;
};

struct xen_target {
	struct target base;
	struct xen_hypervisor xen;
	struct xen_domain domain; /* as it was when the target was opened */
	struct xen_size size;
	uint64_t known_pages; /* size.pages for which the memory has its ranges */
	struct undo undo;
	struct xen_stops stops;
	struct memory_mapper *mapper; /* owned by the memory */
	/* errno with which the hypervisor refused to map a page, or 0 */
	int map_denied;
	bool map_allowed; /* the hypervisor permitted to map a page */
	bool sigbus_guard;
	bool unlisted; /* a note that this PV guest keeps no list of its frames was already added */
	const struct cancel *cancel; /* may be NULL */
};

static inline struct xen_target *xen_of(struct target *target)
{
	return (struct xen_target *)target;
}

/*
 * Gets the current state of the domain; NUNCHI_ERROR_GONE if it does not exist any more, even if
 * another domain has its id.
 */
struct nunchi_error *xen_still_there(struct xen_target *xen, struct xen_domain *ret);

/* ---- pause.c ---- */

/* The functions of struct target_control. */
struct nunchi_error *xen_pause(struct target *target);
struct nunchi_error *xen_resume(struct target *target);
/*
 * Undoes a pause that was left when a nunchi and its guard were killed. If it is unknown whose
 * pause it is, only adds a note.
 */
void xen_repair(struct xen_target *xen);
void xen_pause_init(struct xen_target *xen);
/* Ends the guard. */
void xen_pause_deinit(struct xen_target *xen);

/* Writes what undo_init() gets for the domain: "ID-UUID". */
void xen_undo_name(const struct xen_domain *domain, char *ret, size_t size);
/* Whether the domain of such a name is gone. data is a struct xen_target. */
bool xen_is_dead(void *data, const char *name);

/* ---- stops.c ---- */

extern const struct target_stops_ops xen_stops;
void xen_stops_init(struct xen_target *xen);
/* Finds out whether the guest can be watched, and says so in the target. */
void xen_stops_describe(struct xen_target *xen);
/* Removes an event ring that a nunchi left that was killed. */
void xen_stops_repair(struct xen_target *xen);
/* After fork(): the memory for hypercalls is another one. */
void xen_stops_forked(struct xen_target *xen);

/* ---- breakpoints.c ---- */

/*
 * Sets and removes a breakpoint, while the guest has a ring and Xen tells by it of INT3. If it
 * fails, the guest's code is as it was.
 */
struct nunchi_error *xen_breakpoint_insert(struct xen_target *xen, uint64_t address);
struct nunchi_error *xen_breakpoint_remove(struct xen_target *xen, uint64_t address);
/* The breakpoint at an address, or NULL. */
const struct xen_breakpoint *xen_breakpoint_find(const struct xen_stops *stops, uint64_t address);
/*
 * How a vCPU that has met a breakpoint goes on at rip: if that is where it stands, behind the
 * instruction there. *registers is its own, and is changed.
 */
struct ring_answer xen_breakpoint_pass(const struct xen_stops *stops,
				       struct x86_registers *registers, uint64_t rip);
/*
 * Gives the guest the trap of an INT3 that is none of our breakpoints. *ret is the answer to the
 * event, with these registers. It fails if Xen will never take the trap.
 */
struct nunchi_error *xen_breakpoint_hand_on(const struct xen_target *xen,
					    const struct ring_event *event,
					    struct x86_registers *ret_registers,
					    struct ring_answer *ret);

/* ---- map.c ---- */

/* Makes and seals the target's memory. */
struct nunchi_error *xen_map_memory(struct xen_target *xen);
/* The functions of struct target_ops. */
struct nunchi_error *xen_measure(struct target *target, union target_size *ret);
/* Updates the ranges if the number of the domain's pages has changed. */
void xen_refresh(struct target *target, const union target_size *measured);

#endif
