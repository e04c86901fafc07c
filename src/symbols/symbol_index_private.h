/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The structure of a symbol index, for readers of symbol tables that fill it in bulk. */
#ifndef NUNCHI_SYMBOLS_SYMBOL_INDEX_PRIVATE_H
#define NUNCHI_SYMBOLS_SYMBOL_INDEX_PRIVATE_H

#include "symbols/symbol_index.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest name, without its NUL (KSYM_NAME_LEN is 512 since 6.1). */
#define SYMBOL_NAME_MAX 512
/* Four times the symbols of the largest known kernel; a table with more is rejected as damaged. */
#define SYMBOL_COUNT_MAX ((size_t)1 << 21)
/* Room for SYMBOL_COUNT_MAX names of usual length. */
#define SYMBOL_ARENA_MAX ((size_t)128 << 20)

/*
 * Anonymous memory, in huge pages if it is large enough: page faults on 4 KiB pages cost more time
 * than decoding.
 */
struct symbol_block {
	char *data;
	size_t size;
};

struct symbol_names; /* hash table of names, with chains */

struct symbol_index {
	atomic_uint references;
	bool sealed;
	size_t count;
	size_t capacity;
	/*
	 * Holds the addresses of all symbols, then for each the offset of its type letter in the
	 * arena.
	 */
	struct symbol_block table;
	uint64_t *addresses;
	uint32_t *places;
	/* For each symbol its type letter, its name and a NUL. */
	struct symbol_block arena;
	size_t arena_used;
	/* Made by the first search for a name; does not change after that. */
	_Atomic(struct symbol_names *) names;
};

/* Makes room for a total of `symbols` symbols and of `bytes` bytes of letters, names and NULs. */
struct nunchi_error *symbol_index_reserve(struct symbol_index *index, size_t symbols, size_t bytes);

/* The type letter of symbol i, which its name follows. */
static inline const char *symbol_index_text(const struct symbol_index *index, size_t i)
{
	return index->arena.data + index->places[i];
}

#endif
