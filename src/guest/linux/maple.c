/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/maple.h"

/*
 * A link to a node has the node's type in its low bits, which are zero in the address of an aligned
 * node. The link from the tree to its first node also has ENTRY_INTERNAL set (lib/maple_tree.c).
 */
#define NODE_MASK       ((uint64_t)255)
#define NODE_TYPE_SHIFT 3
#define NODE_TYPE_MASK  15
#define ENTRY_KIND      3
#define ENTRY_INTERNAL  2 /* not a pointer to data: a node, or the mark of a reserved range */
#define ENTRY_RESERVED  4096

enum node_type { NODE_DENSE, NODE_LEAF, NODE_RANGE, NODE_ALLOC };

/*
 * Limits of the walk. Each node except the root is at least one third full, so that a real tree is
 * low and its leaves contain entries; a walk that exceeds a limit ends.
 */
#define MAX_HEIGHT       16
#define MAX_EMPTY_LEAVES 256 /* consecutive leaves without an entry */
#define MAX_TRIES        8

struct shape {
	/*
	 * field with the last index of each slot except the last slot; NULL: each slot is one index
	 */
	const struct field *pivot;
	const struct field *slot;
};

static bool node_shape(const struct layout *layout, unsigned type, struct shape *ret)
{
	switch (type) {
	case NODE_DENSE:
		*ret = (struct shape){NULL, &layout->maple_node_slot};
		return true;
	case NODE_LEAF:
	case NODE_RANGE:
		*ret =
		    (struct shape){&layout->maple_node_range_pivot, &layout->maple_node_range_slot};
		return true;
	case NODE_ALLOC:
		*ret =
		    (struct shape){&layout->maple_node_alloc_pivot, &layout->maple_node_alloc_slot};
		return true;
	default:
		return false;
	}
}

/* Finds the last index of a slot that begins at index first, in a node that ends at index last. */
static bool slot_end(const struct linux_maple *walk, const struct shape *shape, unsigned slot,
		     uint64_t first, uint64_t last, uint64_t *ret)
{
	uint64_t end = last;

	if (slot >= shape->slot->elements)
		return false;
	if (!shape->pivot)
		end = first;
	else if (slot < shape->pivot->elements)
		end = object_element(&walk->node, shape->pivot, slot);
	/* A pivot of 0 means that the rest of the node is unused. */
	if (shape->pivot && !end && slot)
		end = last;
	if (end < first || end > last)
		return false;
	*ret = end;
	return true;
}

bool linux_maple_init(struct linux_maple *walk, struct linux_kernel *kernel, uint64_t tree)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);

	*walk = (struct linux_maple){.kernel = kernel, .tree = tree};
	walk->top = kernel->word_size == 4 ? UINT32_MAX : UINT64_MAX;
	return layout->maple_tree_root.present && layout->maple_node_parent.present &&
	       layout->maple_node_slot.present && layout->maple_node_range_pivot.present &&
	       layout->maple_node_range_slot.present && layout->maple_node_alloc_pivot.present &&
	       layout->maple_node_alloc_slot.present;
}

void linux_maple_deinit(struct linux_maple *walk)
{
	object_deinit(&walk->node);
}

void linux_maple_seek(struct linux_maple *walk, uint64_t at)
{
	walk->at = at;
	walk->in_leaf = false;
	walk->done = false;
}

/*
 * Copies the node to which a link points; false if it is not a node or was removed from the tree.
 */
static bool read_node(struct linux_maple *walk, uint64_t link, struct shape *ret)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t address = link & ~NODE_MASK;

	walk->type = link >> NODE_TYPE_SHIFT & NODE_TYPE_MASK;
	if (!node_shape(layout, walk->type, ret))
		return false;
	walk->fault = linux_read_object(walk->kernel, LAYOUT_maple_node, address, &walk->node);
	return walk->fault == READ_OK &&
	       (object_u64(&walk->node, &layout->maple_node_parent) & ~NODE_MASK) != address;
}

