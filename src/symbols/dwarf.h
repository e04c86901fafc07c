/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types from DWARF debugging information. Inside of the type index.
 */
#ifndef NUNCHI_SYMBOLS_DWARF_H
#define NUNCHI_SYMBOLS_DWARF_H

#include "symbols/type_index.h"

/*
 * All named types of an ELF file (a linked one: vmlinux), each name and size once; where compile
 * units disagree, the first wins. fd stays the caller's. NUNCHI_ERROR_NOT_FOUND if the file has no
 * DWARF, NUNCHI_ERROR_UNSUPPORTED if this build cannot read it.
 */
struct nunchi_error *type_index_from_dwarf(int fd, struct type_index **ret);

#endif
