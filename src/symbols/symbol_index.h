/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols by name and by address. The index is immutable once sealed, is reference-counted, and
 * owns its names.
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

/* Creates an empty index, to which symbols are added until it is sealed. */
struct nunchi_error *symbol_index_create(struct symbol_index **ret);
/* Adds a symbol. name has 1 to 512 bytes without NUL, and need not be NUL-terminated. */
struct nunchi_error *symbol_index_add(struct symbol_index *index, const char *name,
				      size_t name_size, uint64_t address, char type);
/* Sorts the symbols. After that no symbol can be added, and threads may share the index. */
struct nunchi_error *symbol_index_seal(struct symbol_index *index);
struct symbol_index *symbol_index_ref(struct symbol_index *index);
void symbol_index_unref(struct symbol_index *index);

size_t symbol_index_count(const struct symbol_index *index);
/* Symbol i in ascending order of address. */
struct symbol symbol_index_get(const struct symbol_index *index, size_t i);
/*
 * Finds the position (for symbol_index_get()) of the first symbol with this name; false if there is
 * none.
 */
bool symbol_index_find(const struct symbol_index *index, const char *name, size_t *ret);
/*
 * For a name that is missing: counts the symbols that are a variant of it (see symbol_variant.h)
 * or, if there is none, pieces of it. *ret is the position of the first. Compares all names.
 */
size_t symbol_index_find_variants(const struct symbol_index *index, const char *name, size_t *ret);
/* Finds the position of the last symbol at or before address; false if there is none. */
bool symbol_index_at(const struct symbol_index *index, uint64_t address, size_t *ret);
/* The name most similar in spelling, or NULL if none is similar. Owned by the index. */
const char *symbol_index_suggest(const struct symbol_index *index, const char *name);

/*
 * Reads the text of System.map or /proc/kallsyms: lines of "address letter name". Lines of modules,
 * marked "[mod]", are left out. The text is untrusted. Addresses are taken as in the file, not
 * relocated.
 */
struct nunchi_error *symbol_index_parse_map(const char *text, size_t size,
					    struct symbol_index **ret);

#endif
