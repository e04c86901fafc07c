/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new file that gets its name only when it is whole. */
#ifndef NUNCHI_TARGET_SNAPSHOT_OUTPUT_H
#define NUNCHI_TARGET_SNAPSHOT_OUTPUT_H

#include "core/cleanup.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct output {
	int fd;
	int directory;
	char *path;      /* final */
	char *name;      /* the last part of path */
	char *temporary; /* name in the directory while not whole; NULL: it has none */
};

/* Fails if path exists. Only its owner may read the file: it holds all that the guest knows. */
struct nunchi_error *output_create(const char *path, struct output *ret);
/* Removes what was not finished. */
void output_deinit(struct output *output);
/* Writes all at offset; a full disk gets a hint of its own. */
struct nunchi_error *output_write(struct output *output, uint64_t offset, const void *bytes,
				  size_t size);
/* Sets the size, brings all to the disk and gives the file its name. */
struct nunchi_error *output_finish(struct output *output, uint64_t size);

#define _cleanup_output_ _cleanup_(output_deinit)

#endif
