/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A condition on a whole number: between two bounds and, where there is a list, one of the list.
 */
#ifndef NUNCHI_CORE_NUMBER_FILTER_H
#define NUNCHI_CORE_NUMBER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct number_filter {
	int64_t low, high;     /* both included; low > high: no number passes */
	const int64_t *values; /* ascending, without duplicates; NULL: no list. Borrowed. */
	size_t count;
};

#define NUMBER_FILTER_ANY      ((struct number_filter){.low = INT64_MIN, .high = INT64_MAX})
#define NUMBER_FILTER_EQUAL(n) ((struct number_filter){.low = (n), .high = (n)})

/* filter may be NULL: every number passes. */
static inline bool number_filter_passes(const struct number_filter *filter, int64_t number)
{
	size_t low = 0, high;

	if (!filter)
		return true;
	if (number < filter->low || number > filter->high)
		return false;
	if (!filter->values)
		return true;
	high = filter->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (filter->values[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < filter->count && filter->values[low] == number;
}

/* Leaves only what lies between low and high, too. */
static inline void number_filter_narrow(struct number_filter *filter, int64_t low, int64_t high)
{
	filter->low = low > filter->low ? low : filter->low;
	filter->high = high < filter->high ? high : filter->high;
}

/* How many different numbers pass at most; UINT64_MAX: as many as there are. */
static inline uint64_t number_filter_size(const struct number_filter *filter)
{
	uint64_t span;

	if (!filter)
		return UINT64_MAX;
	if (filter->low > filter->high)
		return 0;
	span = (uint64_t)filter->high - (uint64_t)filter->low;
	if (filter->values)
		return span < filter->count ? span + 1 : filter->count;
	return span == UINT64_MAX ? UINT64_MAX : span + 1;
}

#endif
