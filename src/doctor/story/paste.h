/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text as people send it, brought back to the lines of the log that is in it: UTF-16, HTML, quoted
 * mails ("> "), lists and numbered lines, lines that a mailer broke, JSON that spells text as
 * bytes. Lines stay where they are: what is joined leaves an empty line behind, so that numbers of
 * lines are those of the text. Takes time linear in the text.
 */
#ifndef NUNCHI_DOCTOR_STORY_PASTE_H
#define NUNCHI_DOCTOR_STORY_PASTE_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes kept of a message that JSON spells one byte a line. */
#define PASTE_SPELLED 1024

enum paste_encoding { PASTE_UTF8, PASTE_UTF16LE, PASTE_UTF16BE };

struct paste {
	enum paste_encoding encoding;
	bool html;             /* tags go, and entities become letters */
	bool quoted_printable; /* "=" at the end of a line, "=3D" */
	bool binary;           /* no text at all, as far as its beginning shows */
	/* The line at the end of the output, which may go on. */
	size_t last; /* its length; 0: it cannot */
	bool key;    /* it is a key of YAML, without its value */
	/* A message that JSON spells as bytes, one a line: what there is of it. */
	char spelled[PASTE_SPELLED];
	size_t spelled_size;
	bool spells;
};

/* Learns from its first bytes what the text is. */
void paste_begin(struct paste *paste, const char *text, size_t size);
/*
 * Whole lines of what is left of UTF-8, or, in another encoding, of any bytes, as UTF-8: appended
 * to out. *ret_used says how many bytes were taken; an odd byte of UTF-16 is left for the next
 * time.
 */
void paste_decode(const struct paste *paste, const char *text, size_t size, struct buffer *out,
		  size_t *ret_used);
/* Whole lines in UTF-8, cleaned, appended to out; the last one may lack its newline. */
void paste_lines(struct paste *paste, const char *text, size_t size, struct buffer *out);

#endif
