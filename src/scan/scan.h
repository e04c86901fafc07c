/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules of YARA over memory, by processes of their own: as many as there are CPUs. They get blocks
 * of memory through pages that they share with this process, and have nothing else: no guest, no
 * file, no privilege. So a fault of libyara, which hostile bytes may meet, ends one of them and
 * reaches nothing.
 *
 * Each string is looked for in all blocks, by whichever process is free. Then one process gets all
 * matches and evaluates the conditions, so these are those of the whole memory.
 */
#ifndef NUNCHI_SCAN_SCAN_H
#define NUNCHI_SCAN_SCAN_H

#include "scan/blocks.h"
#include "scan/matches.h"

#include <nunchi/nunchi.h>

/* Matches that are kept of one memory; YARA's own limit for each string in a block. */
#define SCAN_MOST_MATCHES 1000000
/* Seconds that YARA may take for a block, and for the conditions. */
#define SCAN_MOST_SECONDS 60
#define SCAN_MOST_JOBS    64

/* ---- Rules ----------------------------------------------------------------------------------- */

struct scan_rules;

/*
 * Compiles files of rules. `include` is refused. warn() is told of warnings of the compiler; error
 * messages begin with FILE:LINE.
 */
struct nunchi_error *scan_rules_compile(char *const *paths, size_t count,
					void (*warn)(const char *text, void *data), void *data,
					struct scan_rules **ret);
/* NULL is accepted. */
void scan_rules_destroy(struct scan_rules *rules);

/* ---- Scanning -------------------------------------------------------------------------------- */

/* Blocks of which matches are missing. */
struct scan_missed {
	uint64_t count;
	uint64_t first; /* address of the first one */
	int status;     /* YARA's error */
};

struct scan_result {
	struct scan_matches matches;
	uint32_t *rules; /* the rules whose conditions are met, in the order of the files; owned */
	size_t rule_count;
	uint64_t unread;           /* bytes that could not be read */
	uint64_t many;             /* blocks in which YARA stopped looking for a string */
	struct scan_missed missed; /* blocks that could not be looked through */
	const char *judging;       /* why conditions could not be evaluated; NULL: they were */
};

void scan_result_deinit(struct scan_result *result);

struct scan_options {
	unsigned jobs;   /* processes; 0: one for each CPU */
	uint64_t memory; /* private memory of each in bytes */
	bool open;       /* do not confine them */
};

struct scanner;

/* Starts the processes; before a guest is opened. `rules` must live as long. */
struct nunchi_error *scanner_start(const struct scan_rules *rules,
				   const struct scan_options *options, struct scanner **ret);
/* Ends the processes. NULL is accepted. */
void scanner_destroy(struct scanner *scanner);

struct scan_job {
	const struct scan_regions *regions;
	scan_read *read;
	void *data; /* of read() and go_on() */
	/* Called again and again; false ends the scan with NUNCHI_ERROR_CANCELLED. */
	bool (*go_on)(uint64_t done, void *data);
};

/* Scans one memory. *ret is zeros at first, and to be freed after a failure too. */
struct nunchi_error *scanner_run(struct scanner *scanner, const struct scan_job *job,
				 struct scan_result *ret);

/* ---- Rows ------------------------------------------------------------------------------------ */

struct scan_row {
	const char *rule, *namespace;
	const char *tags;               /* separated by commas; "" if there are none */
	const char *string;             /* "$a"; NULL: the condition is met without a string */
	const struct scan_match *match; /* NULL likewise */
};

/* Calls give() for each string of which not all matches are kept. */
void scan_cut_strings(const struct scan_rules *rules, const struct scan_result *result,
		      void (*give)(const char *rule, const char *string,
				   const struct scan_share *share, void *data),
		      void *data);

/* Calls give() for each match of each rule whose condition is met, until that returns false. */
struct nunchi_error *scan_rows(const struct scan_rules *rules, const struct scan_result *result,
			       bool (*give)(const struct scan_row *row, void *data), void *data);

#endif
