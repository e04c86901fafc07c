/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undoing what an undo log says, in reverse order: for its owner, the guard and the next nunchi. */
#ifndef NUNCHI_JOURNAL_REPLAY_H
#define NUNCHI_JOURNAL_REPLAY_H

#include "journal/undo_log.h"

/* What a guest shows of what an entry did. */
enum undo_seen {
	UNDO_SEEN_SET,     /* it is paused; whose pause it is does not show */
	UNDO_SEEN_CLEAR,   /* it is not */
	UNDO_SEEN_GONE,    /* there is no guest any more */
	UNDO_SEEN_UNKNOWN, /* it does not answer: the worse is taken for true */
};

/* How an entry is undone on one kind of target. */
struct undo_actor {
	/*
	 * Whether each pause counts (Xen counts them), so that it must be undone exactly once, or
	 * somebody else's would be. If not, undoing it again does no harm.
	 */
	bool counted;
	/* NULL: it is not looked. */
	struct nunchi_error *(*look)(void *data, enum undo_seen *ret);
	/*
	 * Undoes it: NULL also where there was nothing to undo any more (somebody else did, the
	 * guest has ended).
	 */
	struct nunchi_error *(*clear)(void *data);
	void *data;
};

/* What came of a replay. */
struct replay {
	unsigned undone;  /* entries that clear() undid */
	unsigned unsure;  /* entries left, since it cannot be told whether they happened */
	unsigned unknown; /* entries left, whose type only a newer nunchi knows */
	struct nunchi_error *error; /* why it stopped before the oldest; owned by the caller */
};

/* What the guest shows; UNDO_SEEN_UNKNOWN where looking fails. */
enum undo_seen undo_look(const struct undo_actor *actor);

/* Undoes every entry, newest first, and writes what came of it into the log. */
void replay(struct undo_log *log, const struct undo_actor *actor, struct replay *ret);

static inline bool replay_is_complete(const struct replay *result)
{
	return !result->unsure && !result->unknown && !result->error;
}

#endif
