/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_TARGET_FILE_FOREIGN_H
#define NUNCHI_TARGET_FILE_FOREIGN_H

#include "core/error.h"

#include <stddef.h>

/*
 * NULL, or an error that says what the file is when its start shows that it is no memory image we
 * can read (a disk image, a compressed file, text …), with what to do instead.
 */
struct nunchi_error *foreign_file_error(const void *start, size_t size);

#endif
