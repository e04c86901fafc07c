/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many words looked for in one pass over a text (Aho and Corasick, 1975): each byte is looked at
 * once, however many words there are. For an engine that would need a pass for each pattern.
 */
#ifndef NUNCHI_DOCTOR_STORY_LITERALS_H
#define NUNCHI_DOCTOR_STORY_LITERALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LITERAL_MOST 64                  /* bytes of a word */
#define LITERALS_END (UINT32_C(1) << 31) /* words end in that state */

struct literals {
	uint8_t classes[256]; /* bytes that are in no word are of class 0 */
	unsigned class_count;
	/* [state * class_count + class]: the next state, times class_count, and LITERALS_END. */
	uint32_t *next;
	uint16_t *ends; /* by state: 1 + the first word that ends there, or 0 */
	uint16_t *also; /* by word: 1 + another word that ends where it does, or 0 */
	size_t state_count;
};

/*
 * The longest word that a text must have for the pattern to match in it, as far as groups, classes
 * and what may be left out do not hide it. The pattern has no "|" outside of groups. Gives its
 * length; 0: there is none.
 */
size_t literal_of(const char *pattern, size_t size, char word[LITERAL_MOST]);

/* Words of no bytes are never found. False without memory, or if there are too many. */
bool literals_init(struct literals *literals, char (*words)[LITERAL_MOST], const size_t *sizes,
		   size_t count);
void literals_deinit(struct literals *literals);

/* What next has behind a byte; begins with 0. */
static inline uint32_t literals_step(const struct literals *literals, uint32_t state,
				     unsigned char byte)
{
	return literals->next[(state & ~LITERALS_END) + literals->classes[byte]];
}

/* The first of the words that end there, plus 1; 0: none. */
static inline unsigned literals_end(const struct literals *literals, uint32_t state)
{
	return state & LITERALS_END
		   ? literals->ends[(state & ~LITERALS_END) / literals->class_count]
		   : 0;
}

#endif
