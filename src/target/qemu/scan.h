/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses text that QEMU and /proc print, from left to right and within bounds. Each function
 * removes what it recognises from the start of the text; otherwise it returns false and, unless
 * stated otherwise, leaves the text unchanged.
 */
#ifndef NUNCHI_TARGET_QEMU_SCAN_H
#define NUNCHI_TARGET_QEMU_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	const char *at;
	const char *end;
};

/* Removes the next line and its end ("\n" or "\r\n"). False at the end of the text. */
bool scan_line(struct scan *scan, struct scan *ret);
/* Removes `literal`. */
bool scan_literal(struct scan *scan, const char *literal);
/* Removes spaces and tabs; never fails. */
void scan_spaces(struct scan *scan);
/* Removes the text up to the character c, and c; *ret is the text before c. */
bool scan_until(struct scan *scan, char c, struct scan *ret);
/* Removes one or more characters that are neither space nor tab. */
bool scan_word(struct scan *scan, struct scan *ret);
/* Removes 1 to 16 hexadecimal digits, which must not be followed by another one. */
bool scan_hex(struct scan *scan, uint64_t *ret);
/* Removes a decimal number; false if it is greater than UINT64_MAX. */
bool scan_decimal(struct scan *scan, uint64_t *ret);
/* Whether the whole remaining text equals `text`. */
bool scan_equals(const struct scan *scan, const char *text);
/* Removes everything up to the end of the first occurrence of text. */
bool scan_find(struct scan *scan, const char *text);

#endif
