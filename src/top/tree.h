/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of rows. */
#ifndef NUNCHI_TOP_TREE_H
#define NUNCHI_TOP_TREE_H

#include "top/model.h"

/*
 * Puts rows in order; as a tree, children stand below their parent, in that order. What is not
 * known stands last. False if memory is short.
 */
bool top_rows_sort(struct top_row *rows, size_t count, const struct top_reading *reading,
		   const struct top_order *order);

#endif
