/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One format of saved guests, and what its open() fills in. A format's own file defines a
 * `const struct file_format NAME_format`; formats.def lists them in the order in which a file is
 * compared with them.
 */
#ifndef NUNCHI_TARGET_FILE_FORMAT_H
#define NUNCHI_TARGET_FILE_FORMAT_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/notes.h"
#include "target/file/source.h"
#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough of the start to tell any format. */
#define FILE_START_SIZE 4096

/* A saved guest. */
struct file_target {
	struct target target;
	struct target_ops ops; /* .kind is the format's name */
	int fd;
	uint64_t size; /* bytes of the file */
	bool sigbus_guard;
	bool incomplete; /* RAM may lie where the file shows none: it is damaged or was cut off */
	struct x86_registers *vcpus; /* target.vcpu_count of them; owned */
	/* What the format keeps beside the memory; destroyed after it. */
	void *own;
	void (*destroy_own)(void *own);
};

struct file_format {
	struct nunchi_file_format format; /* its name is the target's kind */
	/* Whether a file whose first bytes these are is of this format. */
	bool (*matches)(const void *start, size_t size);
	/*
	 * Gives the target its memory, notes and registers. May take the source over; whatever it
	 * leaves in *source is the caller's to release, also on failure.
	 */
	struct nunchi_error *(*open)(struct file_target *file, struct source *source);
};

#define FORMAT(name) extern const struct file_format name##_format;
#include "target/file/formats.def"
#undef FORMAT

/*
 * Opens a source by the format that its first bytes tell: the file itself, or what a container
 * unpacks to.
 */
struct nunchi_error *file_open_source(struct file_target *file, struct source *source);

/* ---- For the formats' open() ------------------------------------------------------------------
 */

/* Makes the target's memory out of extents of a source; takes over both, also on failure. */
struct nunchi_error *file_make_memory(struct file_target *file, struct extents *extents,
				      struct source *source);
/* Takes over the registers and VMCOREINFO that ELF notes hold. */
void file_take_notes(struct file_target *file, struct notes *notes);
/* Takes over the registers of count vCPUs; where says how they came to be known ("from …"). */
void file_take_vcpus(struct file_target *file, struct x86_registers **vcpus, size_t count,
		     const char *where);
/* Notes that the file ends too early, unless nothing is missing. */
void file_note_missing(struct file_target *file, uint64_t missing, uint64_t total);

/* Bytes in the unit that shows most of them: "12 MiB". */
struct amount {
	char text[32];
};
struct amount amount(uint64_t bytes);

#endif
