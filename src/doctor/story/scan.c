/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A piece of the log is first searched for a match of any pattern; only if it may have one, its
 * lines are searched one by one. Within a line each rule reports once, so that no text can make
 * reports outnumber its lines.
 */
#include "doctor/story/scan.h"

#include "core/hash.h"
#include "doctor/story/log_line.h"
#include "doctor/story/match.h"
#include "doctor/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct rule rules[RULE_COUNT] = {
#define RULE(id_, where_, weight_, confidence_, unless_, needs_, pattern_, meaning_, remedy_,      \
	     source_)                                                                              \
	[RULE_##id_] = {.id = #id_,                                                                \
			.where = WHERE_##where_,                                                   \
			.weight = NUNCHI_WEIGHT_##weight_,                                         \
			.confidence = NUNCHI_CONFIDENCE_##confidence_,                             \
			.unless = RULE_##unless_,                                                  \
			.needs = (needs_),                                                         \
			.pattern = pattern_,                                                       \
			.meaning = meaning_,                                                       \
			.remedy = remedy_,                                                         \
			.source = source_},
#include "doctor/story/rules.def"
#undef RULE
};

/* No pattern matches in fewer bytes. */
#define SHORTEST 5

static const char *const marks[SCAN_MARKS] = {
#define SCAN_MARK(name, pattern) [SCAN_MARK_##name] = pattern,
#include "doctor/story/marks.def"
#undef SCAN_MARK
};

void scan_patterns(const char *ret[SCAN_PATTERNS])
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		ret[i] = rules[i].pattern;
	for (size_t i = 0; i < SCAN_MARKS; i++)
		ret[RULE_COUNT + i] = marks[i];
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
	for (size_t i = 0; i < MISREAD_COUNT; i++)
		free(scan->misread[i].quote);
	match_destroy(scan->matcher);
	*scan = (struct scan){0};
}

static void begin_boot(struct scan *scan)
{
	if (scan->boot + 1 == SCAN_BOOTS)
		return;
	scan->boots[++scan->boot] = (struct scan_boot){.source = scan->source};
}

