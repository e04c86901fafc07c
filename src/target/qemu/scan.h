/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading text from left to right within bounds, for what QEMU and /proc print. Each function
 * takes what it recognises off the front, or returns false and (but where said) takes nothing.
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

/* The next line, without its end ("\n" or "\r\n"). False at the end of the text. */
bool scan_line(struct scan *scan, struct scan *ret);
bool scan_literal(struct scan *scan, const char *literal);
/* Spaces and tabs; never fails. */
void scan_spaces(struct scan *scan);
/* What is before the character, which is taken too. */
bool scan_until(struct scan *scan, char c, struct scan *ret);
/* One or more characters that are neither space nor tab. */
bool scan_word(struct scan *scan, struct scan *ret);
/* 1 to 16 hexadecimal digits, and no more. */
bool scan_hex(struct scan *scan, uint64_t *ret);
bool scan_decimal(struct scan *scan, uint64_t *ret);
bool scan_equals(const struct scan *scan, const char *text);
/* Moves to just behind the first occurrence of text. */
bool scan_find(struct scan *scan, const char *text);

#endif
