/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard is a small program, nunchi-guard. If this process dies while it has a guest paused
 * (kill -9, a crash, a closed terminal), the guard resumes the guest. The library starts one guard
 * process for each guest that it pauses. The guard is executed, not only forked, so it has no image
 * of the program that uses the library. It has three descriptors: a handle on the guest, a socket
 * to its owner (this process), and a pidfd of its owner. When the socket closes or the owner ends,
 * the guard undoes what the undo log says (undo_log.h), even if child processes of the owner live
 * on.
 *
 * The guard blocks all signals, has a session of its own, and ends with guard_destroy(). It is a
 * child of the program, which gets SIGCHLD when the guard ends; ignoring SIGCHLD or waiting for any
 * child does no harm. A process made by fork() must not use a guard of its parent. Not thread-safe.
 *
 * The program is searched for next to the program or library that contains this code, and then in
 * the configured libexec directory. It is started only if nobody but root, the user, and the owner
 * of the file that contains this code could have written it. Environment variables have no
 * influence, and the guard gets no environment.
 */
#ifndef NUNCHI_JOURNAL_GUARD_H
#define NUNCHI_JOURNAL_GUARD_H

#include "core/own_program.h"
#include "journal/protocol.h"

#include <sys/types.h>

struct guard;

/* The kind of guest, and the members of struct guard_setup for this kind. */
struct guard_plan {
	int handle; /* the guard gets a copy. GUARD_SEND: a socket; else /dev/xen/privcmd */
	enum guard_kind kind;
	const char *undo; /* GUARD_SEND: at most GUARD_UNDO_MAX bytes */
	size_t undo_size;
	const char *done;                   /* less than GUARD_DONE_MAX bytes */
	const struct undo_threads *threads; /* GUARD_SEND */
	uint32_t domctl;                    /* GUARD_XEN, GUARD_XEN_EVENTS */
	uint16_t domain;
	uint32_t ring_version, vcpus; /* GUARD_XEN_EVENTS */
	const char *pauses;           /* GUARD_XEN_EVENTS: less than UNDO_KEY_MAX bytes */
};

/* Starts a guard. NUNCHI_ERROR_UNSUPPORTED if the program is not installed. */
struct nunchi_error *guard_create(const struct guard_plan *plan, struct guard **ret);
/*
 * Gives the undo log to the guard: from now on it undoes the log's entries if this process dies.
 * When this returns, the guard has locked the log. Fails if the guard has ended; then create
 * another one.
 */
struct nunchi_error *guard_arm(struct guard *guard, const struct undo_log *log);
/*
 * Makes an armed guard do what an entry of the log says, or undo it. *ret is 0 or the errno of that
 * action. The guard logs each step. If the guard has ended or does not answer in time, it is killed
 * and this fails with NUNCHI_ERROR_GONE; the log says how far it came. NUNCHI_ERROR_TIMEOUT: it
 * cannot be killed, because it is inside a system call, so that the log may still change.
 */
struct nunchi_error *guard_act(struct guard *guard, unsigned entry, bool undo, int *ret);
/* Tells the guard that everything is undone; it releases the log. */
void guard_disarm(struct guard *guard);
/*
 * Closes the connection to an armed guard, which then undoes the entries at once, tries for a few
 * seconds if that fails, and ends by itself. For use if this process cannot undo the entries.
 * Frees; NULL is accepted.
 */
void guard_leave(struct guard *guard);
/* The process id of the guard. */
pid_t guard_process(const struct guard *guard);
/* Ends the guard, waits for it and frees. NULL is accepted. */
void guard_destroy(struct guard *guard);

/* The guard's program file. */
extern const struct own_program guard_program;

#endif
