/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols of kernel modules, from copies of the tables that struct mod_kallsyms points to. The
 * bytes come from a guest that may be hostile: what does not fit is left out. Source:
 * include/linux/module.h and kernel/module/kallsyms.c of Linux 5.10 – 7.2.
 */
#ifndef NUNCHI_SYMBOLS_MODULE_SYMBOLS_H
#define NUNCHI_SYMBOLS_MODULE_SYMBOLS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies of one module's tables. */
struct module_symtab {
	const uint8_t *symbols; /* Elf64_Sym, or Elf32_Sym with a word size of 4 */
	uint32_t count;
	const char *strings; /* need not end with a NUL */
	size_t strings_size;
	const char *types; /* count nm letters, or NULL: '?' for all */
	unsigned word_size;
};

/* Bytes of one entry of the symbol table. */
size_t module_symtab_entry(unsigned word_size);
/* Offset of the longest tail of strings that an entry refers to: how much of strings is needed. */
uint32_t module_symtab_last_name(const uint8_t *symbols, uint32_t count, unsigned word_size);

struct module_symbol {
	const char *name; /* owned by the table */
	uint64_t address;
	uint32_t module; /* as given to module_symbols_add() */
	char type;
};

struct module_symbols;

struct nunchi_error *module_symbols_create(struct module_symbols **ret);
void module_symbols_destroy(struct module_symbols *symbols);
/*
 * Adds the symbols of one module: all but undefined ones and those without a name, as
 * /proc/kallsyms shows them. NUNCHI_ERROR_DATA if all modules together have more than two million.
 */
struct nunchi_error *module_symbols_add(struct module_symbols *symbols, uint32_t module,
					const struct module_symtab *table);
/* Sorts by address; to be called after adding and before looking up. */
void module_symbols_seal(struct module_symbols *symbols);

size_t module_symbols_count(const struct module_symbols *symbols);
/* In ascending order of address; those of one address in the order in which they were added. */
struct module_symbol module_symbols_get(const struct module_symbols *symbols, size_t i);
/* The last symbol of that module at or before address; false if it has none. */
bool module_symbols_at(const struct module_symbols *symbols, uint32_t module, uint64_t address,
		       size_t *ret);

#endif
