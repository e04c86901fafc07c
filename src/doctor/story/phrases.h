/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What English and Korean sentences say: whether an attempt worked, where the next one begins. Pure
 * functions.
 */
#ifndef NUNCHI_DOCTOR_STORY_PHRASES_H
#define NUNCHI_DOCTOR_STORY_PHRASES_H

#include "doctor/story/story.h"

/*
 * Whether a line of prose says that it worked or failed: by its last sentence that says either.
 * Questions, conditions and denials ("if the screen stays black", "no black screen") say nothing.
 */
enum outcome phrases_outcome(const char *line, bool *ret_screen);
/*
 * The number of the attempt that a heading begins ("3rd try", "Attempt 3", "3차 시도"), or 0. What
 * stands before it (markup, blanks) does not matter.
 */
unsigned phrases_attempt(const char *line);
/* Whether the line says that the machine answers nobody, hangs, or restarts by itself. */
bool phrases_dead(const char *line);
/* Whether the line tells of trouble of any kind that is there (not "if", not a question). */
bool phrases_trouble(const char *line);
/* Whether a short line is a heading about the firmware's setup. */
bool phrases_firmware(const char *line);
/* Whether the line says that the menu entry was edited in GRUB for one boot. */
bool phrases_edits_entry(const char *line);
/* Whether it says that the machine was booted anew. */
bool phrases_reboot(const char *line);
/* Whether it explains a missing picture by swiotlb's bouncing. */
bool phrases_theory(const char *line);
/* Whether it says not to do what it mentions. */
bool phrases_denies(const char *line);
/* Whether any of the texts (NULL ends them) is in the line; ASCII letters in either case. */
bool phrases_any(const char *line, const char *const *texts);

#endif
