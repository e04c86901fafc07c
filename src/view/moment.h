/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One moment of a running guest. A piece of work first runs on the running guest, so that the pages
 * that it reads become known; the guest is paused while they are copied; then the work runs again,
 * on the copies. The copies can be kept, so that more work sees the same moment without a pause.
 */
#ifndef NUNCHI_VIEW_MOMENT_H
#define NUNCHI_VIEW_MOMENT_H

#include "target/target.h"

struct moment {
	struct target *target;
	bool captured;   /* copies are kept, of all that the last work read */
	uint64_t number; /* counts the moments; 0: none yet */
	bool resume_failed;
};

/*
 * Runs work, several times, until it ran on copies that had all that it read, and keeps these
 * copies. Copies of before are used if they have all of it; if not, all of them are made anew, at
 * another moment. In its last run nothing that work reads can change.
 *
 * A guest may make new pages faster than they can be copied. whole_pause says what happens then:
 * the guest is paused while work runs once, and no copy is kept; or NUNCHI_ERROR_BUSY. A failure to
 * resume the guest is returned before all other errors, and sets resume_failed.
 */
struct nunchi_error *moment_run(struct moment *moment, bool whole_pause,
				struct nunchi_error *(*work)(void *data), void *data);

/* Reads see the running guest again; the copies stay for the next moment_run(). */
void moment_set_aside(struct moment *moment);
/* Frees the copies. */
void moment_end(struct moment *moment);
/* Whether what is read now cannot change: copies, or memory of a guest that we paused. */
bool moment_is_still(const struct moment *moment);

#endif
