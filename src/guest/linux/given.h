/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols and types that the user gives as files. Each file is read once for all candidates, and a
 * kernel that it does not belong to is an error of its own: the kernel was found, the file is
 * wrong.
 */
#ifndef NUNCHI_GUEST_LINUX_GIVEN_H
#define NUNCHI_GUEST_LINUX_GIVEN_H

#include "guest/linux/linux.h"
#include "symbols/build_id.h"
#include "target/target.h"

/* The text that begins with "Linux version ", found in the image without symbols. */
struct linux_banner {
	uint64_t address; /* 0: not found */
	char text[512];
};

struct linux_given {
	const char *symbols_path, *types_path; /* NULL: from memory; borrowed */
	struct symbol_index *map;              /* the symbols with the addresses of the file */
	int symbols_fd, types_fd;              /* of these files, owned; -1: none */
	struct build_id types_id;              /* build id of the file of types, if it has one */
	struct type_index *types;              /* NULL until a candidate needs them */
};

/* Reads the symbols, and opens the file of types. */
struct nunchi_error *linux_given_init(struct linux_given *given,
				      const struct guest_attach_options *options);
void linux_given_deinit(struct linux_given *given);
/*
 * Sets kernel->symbols to the symbols at the addresses where this kernel runs. Fails with
 * NUNCHI_ERROR_DATA if the kernel's own symbol table contradicts them, or if there is none, the
 * place of its banner.
 */
struct nunchi_error *linux_given_symbols(struct linux_given *given, struct linux_kernel *kernel,
					 const struct kernel_image *rodata,
					 const struct linux_banner *banner);
/*
 * Sets kernel->types. Fails with NUNCHI_ERROR_DATA if the file has another build id or word size
 * than the kernel, or if init_task does not look as these types say.
 */
struct nunchi_error *linux_given_types(struct linux_given *given, struct linux_kernel *kernel,
				       const struct kernel_image *rodata,
				       const struct target *target);

#endif