/* Finds the leaf that contains index walk->at. On failure walk->in_leaf stays false. */
static void descend(struct linux_maple *walk, uint64_t link)
{
	uint64_t first = 0, last = walk->top;

	for (unsigned height = 0; height < MAX_HEIGHT; height++) {
		struct shape shape;
		unsigned slot = 0;
		uint64_t end;

		if (!read_node(walk, link, &shape))
			return;
		if (walk->type == NODE_DENSE || walk->type == NODE_LEAF) {
			walk->in_leaf = true;
			walk->slot = 0;
			walk->first = first;
			walk->last = last;
			return;
		}
		for (;;) {
			if (!slot_end(walk, &shape, slot, first, last, &end))
				return;
			if (end >= walk->at)
				break;
			first = end + 1;
			slot++;
		}
		last = end;
		link = object_element(&walk->node, shape.slot, slot);
	}
}

/* A tree whose only entry is at index 0 has no node: the root is the entry. */
static bool next_single(struct linux_maple *walk, uint64_t entry, uint64_t *ret_entry,
			uint64_t *ret_first)
{
	bool given = walk->at == 0 && entry && (entry & ENTRY_KIND) != ENTRY_INTERNAL;

	walk->done = true;
	walk->at = 1;
	if (given) {
		*ret_entry = entry;
		*ret_first = 0;
	}
	return given;
}

static bool begin_leaf(struct linux_maple *walk, uint64_t *ret_root)
{
	uint64_t root;

	if (walk->empty_leaves++ >= MAX_EMPTY_LEAVES || walk->tries++ >= MAX_TRIES) {
		walk->broken = walk->fault ? walk->fault : READ_BAD_DATA;
		walk->done = true;
		return false;
	}
	*ret_root = 0;
	walk->fault = linux_read_field(walk->kernel, walk->tree,
				       &walk->kernel->layout.maple_tree_root, &root);
	if (walk->fault != READ_OK)
		return true;
	*ret_root = root;
	if ((root & ENTRY_KIND) != ENTRY_INTERNAL || root < ENTRY_RESERVED)
		return false;
	descend(walk, root);
	return true;
}

/* Marks all indexes up to end as done. */
static void pass(struct linux_maple *walk, uint64_t end)
{
	walk->done = end == walk->top;
	walk->at = end + 1;
	walk->tries = 0;
}

/*
 * Gets the next entry of the current leaf. If there is none, leaves the leaf: at its end, or to
 * find it again if the node is invalid.
 */
static bool next_in_leaf(struct linux_maple *walk, uint64_t *ret_entry, uint64_t *ret_first)
{
	struct shape shape;
	uint64_t end;

	if (!node_shape(&walk->kernel->layout, walk->type, &shape)) {
		walk->in_leaf = false;
		return false;
	}
	while (walk->in_leaf) {
		uint64_t first = walk->first, entry;

		if (!slot_end(walk, &shape, walk->slot, first, walk->last, &end)) {
			walk->in_leaf = false;
			/* A dense node may cover fewer indexes than its parent's slot. */
			if (walk->type == NODE_DENSE)
				pass(walk, walk->last);
			return false;
		}
		entry = object_element(&walk->node, shape.slot, walk->slot++);
		walk->in_leaf = end < walk->last;
		walk->first = end + 1;
		if (end < walk->at)
			continue;
		pass(walk, end);
		if (entry && (entry & ENTRY_KIND) != ENTRY_INTERNAL) {
			*ret_entry = entry;
			*ret_first = first;
			walk->empty_leaves = 0;
			return true;
		}
	}
	return false;
}

bool linux_maple_next(struct linux_maple *walk, uint64_t *ret_entry, uint64_t *ret_first)
{
	while (!walk->done && !cancel_requested(walk->kernel->guest.cancel)) {
		uint64_t root;

		if (walk->in_leaf) {
			if (next_in_leaf(walk, ret_entry, ret_first))
				return true;
			continue;
		}
		if (!begin_leaf(walk, &root) && !walk->done)
			return next_single(walk, root, ret_entry, ret_first);
	}
	return false;
}
