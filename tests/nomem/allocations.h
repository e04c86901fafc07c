/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Allocations that fail where a test wants them to. allocations.c defines malloc() and its like,
 * and mmap(), in place of the C library's: those that nunchi's own code asks for are counted, also
 * what the C library asks for on its behalf (strdup(), asprintf(), fopen() …), and the one with the
 * wanted number gives NULL with ENOMEM. What others allocate never fails: the test's own code, the
 * dynamic linker, other libraries. (jansson 2.14 does not check all its allocations: without memory
 * it may take good JSON for bad.)
 */
#ifndef NUNCHI_TESTS_NOMEM_ALLOCATIONS_H
#define NUNCHI_TESTS_NOMEM_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALLOCATIONS_TRACE 12

/* Before anything else. Code from `own` to the end of the program is nunchi's; NULL: all of it is.
 */
void allocations_init(const void *own);

/* Counts from 1 on from now; number fail_at fails, 0: none; with and_on all that follow as well. */
void allocations_begin(uint64_t fail_at, bool and_on);
/* Ends that; gives how many there were. */
uint64_t allocations_end(void);

/* Since allocations_begin(): how many failed. */
uint64_t allocations_failed(void);
/*
 * Print where the first of them was asked for, and from where this is called, as addresses for
 * addr2line. Afterwards nothing is counted until the next allocations_begin().
 */
void allocations_print_place(int fd);
void allocations_print_here(int fd);
/* Of those counted, how many were not freed since. */
size_t allocations_live(void);

#endif
