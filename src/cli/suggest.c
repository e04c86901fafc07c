/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

#define MOST_LENGTH 48

static size_t least_of(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][MOST_LENGTH + 1];
	size_t m = strlen(a), n = strlen(b);
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	if (m > MOST_LENGTH || n > MOST_LENGTH)
		return MOST_LENGTH;
	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			now[j] = least_of(last[j] + 1, now[j - 1] + 1,
					  last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[n];
}

const char *suggest(const char *word, const char *(*name)(size_t i, const void *data),
		    const void *data)
{
	const char *best = NULL;
	const char *candidate;
	size_t length = strlen(word);
	/* One wrong letter in up to three letters, two in up to seven, and so on. */
	size_t least = length / 4 + 2;

	for (size_t i = 0; (candidate = name(i, data)); i++) {
		size_t d = distance(word, candidate);

		/* An abbreviation, as "proc". */
		if (length >= 2 && !strncmp(word, candidate, length))
			d = 1;
		/* Of several with that beginning the shortest is the likeliest. */
		if (d < least || (best && d == least && strlen(candidate) < strlen(best))) {
			least = d;
			best = candidate;
		}
	}
	return best;
}
