/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over a maple tree (lib/maple_tree.c, since 6.1), which maps ranges of indexes to pointers.
 */
#ifndef NUNCHI_GUEST_LINUX_MAPLE_H
#define NUNCHI_GUEST_LINUX_MAPLE_H

#include "guest/linux/linux.h"

struct linux_maple {
	struct linux_kernel *kernel;
	uint64_t tree;
	uint64_t at;  /* the first index that was not examined yet */
	uint64_t top; /* the greatest possible index */
	unsigned tries;
	unsigned empty_leaves;
	bool done;
	/*
	 * Why some entries are missing. READ_BAD_DATA: in every try the nodes contradicted each
	 * other.
	 */
	enum read_result broken;
	enum read_result fault; /* of reading the last node or root */
	struct object node;
	/* The position in the leaf that is in `node`; valid if in_leaf is true. */
	bool in_leaf;
	unsigned type;
	unsigned slot;
	uint64_t first; /* first index of the slot */
	uint64_t last;  /* last index of the leaf */
};

/*
 * Begins a walk over the struct maple_tree at address `tree`. False if this kernel's types have no
 * maple tree.
 */
bool linux_maple_init(struct linux_maple *walk, struct linux_kernel *kernel, uint64_t tree);
void linux_maple_deinit(struct linux_maple *walk);
/* Gets the next entry in ascending order of index; false at the end. */
bool linux_maple_next(struct linux_maple *walk, uint64_t *ret_entry, uint64_t *ret_first);
/* Continues at index `at` and reads the nodes again; used when an entry turned out to be stale. */
void linux_maple_seek(struct linux_maple *walk, uint64_t at);

#endif
