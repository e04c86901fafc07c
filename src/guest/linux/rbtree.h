/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over a red-black tree (include/linux/rbtree_types.h) in the tree's order. */
#ifndef NUNCHI_GUEST_LINUX_RBTREE_H
#define NUNCHI_GUEST_LINUX_RBTREE_H

#include "core/hash.h"
#include "guest/linux/linux.h"

/*
 * No path is longer than twice the binary logarithm of the number of nodes, which is less than
 * this.
 */
#define LINUX_RBTREE_HEIGHT 128

struct linux_rbtree {
	struct linux_kernel *kernel;
	/* nodes on the path from the root that are not returned yet */
	uint64_t stack[LINUX_RBTREE_HEIGHT];
	unsigned depth;
	uint64_t limit;
	struct hash_map *seen; /* borrowed */
	/*
	 * Why the walk ended early. READ_BAD_DATA: a node does not point back to its parent, or was
	 * met twice.
	 */
	enum read_result broken;
};

/*
 * Begins a walk at the root node `root` (0: the tree is empty). seen is emptied. limit is the
 * greatest number of nodes.
 */
void linux_rbtree_init(struct linux_rbtree *walk, struct linux_kernel *kernel, uint64_t root,
		       uint64_t limit, struct hash_map *seen);
/*
 * Gets the address of the next rb_node. False at the end, or if the tree is broken (then `broken`
 * is set).
 */
bool linux_rbtree_next(struct linux_rbtree *walk, uint64_t *ret);

#endif
