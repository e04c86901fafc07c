/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Undoing the entries of an undo log in reverse order. Used by the log's owner, the guard and the
 * next nunchi.
 */
#ifndef NUNCHI_JOURNAL_REPLAY_H
#define NUNCHI_JOURNAL_REPLAY_H

#include "journal/undo_log.h"

/* What the state of a guest says about an entry. */
enum undo_seen {
	UNDO_SEEN_SET,     /* the guest is paused; by whom is unknown */
	UNDO_SEEN_CLEAR,   /* the guest is not paused */
	UNDO_SEEN_GONE,    /* the guest does not exist any more */
	UNDO_SEEN_UNKNOWN, /* the guest does not answer; assume that it is paused */
};

/*
 * CPU time that a guest has used. A guest that stands still uses none, but for `noise`: the
 * hypervisor's own work in its name, such as reading its registers. More than `doubt` it has only
 * used if it ran.
 */
struct undo_ran {
	uint64_t ns, noise, doubt;
};

/* Whose the pause of a guest is, by its CPU time. */
enum undo_proof {
	UNDO_PROOF_OURS,     /* it has stood still since ours */
	UNDO_PROOF_SOMEBODY, /* it has run since ours, so somebody has resumed it */
	/* its CPU time, or the one of our pause, is unknown, or they differ by too little */
	UNDO_PROOF_NONE,
};

/* The functions that look at and undo an entry on one kind of target. */
struct undo_actor {
	/*
	 * Whether the hypervisor counts pauses, as Xen does. If so, a pause must be undone exactly
	 * once, because undoing it again would undo the pause of somebody else. If not, undoing it
	 * again does no harm.
	 */
	bool counted;
	/* Gets the state of the guest. NULL: the state is not used. */
	struct nunchi_error *(*look)(void *data, enum undo_seen *ret);
	/*
	 * Undoes the entry. Also succeeds if nothing was left to undo (somebody else undid it, or
	 * the guest has ended).
	 */
	struct nunchi_error *(*clear)(void *data);
	/*
	 * Writes back the bytes that breakpoints replaced, which the log tells
	 * (undo_log_patches()), before anything is undone, and notes it there. NULL: there are
	 * none.
	 */
	struct nunchi_error *(*restore)(void *data, struct undo_log *log);
	void *data;
	/* Gets the CPU time of the guest; false if it is unknown. NULL: it always is. */
	bool (*ran)(void *data, struct undo_ran *ret);
	/*
	 * Whether a pause without proof is left alone. The guard and the owner, who act while the
	 * pause is theirs, do without.
	 */
	bool needs_proof;
	/*
	 * Whether look() may tell that the guest is clear although the change is in it still. Then
	 * an entry that says that it was made is undone whatever look() tells.
	 */
	bool hides;
};

/* The result of a replay. */
struct replay {
	unsigned undone; /* number of entries that clear() undid */
	/* number of entries left because it is unknown whether they were carried out */
	unsigned unsure;
	/* number of entries whose pause somebody has ended, while somebody has the guest paused */
	unsigned somebody;
	unsigned unknown; /* number of entries left because only a newer nunchi knows their type */
	/* why it stopped before the oldest entry; owned by the caller */
	struct nunchi_error *error;
};

/* Gets the state of the guest; UNDO_SEEN_UNKNOWN if that fails. */
enum undo_seen undo_look(const struct undo_actor *actor);

/* Says whose the pause of the guest is that the entry tells of. */
enum undo_proof undo_prove(const struct undo_actor *actor, const struct undo_entry *entry);

/* Undoes all entries, the newest first, and writes the results into the log. */
void replay(struct undo_log *log, const struct undo_actor *actor, struct replay *ret);

static inline bool replay_is_complete(const struct replay *result)
{
	return !result->unsure && !result->unknown && !result->error;
}

#endif
