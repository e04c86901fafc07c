/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process as an ELF core. In the file: the ELF header, the bytes of memory, the notes, the
 * program headers; and one section header if there are more program headers than the ELF header can
 * count. Sources: fs/binfmt_elf.c (elf_core_dump()), include/linux/elfcore.h,
 * include/linux/regset.h, arch/x86/include/asm/user_64.h and user_32.h of Linux.
 */
#ifndef NUNCHI_GDB_CORE_H
#define NUNCHI_GDB_CORE_H

#include "gdb/gdb.h"

#define CORE_PAGE 4096u

struct core_mapping {
	uint64_t start, end;
	uint64_t offset; /* in the file, if has_offset */
	size_t name;     /* place of the path or name in core.names, which ends it by a NUL */
	size_t name_size;
	bool has_file, has_offset, in_note;
	bool reads, writes, executes;
	/* Why it is not known what the process would find where it has no page; NULL: it is. */
	const char *unsure;
};

/* A part of a mapping that is in the file, or of which only the file's absence is known. */
struct core_segment {
	uint64_t start, size;
	uint64_t at; /* place in the file */
	bool stored;
	uint8_t flags; /* PF_R … */
};

struct core {
	struct nunchi_guest *guest;
	struct nunchi_gdb *gdb; /* the process: its threads and their registers */
	const struct nunchi_core_output *output;
	uint64_t pid, limit;
	bool is_64; /* the program, which may have 32 bits in a kernel of 64 */
	struct core_mapping *mappings;
	size_t mapping_count, mapping_capacity;
	struct buffer names;
	struct core_segment *segments;
	size_t segment_count, segment_capacity;
	uint64_t at;    /* where the next bytes go in the file */
	uint64_t steps; /* pages that were looked for */
	uint8_t *chunk; /* of CORE_CHUNK bytes */
	/* A range that is not in the file, and goes on if the next one is like it. */
	struct nunchi_core_gap gap;
	struct buffer notes;
	uint64_t warnings; /* given, and left out */
	struct nunchi_core_result result;
};

/* ---- core.c ---- */

/* A hostile guest may give cause for millions of warnings: those after the first are counted. */
#define CORE_MOST_WARNINGS 256
void core_warn(struct core *core, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- core_memory.c ---- */

#define CORE_CHUNK ((size_t)256 << 10)

/*
 * Takes a row of the view process_memory_map, the cells of which are start, end, permissions,
 * offset, path and pseudo. What it leaves out it tells.
 */
struct nunchi_error *core_take_mapping(struct core *core, const struct nunchi_cell *cells);
/* Whether the error is about the one thing that was read, and other things can be. */
bool core_is_partial(const struct nunchi_error *err);
/* Lists the mappings in core->mappings. */
struct nunchi_error *core_list_mappings(struct core *core);
/* Writes the bytes of all mappings behind core->at, and lists the segments. */
struct nunchi_error *core_write_memory(struct core *core);

/* ---- core_notes.c ---- */

/* Whether the program has 32 bits in a kernel of 64. Fails for one of the x32 ABI. */
struct nunchi_error *core_find_class(struct core *core);
/*
 * Appends the id of a user or group: 32 bits, or 16 in a program of 32 bits, where a larger one is
 * 65534, as high2lowuid() of Linux has it.
 */
void core_put_id(struct core *core, uint64_t id);
/* Appends the notes to core->notes. */
struct nunchi_error *core_make_notes(struct core *core);

#endif
