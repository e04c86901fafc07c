/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard: a small program, nunchi-guard, that undoes what we did to a guest if we die before we
 * undo it ourselves (kill -9, a crash, a closed terminal). The library starts one process of it for
 * each guest that is paused. It is executed, not only forked, so it holds no image of the program
 * that uses the library. It has three descriptors: a handle on the guest, a socket to us and a
 * pidfd of our process. When the socket closes or the process ends, it undoes what the undo log
 * says (undo_log.h), whatever children of ours live on.
 *
 * It blocks all signals, has a session of its own and ends with guard_destroy(). It is a child of
 * the program: SIGCHLD comes when it ends. A program that ignores SIGCHLD, or waits for any child,
 * does no harm. A process made by fork() must not use a guard of its parent. Not thread-safe.
 *
 * The program is looked for beside the program or library that this code is part of, and then in
 * the directory for it that was configured (libexec). It is started only if nobody else than root,
 * the user, or the owner of this code itself could have written it. No variable of the environment
 * plays a part, nor is the environment handed to it.
 */
#ifndef NUNCHI_JOURNAL_GUARD_H
#define NUNCHI_JOURNAL_GUARD_H

#include "journal/protocol.h"

#include <sys/types.h>

struct guard;

/* What kind of guest it guards: the members of struct guard_setup of that kind, and the handle. */
struct guard_plan {
	int handle; /* the guard gets a copy: GUARD_SEND: a socket; GUARD_XEN: Xen's privcmd */
	enum guard_kind kind;
	const char *undo; /* GUARD_SEND: at most GUARD_UNDO_MAX bytes */
	size_t undo_size;
	const char *done; /* less than GUARD_DONE_MAX bytes */
	uint32_t domctl;  /* GUARD_XEN */
	uint16_t domain;
};

/* NUNCHI_ERROR_UNSUPPORTED where the program is not installed. */
struct nunchi_error *guard_create(const struct guard_plan *plan, struct guard **ret);
/*
 * From now on, undo what the log says if we die. When this returns the guard has its lock on the
 * log. Fails if the guard is gone (then make a new one).
 */
struct nunchi_error *guard_arm(struct guard *guard, const struct undo_log *log);
/*
 * Has an armed guard make an entry of the log true, or undo it: *ret is 0 or an errno. It logs each
 * step. Fails if the guard is gone, or does not answer for some seconds, and has been killed then;
 * how far it came is in the log. NUNCHI_ERROR_TIMEOUT: it cannot even be killed, since it is inside
 * a call of the kernel's, so that the log may change yet.
 */
struct nunchi_error *guard_act(struct guard *guard, unsigned entry, bool undo, int *ret);
/* Everything is undone: the guard lets the log go. */
void guard_disarm(struct guard *guard);
/*
 * Lets go of a guard that is armed: it undoes now, for as long as that takes (some seconds at
 * most), and ends by itself. For when we cannot undo ourselves. Frees; NULL is accepted.
 */
void guard_leave(struct guard *guard);
pid_t guard_process(const struct guard *guard);
/* Ends the process and waits for it. NULL is accepted. */
void guard_destroy(struct guard *guard);

/* Opens the guard program; *ret_path is where it was found. */
struct nunchi_error *guard_program_open(char **ret_path, int *ret);
/*
 * The same for code of the file `own` (NULL: not known), where the program was to be installed as
 * `installed`; own is an absolute path.
 */
struct nunchi_error *guard_program_open_at(const char *own, const char *installed, char **ret_path,
					   int *ret);

#endif
