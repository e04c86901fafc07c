/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs of printable characters in bytes that come piece by piece: of ASCII, and of UTF-16LE as far
 * as its characters are those of ASCII, at odd addresses too. Printable are space to ~, and the
 * tab.
 */
#ifndef NUNCHI_SCAN_STRINGS_H
#define NUNCHI_SCAN_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of a run that are kept. */
#define STRINGS_MOST_TEXT 16384

struct strings_found {
	uint64_t address;
	uint64_t length;  /* characters */
	const char *text; /* the first ones, as ASCII */
	size_t text_size;
	bool wide; /* UTF-16LE */
};

struct strings_run {
	uint64_t address, length;
	char text[STRINGS_MOST_TEXT];
};

/* All zeros but the first three members at first. */
struct strings {
	uint64_t least;                                              /* characters of a run */
	bool (*give)(const struct strings_found *found, void *data); /* false: no more */
	void *data;
	bool ended;
	bool has_last;
	uint8_t last; /* the byte before the next one */
	struct strings_run ascii;
	struct strings_run wide[2]; /* at even and at odd addresses */
};

/* Goes on with bytes that follow those before. False if give() has ended it. */
bool strings_feed(struct strings *strings, uint64_t address, const uint8_t *bytes, size_t size);
/* Ends the runs: what comes next does not follow. */
bool strings_break(struct strings *strings);

#endif
