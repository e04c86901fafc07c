/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for the messages of rules.def in logs of any size and content: all rules at once, in one
 * pass, in time linear in the log, with memory that does not grow with it (match.h).
 */
#ifndef NUNCHI_DOCTOR_STORY_SCAN_H
#define NUNCHI_DOCTOR_STORY_SCAN_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nunchi/doctor.h>

enum rule_id {
#define RULE(id, ...) RULE_##id,
#include "doctor/story/rules.def"
#undef RULE
	RULE_COUNT,
	RULE_NONE = RULE_COUNT
};

/* Where a message is looked for. */
enum rule_where { WHERE_KERNEL, WHERE_XEN, WHERE_GRUB, WHERE_TOOL };

struct rule {
	const char *id;
	enum rule_where where;
	enum nunchi_weight weight;
	enum nunchi_confidence confidence;
	enum rule_id unless; /* RULE_NONE: always */
	const char *pattern, *meaning, *remedy, *source;
};
extern const struct rule rules[RULE_COUNT];

/* What a text is known to be, so that bare lines count. */
enum scan_kind {
	SCAN_ANY,    /* only lines that look like the kernel's or Xen's */
	SCAN_KERNEL, /* every line is the kernel's */
	SCAN_XEN
};

#define SCAN_HITS  3    /* kept of each rule */
#define SCAN_BOOTS 256  /* told apart; what comes after counts as the last */
#define SCAN_QUOTE 300  /* bytes kept of a line */
#define SCAN_LINE  8192 /* bytes looked at of a line */

struct scan_hit {
	char *quote;
	const char *source; /* as given to scan_begin(), which must live as long */
	uint64_t line;
	unsigned boot;
};

struct scan_result {
	struct scan_hit hits[SCAN_HITS];
	size_t kept;
	uint64_t seen;
	uint8_t boots[SCAN_BOOTS / 8]; /* in which boots */
};

struct scan {
	struct scan_result results[RULE_COUNT];
	unsigned boot;  /* the one at hand; 0 is what stands before any boot's first line */
	bool failed;    /* out of memory */
	uint64_t bytes; /* looked at */
	struct matcher *matcher; /* NULL: nothing is looked for */
	/* The text at hand. */
	const char *source;
	enum scan_kind kind;
	uint64_t line;
	bool within; /* the piece before ended inside a line */
};

/* All that is looked for: the patterns of the rules, then marks of a boot's start. */
#define SCAN_BOOT_MARKS 3
#define SCAN_PATTERNS   (RULE_COUNT + SCAN_BOOT_MARKS)
void scan_patterns(const char *ret[SCAN_PATTERNS]);

/* Fails with NUNCHI_ERROR_UNSUPPORTED if neither Hyperscan nor PCRE2 can be used. */
struct nunchi_error *scan_init(struct scan *scan);
void scan_deinit(struct scan *scan);
/* Begins a text; what it is called is not copied. */
void scan_begin(struct scan *scan, const char *source, enum scan_kind kind);
/*
 * Looks at whole lines: all of what a piece holds up to its last newline, or all of it if last.
 * Gives how many bytes were used up; the caller gives the rest again, with more behind it. A piece
 * without a newline that is SCAN_LINE long or longer is used up as one line.
 */
size_t scan_lines(struct scan *scan, const char *text, size_t size, bool last);
bool scan_seen(const struct scan *scan, enum rule_id rule);
/* Whether both were met in one boot. */
bool scan_together(const struct scan *scan, enum rule_id a, enum rule_id b);

#endif
