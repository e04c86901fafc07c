/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What nunchi knows of a guest's kernel, in the formats of other tools. */
#ifndef NUNCHI_EXPORT_EXPORT_H
#define NUNCHI_EXPORT_EXPORT_H

#include "core/buffer.h"
#include "core/cancel.h"
#include "guest/linux/linux.h"

#include <nunchi/nunchi.h>

/* Takes a piece of the output. */
typedef struct nunchi_error *export_write(const void *bytes, size_t size, void *data);

/* Text that is passed on in pieces. A failure is kept, and what is appended after it is dropped. */
struct export_text {
	export_write *write;
	void *data;
	const struct cancel *cancel;
	struct buffer buffer;
	struct nunchi_error *err; /* owned */
};

/* Passes on what there is if it is enough for a piece. False if something has failed. */
bool export_text_step(struct export_text *text);
/* Passes on the rest, frees the text, and gives what failed. */
struct nunchi_error *export_text_end(struct export_text *text);

/* Writes a Volatility 3 symbol table, of schema 6.2.0 (volatility3/schemas/schema-6.2.0.json). */
struct nunchi_error *export_isf(struct linux_kernel *kernel, export_write *write, void *data);
/* Writes the kernel's BTF as it is in the memory. */
struct nunchi_error *export_btf(struct linux_kernel *kernel, export_write *write, void *data);
/* The size of that BTF; false if the kernel has none. */
bool export_btf_size(const struct linux_kernel *kernel, uint64_t *ret);
/* What an ELF file lacks because it is larger than the limits permit. */
struct export_left {
	bool module_symbols; /* those of some modules, or of all */
	bool frames;
};
/*
 * Writes an ELF file for gdb: the symbols of the kernel and of its modules, at the addresses at
 * which this guest has them, tables for unwinding, and BTF.
 */
struct nunchi_error *export_elf(struct linux_kernel *kernel, export_write *write, void *data,
				struct export_left *ret_left);
/* A table of ORC: `count` places, relative to where each stands, and as many entries. */
struct export_orc {
	const uint8_t *places, *entries; /* of 4 and of 6 bytes */
	uint64_t places_at;              /* address of the first place */
	uint64_t count;
	uint64_t end;                /* of the code */
	unsigned type_bits;          /* size of orc_entry.type: 2, or 3 since Linux 6.4 */
	const struct cancel *cancel; /* NULL: nobody can end it */
};
/* Appends .debug_frame made of a table that may hold anything; a part of it when cancelled. */
void export_frames_convert(const struct export_orc *table, struct buffer *out);
/*
 * Appends .debug_frame for the kernel's image, which ends at `end`, made of its ORC; nothing if it
 * has none. If memory is short, the buffer is marked failed.
 */
void export_frames(struct linux_kernel *kernel, const struct symbol_index *symbols, uint64_t end,
		   struct buffer *out);
/* Writes the symbols in the form of System.map, at the addresses to which the kernel is linked. */
struct nunchi_error *export_system_map(struct linux_kernel *kernel, export_write *write,
				       void *data);
/*
 * How much higher an address of the kernel's image is than the one it is linked to. That is known
 * of 64-bit kernels with the usual CONFIG_PHYSICAL_START of 16 MiB; 0 for others.
 */
uint64_t export_shift(const struct linux_kernel *kernel);
/* The address to which a symbol is linked: addresses outside of the image are not shifted. */
uint64_t export_linked(uint64_t address, uint64_t shift);

/* ---- xz.c ---- */

struct export_xz;

/* Whether a file of this name is to be compressed. */
bool export_xz_is(const char *path);
/* Loads liblzma for good, if it is there: later the process may not open files any more. */
void export_xz_prepare(void);
/* Compresses what is written to export_xz_write(), and writes that to `write`. */
struct nunchi_error *export_xz_create(export_write *write, void *data, struct export_xz **ret);
/* Is an export_write; data is the struct export_xz. */
struct nunchi_error *export_xz_write(const void *bytes, size_t size, void *data);
struct nunchi_error *export_xz_finish(struct export_xz *xz);
/* NULL is accepted. */
void export_xz_destroy(struct export_xz *xz);

#endif
