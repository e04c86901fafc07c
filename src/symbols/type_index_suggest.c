/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the type that a mistyped name probably means: the one with the least number of letters
 * added, dropped, changed or swapped with their neighbour. About a quarter of the letters may be
 * wrong.
 */
#include "symbols/type_index_private.h"

#include <string.h>

#define WORD_LIMIT       63
#define DISTANCE_LIMIT   4
#define COMPARISON_LIMIT 100000 /* a kernel has about 15,000 type names */

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The edit distance of two words, or limit if the distance is not below limit. */
static unsigned distance(const char *a, unsigned a_size, const char *b, unsigned b_size,
			 unsigned limit)
{
	unsigned rows[3][WORD_LIMIT + 1];

	for (unsigned j = 0; j <= b_size; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_size; i++) {
		const unsigned *older = rows[(i + 1) % 3], *old = rows[(i - 1) % 3];
		unsigned *row = rows[i % 3], least = i;

		row[0] = i;
		for (unsigned j = 1; j <= b_size; j++) {
			row[j] = smaller(old[j - 1] + (a[i - 1] != b[j - 1]),
					 smaller(old[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = smaller(row[j], older[j - 2] + 1);
			least = smaller(least, row[j]);
		}
		if (least >= limit)
			return limit;
	}
	return smaller(rows[a_size % 3][b_size], limit);
}

/* The name of a listed type if it may be suggested, else "". */
static const char *candidate(const struct btf *btf, type_id id)
{
	struct btf_record record;

	if (!btf_record(btf, id, &record) || btf_class_of(&record) > BTF_CLASS_TYPEDEF)
		return "";
	return btf_name(btf, record.name);
}

const char *type_index_suggest(const struct type_index *index, const char *name)
{
	const struct btf *btf = &index->btf;
	const char *space = strrchr(name, ' '), *best = NULL;
	uint32_t count = smaller(btf->listed_count, COMPARISON_LIMIT);
	unsigned size, limit;

	if (space) /* "struct x" */
		name = space + 1;
	size = (unsigned)strnlen(name, WORD_LIMIT + 1);
	limit = smaller((size + 2) / 4 + 1, DISTANCE_LIMIT);
	if (!size || size > WORD_LIMIT)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		const char *other = candidate(btf, btf->listed[i]);
		unsigned other_size = (unsigned)strnlen(other, WORD_LIMIT + 1), found;

		if (!other_size || other_size > WORD_LIMIT || other_size >= size + limit ||
		    size >= other_size + limit)
			continue;
		found = distance(name, size, other, other_size, limit);
		if (found < limit) {
			limit = found;
			best = other;
		}
	}
	return best;
}
