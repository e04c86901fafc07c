/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a type index. Whatever the types came from, they are held as BTF: from memory as it
 * lies there, from DWARF and ISF as btf_writer.h makes it.
 */
#ifndef NUNCHI_SYMBOLS_TYPE_INDEX_PRIVATE_H
#define NUNCHI_SYMBOLS_TYPE_INDEX_PRIVATE_H

#include "symbols/btf.h"
#include "symbols/btf_names.h"
#include "symbols/type_index.h"

#include <stdatomic.h>

struct type_index {
	atomic_uint references;
	struct type_index *base; /* of a module's types: the kernel's; a reference, or NULL */
	struct btf btf;
	struct btf_names names; /* without those of base */
	unsigned word_size;
	void (*destroy)(void *owner);
	void *owner;
	char description[96];
};

/* What is known beside the BTF itself. */
struct type_index_source {
	const char *format;      /* for the description */
	struct type_index *base; /* of split BTF, or NULL; a reference of its own is taken */
	unsigned word_size;      /* 0: that of `long` */
	bool copy;               /* data is not borrowed: what is needed of it is copied */
	bool enum_signs;         /* enums are unsigned where kind_flag does not say otherwise */
	void (*destroy)(void *owner);
	void *owner;
};

/* Ownership as type_index_from_btf(). */
struct nunchi_error *type_index_create(const void *data, size_t size,
				       const struct type_index_source *source,
				       struct type_index **ret);

#endif
