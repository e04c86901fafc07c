/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cuts a large JSON text into values without building a tree of it: tables of whole kernels have 30
 * to 60 MB, of which the types need a tenth and only one type at a time. What a value contains is
 * left to a JSON parser. Inside of the type index.
 */
#ifndef NUNCHI_SYMBOLS_ISF_SCAN_H
#define NUNCHI_SYMBOLS_ISF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of the text. */
struct isf_span {
	const char *data;
	size_t size;
};

struct isf_scan {
	const char *at, *end;
};

/* Starts over the members of an object; false if value is none. */
bool isf_scan_object(struct isf_span value, struct isf_scan *ret);

enum isf_step { ISF_ENTRY, ISF_END, ISF_BROKEN };

/*
 * The next member: its key (between the quotes, escapes as written) and its value. ISF_BROKEN where
 * the text is no JSON; scan->at is the place then.
 */
enum isf_step isf_scan_next(struct isf_scan *scan, struct isf_span *ret_key,
			    struct isf_span *ret_value);

#endif
