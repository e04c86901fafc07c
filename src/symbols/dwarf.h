/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types from DWARF debugging information. Private to the type index. */
#ifndef NUNCHI_SYMBOLS_DWARF_H
#define NUNCHI_SYMBOLS_DWARF_H

#include "symbols/type_index.h"

/*
 * Reads all named types of a linked ELF file (vmlinux). If compile units have different types of
 * the same name and size, the first is used. The caller keeps fd. Fails with NUNCHI_ERROR_NOT_FOUND
 * if the file has no DWARF, and with NUNCHI_ERROR_UNSUPPORTED if this build cannot read DWARF.
 */
struct nunchi_error *type_index_from_dwarf(int fd, struct type_index **ret);
/* Loads libdw for good, if it is there. */
void dwarf_load_library(void);

#endif
