/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new file that gets its name when it is whole. Who ends this process before leaves nothing
 * where the file system has files without a name (O_TMPFILE); elsewhere NAME.part, which the next
 * one removes.
 */
#ifndef NUNCHI_DOCTOR_FACTS_NEW_FILE_H
#define NUNCHI_DOCTOR_FACTS_NEW_FILE_H

#include "core/error.h"

struct new_file {
	const char *path;
	int fd;
	char *part; /* NULL: it has no name yet */
};

/* path must outlive it. The file is the user's alone to read. */
struct nunchi_error *new_file_create(const char *path, struct new_file *ret);
/* Syncs the file and gives it its name; never replaces another one. */
struct nunchi_error *new_file_finish(struct new_file *file);
void new_file_deinit(struct new_file *file);
#define _cleanup_new_file_ _cleanup_(new_file_deinit)

#endif
