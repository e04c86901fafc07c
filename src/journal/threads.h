/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a process that execute a guest's vCPUs, and the CPU time that they have used: a
 * guest that uses more has been resumed. Used by the library and the guard.
 */
#ifndef NUNCHI_JOURNAL_THREADS_H
#define NUNCHI_JOURNAL_THREADS_H

#include "journal/replay.h"

#include <sys/types.h>

/* A guest with more vCPUs is told by the first of them. */
#define UNDO_THREADS_MAX 128

struct undo_threads {
	pid_t pid;
	unsigned count; /* 0: not known */
	pid_t ids[UNDO_THREADS_MAX];
};

/* Gets the CPU time. False if the kernel does not tell it (CONFIG_SCHED_INFO), or a thread is gone.
 */
bool undo_threads_ran(const struct undo_threads *threads, struct undo_ran *ret);
/* Whether none of the threads is there any more. False if they are not known. */
bool undo_threads_are_gone(const struct undo_threads *threads);

#endif
