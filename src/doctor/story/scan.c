/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hyperscan compiles all patterns into one automaton. A piece of the log is first asked whether
 * anything matches at all; only then its lines are looked at one by one. Within a line each rule
 * reports once, so that no text can make reports outnumber its lines.
 */
#include "doctor/story/scan.h"

#include "config.h"
#include "doctor/story/log_line.h"
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
static const char *const boot_marks[] = {"Linux version [0-9]+\\.[0-9]", "^-- (Boot|Reboot)",
					 "\\(XEN\\) Xen version [0-9]"};
#define PATTERNS (RULE_COUNT + ARRAY_SIZE(boot_marks))

#ifdef HAVE_LIBHS
#include "core/library.h"

#include <assert.h>
#include <hs.h>

#define HS_FUNCTIONS(FUNCTION)                                                                     \
	FUNCTION(hs_alloc_scratch)                                                                 \
	FUNCTION(hs_compile_multi)                                                                 \
	FUNCTION(hs_free_compile_error)                                                            \
	FUNCTION(hs_free_database)                                                                 \
	FUNCTION(hs_free_scratch)                                                                  \
	FUNCTION(hs_scan)                                                                          \
	FUNCTION(hs_valid_platform)

struct hs_library {
	void *handle;
	HS_FUNCTIONS(LIBRARY_MEMBER)
};

#define FUNCTION(name) LIBRARY_FUNCTION(struct hs_library, name)
static const struct library_function functions[] = {HS_FUNCTIONS(FUNCTION)};
LIBRARY(libhs, functions, "libhs.so.5", "reading logs",
	"libhyperscan5 (Debian, Ubuntu) or hyperscan (Fedora)");
static_assert(HS_MAJOR == 5, "the SONAME is of another version");

struct scanner {
	struct hs_library lib;
	hs_database_t *database;
	hs_scratch_t *scratch;
};

static struct nunchi_error *compile(struct scanner *scanner)
{
	const char *patterns[PATTERNS];
	unsigned flags[PATTERNS], ids[PATTERNS];
	hs_compile_error_t *failure = NULL;
	struct nunchi_error *err;

	for (unsigned i = 0; i < PATTERNS; i++) {
		patterns[i] = i < RULE_COUNT ? rules[i].pattern : boot_marks[i - RULE_COUNT];
		/* "^" is a line's start, in a piece of many lines too. */
		flags[i] = HS_FLAG_SINGLEMATCH | HS_FLAG_MULTILINE;
		ids[i] = i;
	}
	if (scanner->lib.hs_compile_multi(patterns, flags, ids, PATTERNS, HS_MODE_BLOCK, NULL,
					  &scanner->database, &failure) != HS_SUCCESS) {
		err = error_create(NUNCHI_ERROR_UNSUPPORTED, "the rules cannot be compiled: %s",
				   failure ? failure->message : "Hyperscan fails");
		scanner->lib.hs_free_compile_error(failure);
		return err;
	}
	if (scanner->lib.hs_alloc_scratch(scanner->database, &scanner->scratch) != HS_SUCCESS)
		return &error_nomem;
	return NULL;
}

struct nunchi_error *scan_init(struct scan *scan)
{
	struct nunchi_error *err;

	*scan = (struct scan){.scanner = calloc(1, sizeof(struct scanner))};
	if (!scan->scanner)
		return &error_nomem;
	err = error_context(library_load(&libhs, &scan->scanner->lib, &scan->scanner->lib.handle),
			    "logs are not looked at");
	/* It needs SSSE3, which every x86-64 CPU that can have guests has. */
	if (!err && scan->scanner->lib.hs_valid_platform() != HS_SUCCESS)
		err = error_create(NUNCHI_ERROR_UNSUPPORTED,
				   "logs are not searched for known messages: Hyperscan needs "
				   "SSSE3, which this CPU lacks");
	else if (!err)
		err = compile(scan->scanner);
	if (err)
		scan_deinit(scan);
	return err;
}

static void free_scanner(struct scanner *scanner)
{
	if (!scanner)
		return;
	if (scanner->lib.handle) {
		scanner->lib.hs_free_scratch(scanner->scratch);
		scanner->lib.hs_free_database(scanner->database);
	}
	library_unload(&scanner->lib.handle);
	free(scanner);
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
		    void *matched)
{
	(void)from;
	(void)to;
	(void)flags;
	((bool *)matched)[id] = true;
	return 0;
}

static int on_any(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
		  void *any)
{
	(void)id;
	(void)from;
	(void)to;
	(void)flags;
	*(bool *)any = true;
	return 1;
}

/* Which patterns the line has; false if none. */
static bool match_line(const struct scanner *scanner, const char *text, size_t size, bool *matched)
{
	memset(matched, 0, PATTERNS * sizeof(*matched));
	scanner->lib.hs_scan(scanner->database, text, (unsigned)size, 0, scanner->scratch, on_match,
			     matched);
	return memchr(matched, true, PATTERNS);
}

/* Whether anything in it may match. */
static bool match_any(const struct scanner *scanner, const char *text, size_t size)
{
	bool any = false;

	scanner->lib.hs_scan(scanner->database, text, (unsigned)size, 0, scanner->scratch, on_any,
			     &any);
	return any;
}
#else
struct scanner {
	char unused;
};

struct nunchi_error *scan_init(struct scan *scan)
{
	*scan = (struct scan){0};
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    "nunchi was built without Hyperscan: logs are not looked at");
}

static void free_scanner(struct scanner *scanner)
{
	(void)scanner;
}

static bool match_line(const struct scanner *scanner, const char *text, size_t size, bool *matched)
{
	(void)scanner;
	(void)text;
	(void)size;
	(void)matched;
	return false;
}

static bool match_any(const struct scanner *scanner, const char *text, size_t size)
{
	(void)scanner;
	(void)text;
	(void)size;
	return false;
}
#endif

void scan_deinit(struct scan *scan)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		for (size_t j = 0; j < scan->results[i].kept; j++)
			free(scan->results[i].hits[j].quote);
	free_scanner(scan->scanner);
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
	bool matched[PATTERNS];

	if (size && text[size - 1] == '\r')
		size--;
	if (size > SCAN_LINE)
		size = SCAN_LINE;
	if (size < SHORTEST || !match_line(scan->scanner, text, size, matched))
		return;
	for (size_t i = RULE_COUNT; i < PATTERNS; i++)
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
	if (whole && scan->scanner && match_any(scan->scanner, text, whole)) {
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
