/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_GUEST_LINUX_FETCH_H
#define NUNCHI_GUEST_LINUX_FETCH_H

#include "guest/linux/linux.h"

/* What is fetched besides the processes' task_structs. */
enum linux_fetch {
	LINUX_FETCH_NAMES = 1 << 0, /* of kernel threads */
	LINUX_FETCH_CREDENTIALS = 1 << 1,
	LINUX_FETCH_SIGNALS = 1 << 2,  /* signal_struct, what the threads of a process share */
	LINUX_FETCH_MEMORY = 1 << 3,   /* mm_struct */
	LINUX_FETCH_CMDLINES = 1 << 4, /* the ends of command lines, with their page tables */
};

/*
 * Makes what a list of all processes reads ready, for the first LINUX_FETCHED of them: on a
 * hypervisor that maps pages for us they are mapped together (memory_fetch()); elsewhere nothing is
 * done. `what` has bits of enum linux_fetch. Only saves time: what is wrong or missing here is
 * read, and checked, later all the same.
 */
#define LINUX_FETCHED ADDRESS_WANTS
void linux_fetch_processes(struct linux_kernel *kernel, unsigned what);

#endif
