/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces of processes: a small pool, found by the page table's root. Walks that alternate
 * between a few processes each keep their translations.
 */
#ifndef NUNCHI_GUEST_SPACES_H
#define NUNCHI_GUEST_SPACES_H

#include "memory/virtual.h"

/* Each takes 128 KiB once it is used much. */
#define GUEST_SPACES 4

struct guest_kernel;

/* Part of struct guest_kernel; all zero is an empty pool. */
struct guest_spaces {
	struct address_space *items[GUEST_SPACES]; /* owned; NULL: not made yet */
	uint64_t used[GUEST_SPACES];               /* when it was last asked for */
	uint64_t clock;                            /* counts requests */
};

void guest_spaces_deinit(struct guest_spaces *spaces);

/*
 * The address space of the page table at root, in the kernel's paging mode; NULL if memory is
 * short. Owned by the kernel. It stays that of root until GUEST_SPACES other roots were asked for,
 * so ask for it again for each read. Translations live as long as the memory's generation.
 */
struct address_space *guest_space_of(struct guest_kernel *kernel, gpa_t root);

/*
 * Drops all translations. On a running guest a process may end, and its page table be used for
 * another process: a read that shall prove an earlier one right must not use its translations.
 */
void guest_spaces_forget(struct guest_spaces *spaces);

#endif
