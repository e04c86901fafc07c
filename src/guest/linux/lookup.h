/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols and types by their names, in the kernel and in its modules. A name may be written
 * MODULE:NAME to mean that of one module.
 */
#ifndef NUNCHI_GUEST_LINUX_LOOKUP_H
#define NUNCHI_GUEST_LINUX_LOOKUP_H

#include "guest/linux/linux.h"

/*
 * The symbol of that name: the kernel's, else that of a module. Where the name is missing, the only
 * variant that a compiler made of it is meant (symbols/symbol_variant.h). Strings are the kernel's,
 * until the next lookup. NUNCHI_ERROR_NOT_FOUND, or _AMBIGUOUS with the modules that have the name.
 */
struct nunchi_error *linux_symbol_find(struct linux_kernel *kernel, const char *name,
				       struct guest_symbol *ret);
/* The symbol at or before an address of the kernel's image or of a module. */
struct nunchi_error *linux_symbol_at(struct linux_kernel *kernel, uint64_t address,
				     struct guest_symbol *ret);

/*
 * The type of that name (see type_index_find()): the kernel's, or a module's where the kernel has
 * none or only declares it. Modules that have equal types of one name have one type, that of the
 * first of them; NUNCHI_ERROR_AMBIGUOUS names those that have different ones.
 */
struct nunchi_error *linux_type_find(struct linux_kernel *kernel, const char *name,
				     struct guest_type *ret);

#endif
