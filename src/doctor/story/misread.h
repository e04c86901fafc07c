/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stood on a screen that showed a crash is often typed off a photograph, or read from it by a
 * program (OCR): 0 for O, 1 for l or I, rn for m, blanks and stops lost. A few messages, most of
 * them fatal, are found in spite of that. They are a hint, never what decides (verdict/rules.c).
 */
#ifndef NUNCHI_DOCTOR_STORY_MISREAD_H
#define NUNCHI_DOCTOR_STORY_MISREAD_H

#include <stddef.h>

/* One for each message; what rule it belongs to is misread_rules[]. */
#define MISREAD_COUNT 15
#define MISREAD_BYTES ((size_t)64 << 10) /* looked at of a text: nobody types more */

extern const unsigned short misread_rules[MISREAD_COUNT];

/* Which of them the line has, MISREAD_COUNT if none; in time linear in its size. */
size_t misread_find(const char *line, size_t size);

#endif
