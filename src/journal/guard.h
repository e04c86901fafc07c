/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard: a small process that undoes what we did to a guest if we die before undoing it
 * ourselves (kill -9, a crash, a closed terminal). It holds a handle of its own to the guest and
 * one end of a socket whose other end we hold; when that closes while it is armed, it sends the
 * undo, waits for the answer, removes the journal's record and exits.
 *
 * Where the hypervisor counts what is done, so that it must be undone exactly once, the guard does
 * it all itself: we ask it to by guard_act(). However we die, it knows what it did.
 *
 * It blocks all signals, has a session of its own, holds no other descriptors, and ends with
 * guard_destroy(). Not thread-safe.
 */
#ifndef NUNCHI_JOURNAL_GUARD_H
#define NUNCHI_JOURNAL_GUARD_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct guard;

/*
 * Does it or undoes it, on the guard's copy of the descriptor: 0 or an errno. Runs in the guard's
 * process: async-signal-safe calls only. data is memory that the fork hands on.
 */
typedef int guard_act_fn(int fd, void *data, bool undo);

struct guard_plan {
	int fd; /* the handle on the guest; the guard has a copy */
	/* Either bytes that undo it, fd being a connected socket: */
	const char *undo; /* copied */
	size_t undo_size; /* at most 512 */
	const char *done; /* text in the answer that says it was handled; at most 63 bytes */
	/* Or, undo being NULL, a function. */
	guard_act_fn *act;
	void *data;
};

struct nunchi_error *guard_create(const struct guard_plan *plan, struct guard **ret);
/*
 * From now on, undo if we die. record is the path of the journal's record with its cookie, to be
 * removed afterwards. Fails if the guard is gone (then make a new one).
 */
struct nunchi_error *guard_arm(struct guard *guard, const char *record, uint64_t cookie);
/*
 * Has an armed guard do it, or undo it: *ret is 0 or an errno. It marks the steps in the record.
 * Fails if the guard is gone, or does not answer for some seconds, and is killed then; how far it
 * came is in the record (journal_step()), and stays so.
 */
struct nunchi_error *guard_act(struct guard *guard, bool undo, int *ret);
/* It is undone: nothing is left to do. */
void guard_disarm(struct guard *guard);
/*
 * Lets go of a guard that is armed: it undoes now, for as long as that takes (some seconds at
 * most), and ends by itself. For when we cannot undo ourselves. Frees; NULL is accepted.
 */
void guard_leave(struct guard *guard);
pid_t guard_process(const struct guard *guard);
/* Ends the process and waits for it. NULL is accepted. */
void guard_destroy(struct guard *guard);

#endif
