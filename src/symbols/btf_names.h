/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hash table from names to BTF types. A hostile guest may have chosen names that collide, so the
 * number of steps for filling the table has a limit. Private to the type index.
 */
#ifndef NUNCHI_SYMBOLS_BTF_NAMES_H
#define NUNCHI_SYMBOLS_BTF_NAMES_H

#include "symbols/btf.h"

/*
 * The kinds of types that a name may denote, in the order in which a name without "struct" and the
 * like is looked up. In C, tags and typedefs are separate.
 */
enum btf_class {
	BTF_CLASS_STRUCT,
	BTF_CLASS_UNION,
	BTF_CLASS_ENUM,
	BTF_CLASS_TYPEDEF,
	BTF_CLASS_BASE,
	BTF_CLASS_FORWARD_STRUCT,
	BTF_CLASS_FORWARD_UNION,
	BTF_CLASSES,
};

struct btf_slot {
	uint32_t hash;
	uint32_t value; /* class << 28 | id; 0: free */
	uint32_t name;
};

struct btf_names {
	struct btf_slot *slots;
	bool borrowed; /* the slots are in the arena of the BTF and are not freed */
	uint32_t mask;
	uint64_t steps; /* slots that may still be examined while filling */
};

/* Enters all named types of btf, which must outlive names. */
struct nunchi_error *btf_names_init(struct btf_names *names, struct btf *btf);
void btf_names_deinit(struct btf_names *names);

/* Finds the type of this class with this name of `size` bytes; false if there is none. */
bool btf_names_find(const struct btf_names *names, const struct btf *btf, enum btf_class class,
		    const char *name, size_t size, type_id *ret);
/* The class of a record; BTF_CLASSES if records of its kind have none. */
enum btf_class btf_class_of(const struct btf_record *record);

#endif
