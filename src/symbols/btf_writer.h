/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builds BTF in memory from types that come in another form and in any order: a type may be named
 * before it is known. Inside of the type index.
 */
#ifndef NUNCHI_SYMBOLS_BTF_WRITER_H
#define NUNCHI_SYMBOLS_BTF_WRITER_H

#include "core/buffer.h"
#include "core/hash.h"
#include "symbols/btf.h"

/* Where a type is only declared: the first definition of that name is meant, whatever its size. */
#define BTF_SIZE_UNKNOWN UINT64_MAX

struct btf_writer_slot; /* a type: reserved, or with its record */

struct btf_writer {
	struct buffer records;
	struct buffer strings;
	struct hash_map offsets; /* of strings, by their hash */
	struct hash_map named;   /* ids, by the hash of kind, name and size */
	struct hash_map derived; /* ids of pointers, qualifiers and arrays */
	struct btf_writer_slot *slots;
	uint32_t count, capacity;
	/* Why the result would be wrong; static. Everything after it is ignored. */
	const char *problem;
};

void btf_writer_init(struct btf_writer *writer);
void btf_writer_deinit(struct btf_writer *writer);

/*
 * The id of the type of that kind, name and size, reserved when it is new. kind is one of BTF_INT
 * (any base type), BTF_STRUCT, BTF_UNION, BTF_ENUM, BTF_TYPEDEF. 0 after a problem.
 */
type_id btf_writer_named(struct btf_writer *writer, enum btf_kind kind, const char *name,
			 uint64_t size);
/* A new id for a type without a name. */
type_id btf_writer_anonymous(struct btf_writer *writer);
/* Whether the id has its definition; further ones are ignored. */
bool btf_writer_defined(const struct btf_writer *writer, type_id id);

/* Definitions. A name may be "" where C allows it; names and arrays are copied. */
void btf_writer_base(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     bool is_signed, bool is_float);
void btf_writer_typedef(struct btf_writer *writer, type_id id, const char *name, type_id target);
/* Structs and unions. Members are written in the order given. */
void btf_writer_struct(struct btf_writer *writer, type_id id, enum btf_kind kind, const char *name,
		       uint64_t size, const struct type_member *members, uint32_t count);
void btf_writer_enum(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     const struct type_enumerator *enumerators, uint32_t count);
void btf_writer_prototype(struct btf_writer *writer, type_id id, type_id result,
			  const type_id *parameters, uint32_t count);

/* BTF_PTR, BTF_CONST, BTF_VOLATILE or BTF_RESTRICT of target; one id for equal ones. */
type_id btf_writer_derived(struct btf_writer *writer, enum btf_kind kind, type_id target);
type_id btf_writer_array(struct btf_writer *writer, type_id element, uint64_t count);

/* The whole as BTF, to be freed by the caller. What was reserved only becomes a declaration. */
struct nunchi_error *btf_writer_finish(struct btf_writer *writer, void **ret, size_t *ret_size);

#endif
