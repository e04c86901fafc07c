/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over a maple tree (lib/maple_tree.c, since 6.1), which maps ranges of numbers to pointers.
 */
#ifndef NUNCHI_GUEST_LINUX_MAPLE_H
#define NUNCHI_GUEST_LINUX_MAPLE_H

#include "guest/linux/linux.h"

struct linux_maple {
	struct linux_kernel *kernel;
	uint64_t tree;
	uint64_t at;  /* the first index not yet looked at */
	uint64_t top; /* the highest index there is */
	unsigned tries;
	unsigned barren; /* leaves since the last entry */
	bool done;
	/* Why not all entries were given; READ_BAD_DATA: nodes contradicted themselves in every
	 * try. */
	enum read_result broken;
	enum read_result fault; /* of the last node or root that was to be read */
	struct object node;
	/* The leaf in `node`, while there is one. */
	bool in_leaf;
	unsigned type;
	unsigned slot;
	uint64_t first; /* of the slot */
	uint64_t last;  /* of the leaf */
};

/* False if this kernel's types have no maple tree. tree: address of a struct maple_tree. */
bool linux_maple_init(struct linux_maple *walk, struct linux_kernel *kernel, uint64_t tree);
void linux_maple_deinit(struct linux_maple *walk);
/* The next entry in ascending order; false at the end. Neighbouring gaps are skipped. */
bool linux_maple_next(struct linux_maple *walk, uint64_t *ret_entry, uint64_t *ret_first);
/* Goes back (or on) to an index, forgetting what was read: what was given proved stale. */
void linux_maple_seek(struct linux_maple *walk, uint64_t at);

#endif
