/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One moment of a running guest. Work first runs on the running guest to find out which pages it
 * reads; then the guest is paused while these pages are copied; then the work runs again on the
 * copies. The copies can be kept, so that more work sees the same moment without another pause.
 */
#ifndef NUNCHI_VIEW_MOMENT_H
#define NUNCHI_VIEW_MOMENT_H

#include "target/target.h"

struct moment {
	struct target *target;
	bool captured;   /* there are copies, of all pages that the last work read */
	uint64_t number; /* number of moments so far; 0: none */
	bool resume_failed;
};

/*
 * Runs work several times, until a run found all pages that it read among the copies, and keeps the
 * copies. Existing copies are used if they have all these pages; if not, all pages are copied
 * again, at another moment. During the last run the bytes that work reads cannot change.
 *
 * The guest may use new pages faster than they can be copied. If so and whole_pause is true, the
 * guest is paused while work runs once, and no copies are kept; if whole_pause is false, fails with
 * NUNCHI_ERROR_BUSY. If the guest cannot be resumed, that error is returned instead of any other,
 * and resume_failed is set.
 */
struct nunchi_error *moment_run(struct moment *moment, bool whole_pause,
				struct nunchi_error *(*work)(void *data), void *data);

/* Makes reads use the running guest again; the copies are kept for the next moment_run(). */
void moment_set_aside(struct moment *moment);
/* Frees the copies. */
void moment_end(struct moment *moment);
/*
 * Whether the bytes that are read now cannot change: they are copies, or the guest is paused by
 * nunchi.
 */
bool moment_is_still(const struct moment *moment);

#endif
