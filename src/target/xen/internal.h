/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations shared by the files of the Xen target. */
#ifndef NUNCHI_TARGET_XEN_INTERNAL_H
#define NUNCHI_TARGET_XEN_INTERNAL_H

#include "core/cancel.h"
#include "journal/undo.h"
#include "target/target.h"
#include "target/xen/hypervisor.h"
#include "target/xen/xen.h"

struct xen_target {
	struct target base;
	struct xen_hypervisor xen;
	struct xen_domain domain; /* as it was when the target was opened */
	struct undo undo;
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

/* ---- map.c ---- */

/* Makes and seals the target's memory. */
struct nunchi_error *xen_map_memory(struct xen_target *xen);
/* Updates the ranges if the number of the domain's pages has changed. */
void xen_refresh(struct target *target);

#endif
