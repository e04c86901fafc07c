/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/topics.h"

#include "doctor/story/phrases.h"
#include "doctor/words.h"

#include <stdio.h>
#include <string.h>

#define MOST_WORDS  64
#define MOST_SPACED 1024

/* clang-format off */
const struct topic topics[TOPIC_COUNT] = {
#define TOPIC(id, name_, text_, under_xen_, without_, ...)                                         \
	[TOPIC_##id] = {.name = name_, .text = text_, .under_xen = under_xen_, .without = without_},
#include "doctor/story/topics.def"
#undef TOPIC
};
static const char *const words[TOPIC_COUNT][MOST_WORDS] = {
#define TOPIC(id, name_, text_, under_xen_, without_, ...) [TOPIC_##id] = {__VA_ARGS__, NULL},
#include "doctor/story/topics.def"
#undef TOPIC
};
/* Beside what phrases_trouble() knows: words of a complaint, too weak to doubt a log by them. */
static const char *const complaints[] = {
    "n't ", "not start", "not load", "not detect", "not found", "not find", "not recogni", "not see", "not show",
    "not available", "unavailable", "missing", "disabled", "unsupported", "not support", "disappear", "lost", "black",
    "blank", "dead", "kills", "killed", "refuse", "denied", "timeout", "timed out", "안 ", "못", "없", "않", "できない", "ない", "没有", "kein", NULL};
/* clang-format on */

/* "cpu mode='host-passthrough'" is about the processor. */
static bool is_of_processor(const char *line, size_t topic)
{
	static const char *const modes[] = {"host-passthrough", "host passthrough",
					    "cpu passthrough", "cpu-passthrough", NULL};

	return topic == TOPIC_PASSTHROUGH && phrases_any(line, modes);
}

void topics_of(const char *line, enum topic_told told[TOPIC_COUNT])
{
	enum topic_told how =
	    phrases_trouble(line) || phrases_any(line, complaints) ? TOPIC_TROUBLE : TOPIC_NAMED;
	/* Blanks around it, for words that are told from others by the blank beside them. */
	char spaced[MOST_SPACED];
	int size = snprintf(spaced, sizeof(spaced), " %s ", line);
	const char *text = size >= 0 && (size_t)size < sizeof(spaced) ? spaced : line;

	for (size_t i = 0; i < TOPIC_COUNT; i++)
		if (told[i] < how && phrases_any(text, words[i]) && !is_of_processor(line, i))
			told[i] = how;
}
