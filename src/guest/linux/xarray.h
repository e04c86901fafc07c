/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk over an XArray or IDR (include/linux/xarray.h, since 4.20) in ascending order of index. */
#ifndef NUNCHI_GUEST_LINUX_XARRAY_H
#define NUNCHI_GUEST_LINUX_XARRAY_H

#include "guest/linux/linux.h"

/* Levels of a tree with the fewest slots a node (16) and 64 bits of index. */
#define LINUX_XARRAY_LEVELS 16

struct linux_xarray {
	struct linux_kernel *kernel;
	struct {
		uint64_t node;  /* address of a struct xa_node */
		uint64_t index; /* of its first slot */
		unsigned shift; /* log2 of the indexes that one slot covers */
		unsigned slot;  /* the next one */
	} levels[LINUX_XARRAY_LEVELS];
	unsigned depth;
	uint64_t root_entry; /* the only entry, if there is no node; 0: none */
	uint64_t left;       /* nodes that may still be read */
	/* Why some entries are missing. READ_BAD_DATA: a node contradicts the one above it. */
	enum read_result broken;
};

/*
 * Begins a walk at the value of xarray.xa_head; limit is the greatest number of nodes. False if
 * this kernel's types have no XArray.
 */
bool linux_xarray_init(struct linux_xarray *walk, struct linux_kernel *kernel, uint64_t head,
		       uint64_t limit);
/* Gets the next entry that is a pointer; false at the end. Nodes that are unreadable are skipped.
 */
bool linux_xarray_next(struct linux_xarray *walk, uint64_t *ret_index, uint64_t *ret_entry);

#endif
