/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UTF-8, and the width of characters on a terminal. Own tables, because the C library's
 * wcwidth() answers for the process's locale, which is not the library's to set.
 */
#ifndef NUNCHI_OUTPUT_UNICODE_H
#define NUNCHI_OUTPUT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Decodes the character at the start of text. Gives its length in bytes, or 0 if these bytes are
 * not UTF-8 (RFC 3629: no overlong forms, surrogates or values above U+10FFFF) or size is 0.
 */
size_t unicode_decode(const char *text, size_t size, uint32_t *ret);

/* Whether all of the text is UTF-8. */
bool unicode_is_valid(const char *text, size_t size);

/* Whether the character is invisible or changes how the text around it is shown. */
bool unicode_is_hidden(uint32_t c);

/* Columns a terminal gives to a character that is not hidden: 0, 1 or 2. */
unsigned unicode_width(uint32_t c);

#endif
