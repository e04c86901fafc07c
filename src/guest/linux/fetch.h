/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_GUEST_LINUX_FETCH_H
#define NUNCHI_GUEST_LINUX_FETCH_H

#include "guest/linux/linux.h"

/*
 * Makes what a list of all processes reads ready, for the first LINUX_FETCHED of them: on a
 * hypervisor that maps pages for us their structures, their page tables and the ends of their
 * command lines are mapped together (memory_fetch()); elsewhere nothing is done. Only saves time:
 * what is wrong or missing here is read, and checked, later all the same.
 */
#define LINUX_FETCHED ADDRESS_WANTS
void linux_fetch_processes(struct linux_kernel *kernel);

#endif
