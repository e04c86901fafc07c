/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes a guest and undoes the change, in the same way for every kind of target: look at the
 * guest's state, write the undo log, make the change, mark it as done; later undo it and remove the
 * log. The process, its guard, or both may be killed at each step, and whoever is left completes
 * the work (undo_log.h, guard.h, replay.h).
 *
 * A change is a pause, or that the guest is watched by a debugger's stub.
 */
#ifndef NUNCHI_JOURNAL_UNDO_H
#define NUNCHI_JOURNAL_UNDO_H

#include "journal/guard.h"
#include "journal/replay.h"

/* For texts: "left this guest STATE; UNDOING failed", "had left this guest UNDONE". */
struct undo_words {
	const char *state, *undoing, *undone;
};

/* The functions of a kind of target, for one type of change. `actor` has no data. */
struct undo_ops {
	enum undo_type type;
	struct undo_words words;
	/* Whether actor.look() tells a change of nunchi's from those of others. */
	bool certain;
	struct undo_actor actor;
	/*
	 * Makes the change: pauses the guest; NULL if the guard does that (actor.counted). If it
	 * fails, the guest may be paused or not.
	 */
	struct nunchi_error *(*set)(void *data);
	/* Fills in the plan for a guard. */
	struct nunchi_error *(*plan)(void *data, struct guard_plan *ret);
	/*
	 * Whether somebody has resumed the guest since set(); by_time, what its CPU time says,
	 * where nothing else tells. NULL: nothing else does.
	 */
	bool (*was_resumed)(void *data, bool by_time);
	/*
	 * Whether the guest that undo_init() gave this name is gone, or its number is another
	 * guest's now. False if that is unknown.
	 */
	bool (*is_dead)(void *data, const char *name);
	/* Writes what the user can do by hand if it is unknown whether the guest is paused. */
	void (*advise)(void *data, char *ret, size_t size);
};

struct undo {
	const struct undo_ops *ops;
	void *data;
	char key[UNDO_KEY_MAX]; /* identifies the guest, for undo_log_take() */
	size_t kind, boot;      /* length of its beginnings: KIND-, KIND-BOOT- */
	struct guard *guard;
	struct undo_log *log; /* not NULL while there is a change */
	unsigned entry;       /* number of the change in the log */
	/*
	 * the log has an entry of another nunchi of which it is unknown whether it was carried out
	 */
	bool unsure;
};

/*
 * data is passed to ops. kind ("xen") and format form the key: it must identify one guest of this
 * host and no later guest (for example by process id and start time), and have letters, digits, '-'
 * and '_' only, at most 80 characters.
 */
void undo_init(struct undo *undo, const struct undo_ops *ops, void *data, const char *kind,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Ends the guard. There must be no change left. Zeroed storage is accepted. */
void undo_deinit(struct undo *undo);

/*
 * Pauses the guest. First repairs what another nunchi left behind (*ret_repaired, see
 * undo_repair()). *ret_ours is false if pauses are not counted and the guest was paused already or
 * has ended; then nothing was done.
 */
struct nunchi_error *undo_do(struct undo *undo, bool *ret_ours, char **ret_repaired);

/*
 * Undoes the change. If that fails, the guard keeps trying for a few seconds, and the log is left
 * for the next nunchi; the caller has nothing more to do.
 */
struct nunchi_error *undo_undo(struct undo *undo);

/* Whether there is a change that undo_undo() would undo. */
static inline bool undo_is_pending(const struct undo *undo)
{
	return undo->log;
}

/*
 * Undoes what a nunchi left behind that was killed together with its guard; false if something of
 * it is left. *ret is a text for the user about what was undone or could not be decided, owned by
 * the caller; NULL if there was nothing. A pause is undone only with proof that it is ours (enum
 * undo_proof), unless that is certain. Also removes the logs of guests of this kind that are gone,
 * and of all that an earlier boot had.
 */
bool undo_repair(struct undo *undo, char **ret);

#endif
