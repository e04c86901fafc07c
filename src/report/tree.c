/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report/tree.h"

#include <stdlib.h>

static int compare_ids(const void *a_pointer, const void *b_pointer, void *nodes_pointer)
{
	const struct tree_node *nodes = nodes_pointer;
	size_t a = *(const size_t *)a_pointer, b = *(const size_t *)b_pointer;

	if (nodes[a].id != nodes[b].id)
		return nodes[a].id < nodes[b].id ? -1 : 1;
	return a < b ? -1 : a > b;
}

size_t tree_find(const struct tree_node *nodes, size_t count, const size_t *ids, int64_t id)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (nodes[ids[mid]].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && nodes[ids[low]].id == id ? ids[low] : TREE_NONE;
}

/* Makes a root of one node of each circle. Each node is walked over twice at most. */
static void cut_circles(struct tree_node *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = i;

		while (at != TREE_NONE && !nodes[at].walk) {
			nodes[at].walk = i + 1;
			if (nodes[at].above != TREE_NONE && nodes[nodes[at].above].walk == i + 1)
				nodes[at].above = TREE_NONE;
			at = nodes[at].above;
		}
	}
}

/* Lists the children of each node, by their ids; those of TREE_NONE are the roots. */
static size_t list_children(struct tree_node *nodes, size_t count, const size_t *ids)
{
	size_t roots = TREE_NONE;

	for (size_t i = count; i-- > 0;) {
		struct tree_node *node = &nodes[ids[i]];
		size_t *list = node->above == TREE_NONE ? &roots : &nodes[node->above].first;

		node->next = *list;
		node->is_last = *list == TREE_NONE;
		*list = ids[i];
	}
	return roots;
}

void tree_order(struct tree_node *nodes, size_t count, size_t *ids, size_t *order)
{
	size_t at, depth = 0, written = 0;

	for (size_t i = 0; i < count; i++) {
		ids[i] = i;
		nodes[i].first = TREE_NONE;
		nodes[i].walk = 0;
	}
	qsort_r(ids, count, sizeof(*ids), compare_ids, nodes);
	for (size_t i = 0; i < count; i++)
		nodes[i].above = nodes[i].parent == nodes[i].id
				     ? TREE_NONE
				     : tree_find(nodes, count, ids, nodes[i].parent);
	cut_circles(nodes, count);
	at = list_children(nodes, count, ids);
	while (at != TREE_NONE) {
		nodes[at].depth = depth;
		nodes[at].has_child = nodes[at].first != TREE_NONE;
		order[written++] = at;
		if (nodes[at].has_child) {
			at = nodes[at].first;
			depth++;
			continue;
		}
		/* Up to the nearest one that has a sibling left. */
		while (nodes[at].next == TREE_NONE && nodes[at].above != TREE_NONE) {
			at = nodes[at].above;
			depth--;
		}
		at = nodes[at].next;
	}
}
