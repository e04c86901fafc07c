/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the Xen target share: the target itself. */
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
	struct xen_domain domain; /* as it was when it was opened */
	struct undo undo;
	int privcmd; /* has_privcmd: for the guard's hypercalls */
	bool has_privcmd;
	struct memory_mapper *mapper; /* the memory's */
	int map_denied;               /* errno: the hypervisor forbade to map a page */
	bool map_allowed;             /* it did not forbid one */
	bool sigbus_guard;
	bool unlisted; /* a note already says that this PV guest keeps no list of its frames */
	const struct cancel *cancel; /* may be NULL */
};

static inline struct xen_target *xen_of(struct target *target)
{
	return (struct xen_target *)target;
}

/* The domain as it is now; NUNCHI_ERROR_GONE if it, or another one, is there in its place. */
struct nunchi_error *xen_still_there(struct xen_target *xen, struct xen_domain *ret);

/* ---- pause.c ---- */

struct nunchi_error *xen_pause(struct target *target);
struct nunchi_error *xen_resume(struct target *target);
/*
 * Undoes a pause that a nunchi left when it and its guard were killed. Where it cannot tell whose
 * the pause is, it adds a note.
 */
void xen_repair(struct xen_target *xen);
void xen_pause_init(struct xen_target *xen);
/* Ends the guard. */
void xen_pause_deinit(struct xen_target *xen);

/* ---- map.c ---- */

/* Makes and seals the target's memory. */
struct nunchi_error *xen_map_memory(struct xen_target *xen);
/* Takes the ranges anew if the domain has another number of pages than it had. */
void xen_refresh(struct target *target);

#endif
