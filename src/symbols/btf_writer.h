/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builds BTF in memory from types of another format. The types may come in any order: a type may be
 * referred to before it is defined. Private to the type index.
 */
#ifndef NUNCHI_SYMBOLS_BTF_WRITER_H
#define NUNCHI_SYMBOLS_BTF_WRITER_H

#include "core/buffer.h"
#include "core/hash.h"
#include "symbols/btf.h"

/*
 * The size of a type that is only declared: such a reference means the first definition with that
 * name, of any size.
 */
#define BTF_SIZE_UNKNOWN UINT64_MAX

struct btf_writer_slot; /* a type id: reserved, or with its record */

struct btf_writer {
	struct buffer records;
	struct buffer strings;
	struct hash_map offsets; /* of strings, by their hash */
	struct hash_map named;   /* ids, by the hash of kind, name and size */
	struct hash_map derived; /* ids of pointers, qualifiers and arrays */
	struct btf_writer_slot *slots;
	uint32_t count, capacity;
	/*
	 * Why the BTF would be wrong, in static storage; NULL if there is no problem. After a
	 * problem all calls have no effect.
	 */
	const char *problem;
	bool no_memory; /* the problem is that memory ran out */
};

void btf_writer_init(struct btf_writer *writer);
void btf_writer_deinit(struct btf_writer *writer);

/*
 * The id of the type of that kind, name and size; the id is reserved if it is new. kind is BTF_INT
 * (for any base type), BTF_STRUCT, BTF_UNION, BTF_ENUM or BTF_TYPEDEF. Returns 0 after a problem.
 */
type_id btf_writer_named(struct btf_writer *writer, enum btf_kind kind, const char *name,
			 uint64_t size);
/* Reserves a new id for a type without a name. */
type_id btf_writer_anonymous(struct btf_writer *writer);
/* Whether the type has been defined; later definitions of it are ignored. */
bool btf_writer_defined(const struct btf_writer *writer, type_id id);

/* Define a type. The name may be "" where C permits it. Names and arrays are copied. */
void btf_writer_base(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     bool is_signed, bool is_float);
void btf_writer_typedef(struct btf_writer *writer, type_id id, const char *name, type_id target);
/* Structs and unions. Members are written in the given order. */
void btf_writer_struct(struct btf_writer *writer, type_id id, enum btf_kind kind, const char *name,
		       uint64_t size, const struct type_member *members, uint32_t count);
void btf_writer_enum(struct btf_writer *writer, type_id id, const char *name, uint64_t size,
		     const struct type_enumerator *enumerators, uint32_t count);
void btf_writer_prototype(struct btf_writer *writer, type_id id, type_id result,
			  const type_id *parameters, uint32_t count);

/*
 * The id of BTF_PTR, BTF_CONST, BTF_VOLATILE or BTF_RESTRICT of target; equal types get the same
 * id.
 */
type_id btf_writer_derived(struct btf_writer *writer, enum btf_kind kind, type_id target);
type_id btf_writer_array(struct btf_writer *writer, type_id element, uint64_t count);

/* Says that the caller ran out of memory; btf_writer_finish() then fails. */
void btf_writer_no_memory(struct btf_writer *writer);
/* An error with the problem, which `what` introduces; NULL if there is no problem. */
struct nunchi_error *btf_writer_error(const struct btf_writer *writer, const char *what);

/*
 * Makes the BTF, which the caller frees. Types that were reserved but not defined become
 * declarations.
 */
struct nunchi_error *btf_writer_finish(struct btf_writer *writer, void **ret, size_t *ret_size);

#endif
