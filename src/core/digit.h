/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Digits of numbers in text that is not NUL-terminated, which strtoull() cannot read.
 */
#ifndef NUNCHI_CORE_DIGIT_H
#define NUNCHI_CORE_DIGIT_H

/* The value of a decimal or hexadecimal digit; 16 if it is none. */
static inline unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

#endif
