/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/rbtree.h"

#define COLOR_MASK 3 /* in the low bits of __rb_parent_color */

struct links {
	uint64_t parent, left, right;
};

static enum read_result read_links(struct linux_rbtree *walk, uint64_t node, struct links *ret)
{
	const struct layout *layout = &walk->kernel->layout;
	enum read_result result;

	result = linux_read_field(walk->kernel, node, &layout->rb_node_parent_color, &ret->parent);
	if (result == READ_OK)
		result = linux_read_field(walk->kernel, node, &layout->rb_node_left, &ret->left);
	if (result == READ_OK)
		result = linux_read_field(walk->kernel, node, &layout->rb_node_right, &ret->right);
	ret->parent &= ~(uint64_t)COLOR_MASK;
	return result;
}

/* Pushes node, and all nodes on the path to the left of it, onto the stack. */
static void push_left(struct linux_rbtree *walk, uint64_t parent, uint64_t node)
{
	while (node && !walk->broken) {
		struct links links = {0};

		if (walk->seen->count >= walk->limit)
			walk->broken = READ_LIMIT;
		else if (walk->depth == LINUX_RBTREE_HEIGHT ||
			 hash_map_insert(walk->seen, node, 0) != HASH_INSERTED)
			walk->broken = READ_BAD_DATA;
		else
			walk->broken = read_links(walk, node, &links);
		if (!walk->broken && links.parent != parent)
			walk->broken = READ_BAD_DATA;
		if (walk->broken)
			return;
		walk->stack[walk->depth++] = node;
		parent = node;
		node = links.left;
	}
}

void linux_rbtree_init(struct linux_rbtree *walk, struct linux_kernel *kernel, uint64_t root,
		       uint64_t limit, struct hash_map *seen)
{
	hash_map_clear(seen);
	*walk = (struct linux_rbtree){.kernel = kernel, .limit = limit, .seen = seen};
	push_left(walk, 0, root);
}

bool linux_rbtree_next(struct linux_rbtree *walk, uint64_t *ret)
{
	struct links links;
	uint64_t node;

	if (walk->broken || !walk->depth || cancel_requested(walk->kernel->guest.cancel))
		return false;
	node = walk->stack[--walk->depth];
	walk->broken = read_links(walk, node, &links);
	if (walk->broken)
		return false;
	push_left(walk, node, links.right);
	*ret = node;
	return true;
}
