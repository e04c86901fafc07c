/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hash table from names to BTF types. Names come from a guest that may have chosen them to
 * collide: the steps to fill it have a limit. Inside of the type index.
 */
#ifndef NUNCHI_SYMBOLS_BTF_NAMES_H
#define NUNCHI_SYMBOLS_BTF_NAMES_H

#include "symbols/btf.h"

/* What a name can mean; C keeps tags and typedefs apart. In the order in which a bare name is
 * tried. */
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
	bool borrowed; /* slots are in the arena of the BTF */
	uint32_t mask;
	uint64_t steps; /* that filling may still take */
};

/* All named types of btf, which must outlive names. */
struct nunchi_error *btf_names_init(struct btf_names *names, struct btf *btf);
void btf_names_deinit(struct btf_names *names);

/* The type of that class and name (size bytes); false if none. */
bool btf_names_find(const struct btf_names *names, const struct btf *btf, enum btf_class class,
		    const char *name, size_t size, type_id *ret);
/* Of a record that has a class; else BTF_CLASSES. */
enum btf_class btf_class_of(const struct btf_record *record);

#endif
