/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for the messages of rules.def in logs of any size and content: all rules at once, in one
 * pass, in time linear in the log, with memory that does not grow with it (match.h).
 */
#ifndef NUNCHI_DOCTOR_STORY_SCAN_H
#define NUNCHI_DOCTOR_STORY_SCAN_H

#include "core/error.h"
#include "doctor/story/misread.h"

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

/*
 * What must be there for a rule to be about this machine and this boot. Xen and two graphics
 * devices must be known to be there; whose processor or graphics device it is must not be known to
 * be another vendor's alone (a message names its driver, which is enough where nothing else is
 * known).
 */
enum rule_needs {
	NEEDS_NOTHING = 0,
	NEEDS_XEN = 1 << 0,
	NEEDS_INTEL = 1 << 1,
	NEEDS_AMD = 1 << 2,
	NEEDS_INTEL_GPU = 1 << 3,
	NEEDS_AMD_GPU = 1 << 4,
	NEEDS_NVIDIA_GPU = 1 << 5,
	NEEDS_TWO_GPUS = 1 << 6, /* of two vendors, so that one of them can be done without */
	NEEDS_ONE_GPU = 1 << 7,  /* two are not known to be there: its driver must stay */
	NEEDS_NATIVE = 1 << 8,   /* not a boot under Xen */
	NEEDS_XEN_NAMED = 1 << 9 /* somebody speaks of Xen or uses its tools */
};
#define NEEDS_COUNT 10

struct rule {
	const char *id;
	enum rule_where where;
	enum nunchi_weight weight;
	enum nunchi_confidence confidence;
	enum rule_id unless; /* RULE_NONE: always */
	unsigned needs;      /* of enum rule_needs */
	const char *pattern, *meaning, *remedy, *source;
};
extern const struct rule rules[RULE_COUNT];

/* What a text is known to be, so that bare lines count. */
enum scan_kind {
	SCAN_ANY,    /* only lines that look like the kernel's or Xen's */
	SCAN_KERNEL, /* every line is the kernel's */
	SCAN_XEN
};

#define SCAN_HITS  3    /* kept of each rule: the first ones, and the first of the last boot */
#define SCAN_BOOTS 256  /* told apart; what comes after counts as the last */
#define SCAN_QUOTE 300  /* bytes kept of a line */
#define SCAN_LINE  8192 /* bytes looked at of a line */

enum scan_mark {
#define SCAN_MARK(name, pattern) SCAN_MARK_##name,
#include "doctor/story/marks.def"
#undef SCAN_MARK
	SCAN_MARKS
};

/* One boot of a machine, as far as the text has it. */
struct scan_boot {
	const char *source;   /* of its first line */
	unsigned marks;       /* 1 << SCAN_MARK_… of what its lines have */
	unsigned rules_xen;   /* how many lines of Xen's own a rule knew */
	bool under_xen;       /* its kernel says so */
	uint64_t host, board; /* hashes of the host's name and of DMI's line; 0: not in it */
};

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
	struct scan_hit misread[MISREAD_COUNT]; /* the first of each; no quote: none */
	unsigned boot; /* the one at hand; 0 is what stands before any boot's first line */
	struct scan_boot boots[SCAN_BOOTS];
	bool failed;             /* out of memory */
	uint64_t bytes;          /* looked at */
	struct matcher *matcher; /* NULL: nothing is looked for */
	/* The text at hand. */
	const char *source;
	enum scan_kind kind;
	uint64_t line;
	bool within;               /* the piece before ended inside a line */
	struct scan_hit *headline; /* what it is about stands in the next line */
	size_t looked;             /* bytes looked at for misread letters */
};

/* All that is looked for: the patterns of the rules, then the marks. */
#define SCAN_PATTERNS (RULE_COUNT + SCAN_MARKS)
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
/* Whether the rule was met in that boot. */
bool scan_in_boot(const struct scan *scan, enum rule_id rule, unsigned boot);
/*
 * Whether the boot is its machine's newest that has what the rule is about (Xen's log, or the
 * kernel's under Xen, or without it). What older boots say explains, and decides nothing.
 */
bool scan_newest(const struct scan *scan, enum rule_id rule, unsigned boot);
/* Whether the rule was met in a newest boot; gives that boot. */
bool scan_now(const struct scan *scan, enum rule_id rule, unsigned *ret_boot);
/* The marks of a machine: of all boots that may be of the same one. */
unsigned scan_machine_marks(const struct scan *scan, unsigned boot);
/* How many machines the text is certainly of. */
size_t scan_machines(const struct scan *scan);

#endif
