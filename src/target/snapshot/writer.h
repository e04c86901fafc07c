/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The common part of the snapshot formats. Guest memory is written in ascending order of address,
 * as segments of existing pages; the format decides where a segment is in the file.
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
	uint64_t offset; /* offset of its bytes in the file */
};

struct writer;

struct writer_ops {
	/* Sets writer->position to the first offset that a segment may use. */
	struct nunchi_error *(*begin)(struct writer *writer);
	/* Sets the offset of a new segment, of which only the address is known. */
	void (*place)(struct writer *writer, struct segment *segment);
	/* Called when the segment is complete. NULL: nothing to do. */
	struct nunchi_error *(*end_segment)(struct writer *writer, const struct segment *segment);
	/* Called when all segments are written, to write headers. NULL: nothing to do. */
	struct nunchi_error *(*finish)(struct writer *writer);
	bool keeps_gaps; /* missing RAM can be left out; otherwise it is written as zeros */
};

extern const struct writer_ops snapshot_elf_ops;
extern const struct writer_ops snapshot_lime_ops;
extern const struct writer_ops snapshot_raw_ops;

struct writer {
	const struct writer_ops *ops;
	struct target *target;
	struct output output;
	uint64_t position;        /* current end of the file */
	size_t segment_limit;     /* set by begin() */
	struct segment *segments; /* the last one is not complete yet */
	size_t segment_count, segment_capacity;
	uint64_t notes_size; /* ELF: size of the notes, which follow the program headers */
	bool x86_64;         /* ELF: the machine is x86-64 */
};

#endif
