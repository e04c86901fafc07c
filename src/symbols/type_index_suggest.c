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
#define NESTING_LIMIT    16
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

/* The name that is looked for, and the best of those that were compared. */
struct search {
	const char *name, *best;
	unsigned size, limit;
};

/* False if the name is too long or short for a suggestion. */
static bool begin(struct search *search, const char *name)
{
	unsigned size = (unsigned)strnlen(name, WORD_LIMIT + 1);

	*search = (struct search){
	    .name = name, .size = size, .limit = smaller((size + 2) / 4 + 1, DISTANCE_LIMIT)};
	return size && size <= WORD_LIMIT;
}

static void compare(struct search *search, const char *other)
{
	unsigned size = (unsigned)strnlen(other, WORD_LIMIT + 1), found;

	if (!size || size > WORD_LIMIT || size >= search->size + search->limit ||
	    search->size >= size + search->limit)
		return;
	found = distance(search->name, search->size, other, size, search->limit);
	if (found < search->limit) {
		search->limit = found;
		search->best = other;
	}
}

const char *type_index_suggest(const struct type_index *index, const char *name)
{
	const struct btf *btf = &index->btf;
	const char *space = strrchr(name, ' ');
	uint32_t count = smaller(btf->listed_count, COMPARISON_LIMIT);
	struct search search;

	if (!begin(&search, space ? space + 1 : name)) /* "struct x" */
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		compare(&search, candidate(btf, btf->listed[i]));
	return search.best;
}

/* Compares the members of a struct, and those of its anonymous members; *budget bounds it. */
static void compare_members(const struct type_index *index, type_id id, unsigned depth,
			    unsigned *budget, struct search *search)
{
	struct type_member member;
	struct type type;

	id = type_index_strip(index, id);
	if (depth > NESTING_LIMIT || !type_index_get(index, id, &type) ||
	    (type.kind != TYPE_STRUCT && type.kind != TYPE_UNION))
		return;
	for (uint32_t i = 0; i < type.count && *budget; i++) {
		--*budget;
		if (!type_index_member(index, id, i, &member))
			return;
		if (*member.name)
			compare(search, member.name);
		else
			compare_members(index, member.type, depth + 1, budget, search);
	}
}

const char *type_index_suggest_member(const struct type_index *index, type_id id, const char *name)
{
	unsigned budget = COMPARISON_LIMIT;
	struct search search;

	if (!begin(&search, name))
		return NULL;
	compare_members(index, id, 0, &budget, &search);
	return search.best;
}
