/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes from this process, for good, all that is not needed to read descriptors that are open:
 *
 *  - its capabilities, and the right to gain any by executing a program (no_new_privs);
 *  - system calls, by a seccomp filter: opening, connecting, executing, forking, signals to other
 *    processes, other processes' memory, executable memory, shared memory that can be written.
 *    A call that is not permitted fails with EPERM;
 *  - files, connections and signals, by Landlock, where the kernel has it.
 *
 * What a kernel lacks is left out, and the result says so.
 */
#ifndef NUNCHI_CORE_CONFINE_H
#define NUNCHI_CORE_CONFINE_H

#include "core/error.h"

#include <stdbool.h>

struct confine_options {
	/* the only descriptor, beside terminals, on which ioctl() is permitted, or -1 */
	int device;
	unsigned long request; /* the only request on it */
	int listener;          /* the only socket on which accept4() is permitted; 0: none */
};

struct confine_result {
	bool filter;       /* the seccomp filter is in force */
	bool capabilities; /* this process has no capability any more */
	int landlock;      /* version of Landlock that is in force, or 0 */
};

/*
 * Confines the process, with all its threads. Fails only if the process is left half confined: what
 * the kernel does not offer is no failure.
 */
struct nunchi_error *confine_process(const struct confine_options *options,
				     struct confine_result *ret);

#endif
