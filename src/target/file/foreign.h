/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_TARGET_FILE_FOREIGN_H
#define NUNCHI_TARGET_FILE_FOREIGN_H

#include "core/error.h"

#include <stddef.h>

/*
 * If the start of the file of this name shows that it is not a memory image that nunchi can read (a
 * disk image, a compressed file, text …), returns an error that says what it is and what to do
 * instead; otherwise NULL.
 */
struct nunchi_error *foreign_file_error(const char *name, const void *start, size_t size);

#endif
