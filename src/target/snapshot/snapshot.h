/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a guest's memory to a new file, in a format that target/file reads. */
#ifndef NUNCHI_TARGET_SNAPSHOT_SNAPSHOT_H
#define NUNCHI_TARGET_SNAPSHOT_SNAPSHOT_H

#include "core/cancel.h"
#include "core/error.h"
#include "target/snapshot/output.h"
#include "target/target.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Writes a file without a name (or with a temporary one in the same directory), which gets the name
 * `path` when everything is written and on the disk. Fails if path exists; removes the file on any
 * failure. Pages of zeros become holes of the file. Holes of a running guest's own file are not
 * touched. The caller decides whether the guest is paused meanwhile.
 *
 * RAM that a saved guest lacks is left out (ELF, LiME) or zero (raw), and a note on the target says
 * so.
 *
 * progress() (may be NULL) is called about ten times a second and at the end, with the bytes of
 * guest memory done and the total. The snapshot is cancelled if it returns false, or if cancel (may
 * be NULL) is requested.
 */
struct nunchi_error *snapshot_write(struct target *target, const char *path,
				    enum nunchi_format format,
				    bool (*progress)(uint64_t done, uint64_t total, void *data),
				    void *data, const struct cancel *cancel);
/* The same to a file that output_create() has made; takes it over, also on failure. */
struct nunchi_error *snapshot_write_to(struct target *target, struct output *output,
				       enum nunchi_format format,
				       bool (*progress)(uint64_t done, uint64_t total, void *data),
				       void *data, const struct cancel *cancel);

#endif
