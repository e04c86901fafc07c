/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/literals.h"

#include <stdlib.h>
#include <string.h>

/* ---- The word of a pattern ---- */

/* A word that grows, and the longest one so far. */
struct run {
	char now[LITERAL_MOST];
	size_t size;
	char *best;
	size_t best_size;
};

static void end_run(struct run *run)
{
	if (run->size > run->best_size) {
		memcpy(run->best, run->now, run->size);
		run->best_size = run->size;
	}
	run->size = 0;
}

/* The length of the group or the class that begins here. */
static size_t bracket(const char *at, const char *end)
{
	const char *start = at;
	unsigned depth = 0;
	bool in_class = false;

	for (; at < end; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		else if (in_class)
			in_class = *at != ']';
		else if (*at == '[')
			in_class = true;
		else if (*at == '(')
			depth++;
		else if (*at == ')')
			depth--;
		if (!in_class && !depth)
			return (size_t)(at - start) + 1;
	}
	return (size_t)(end - start);
}

/* What may stand behind a letter: one that may be left out is in no word, one that is repeated
 * ends its word. */
static void take_letter(struct run *run, char letter, char behind)
{
	if (run->size == LITERAL_MOST)
		end_run(run);
	if (behind != '?' && behind != '*' && behind != '{')
		run->now[run->size++] = letter;
	if (behind && strchr("?*{+", behind))
		end_run(run);
}

size_t literal_of(const char *pattern, size_t size, char word[LITERAL_MOST])
{
	struct run run = {.best = word};
	const char *end = pattern + size;

	for (const char *at = pattern; at < end; at++) {
		bool escaped = *at == '\\' && at + 1 < end;

		if (*at == '(' || *at == '[') {
			end_run(&run);
			at += bracket(at, end) - 1;
		} else if (*at == '{') {
			/* How often; the letter was left out. */
			while (at < end && *at != '}')
				at++;
		} else if (!escaped && strchr("^$.?*+", *at)) {
			end_run(&run);
		} else {
			at += escaped;
			take_letter(&run, *at, at + 1 < end ? at[1] : '\0');
		}
	}
	end_run(&run);
	return run.best_size;
}

/* ---- The automaton ---- */

static void number_classes(struct literals *literals, char (*words)[LITERAL_MOST],
			   const size_t *sizes, size_t count)
{
	literals->class_count = 1;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < sizes[i]; j++) {
			uint8_t *class = &literals->classes[(unsigned char)words[i][j]];

			/* No more than 255 bytes are in words: a NUL ends a pattern. */
			if (!*class)
				*class = (uint8_t)literals->class_count++;
		}
}

/* Puts the words into a tree, one state for each beginning. */
static void plant(struct literals *literals, char (*words)[LITERAL_MOST], const size_t *sizes,
		  size_t count)
{
	literals->state_count = 1;
	for (size_t i = 0; i < count; i++) {
		size_t state = 0;

		for (size_t j = 0; j < sizes[i]; j++) {
			uint32_t *next =
			    &literals->next[state * literals->class_count +
					    literals->classes[(unsigned char)words[i][j]]];

			if (!*next)
				*next = (uint32_t)literals->state_count++;
			state = *next;
		}
		if (!sizes[i])
			continue;
		literals->also[i] = literals->ends[state];
		literals->ends[state] = (uint16_t)(i + 1);
	}
}

/* All words that end in the state of the longest other beginning end here too. */
static void inherit_ends(struct literals *literals, size_t state, size_t shorter)
{
	uint16_t *last = &literals->ends[state];

	while (*last)
		last = &literals->also[*last - 1];
	*last = literals->ends[shorter];
}

/*
 * Where a word does not go on, the next state is that of the longest beginning that the text ends
 * in. States are visited by their depth, so that a shorter beginning's are complete.
 */
static bool link_states(struct literals *literals)
{
	unsigned classes = literals->class_count;
	uint32_t *queue = calloc(literals->state_count, 2 * sizeof(*queue));
	uint32_t *shorter = queue ? queue + literals->state_count : NULL;
	size_t head = 0, tail = 0;

	if (!queue)
		return false;
	for (size_t class = 0; class < classes; class ++)
		if (literals->next[class])
			queue[tail++] = literals->next[class];
	while (head < tail) {
		size_t state = queue[head++], other = shorter[state];

		inherit_ends(literals, state, other);
		for (size_t class = 0; class < classes; class ++) {
			uint32_t *next = &literals->next[state * classes + class];
			uint32_t instead = literals->next[other * classes + class];

			if (*next) {
				shorter[*next] = instead;
				queue[tail++] = *next;
			} else {
				*next = instead;
			}
		}
	}
	free(queue);
	return true;
}

bool literals_init(struct literals *literals, char (*words)[LITERAL_MOST], const size_t *sizes,
		   size_t count)
{
	size_t most = 1;

	*literals = (struct literals){0};
	for (size_t i = 0; i < count; i++)
		most += sizes[i];
	if (most > UINT16_MAX || count >= UINT16_MAX)
		return false;
	number_classes(literals, words, sizes, count);
	literals->next = calloc(most * literals->class_count, sizeof(*literals->next));
	literals->ends = calloc(most, sizeof(*literals->ends));
	literals->also = calloc(count + 1, sizeof(*literals->also));
	if (!literals->next || !literals->ends || !literals->also)
		return false;
	plant(literals, words, sizes, count);
	if (!link_states(literals))
		return false;
	/* Numbers of states become what a step needs. */
	for (size_t i = 0; i < literals->state_count * literals->class_count; i++) {
		uint32_t state = literals->next[i];

		literals->next[i] =
		    state * literals->class_count + (literals->ends[state] ? LITERALS_END : 0);
	}
	return true;
}

void literals_deinit(struct literals *literals)
{
	free(literals->next);
	free(literals->ends);
	free(literals->also);
	*literals = (struct literals){0};
}
