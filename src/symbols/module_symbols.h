/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols of kernel modules, from copies of the tables that struct mod_kallsyms points to. The
 * guest may be hostile: entries that are not valid are left out. Source: include/linux/module.h and
 * kernel/module/kallsyms.c of Linux 5.10 – 7.2.
 */
#ifndef NUNCHI_SYMBOLS_MODULE_SYMBOLS_H
#define NUNCHI_SYMBOLS_MODULE_SYMBOLS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies of one module's tables. Borrowed. */
struct module_symtab {
	const uint8_t *symbols; /* Elf64_Sym, or Elf32_Sym with a word size of 4 */
	uint32_t count;
	const char *strings; /* size strings_size; the last string need not end with a NUL */
	size_t strings_size;
	/* `count` letters as of nm(1), or NULL: the type of all symbols is '?' */
	const char *types;
	unsigned word_size;
};

/* The size of one entry of the symbol table in bytes. */
size_t module_symtab_entry(unsigned word_size);
/*
 * The greatest offset into the string table that an entry refers to, which says how much of it is
 * needed.
 */
uint32_t module_symtab_last_name(const uint8_t *symbols, uint32_t count, unsigned word_size);

struct module_symbol {
	const char *name; /* owned by the table */
	uint64_t address;
	uint32_t module; /* the number given to module_symbols_add() */
	char type;
};

struct module_symbols;

/* Creates an empty table, to which the symbols of modules are added until it is sealed. */
struct nunchi_error *module_symbols_create(struct module_symbols **ret);
void module_symbols_destroy(struct module_symbols *symbols);
/*
 * Adds the symbols of one module, except undefined ones and those without a name, as /proc/kallsyms
 * does; on failure none of them. NUNCHI_ERROR_UNSUPPORTED if all modules together have more than
 * two million symbols.
 */
struct nunchi_error *module_symbols_add(struct module_symbols *symbols, uint32_t module,
					const struct module_symtab *table);
/* Sorts the symbols by address. Call it after adding and before looking up. */
void module_symbols_seal(struct module_symbols *symbols);

size_t module_symbols_count(const struct module_symbols *symbols);
/*
 * Symbol i in ascending order of address; symbols with the same address are in the order of adding.
 */
struct module_symbol module_symbols_get(const struct module_symbols *symbols, size_t i);
/* Finds the last symbol of that module at or before address; false if there is none. */
bool module_symbols_at(const struct module_symbols *symbols, uint32_t module, uint64_t address,
		       size_t *ret);

#endif
