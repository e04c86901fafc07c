/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a guest's memory to a new file: the formats that target/file reads.
 */
#ifndef NUNCHI_TARGET_SNAPSHOT_SNAPSHOT_H
#define NUNCHI_TARGET_SNAPSHOT_SNAPSHOT_H

#include "core/cancel.h"
#include "core/error.h"
#include "target/target.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Writes to a file without a name (or with a temporary one beside path) that becomes path when all
 * is written and on the disk. An existing path is refused, and nothing is left on any failure.
 * Pages of zeros become holes of the file. Holes of a live guest's own file are not touched. The
 * caller decides whether the guest is paused meanwhile.
 *
 * What a saved guest lacks is left out (ELF, LiME) or zero (raw), and a note on the target says so.
 *
 * progress (may be NULL) is called about ten times a second and at the end with bytes of guest
 * memory done and in all; false cancels, as does cancel (may be NULL) becoming true.
 */
struct nunchi_error *snapshot_write(struct target *target, const char *path,
				    enum nunchi_format format,
				    bool (*progress)(uint64_t done, uint64_t total, void *data),
				    void *data, const struct cancel *cancel);

#endif
