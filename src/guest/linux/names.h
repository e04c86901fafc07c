/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists files below a directory whose names the kernel has in memory. */
#ifndef NUNCHI_GUEST_LINUX_NAMES_H
#define NUNCHI_GUEST_LINUX_NAMES_H

#include "guest/linux/namei.h"

#define LINUX_MAX_NAMES       ((uint64_t)4 << 20) /* that are given in all */
#define LINUX_MAX_NAMES_BYTES ((size_t)32 << 20)  /* of paths of directories that are to be read */

/*
 * Gives the file at a path, as linux_find_file() finds it, and those below it to that depth; for a
 * guest that stands still. Of a directory its names follow each other, in the kernel's order.
 * Mounts are entered, symbolic links below are not followed. each() returns false to end it. If
 * names of a directory cannot be read, the others are given, then this fails.
 */
struct nunchi_error *linux_names(struct linux_kernel *kernel, const struct linux_path *root,
				 const char *path, unsigned depth,
				 bool (*each)(const struct guest_name *name, void *data),
				 void *data);

#endif
