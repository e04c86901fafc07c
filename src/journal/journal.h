/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journal: what must be undone on a guest if we die. One small file a guest, in a directory
 * of the user's own. Its owner is alive as long as it holds the lock on the file (an open file
 * description lock, so it ends with its owner, however that ends); process ids decide nothing.
 *
 * Write a record before the change, erase it once the change is undone. A record whose lock is
 * free was left behind: journal_take() hands it to whoever repairs it.
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

/* All is undone: removes the record and frees. NULL is accepted. */
void journal_erase(struct journal *journal);
/* Frees and unlocks, leaving the record for the next to repair. NULL is accepted. */
void journal_abandon(struct journal *journal);

/*
 * Removes the record at path if its owner is gone and it still has that cookie. For the guard,
 * after its owner died: async-signal-safe.
 */
void journal_remove_left(const char *path, uint64_t cookie);

#endif
