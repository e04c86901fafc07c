/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory on which to mount. */
#ifndef NUNCHI_MOUNT_POINT_H
#define NUNCHI_MOUNT_POINT_H

#include "core/error.h"

#include <stdbool.h>

/* What /proc/self/mountinfo calls our file systems: the type and the source. */
#define POINT_TYPE   "fuse.nunchi"
#define POINT_SOURCE "nunchi"

/*
 * Fails unless it is an empty directory. A mount of a nunchi that is gone is taken away before;
 * then *ret is true.
 */
struct nunchi_error *point_prepare(const char *directory, bool *ret);
/*
 * Whether a line of mountinfo is about this mount point (an absolute path), and the type and source
 * of what is mounted there, of at most `size` bytes each.
 */
bool point_parse(const char *line, const char *path, char *ret_type, char *ret_source, size_t size);

#endif
