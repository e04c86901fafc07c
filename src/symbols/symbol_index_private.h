/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a symbol index, for the readers of symbol tables that fill it in bulk.
 */
#ifndef NUNCHI_SYMBOLS_SYMBOL_INDEX_PRIVATE_H
#define NUNCHI_SYMBOLS_SYMBOL_INDEX_PRIVATE_H

#include "symbols/symbol_index.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest name, without its NUL (KSYM_NAME_LEN is 512 since 6.1). */
#define SYMBOL_NAME_MAX 512
/* Four times what the largest known kernels have; beyond it the table is not believed. */
#define SYMBOL_COUNT_MAX ((size_t)1 << 21)
/* Names of SYMBOL_COUNT_MAX symbols of usual length. */
#define SYMBOL_ARENA_MAX ((size_t)128 << 20)

/* Anonymous memory on huge pages where it is large enough: first touches cost more than decoding.
 */
struct symbol_block {
	char *data;
	size_t size;
};

struct symbol_names; /* by name: buckets and chains */

struct symbol_index {
	atomic_uint references;
	bool sealed;
	size_t count;
	size_t capacity;
	/* Of each symbol the address, then of each the place of its type letter in the arena. */
	struct symbol_block table;
	uint64_t *addresses;
	uint32_t *places;
	/* Type letter, name, NUL, and so on. */
	struct symbol_block arena;
	size_t arena_used;
	/* Made by the first search for a name; never changes after. */
	_Atomic(struct symbol_names *) names;
};

/* Makes room for that many symbols and bytes of letters, names and NULs in all. */
struct nunchi_error *symbol_index_reserve(struct symbol_index *index, size_t symbols, size_t bytes);

/* The letter and, after it, the name of symbol i. */
static inline const char *symbol_index_text(const struct symbol_index *index, size_t i)
{
	return index->arena.data + index->places[i];
}

#endif
