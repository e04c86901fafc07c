/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sections of an ELF file of either word size: what the readers of types need of a vmlinux. The
 * file is untrusted.
 */
#ifndef NUNCHI_SYMBOLS_ELF_FILE_H
#define NUNCHI_SYMBOLS_ELF_FILE_H

#include "core/error.h"
#include "symbols/build_id.h"

#include <stddef.h>

struct elf_file {
	int fd; /* borrowed */
	unsigned word_size;
	bool relocatable;
	uint64_t sections_offset;
	uint64_t section_count;
	uint32_t names; /* index of the section that contains the section names */
};

/* A section header of a 32-bit or 64-bit file. */
struct elf_section {
	uint32_t name, type;
	uint64_t flags, offset, size;
};

/* Reads exactly `size` bytes at offset; false at the end of the file or after an error. */
bool elf_file_read(int fd, void *buf, size_t size, uint64_t offset);
/* Fails with NUNCHI_ERROR_DATA or _UNSUPPORTED; does not check that fd is an ELF file. */
struct nunchi_error *elf_file_open(int fd, struct elf_file *ret);
/* Makes the error for a file whose parts contradict each other. */
struct nunchi_error *elf_file_damaged(const char *what);
/*
 * Finds the section with this name. *ret_found is false if there is none, or if its bytes are not
 * in this file.
 */
struct nunchi_error *elf_file_find(const struct elf_file *elf, const char *name,
				   struct elf_section *ret, bool *ret_found);
/* Gets the build id from the sections of notes; false if there is none. */
bool elf_file_build_id(const struct elf_file *elf, struct build_id *ret);

#endif
