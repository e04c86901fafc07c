/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A piece of the log is first searched for a match of any pattern; only if it may have one, its
 * lines are searched one by one. Within a line each rule reports once, so that no text can make
 * reports outnumber its lines.
 */
#include "doctor/story/scan.h"

#include "doctor/story/log_line.h"
#include "doctor/story/match.h"
#include "doctor/words.h"

#include <stdlib.h>
#include <string.h>

const struct rule rules[RULE_COUNT] = {
#define RULE(id_, where_, weight_, confidence_, unless_, pattern_, meaning_, remedy_, source_)     \
	[RULE_##id_] = {.id = #id_,                                                                \
			.where = WHERE_##where_,                                                   \
			.weight = NUNCHI_WEIGHT_##weight_,                                         \
			.confidence = NUNCHI_CONFIDENCE_##confidence_,                             \
			.unless = RULE_##unless_,                                                  \
			.pattern = pattern_,                                                       \
			.meaning = meaning_,                                                       \
			.remedy = remedy_,                                                         \
			.source = source_},
#include "doctor/story/rules.def"
#undef RULE
};

/* No pattern matches in fewer bytes. */
#define SHORTEST 8

/* Marks of a boot's start: the kernel's banner, what journalctl and last print between boots. */
static const char *const boot_marks[SCAN_BOOT_MARKS] = {
    "Linux version [0-9]+\\.[0-9]", "^-- (Boot|Reboot)", "\\(XEN\\) Xen version [0-9]"};

void scan_patterns(const char *ret[SCAN_PATTERNS])
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		ret[i] = rules[i].pattern;
	for (size_t i = 0; i < ARRAY_SIZE(boot_marks); i++)
		ret[RULE_COUNT + i] = boot_marks[i];
}

struct nunchi_error *scan_init(struct scan *scan)
{
	const char *patterns[SCAN_PATTERNS];

	*scan = (struct scan){0};
	scan_patterns(patterns);
	return error_context(match_create(patterns, SCAN_PATTERNS, &scan->matcher),
			     "logs are not looked at");
}

void scan_deinit(struct scan *scan)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		for (size_t j = 0; j < scan->results[i].kept; j++)
			free(scan->results[i].hits[j].quote);
	match_destroy(scan->matcher);
	*scan = (struct scan){0};
}

void scan_begin(struct scan *scan, const char *source, enum scan_kind kind)
{
	scan->source = source;
	scan->kind = kind;
	scan->line = 0;
	scan->within = false;
	/* What stands before a boot's first line belongs to none that came before. */
	if (scan->boot + 1 < SCAN_BOOTS && scan->bytes)
		scan->boot++;
}

/* Whether a message of that place may stand in the line, or somebody only speaks of it. */
static bool fits(const struct scan *scan, enum rule_where where, const char *text, size_t size)
{
	switch (where) {
	case WHERE_KERNEL:
		return scan->kind == SCAN_KERNEL || log_line_writer(text, size) == LOG_KERNEL;
	case WHERE_XEN:
		return scan->kind == SCAN_XEN || log_line_writer(text, size) == LOG_XEN;
	case WHERE_GRUB:
		/* GRUB puts it first on a line of its own (grub/grub-core/kern/err.c). */
		return size >= 6 && !memcmp(text, "error:", 6);
	case WHERE_TOOL:
		return true;
	}
	return false;
}

/* The length within limit at which no UTF-8 character is cut apart. */
static size_t cut(const char *text, size_t size, size_t limit)
{
	if (size <= limit)
		return size;
	while (limit && ((unsigned char)text[limit] & 0xc0) == 0x80)
		limit--;
	return limit;
}

static void note(struct scan *scan, size_t id, const char *text, size_t size)
{
	struct scan_result *result = &scan->results[id];
	struct scan_hit *hit = &result->hits[result->kept];
	size_t length = cut(text, size, SCAN_QUOTE);

	result->seen++;
	result->boots[scan->boot / 8] |= (uint8_t)(1u << scan->boot % 8);
	if (result->kept == SCAN_HITS)
		return;
	hit->quote = malloc(length + 1);
	if (!hit->quote) {
		scan->failed = true;
		return;
	}
	/* A NUL would end the quote for whoever prints it. */
	for (size_t i = 0; i < length; i++)
		hit->quote[i] = text[i] ? text[i] : ' ';
	hit->quote[length] = '\0';
	hit->source = scan->source;
	hit->line = scan->line;
	hit->boot = scan->boot;
	result->kept++;
}

static void look_at_line(struct scan *scan, const char *text, size_t size)
{
	bool matched[SCAN_PATTERNS] = {false};

	if (size && text[size - 1] == '\r')
		size--;
	if (size > SCAN_LINE)
		size = SCAN_LINE;
	if (size < SHORTEST)
		return;
	scan->matcher->engine->line(scan->matcher, text, size, matched);
	if (!memchr(matched, true, sizeof(matched)))
		return;
	for (size_t i = RULE_COUNT; i < SCAN_PATTERNS; i++)
		/* Prose that mentions a version begins no boot. */
		if (matched[i] && scan->boot + 1 < SCAN_BOOTS &&
		    (text[0] == '-' || log_line_writer(text, size) != LOG_NOBODY ||
		     scan->kind != SCAN_ANY))
			scan->boot++;
	for (size_t i = 0; i < RULE_COUNT; i++)
		if (matched[i] && fits(scan, rules[i].where, text, size))
			note(scan, i, text, size);
}

static size_t count_newlines(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += text[i] == '\n';
	return count;
}

static void look_at_lines(struct scan *scan, const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		scan->line += !scan->within;
		scan->within = false;
		look_at_line(scan, text, (size_t)(stop - text));
		text = stop + 1;
	}
}

size_t scan_lines(struct scan *scan, const char *text, size_t size, bool last)
{
	const char *newline = memrchr(text, '\n', size);
	size_t whole = newline ? (size_t)(newline - text) + 1 : 0;

	if (last || (!whole && size >= SCAN_LINE))
		whole = size;
	if (whole && scan->matcher && scan->matcher->engine->any(scan->matcher, text, whole)) {
		look_at_lines(scan, text, whole);
	} else {
		scan->line += count_newlines(text, whole);
		scan->line += whole && text[whole - 1] != '\n';
		scan->line -= whole && scan->within;
	}
	if (whole)
		scan->within = text[whole - 1] != '\n';
	scan->bytes += whole;
	return whole;
}

bool scan_seen(const struct scan *scan, enum rule_id rule)
{
	return scan->results[rule].seen;
}

bool scan_together(const struct scan *scan, enum rule_id a, enum rule_id b)
{
	for (size_t i = 0; i < SCAN_BOOTS / 8; i++)
		if (scan->results[a].boots[i] & scan->results[b].boots[i])
			return true;
	return false;
}
