/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A format of saved guests, and the target that its open() fills in. Each format's own file defines
 * a `const struct file_format NAME_format`. formats.def lists the formats in the order in which
 * they are tried.
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

/* Number of bytes at the start of a file by which each format can be recognised. */
#define FILE_START_SIZE 4096

/* A saved guest. */
struct file_target {
	struct target target;
	struct target_ops ops; /* ops.kind is the name of the format */
	int fd;
	uint64_t size; /* bytes of the file */
	int beside_fd; /* of the second file, see name_beside(), or -1 */
	uint64_t beside_size;
	bool sigbus_guard;
	/*
	 * the guest may have had more RAM than the file shows, because the file is damaged or cut
	 * off
	 */
	bool incomplete;
	struct x86_registers *vcpus; /* array of target.vcpu_count; owned */
	/* Data of the format, destroyed after the memory. */
	void *own;
	void (*destroy_own)(void *own);
};

struct file_format {
	struct nunchi_file_format format; /* its name is the target's kind */
	/* Whether a file that starts with these bytes has this format. */
	bool (*matches)(const void *start, size_t size);
	/*
	 * Loads the libraries that open() and reading will need for a file that starts with these
	 * bytes: later the process may not open files any more. NULL if there are none.
	 */
	void (*load)(const void *start, size_t size);
	/*
	 * Stores the path of a second file that open() reads if it is there; false: there is no
	 * such name. NULL if the format has no second file.
	 */
	bool (*name_beside)(const char *path, char *ret, size_t size);
	/*
	 * Sets the target's memory, notes and registers. May take over the source; the caller
	 * releases what is left in *source, also on failure.
	 */
	struct nunchi_error *(*open)(struct file_target *file, struct source *source);
};

#define FORMAT(name) extern const struct file_format name##_format;
#include "target/file/formats.def"
#undef FORMAT

/*
 * Opens a source in the format that its first bytes show. The source is a file, or the decompressed
 * content of a container.
 */
struct nunchi_error *file_open_source(struct file_target *file, struct source *source);

/* ---- Functions for open() of the formats ----------------------------------------------------- */

/* Makes the target's memory from the extents of a source; takes over both, also on failure. */
struct nunchi_error *file_make_memory(struct file_target *file, struct extents *extents,
				      struct source *source);
/* Takes over the registers and the VMCOREINFO from ELF notes. */
void file_take_notes(struct file_target *file, struct notes *notes);
/* Takes over the registers of `count` vCPUs; `where` says where they were found ("from …"). */
void file_take_vcpus(struct file_target *file, struct x86_registers **vcpus, size_t count,
		     const char *where);
/* Adds a note that the file ends too early, unless `missing` is 0. */
void file_note_missing(struct file_target *file, uint64_t missing, uint64_t total);

/* A number of bytes as text, in the greatest suitable unit: "12 MiB". */
struct amount {
	char text[32];
};
struct amount amount(uint64_t bytes);

#endif
