/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new file that gets its name only when it is complete. */
#ifndef NUNCHI_TARGET_SNAPSHOT_OUTPUT_H
#define NUNCHI_TARGET_SNAPSHOT_OUTPUT_H

#include "core/cleanup.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct output {
	int fd;
	int directory;
	char *path; /* the final path */
	char *name; /* the last part of path */
	/* name in the directory until the file is complete; NULL: it has no name */
	char *temporary;
	/*
	 * Gives the file its name, and removes a temporary one, in the place of this process, which
	 * is not permitted to; NULL: this process does it.
	 */
	struct nunchi_error *(*commit)(void *data);
	void *data;
};

/*
 * Creates the file. Fails if path exists. Only the owner may read the file, because it contains
 * everything in the guest's memory.
 */
struct nunchi_error *output_create(const char *path, struct output *ret);
/* Closes the file, and removes it if it is not finished. */
void output_deinit(struct output *output);
/* Writes all bytes at offset; for a full disk the error has a hint. */
struct nunchi_error *output_write(struct output *output, uint64_t offset, const void *bytes,
				  size_t size);
/* Sets the size, writes everything to the disk and gives the file its name. */
struct nunchi_error *output_finish(struct output *output, uint64_t size);
/* Gives the file its name; the last part of output_finish(). */
struct nunchi_error *output_commit(struct output *output);

#define _cleanup_output_ _cleanup_(output_deinit)

#endif
