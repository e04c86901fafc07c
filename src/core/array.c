/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/array.h"

#include <stdint.h>
#include <stdlib.h>

#define FIRST_CAPACITY 16

void *array_reserve(void *items, size_t count, size_t *capacity, size_t more, size_t item_size)
{
	size_t needed, room = *capacity ? *capacity : FIRST_CAPACITY;

	if (__builtin_add_overflow(count, more, &needed))
		return NULL;
	if (items && needed <= *capacity)
		return items;
	while (room < needed) {
		if (__builtin_mul_overflow(room, 2, &room))
			return NULL;
	}
	/* reallocarray() checks the multiplication. */
	items = reallocarray(items, room, item_size);
	if (items)
		*capacity = room;
	return items;
}
