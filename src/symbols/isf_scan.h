/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Splits a large JSON text into values without building a tree. The table of a whole kernel has 30
 * to 60 MB; types are a tenth of it and are needed one at a time. The content of a value is parsed
 * by jansson. Private to the type index.
 */
#ifndef NUNCHI_SYMBOLS_ISF_SCAN_H
#define NUNCHI_SYMBOLS_ISF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* A part of the text. */
struct isf_span {
	const char *data;
	size_t size;
};

struct isf_scan {
	const char *at, *end;
};

/* Begins to iterate over the members of an object; false if value is not an object. */
bool isf_scan_object(struct isf_span value, struct isf_scan *ret);

enum isf_step { ISF_ENTRY, ISF_END, ISF_BROKEN };

/*
 * Gets the next member: its key (between the quotes, with escapes as written) and its value.
 * Returns ISF_BROKEN if the text is not JSON; scan->at is then the place of the error.
 */
enum isf_step isf_scan_next(struct isf_scan *scan, struct isf_span *ret_key,
			    struct isf_span *ret_value);

#endif
