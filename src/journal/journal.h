/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal: what must be undone on a guest if we die. One small file a guest, in a directory
 * of the user's own. Its owner is alive as long as it holds the lock on the file (an open file
 * description lock, so it ends with its owner, however that ends); process ids decide nothing.
 *
 * Write a record before the change, erase it once the change is undone. A record whose lock is
 * free was left behind: journal_take() hands it to whoever repairs it.
 *
 * Where doing and undoing count (Xen counts pauses, so that undoing one twice would undo somebody
 * else's), the guard does both, and marks in the record how far it is.
 */
#ifndef NUNCHI_JOURNAL_JOURNAL_H
#define NUNCHI_JOURNAL_JOURNAL_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A record that we hold: locked, ours to undo. */
struct journal;

enum journal_state {
	JOURNAL_NONE, /* nothing to undo */
	JOURNAL_LEFT, /* written by an owner that is gone */
	JOURNAL_HELD, /* its owner is alive */
};

enum journal_step {
	JOURNAL_STEP_NONE = '-',    /* not begun, or not marked at all */
	JOURNAL_STEP_DOING = 'a',   /* being done: it may have happened or not */
	JOURNAL_STEP_DONE = 'd',    /* done, to be undone */
	JOURNAL_STEP_UNDOING = 'u', /* being undone: it may have happened or not */
};

/*
 * Looks for a record about guest (a key of letters, digits, '-' and '_' that names one guest and
 * no later one, such as a process id with its start time) in every directory a record could be in.
 */
enum journal_state journal_look(const char *guest);

/*
 * Writes a record that action ("pause") is about to be done to guest, and locks it. If one was
 * left behind, takes that over and says so in *ret_left. NUNCHI_ERROR_BUSY if another owner lives.
 */
struct nunchi_error *journal_write(const char *guest, const char *action, struct journal **ret,
				   bool *ret_left);

/* Takes a record that was left behind; *ret is NULL if there is none (any more). */
struct nunchi_error *journal_take(const char *guest, struct journal **ret);

/* The file's path, and the random number in it that tells this record from any other. */
const char *journal_path(const struct journal *journal);
uint64_t journal_cookie(const struct journal *journal);

/* How far the record says its owner was. */
enum journal_step journal_step(const struct journal *journal);

/* All is undone: removes the record and frees. NULL is accepted. */
void journal_erase(struct journal *journal);
/* Frees and unlocks, leaving the record for the next to repair. NULL is accepted. */
void journal_abandon(struct journal *journal);

/*
 * Removes the record at path if its owner is gone and it still has that cookie. For the guard,
 * after its owner died: async-signal-safe.
 */
void journal_remove_left(const char *path, uint64_t cookie);

/*
 * The same in two steps: locks the record of an owner that is gone, so that nobody else undoes it
 * too; -1 if it is there no more, or another one. *ret_busy: somebody holds it, who repairs it, or
 * is its owner whose files are not closed yet; ask again. The descriptor is for journal_end_left(),
 * which removes the record if all is undone. Async-signal-safe.
 */
int journal_take_left(const char *path, uint64_t cookie, bool *ret_busy);
void journal_end_left(int fd, const char *path, bool undone);
/* Marks the record at path; false if it is not there, or another one. Async-signal-safe. */
bool journal_mark(const char *path, uint64_t cookie, enum journal_step step);

#endif
