/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_GUEST_LINUX_FETCH_H
#define NUNCHI_GUEST_LINUX_FETCH_H

#include "guest/linux/linux.h"

/* What to fetch; task_structs always. */
enum linux_fetch {
	LINUX_FETCH_NAMES = 1 << 0, /* of kernel threads */
	LINUX_FETCH_CREDENTIALS = 1 << 1,
	LINUX_FETCH_SIGNALS = 1 << 2,  /* signal_struct, which the threads of a process share */
	LINUX_FETCH_MEMORY = 1 << 3,   /* mm_struct */
	LINUX_FETCH_CMDLINES = 1 << 4, /* last pages of the command lines, and their page tables */
	LINUX_FETCH_TASKS = 1 << 5,
};

/*
 * Maps together the pages that a list of all processes will read, for the first LINUX_FETCHED
 * processes, if a hypervisor maps pages on demand (memory_fetch()); otherwise does nothing. `what`
 * is a combination of enum linux_fetch. This only saves time: everything is read and checked again
 * later, so that wrong or missing data here does no harm.
 */
#define LINUX_FETCHED ADDRESS_WANTS
void linux_fetch_processes(struct linux_kernel *kernel, unsigned what);

#endif
