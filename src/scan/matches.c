/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/matches.h"

#include "core/array.h"

#include <stdlib.h>

static int compare(const void *one, const void *other)
{
	const struct scan_match *a = one, *b = other;

	if (a->string != b->string)
		return a->string < b->string ? -1 : 1;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (a->length > b->length) - (a->length < b->length);
}

/* How many each string may have at most, so that all together have no more than there is room for.
 */
static uint64_t level(const struct scan_matches *matches)
{
	uint64_t low = 1, high = matches->most;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2, sum = 0;

		for (size_t i = 0; i < matches->string_count && sum <= matches->most; i++) {
			uint64_t found = matches->shares[i].found;

			sum += found < middle ? found : middle;
		}
		if (sum <= matches->most)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/*
 * Sorts, and drops what is too much. The level only falls while more is found, so nothing is
 * dropped that would be kept in the end.
 */
static void cut(struct scan_matches *matches)
{
	const uint64_t most = level(matches);
	size_t kept = 0;

	if (matches->count)
		qsort(matches->items, matches->count, sizeof(*matches->items), compare);
	for (size_t i = 0; i < matches->string_count; i++)
		matches->shares[i].kept = 0;
	for (size_t i = 0; i < matches->count; i++) {
		struct scan_share *share = &matches->shares[matches->items[i].string];

		if (share->kept == most)
			continue;
		if (++share->kept == most)
			share->limit = matches->items[i].address;
		matches->items[kept++] = matches->items[i];
	}
	matches->count = kept;
}

static bool begin(struct scan_matches *matches)
{
	if (!matches->shares && matches->string_count) {
		matches->shares = calloc(matches->string_count, sizeof(*matches->shares));
		if (!matches->shares)
			return false;
		for (size_t i = 0; i < matches->string_count; i++)
			matches->shares[i].limit = UINT64_MAX;
	}
	return true;
}

bool scan_matches_add(struct scan_matches *matches, const struct scan_match *match)
{
	struct scan_share *share;

	if (!begin(matches))
		return false;
	share = &matches->shares[match->string];
	share->found++;
	if (match->address > share->limit)
		return true;
	/* Seldom: sorting takes longer than the rest. */
	if (matches->count >= matches->most + matches->most / 4)
		cut(matches);
	if (!ARRAY_RESERVE(matches->items, matches->count, matches->capacity, 1))
		return false;
	matches->items[matches->count++] = *match;
	return true;
}

bool scan_matches_end(struct scan_matches *matches)
{
	if (!begin(matches))
		return false;
	cut(matches);
	return true;
}

void scan_matches_deinit(struct scan_matches *matches)
{
	free(matches->items);
	free(matches->shares);
	*matches = (struct scan_matches){0};
}
