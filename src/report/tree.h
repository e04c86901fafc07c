/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes in the order of a tree. */
#ifndef NUNCHI_REPORT_TREE_H
#define NUNCHI_REPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_NONE SIZE_MAX

struct tree_node {
	int64_t id, parent; /* parent: equal to id if it is not known */
	/* Filled by tree_order(): */
	size_t depth;
	bool is_last;   /* of the children of its parent */
	bool has_child; /* it is the parent of one */
	/* For tree_order() alone: */
	size_t above, first, next, walk;
};

/*
 * Puts the numbers of all nodes into `order`: children follow their parent, by their ids. A node
 * without a parent among them is a root; where parents form a circle, one of them is a root. Of
 * several nodes with one id the first one is the parent. ids: room for `count` numbers.
 */
void tree_order(struct tree_node *nodes, size_t count, size_t *ids, size_t *order);
/* The first node of that id, by the ids that tree_order() has sorted, or TREE_NONE. */
size_t tree_find(const struct tree_node *nodes, size_t count, const size_t *ids, int64_t id);

#endif
