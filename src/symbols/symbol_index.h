/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols by name and by address. Immutable once sealed, reference-counted, owns its names.
 */
#ifndef NUNCHI_SYMBOLS_SYMBOL_INDEX_H
#define NUNCHI_SYMBOLS_SYMBOL_INDEX_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct symbol_index;

struct symbol {
	const char *name; /* owned by the index */
	uint64_t address;
	char type; /* nm letter */
};

struct nunchi_error *symbol_index_create(struct symbol_index **ret);
/* name need not be NUL-terminated; 1 to 512 bytes, none of them NUL. */
struct nunchi_error *symbol_index_add(struct symbol_index *index, const char *name,
				      size_t name_size, uint64_t address, char type);
/* Sorts; no more adds after it, and threads may share it. */
struct nunchi_error *symbol_index_seal(struct symbol_index *index);
struct symbol_index *symbol_index_ref(struct symbol_index *index);
void symbol_index_unref(struct symbol_index *index);

size_t symbol_index_count(const struct symbol_index *index);
/* In ascending order of address. */
struct symbol symbol_index_get(const struct symbol_index *index, size_t i);
/* Position (for symbol_index_get) of the first symbol of that name; false if none. */
bool symbol_index_find(const struct symbol_index *index, const char *name, size_t *ret);
/*
 * For a name that is missing: how many symbols are its variant (see symbol_variant.h), or pieces of
 * it where there is no variant; *ret is the position of the first of them. Looks at all names.
 */
size_t symbol_index_find_variants(const struct symbol_index *index, const char *name, size_t *ret);
/* Position of the last symbol at or before address; false if none. */
bool symbol_index_at(const struct symbol_index *index, uint64_t address, size_t *ret);
/* The name nearest in spelling, or NULL if none is near. Owned by the index. */
const char *symbol_index_suggest(const struct symbol_index *index, const char *name);

/*
 * Reads System.map or /proc/kallsyms text ("address letter name" a line; lines of modules, marked
 * "[mod]", are left out). Untrusted. The addresses are as in the file (not relocated).
 */
struct nunchi_error *symbol_index_parse_map(const char *text, size_t size,
					    struct symbol_index **ret);

#endif
