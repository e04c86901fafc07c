/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Doing what a plan says, and taking it back. Apply may be ended at any point, by an error, a
 * signal or a power cut: undo then restores the files as they were, since copies of them are on
 * disk before the first one is changed.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_APPLY_H
#define NUNCHI_DOCTOR_CHANGE_APPLY_H

#include "doctor/change/plan.h"

/* The caller's function that is given a line about each thing done. */
struct told {
	void (*say)(const char *line, void *data);
	void *data;
};

/* An error unless we are root. */
struct nunchi_error *apply_rights(const char *command);
/* Does the plan. On failure, and when cancelled, everything is taken back first. */
struct nunchi_error *apply_plan(const struct root *root, const struct plan *plan,
				const struct nunchi_context *context, const struct told *told);
/*
 * Takes back what was applied: grub.cfg is the saved one if what it is made from is unchanged, and
 * else made anew without our file. Logs of trials stay. *ret_undone is false if there was nothing.
 */
struct nunchi_error *apply_undo(const struct root *root, const struct told *told, bool *ret_undone);
/* Tells a trial that counts down to let the machine run. */
struct nunchi_error *apply_stay(const struct root *root);

void told_say(const struct told *told, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
