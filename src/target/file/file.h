/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saved guests. The format of a file is recognised by its content, never by its name. */
#ifndef NUNCHI_TARGET_FILE_FILE_H
#define NUNCHI_TARGET_FILE_FILE_H

#include "core/error.h"
#include "target/target.h"

/*
 * Opens the file read-only. If the file is damaged or cut off, the target has the memory that can
 * be read, and notes say what is missing. If the file is not a memory image, the error says what it
 * is.
 */
struct nunchi_error *file_target_open(const char *path, const struct target_options *options,
				      struct target **ret);

#endif
