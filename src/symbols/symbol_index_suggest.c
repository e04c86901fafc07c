/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the symbol that a mistyped name probably means: the one with the least number of letters
 * added, dropped, changed or swapped with their neighbour. Names whose length or set of letters
 * differs too much are not compared, so that all symbols of a kernel take a few milliseconds. About
 * a quarter of the letters may be wrong; a name that is farther from all symbols gets no
 * suggestion.
 */
#include "symbols/symbol_index_private.h"

#include <string.h>

#define WORD_MAX     64 /* longer names are usually pasted, not typed */
#define DISTANCE_END 4  /* a distance that is too large for any name */
/* Greatest number of full comparisons; a kernel needs a few thousand. */
#define COMPARISONS_MAX 200000

/* The set of letters in a name: one bit for each, chosen by its low six bits. */
static uint64_t letters_of(const char *name, size_t size)
{
	uint64_t letters = 0;

	for (size_t i = 0; i < size; i++)
		letters |= (uint64_t)1 << (name[i] & 63);
	return letters;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * The edit distance of two words of at most WORD_MAX letters; limit + 1 if it is greater than
 * limit.
 */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size, unsigned limit)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_size; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned best = row[0] = (unsigned)i;
		unsigned *spare = before;

		for (size_t j = 1; j <= b_size; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]),
				       least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
			best = least(best, row[j]);
		}
		if (best > limit)
			return limit + 1;
		before = above;
		above = row;
		row = spare;
	}
	return above[b_size];
}

const char *symbol_index_suggest(const struct symbol_index *index, const char *name)
{
	size_t size = strnlen(name, WORD_MAX + 1);
	unsigned limit = least((unsigned)(size + 2) / 3, DISTANCE_END);
	uint64_t letters = letters_of(name, size);
	size_t comparisons = 0;
	const char *nearest = NULL;

	if (!size || size > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < index->count && comparisons < COMPARISONS_MAX && limit; i++) {
		const char *other = symbol_index_text(index, i) + 1;
		size_t other_size = strnlen(other, WORD_MAX + 1);
		unsigned found;

		if (other_size > WORD_MAX || other_size > size + limit - 1 ||
		    size > other_size + limit - 1)
			continue;
		/* Changing one letter into another changes two bits of the set. */
		if ((unsigned)__builtin_popcountll(letters ^ letters_of(other, other_size)) >
		    2 * (limit - 1))
			continue;
		comparisons++;
		found = distance(name, size, other, other_size, limit - 1);
		if (found < limit) {
			nearest = other;
			limit = found;
		}
	}
	return nearest;
}
