/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for many regular expressions at once, in time linear in the text. Two engines do it, and
 * find the same: Hyperscan, which exists for x86 alone, and PCRE2. Both are loaded when they are
 * first needed.
 *
 * Patterns are of the syntax that both have: literals, classes, groups, alternatives, the
 * quantifiers * + ? and {n}, "^" for the start of a line; "." is any byte but a newline. Text is
 * bytes, whatever its encoding. ".*" stands outside of groups and classes, and what stands before
 * it ends where its first match ends (PCRE2 looks for the parts around it one after the other).
 * Each alternative of a pattern has a letter at least outside of groups and classes.
 */
#ifndef NUNCHI_DOCTOR_STORY_MATCH_H
#define NUNCHI_DOCTOR_STORY_MATCH_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct matcher;

struct match_engine {
	const char *name;
	/* NUNCHI_ERROR_UNSUPPORTED if it is not there or cannot be used on this machine. */
	struct nunchi_error *(*create)(const char *const *patterns, size_t count,
				       struct matcher **ret);
	void (*destroy)(struct matcher *matcher);
	/* Whether any line of the text may have a match. */
	bool (*any)(struct matcher *matcher, const char *text, size_t size);
	/*
	 * Sets matched[i] for each pattern i that the line has. It must be a line of the text that
	 * any() was given last, or its beginning.
	 */
	void (*line)(struct matcher *matcher, const char *line, size_t size, bool *matched);
};

/* Those that nunchi was built with, the one to prefer first; NULL ends them. */
extern const struct match_engine *const match_engines[];

/* Each engine's matcher begins with this. */
struct matcher {
	const struct match_engine *engine;
};

/*
 * Compiles the patterns for the first engine that can be used. If there is none:
 * NUNCHI_ERROR_UNSUPPORTED, with what is missing of each, and the packages of the first.
 */
struct nunchi_error *match_create(const char *const *patterns, size_t count, struct matcher **ret);
void match_destroy(struct matcher *matcher);

#endif