void scan_begin(struct scan *scan, const char *source, enum scan_kind kind)
{
	scan->source = source;
	scan->kind = kind;
	scan->line = 0;
	scan->within = false;
	scan->looked = 0;
	scan->headline = NULL;
	/* What stands before a boot's first line belongs to none that came before. */
	if (scan->bytes)
		begin_boot(scan);
	scan->boots[scan->boot].source = source;
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

/* Where a hit is kept: one of the last boot takes the place of one of an older boot. */
static struct scan_hit *place_of(struct scan *scan, struct scan_result *result)
{
	struct scan_hit *last = &result->hits[SCAN_HITS - 1];

	if (result->kept < SCAN_HITS)
		return &result->hits[result->kept++];
	if (last->boot == scan->boot)
		return NULL;
	free(last->quote);
	return last;
}

static char *quote_of(const char *text, size_t size)
{
	size_t length = cut(text, size, SCAN_QUOTE);
	char *quote = malloc(length + 1);

	if (!quote)
		return NULL;
	/* A NUL would end the quote for whoever prints it. */
	for (size_t i = 0; i < length; i++)
		quote[i] = text[i] ? text[i] : ' ';
	quote[length] = '\0';
	return quote;
}

static void note(struct scan *scan, size_t id, const char *text, size_t size)
{
	struct scan_result *result = &scan->results[id];
	struct scan_hit *hit = place_of(scan, result);

	result->seen++;
	result->boots[scan->boot / 8] |= (uint8_t)(1u << scan->boot % 8);
	if (!hit)
		return;
	*hit = (struct scan_hit){.source = scan->source, .line = scan->line, .boot = scan->boot};
	hit->quote = quote_of(text, size);
	if (!hit->quote) {
		result->kept--;
		scan->failed = true;
		return;
	}
	if (id == RULE_R63)
		scan->headline = hit;
}

/*
 * Xen starts Linux, so that Linux's first line behind Xen's, or behind journalctl's, is of the same
 * boot. Prose that mentions a version begins no boot.
 */
static void look_at_banners(struct scan *scan, const char *text, size_t size, const bool *found)
{
	unsigned here = scan->boots[scan->boot].marks;
	bool same = here & (1u << SCAN_MARK_BOOT_XEN | 1u << SCAN_MARK_BOOT_JOURNAL) &&
		    !(here & 1u << SCAN_MARK_BOOT_LINUX);

	if (!found[SCAN_MARK_BOOT_LINUX] && !found[SCAN_MARK_BOOT_JOURNAL] &&
	    !found[SCAN_MARK_BOOT_XEN])
		return;
	if (text[0] != '-' && log_line_writer(text, size) == LOG_NOBODY && scan->kind == SCAN_ANY)
		return;
	if (!found[SCAN_MARK_BOOT_LINUX] || !same)
		begin_boot(scan);
	for (size_t i = 0; i <= SCAN_MARK_BOOT_XEN; i++)
		if (found[i])
			scan->boots[scan->boot].marks |= 1u << i;
}

static void look_at_marks(struct scan *scan, const char *text, size_t size, const bool *found)
{
	struct scan_boot *boot;

	look_at_banners(scan, text, size, found);
	boot = &scan->boots[scan->boot];
	for (size_t i = SCAN_MARK_BOOT_XEN + 1; i < SCAN_MARKS; i++)
		if (found[i])
			boot->marks |= 1u << i;
	if (found[SCAN_MARK_DMI]) {
		const char *dmi = memmem(text, size, "DMI: ", 5);
		/* A BIOS update does not make another machine of it. */
		const char *bios = memmem(dmi, (size_t)(text + size - dmi), ", BIOS", 6);

		boot->board = hash_bytes(dmi, (size_t)((bios ? bios : text + size) - dmi)) | 1;
	}
	if (!boot->host)
		boot->host = log_line_host(text, size);
}

/* "Panic on CPU 0:" says nothing; the line behind it has the reason. */
static void take_reason(struct scan *scan, const char *text, size_t size)
{
	struct scan_hit *hit = scan->headline;
	const char *words = memmem(text, size, "(XEN) ", 6);
	char *longer;

	scan->headline = NULL;
	if (!words)
		return;
	words += 6;
	size -= (size_t)(words - text);
	/* Its time. */
	if (size && *words == '[' && memchr(words, ']', size)) {
		const char *end = (const char *)memchr(words, ']', size) + 1;

		size -= (size_t)(end - words);
		words = end;
	}
	for (; size && *words == ' '; size--)
		words++;
	size = cut(words, size, SCAN_QUOTE / 2);
	if (!size || memchr(words, '\0', size))
		return;
	if (asprintf(&longer, "%s %.*s", hit->quote, (int)size, words) < 0)
		return;
	free(hit->quote);
	hit->quote = longer;
}

static void look_at_line(struct scan *scan, const char *text, size_t size)
{
	bool matched[SCAN_PATTERNS] = {false};

	if (size && text[size - 1] == '\r')
		size--;
	if (size > SCAN_LINE)
		size = SCAN_LINE;
	if (scan->headline)
		take_reason(scan, text, size);
	if (size < SHORTEST)
		return;
	scan->matcher->engine->line(scan->matcher, text, size, matched);
	if (!memchr(matched, true, sizeof(matched)))
		return;
	look_at_marks(scan, text, size, matched + RULE_COUNT);
	for (size_t i = 0; i < RULE_COUNT; i++) {
		if (!matched[i] || !fits(scan, rules[i].where, text, size))
			continue;
		note(scan, i, text, size);
		scan->boots[scan->boot].rules_xen += rules[i].where == WHERE_XEN;
		if (i == RULE_R23)
			scan->boots[scan->boot].under_xen = true;
	}
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

/* The lines at a text's beginning, if it may be one that somebody typed. */
static void look_for_misread(struct scan *scan, const char *text, size_t size)
{
	size_t room = MISREAD_BYTES - scan->looked;
	const char *end = text + (size < room ? size : room);
	uint64_t line = scan->line - scan->within;

	if (scan->kind != SCAN_ANY)
		return;
	scan->looked += (size_t)(end - text);
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct scan_hit *hit;
		size_t found;

		if (!stop)
			stop = end;
		line++;
		found = misread_find(text, (size_t)(stop - text));
		hit = found < MISREAD_COUNT ? &scan->misread[found] : NULL;
		if (hit && !hit->quote) {
			*hit = (struct scan_hit){
			    .source = scan->source,
			    .line = line,
			    .boot = scan->boot,
			    .quote = quote_of(text, (size_t)(stop - text)),
			};
			scan->failed = scan->failed || !hit->quote;
		}
		text = stop + 1;
	}
}

size_t scan_lines(struct scan *scan, const char *text, size_t size, bool last)
{
	const char *newline = memrchr(text, '\n', size);
	size_t whole = newline ? (size_t)(newline - text) + 1 : 0;

	if (last || (!whole && size >= SCAN_LINE))
		whole = size;
	if (whole && scan->looked < MISREAD_BYTES)
		look_for_misread(scan, text, whole);
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

bool scan_in_boot(const struct scan *scan, enum rule_id rule, unsigned boot)
{
	return scan->results[rule].boots[boot / 8] >> boot % 8 & 1;
}

/* Whether nothing says that they are boots of two machines. */
static bool may_be_one(const struct scan_boot *a, const struct scan_boot *b)
{
	if (a->board && b->board)
		return a->board == b->board;
	return !a->host || !b->host || a->host == b->host;
}

bool scan_newest(const struct scan *scan, enum rule_id rule, unsigned boot)
{
	const struct scan_boot *this = &scan->boots[boot];
	unsigned kernel = 1u << SCAN_MARK_BOOT_LINUX | 1u << SCAN_MARK_BOOT_JOURNAL;

	for (unsigned i = boot + 1; i <= scan->boot; i++) {
		const struct scan_boot *that = &scan->boots[i];

		if (that->source != this->source || !may_be_one(this, that))
			continue;
		if (rules[rule].where == WHERE_XEN && that->marks & 1u << SCAN_MARK_BOOT_XEN)
			return false;
		if (rules[rule].where == WHERE_KERNEL && that->marks & kernel &&
		    that->under_xen == this->under_xen)
			return false;
	}
	return true;
}

bool scan_now(const struct scan *scan, enum rule_id rule, unsigned *ret_boot)
{
	for (unsigned i = 0; i <= scan->boot; i++)
		if (scan_in_boot(scan, rule, i) && scan_newest(scan, rule, i)) {
			*ret_boot = i;
			return true;
		}
	return false;
}

unsigned scan_machine_marks(const struct scan *scan, unsigned boot)
{
	unsigned found = 0;

	for (unsigned i = 0; i <= scan->boot; i++)
		if (may_be_one(&scan->boots[boot], &scan->boots[i]))
			found |= scan->boots[i].marks;
	return found;
}

size_t scan_machines(const struct scan *scan)
{
	size_t count = 0;

	for (unsigned i = 0; i <= scan->boot; i++) {
		const struct scan_boot *boot = &scan->boots[i];
		bool other = boot->board || boot->host;

		for (unsigned j = 0; j < i && other; j++)
			other = !(scan->boots[j].board || scan->boots[j].host) ||
				!may_be_one(boot, &scan->boots[j]);
		count += other;
	}
	return count;
}
