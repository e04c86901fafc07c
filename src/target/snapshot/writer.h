/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the formats of snapshots have in common: guest memory comes in order of address, as
 * segments of pages that are there; a format decides where a segment lies in the file.
 */
#ifndef NUNCHI_TARGET_SNAPSHOT_WRITER_H
#define NUNCHI_TARGET_SNAPSHOT_WRITER_H

#include "core/error.h"
#include "target/snapshot/output.h"
#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct segment {
	uint64_t address; /* guest-physical */
	uint64_t size;
	uint64_t offset; /* of its bytes in the file */
};

struct writer;

struct writer_ops {
	/* Sets writer->position to where the first segment may go. */
	struct nunchi_error *(*begin)(struct writer *writer);
	/* Sets the offset of a new segment, of which only the address is known. */
	void (*place)(struct writer *writer, struct segment *segment);
	/* The segment is complete. NULL: nothing to do. */
	struct nunchi_error *(*end_segment)(struct writer *writer, const struct segment *segment);
	/* All segments are written: headers. NULL: nothing to do. */
	struct nunchi_error *(*finish)(struct writer *writer);
	bool keeps_gaps; /* what is missing can be left out; else it becomes zeros */
};

extern const struct writer_ops snapshot_elf_ops;
extern const struct writer_ops snapshot_lime_ops;
extern const struct writer_ops snapshot_raw_ops;

struct writer {
	const struct writer_ops *ops;
	struct target *target;
	struct output output;
	uint64_t position;        /* where the file ends so far */
	size_t segment_limit;     /* set by begin */
	struct segment *segments; /* the last one is open */
	size_t segment_count, segment_capacity;
	uint64_t notes_size; /* ELF: of what stands behind the program headers */
	bool x86_64;         /* ELF: the machine */
};

#endif
