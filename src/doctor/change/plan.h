/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The change that brings a system to Xen: files that nunchi alone has, and the grub.cfg that GRUB's
 * scripts then make. Before anything is written, the plan is made, and checked on the grub.cfg that
 * would result.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_PLAN_H
#define NUNCHI_DOCTOR_CHANGE_PLAN_H

#include "core/buffer.h"
#include "core/error.h"
#include "doctor/facts/facts.h"
#include "doctor/facts/grub_menu.h"
#include "doctor/facts/grub_vars.h"
#include "doctor/facts/root.h"

/* What is wanted of the command lines in Xen's entries. Each list ends with NULL; texts are static.
 */
#define REMEDY_MOST 16
struct remedy {
	const char *xen[REMEDY_MOST];       /* options that the hypervisor gets */
	const char *dom0[REMEDY_MOST];      /* options that dom0's kernel gets */
	const char *dom0_drop[REMEDY_MOST]; /* that it loses; one that ends in "=" fits any value */
};

struct plan_options {
	bool trial;
	unsigned minutes; /* of the trial */
	struct remedy remedy;
	const struct nunchi_context *context;
};

struct plan {
	struct buffer own;    /* the text of nunchi's file in /etc/default/grub.d */
	struct buffer script; /* of the trial; empty without one */
	struct buffer now;    /* grub.cfg as it is */
	/* grub.cfg as it would be made without nunchi's file and with it; empty unless generated.
	 */
	struct buffer before, after;
	bool generated;
	bool trial;
	char *entry;       /* what grub-reboot gets; NULL unless generated */
	char *was_default; /* what boots by default now and afterwards; NULL unless generated */
	char *is_default;
	uint64_t inputs; /* grub_inputs(), if generated */
};

void plan_deinit(struct plan *plan);
#define _cleanup_plan_ _cleanup_(plan_deinit)

/*
 * Makes the plan. With `generate` it is also checked against the grub.cfg that would be made: the
 * entries without Xen stay as they are, the default is one of them, Xen's entry has the options
 * that the remedy asks for, GRUB's own check finds no fault, and for a trial, GRUB can clear the
 * one-shot boot. An error says which of these does not hold. Changes nothing.
 */
struct nunchi_error *plan_make(const struct root *root, const struct plan_options *options,
			       bool generate, struct plan *ret);
/* Appends the change as a unified diff. */
struct nunchi_error *plan_diff(const struct root *root, const struct plan *plan,
			       const struct nunchi_context *context, struct buffer *ret);

/* What a host's facts ask for; see docs/doctor.md for the reasons. */
void remedy_of(const struct facts *facts, struct remedy *ret);

/* Appends the text of nunchi's file in /etc/default/grub.d; ret->failed if there is no memory. */
void plan_write_own(const struct grub_vars *vars, const struct plan_options *options,
		    struct buffer *ret);
/* Whether both menus have the same native entries: by text, or else by what they boot. */
bool plan_same_native(const struct grub_menu *a, const char *a_text, const struct grub_menu *b,
		      const char *b_text, bool by_text);
/* The first value of a menu's default under which it would boot Xen, as an entry; or NONE. */
size_t plan_default_xen(const struct grub_menu *menu, const char *saved_entry);

#endif
