/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Matches of many strings, of which a bounded number is kept: a string that matches everywhere
 * takes no room from the others. Each string has as many as there is room for if all get the same
 * number and leave what they do not need; of more those with the lowest addresses are kept. So what
 * is kept does not depend on the order in which matches come.
 */
#ifndef NUNCHI_SCAN_MATCHES_H
#define NUNCHI_SCAN_MATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are kept of each match. */
#define SCAN_MATCH_DATA 32

struct scan_match {
	uint32_t string; /* YARA's number of the string */
	uint32_t length; /* of the match in bytes */
	uint64_t address;
	uint32_t data_size;
	uint8_t data[SCAN_MATCH_DATA]; /* its first bytes */
};

/* A string's. */
struct scan_share {
	uint64_t found; /* matches that came */
	uint64_t kept;  /* set by scan_matches_end() */
	uint64_t limit; /* those above this address are not kept */
};

/* Zeroed storage but for the last two is an empty one. */
struct scan_matches {
	struct scan_match *items;
	size_t count, capacity;
	struct scan_share *shares; /* one a string */
	size_t string_count;
	size_t most; /* matches that are kept of all strings */
};

/* False if memory is short. The match's string is less than string_count. */
bool scan_matches_add(struct scan_matches *matches, const struct scan_match *match);
/* Sorts what is kept by string, then by address. False if memory is short. */
bool scan_matches_end(struct scan_matches *matches);
void scan_matches_deinit(struct scan_matches *matches);

#endif
