/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over a red-black tree (include/linux/rbtree_types.h) in its order.
 */
#ifndef NUNCHI_GUEST_LINUX_RBTREE_H
#define NUNCHI_GUEST_LINUX_RBTREE_H

#include "core/hash.h"
#include "guest/linux/linux.h"

/* Twice the binary logarithm of the most nodes there can be is more than any path is long. */
#define LINUX_RBTREE_HEIGHT 128

struct linux_rbtree {
	struct linux_kernel *kernel;
	uint64_t stack[LINUX_RBTREE_HEIGHT]; /* nodes on the way down that are still to be given */
	unsigned depth;
	uint64_t limit;
	struct hash_map *seen; /* borrowed */
	/* Why the walk ended early; READ_BAD_DATA: a node does not point back, or came twice. */
	enum read_result broken;
};

/* Starts at the node at the tree's root (0: empty). seen is emptied; limit bounds the nodes. */
void linux_rbtree_init(struct linux_rbtree *walk, struct linux_kernel *kernel, uint64_t root,
		       uint64_t limit, struct hash_map *seen);
/* The next rb_node's address; false at the end, or when broken (then broken is set). */
bool linux_rbtree_next(struct linux_rbtree *walk, uint64_t *ret);

#endif
