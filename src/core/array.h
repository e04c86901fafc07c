/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Growing arrays: an array is a pointer, a count and a capacity, wherever they stand.
 *
 *	if (!ARRAY_RESERVE(list->items, list->count, list->capacity, 1))
 *		return &error_nomem;
 *	list->items[list->count++] = item;
 */
#ifndef NUNCHI_CORE_ARRAY_H
#define NUNCHI_CORE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes room for `more` items behind the first `count` and gives the array, which may have moved;
 * *capacity is then the number of items that it has room for. NULL, with the array as it was, when
 * memory is short or the size overflows. What is new is not initialised. Capacity doubles.
 */
void *array_reserve(void *items, size_t count, size_t *capacity, size_t more, size_t item_size);

/* The same for an array of any type; true if there is room. capacity is a size_t. */
#define ARRAY_RESERVE(items, count, capacity, more)                                                \
	({                                                                                         \
		void *array_items =                                                                \
		    array_reserve((items), (count), &(capacity), (more), sizeof(*(items)));        \
                                                                                                   \
		if (array_items)                                                                   \
			(items) = array_items;                                                     \
		array_items != NULL;                                                               \
	})

#endif
