/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small pool of address spaces of processes, found by the root of the page table. A walk that
 * alternates between a few processes keeps the translations of each.
 */
#ifndef NUNCHI_GUEST_SPACES_H
#define NUNCHI_GUEST_SPACES_H

#include "memory/virtual.h"

/* Size of the pool. An address space that is used much has a cache of 128 KiB. */
#define GUEST_SPACES 4

struct guest_kernel;

/* Part of struct guest_kernel. All zeros is an empty pool. */
struct guest_spaces {
	struct address_space *items[GUEST_SPACES]; /* owned; NULL: not created yet */
	uint64_t used[GUEST_SPACES];               /* value of clock when it was last requested */
	uint64_t clock;                            /* number of requests */
};

void guest_spaces_deinit(struct guest_spaces *spaces);

/*
 * Gets the address space of the page table at root, in the kernel's paging mode; NULL if memory is
 * short. Owned by the kernel. It may be changed to another root after GUEST_SPACES other roots were
 * requested, so request it again before each read. Translations are valid for one generation of the
 * memory.
 */
struct address_space *guest_space_of(struct guest_kernel *kernel, gpa_t root);

/*
 * Drops all translations. On a running guest a process may end and its page table may be reused for
 * another process; a read that is to confirm an earlier one must not use translations of the
 * earlier read.
 */
void guest_spaces_forget(struct guest_spaces *spaces);

#endif
