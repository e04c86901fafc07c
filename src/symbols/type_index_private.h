/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The structure of a type index. Types of all sources are held as BTF: BTF in memory is read in
 * place; for DWARF and ISF, btf_writer.h makes BTF.
 */
#ifndef NUNCHI_SYMBOLS_TYPE_INDEX_PRIVATE_H
#define NUNCHI_SYMBOLS_TYPE_INDEX_PRIVATE_H

#include "symbols/btf.h"
#include "symbols/btf_names.h"
#include "symbols/type_index.h"

#include <stdatomic.h>

struct type_index {
	atomic_uint references;
	struct type_index *base; /* for a module's types: a reference to the kernel's; else NULL */
	struct btf btf;
	struct btf_names names; /* without the names of base */
	unsigned word_size;
	void (*destroy)(void *owner);
	void *owner;
	char description[96];
};

/* Properties of the types that the BTF itself does not tell. */
struct type_index_source {
	const char *format; /* for the description */
	/* for split BTF, else NULL; type_index_create() takes a reference of its own */
	struct type_index *base;
	unsigned word_size; /* in bytes; 0: the size of `long` in the types */
	bool copy;          /* copy the data instead of borrowing it */
	bool enum_signs;    /* enums are unsigned unless kind_flag says that they are signed */
	void (*destroy)(void *owner);
	void *owner;
};

/* Makes an index. Ownership of data is as for type_index_from_btf(). */
struct nunchi_error *type_index_create(const void *data, size_t size,
				       const struct type_index_source *source,
				       struct type_index **ret);

#endif
