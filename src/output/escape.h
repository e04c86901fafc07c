/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Escapes hostile bytes for the screen, without loss.
 *
 * Text (tables, CSV, messages): printable UTF-8 stays. The backslash becomes \\, newline \n,
 * tab \t, carriage return \r; other ASCII control characters and bytes that are not UTF-8 become
 * \xNN; other hidden characters (C1 controls, bidirectional overrides, zero-width …) \u{NNNN}.
 *
 * JSON: hidden characters become \uNNNN, and a byte that is not UTF-8 becomes U+FFFD, so that the
 * output is valid JSON; json.c adds the original bytes of such a text in hexadecimal.
 */
#ifndef NUNCHI_OUTPUT_ESCAPE_H
#define NUNCHI_OUTPUT_ESCAPE_H

#include "core/buffer.h"

#include <stddef.h>

void escape_text(struct buffer *out, const char *text, size_t size);

/*
 * The same for a cell: a leading '<' becomes \< and the text "-" becomes \-, so that no text can
 * be mistaken for an absence.
 */
void escape_cell(struct buffer *out, const char *text, size_t size);

/* A JSON string with its quotes. */
void escape_json(struct buffer *out, const char *text, size_t size);

/*
 * Steps over escaped text: the size of the piece at its start that must not be cut apart (an
 * escape, or a character with what joins it), and in *ret_width the columns it takes. size > 0.
 */
size_t escape_step(const char *escaped, size_t size, size_t *ret_width);

/* The columns that escaped text takes. */
size_t escape_width(const char *escaped, size_t size);

#endif
