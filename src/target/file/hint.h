/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_TARGET_FILE_HINT_H
#define NUNCHI_TARGET_FILE_HINT_H

#include "core/error.h"

/*
 * Gives err a hint with a command to be pasted into a shell. FILE in the text stands for the file
 * of this name, FILE.SUFFIX for one beside it; both stay as they are if the name is NULL, or if
 * nunchi would not print it as it is (a backslash, a control character). Takes err and gives it
 * back.
 */
struct nunchi_error *file_hint(struct nunchi_error *err, const char *name, const char *text)
    __attribute__((warn_unused_result));

#endif
