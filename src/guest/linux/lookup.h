/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds symbols and types by name, in the kernel and in its modules. "MODULE:NAME" means the name
 * in that module.
 */
#ifndef NUNCHI_GUEST_LINUX_LOOKUP_H
#define NUNCHI_GUEST_LINUX_LOOKUP_H

#include "guest/linux/linux.h"

/*
 * Finds a symbol by name, first in the kernel, then in the modules. If no symbol has the name, but
 * exactly one variant of it exists (symbols/symbol_variant.h), the variant is found. The strings
 * are owned by the kernel and valid until the next lookup of a symbol or a type.
 * NUNCHI_ERROR_NOT_FOUND, or _AMBIGUOUS with the modules that have the name.
 */
struct nunchi_error *linux_symbol_find(struct linux_kernel *kernel, const char *name,
				       struct guest_symbol *ret);
/* Finds the symbol at or before an address in the kernel's image or in a module. */
struct nunchi_error *linux_symbol_at(struct linux_kernel *kernel, uint64_t address,
				     struct guest_symbol *ret);

/*
 * Finds a type by name (see type_index_find()): the kernel's, or a module's if the kernel has none
 * or only declares it. If several modules have equal types with this name, the first is found; if
 * the types differ, NUNCHI_ERROR_AMBIGUOUS lists the modules.
 */
struct nunchi_error *linux_type_find(struct linux_kernel *kernel, const char *name,
				     struct guest_type *ret);

/*
 * Gets the types that describe a function of this name: the kernel's, or those of the module that
 * has it; *ret is a new reference. NUNCHI_ERROR_AMBIGUOUS if several functions of the kernel have
 * the name.
 */
struct nunchi_error *linux_function_types(struct linux_kernel *kernel, const char *name,
					  struct type_index **ret);

#endif
