/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types of a kernel, whatever they come from (BTF in memory, BTF file, vmlinux with DWARF,
 * Volatility 3 ISF), in one representation. Immutable, reference-counted. Untrusted input: every
 * chain of typedefs and qualifiers is bounded.
 */
#ifndef NUNCHI_SYMBOLS_TYPE_INDEX_H
#define NUNCHI_SYMBOLS_TYPE_INDEX_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum type_kind {
	TYPE_VOID,
	TYPE_INT,
	TYPE_FLOAT,
	TYPE_POINTER,
	TYPE_ARRAY,
	TYPE_STRUCT,
	TYPE_UNION,
	TYPE_ENUM,
	TYPE_FORWARD,
	TYPE_TYPEDEF,
	TYPE_QUALIFIER, /* const, volatile, restrict, type tag */
	TYPE_FUNCTION,
	TYPE_VARIABLE, /* a global variable; target is its type */
	TYPE_OTHER,    /* what the source keeps beside the types: sections, tags of declarations */
};

typedef uint32_t type_id; /* 0 is void */

struct type {
	enum type_kind kind;
	const char *name; /* "" if anonymous; owned by the index */
	uint64_t size;    /* bytes; 0 where the kind has none (then see type_index_size()) */
	type_id target;   /* pointee, element, aliased or qualified type, function result */
	uint32_t count;   /* members, enumerators, parameters, or array elements */
	bool is_signed;   /* integers and enums */
};

struct type_member {
	const char *name; /* "" if anonymous */
	type_id type;
	uint64_t bit_offset; /* from the start of the struct or union */
	uint32_t bit_size;   /* of a bit field, else 0 */
};

struct type_enumerator {
	const char *name;
	int64_t value;
};

struct type_index;

/*
 * Reads the type records where they are: data must outlive the index (destroy, if not NULL, is
 * called with owner when the index goes; after a failure the caller still owns it). A live guest
 * may change the records at any time: each use loads a word once and checks it against bounds that
 * were settled here. Only the names are copied, so that a name given out stays a string. Validates
 * the whole header and each record's bounds; the word size is that of `long`.
 * NUNCHI_ERROR_TRUNCATED, _DATA or _UNSUPPORTED (big-endian, a kind without a known layout).
 */
struct nunchi_error *type_index_from_btf(const void *data, size_t size,
					 void (*destroy)(void *owner), void *owner,
					 struct type_index **ret);
/* The same, with a private copy of the records: data is needed for this call only. */
struct nunchi_error *type_index_copy_btf(const void *data, size_t size, struct type_index **ret);
/*
 * Split BTF: types of a kernel module, which go on where those of base end (the kernel's). Lookups
 * by name and by id find what is in either, the module's first; what the kernel only declares and
 * the module defines is found defined. data is copied; keeps a reference to base.
 */
struct nunchi_error *type_index_from_split_btf(struct type_index *base, const void *data,
					       size_t size, struct type_index **ret);
/* The first id that is not of the base; 1 without a base. */
uint32_t type_index_first(const struct type_index *index);
/* Bytes of all names, those of the base among them: where the names of split BTF on it begin. */
uint32_t type_index_names_size(const struct type_index *index);
/*
 * From a file told by content: raw BTF, an ELF file with .BTF or DWARF, ISF .json or .json.xz.
 * Errors name the file; NUNCHI_ERROR_UNSUPPORTED names the feature this build lacks.
 */
struct nunchi_error *type_index_from_file(const char *path, struct type_index **ret);
struct type_index *type_index_ref(struct type_index *index);
void type_index_unref(struct type_index *index);
/* "BTF, 123,456 types" and the like. Owned by the index. */
const char *type_index_description(const struct type_index *index);

/* Bytes of a pointer: 8 or 4. */
unsigned type_index_word_size(const struct type_index *index);

/* One more than the greatest id; id 0 (void) counts. */
uint32_t type_index_count(const struct type_index *index);
/* False if id is out of range, or a live guest has changed the record into nonsense. */
bool type_index_get(const struct type_index *index, type_id id, struct type *ret);
bool type_index_member(const struct type_index *index, type_id id, uint32_t i,
		       struct type_member *ret);
bool type_index_enumerator(const struct type_index *index, type_id id, uint32_t i,
			   struct type_enumerator *ret);
/* Parameter i of a function prototype. */
bool type_index_parameter(const struct type_index *index, type_id id, uint32_t i,
			  struct type_member *ret);
/*
 * "struct x", "union x", "enum x" or a bare name (struct first, then union, enum, typedef, base
 * type). A definition is preferred to a forward declaration, and of several of one name the first
 * that has members.
 */
bool type_index_find(const struct type_index *index, const char *name, type_id *ret);
/* Typedefs and qualifiers resolved; 0 (void) where their chain is endless or broken. */
type_id type_index_strip(const struct type_index *index, type_id id);
/* Size in bytes through typedefs and arrays; pointers have the index's word size. */
bool type_index_size(const struct type_index *index, type_id id, uint64_t *ret);
/* As C spells it ("struct list_head *", "char[16]"), into buf; cut short where it does not fit. */
void type_index_spell(const struct type_index *index, type_id id, char *buf, size_t size);
/* The value of the enumerator of that name, in any enum (the first of several). */
bool type_index_enum_value(const struct type_index *index, const char *name, int64_t *ret);
/* The name of a struct, union, enum or typedef nearest in spelling, or NULL. Owned by the index. */
const char *type_index_suggest(const struct type_index *index, const char *name);

/*
 * A path to a field: "task_struct.mm", "module.mem[MOD_TEXT].base" (a number or an enumerator as
 * index), "task_struct.se.exec_start", through anonymous members, typedefs and arrays; never
 * through pointers. The base is any name type_index_find() takes. Resolves to its place in the
 * outermost struct; a path of the base alone gives the whole type.
 */
struct type_field {
	uint64_t offset; /* bytes from the start of the outermost struct */
	/*
	 * Bytes of the field, of an array: of all its elements. Of a bit field: of the smallest
	 * naturally aligned load inside the struct that covers it; where packing leaves none, of
	 * the bytes it touches (1 to 8).
	 */
	uint64_t size;
	uint32_t bit_shift; /* of a bit field within that little-endian load */
	uint32_t bit_size;  /* 0: not a bit field */
	uint32_t elements;  /* of an array (all dimensions; 0 if flexible), else 1 */
	bool is_signed;     /* of the integer or enum, or of an array's elements */
	type_id type;       /* as declared: typedefs and qualifiers kept */
};
/*
 * NUNCHI_ERROR_NOT_FOUND names the first part that is missing, so that the next alternative can be
 * tried; NUNCHI_ERROR_ARGUMENT where the path is no path at all.
 */
struct nunchi_error *type_index_resolve(const struct type_index *index, const char *path,
					struct type_field *ret);

#endif
