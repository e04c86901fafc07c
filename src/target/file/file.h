/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saved guests: the format is told by content, never by name.
 */
#ifndef NUNCHI_TARGET_FILE_FILE_H
#define NUNCHI_TARGET_FILE_FILE_H

#include "core/error.h"
#include "target/target.h"

/*
 * Opens the file read-only. A file that is damaged or cut off gives what there is of it, with
 * notes on what is missing; a file that is no memory image gives an error that says what it is.
 */
struct nunchi_error *file_target_open(const char *path, const struct target_options *options,
				      struct target **ret);

#endif
