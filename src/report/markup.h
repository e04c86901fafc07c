/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text and cells as HTML. Nothing of a guest becomes a tag, an attribute or a character reference.
 */
#ifndef NUNCHI_REPORT_MARKUP_H
#define NUNCHI_REPORT_MARKUP_H

#include "core/buffer.h"

#include <nunchi/nunchi.h>

/* Bytes of a text that the page shows; it says how many follow. */
#define MARKUP_MOST_TEXT ((size_t)4096)

/*
 * Appends text from elsewhere: escaped as nunchi_escape() does, so that it has no control
 * characters, no bidirectional ones and no bytes that are not UTF-8; then < > & " ' as character
 * references. Fit for the content of an element and for the value of an attribute.
 */
void markup_text(struct buffer *out, const char *text, size_t size);
void markup_string(struct buffer *out, const char *text);
/* The same, cut behind MARKUP_MOST_TEXT bytes; for the content of an element. */
void markup_long_text(struct buffer *out, const char *text, size_t size);

/*
 * Appends the element td of a cell. A value that is shown in its unit, or as one of the words of
 * the page, has the plain number in data-v. A cell without a value is a dash with the reason.
 */
void markup_cell(struct buffer *out, const struct nunchi_column *column,
		 const struct nunchi_cell *cell);

#endif
