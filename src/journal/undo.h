/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a guest and undone again, the same for every kind of target: look what is there,
 * write the undo log, do it, mark it as done, undo it, remove the log. At each step the process,
 * its guard, or both can be killed, and whoever is left finishes (undo_log.h, guard.h, replay.h).
 *
 * Today the only thing that is done is a pause.
 */
#ifndef NUNCHI_JOURNAL_UNDO_H
#define NUNCHI_JOURNAL_UNDO_H

#include "journal/guard.h"
#include "journal/replay.h"

/* What a kind of target gives. `actor` without data. */
struct undo_ops {
	struct undo_actor actor;
	/*
	 * Pauses the guest itself; NULL where the guard does it (actor.counted). If it fails, the
	 * guest may be paused or not.
	 */
	struct nunchi_error *(*set)(void *data);
	/* Fills the plan for a guard. */
	struct nunchi_error *(*plan)(void *data, struct guard_plan *ret);
	/* What whoever reads the error does by hand where it cannot be told what happened. */
	void (*advise)(void *data, char *ret, size_t size);
};

struct undo {
	const struct undo_ops *ops;
	void *data;
	char key[100]; /* the guest, for undo_log_take() */
	struct guard *guard;
	struct undo_log *log; /* while something is done */
	unsigned entry;       /* its number in the log */
	bool unsure;          /* the log has an entry of another nunchi's that cannot be decided */
};

/*
 * data is handed to ops. kind ("xen") and format name one guest of this host and no later one, as a
 * process id with its start time does, in letters, digits, '-' and '_'; together at most 80.
 */
void undo_init(struct undo *undo, const struct undo_ops *ops, void *data, const char *kind,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Ends the guard. Nothing may be done any more. Zeroed storage is accepted. */
void undo_deinit(struct undo *undo);

/*
 * Pauses the guest. *ret_ours is false if it stood still already, or has ended, and pauses are not
 * counted: then nothing was done. Repairs before what another nunchi left behind: *ret_repaired
 * (undo_repair()).
 */
struct nunchi_error *undo_do(struct undo *undo, bool *ret_ours, char **ret_repaired);

/*
 * Undoes that. If it fails, it is handed on: the guard goes on trying for some seconds, and the log
 * stays for the next nunchi. Nothing is left to be done by the caller.
 */
struct nunchi_error *undo_undo(struct undo *undo);

/* Whether something is done that undo_undo() would undo. */
static inline bool undo_is_pending(const struct undo *undo)
{
	return undo->log;
}

/*
 * Undoes what a nunchi left behind that was killed with its guard. *ret says so, for the user, or
 * what it could not decide; owned by the caller. NULL if there was nothing.
 */
void undo_repair(struct undo *undo, char **ret);

#endif
