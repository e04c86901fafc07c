/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types of a kernel in one representation, whatever their source: BTF in memory, a BTF file, a
 * vmlinux with DWARF, or a Volatility 3 symbol table (ISF). Immutable and reference-counted. The
 * input is untrusted: every chain of typedefs and qualifiers has a limit.
 */
#ifndef NUNCHI_SYMBOLS_TYPE_INDEX_H
#define NUNCHI_SYMBOLS_TYPE_INDEX_H

#include "core/error.h"
#include "symbols/build_id.h"

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
	TYPE_OTHER,    /* other records of the source: data sections, tags of declarations */
};

typedef uint32_t type_id; /* 0 is void */

struct type {
	enum type_kind kind;
	const char *name; /* "" if anonymous; owned by the index */
	/* in bytes; 0 if the kind has no size of its own (see type_index_size()) */
	uint64_t size;
	type_id target; /* pointee, element, aliased or qualified type, function result */
	uint32_t count; /* members, enumerators, parameters, or array elements */
	bool is_signed; /* integers and enums */
};

struct type_member {
	const char *name; /* "" if anonymous */
	type_id type;
	uint64_t bit_offset; /* from the start of the struct or union */
	uint32_t bit_size;   /* of a bit field, in bits; else 0 */
};

struct type_enumerator {
	const char *name;
	int64_t value;
};

struct type_index;

/*
 * Makes an index of BTF whose records are read in place: data must stay valid until the index is
 * freed; then destroy(owner) is called unless destroy is NULL. On failure the caller still owns
 * data. Checks the header and the bounds of each record. A running guest may change the records at
 * any time: each access loads a word once and checks it against the bounds found by this call.
 * Names are copied, so that a name once returned stays a NUL-terminated string. The word size is
 * the size of `long`. Fails with NUNCHI_ERROR_TRUNCATED, _DATA or _UNSUPPORTED (big-endian data, or
 * a kind whose layout is unknown).
 */
struct nunchi_error *type_index_from_btf(const void *data, size_t size,
					 void (*destroy)(void *owner), void *owner,
					 struct type_index **ret);
/* Does the same with a private copy of the records: data is needed during this call only. */
struct nunchi_error *type_index_copy_btf(const void *data, size_t size, struct type_index **ret);
/*
 * Makes an index of split BTF: the types of a kernel module, whose ids and names continue those of
 * `base`, the kernel's. Lookups by name or id search both, the module's types first; a type that
 * the kernel only declares and the module defines is found as defined. data is copied. Keeps a
 * reference to base.
 */
struct nunchi_error *type_index_from_split_btf(struct type_index *base, const void *data,
					       size_t size, struct type_index **ret);
/* The first id that does not belong to the base; 1 without a base. */
uint32_t type_index_first(const struct type_index *index);
/*
 * The size of all names in bytes, with those of the base: name offsets of split BTF on this index
 * start there.
 */
uint32_t type_index_names_size(const struct type_index *index);
/*
 * Reads types from a file, whose format is recognised by its content: raw BTF, an ELF file with
 * .BTF or DWARF, ISF as .json or .json.xz. The error contains the file's name;
 * NUNCHI_ERROR_UNSUPPORTED names the feature that this build lacks.
 */
struct nunchi_error *type_index_from_file(const char *path, struct type_index **ret);
/* The same from a descriptor of the file, which is read from its start. */
struct nunchi_error *type_index_from_fd(int fd, const char *path, struct type_index **ret);
/* Gets the build id of a file of types without reading the types; ret->size is 0 if it has none. */
void type_index_file_build_id(int fd, struct build_id *ret);
/*
 * Loads the libraries that type_index_from_fd() will need for that file: later the process may not
 * open files any more.
 */
void type_index_prepare(int fd);
struct type_index *type_index_ref(struct type_index *index);
void type_index_unref(struct type_index *index);
/* A description such as "BTF, 123,456 types". Owned by the index. */
const char *type_index_description(const struct type_index *index);

/* The size of a pointer in bytes: 8 or 4. */
unsigned type_index_word_size(const struct type_index *index);

/* The greatest id plus 1; id 0 (void) is counted. */
uint32_t type_index_count(const struct type_index *index);
/*
 * Gets type id. False if id is out of range, or if a running guest has changed the record so that
 * it is no longer valid.
 */
bool type_index_get(const struct type_index *index, type_id id, struct type *ret);
/* Gets member i of a struct or union. False as for type_index_get(), or if there is no member i. */
bool type_index_member(const struct type_index *index, type_id id, uint32_t i,
		       struct type_member *ret);
/* Gets enumerator i of an enum. False as for type_index_get(), or if there is no enumerator i. */
bool type_index_enumerator(const struct type_index *index, type_id id, uint32_t i,
			   struct type_enumerator *ret);
/* Gets parameter i of a function prototype. */
bool type_index_parameter(const struct type_index *index, type_id id, uint32_t i,
			  struct type_member *ret);
/*
 * Finds a type by name: "struct x", "union x", "enum x", or a name alone, which is looked up as a
 * struct, then union, enum, typedef and base type. A definition is preferred to a forward
 * declaration; of several definitions with one name, the first that has members is found.
 */
bool type_index_find(const struct type_index *index, const char *name, type_id *ret);
/*
 * The type that remains without typedefs and qualifiers; 0 (void) if their chain is broken or too
 * long.
 */
type_id type_index_strip(const struct type_index *index, type_id id);
/*
 * Gets the size of a type in bytes, through typedefs and arrays. A pointer has the index's word
 * size.
 */
bool type_index_size(const struct type_index *index, type_id id, uint64_t *ret);
/*
 * Writes the type in C notation ("struct list_head *", "char[16]") into buf, truncated to `size`.
 */
void type_index_spell(const struct type_index *index, type_id id, char *buf, size_t size);
/* Gets the value of the first enumerator with this name, in any enum. */
bool type_index_enum_value(const struct type_index *index, const char *name, int64_t *ret);
/*
 * The name of the struct, union, enum or typedef that is most similar in spelling, or NULL. Owned
 * by the index.
 */
const char *type_index_suggest(const struct type_index *index, const char *name);
/* Does the same for a member of a struct or union, also in what is anonymous within it. */
const char *type_index_suggest_member(const struct type_index *index, type_id id, const char *name);
/* The type of a global variable; 0 if it is not known. BTF has the per-CPU variables alone. */
type_id type_index_variable(const struct type_index *index, const char *name);

/*
 * The field that a path names. Paths are "task_struct.mm", "module.mem[MOD_TEXT].base" (an index is
 * a number or an enumerator), "task_struct.se.exec_start". A path goes through anonymous members,
 * typedefs and arrays, never through pointers. It begins with a name as type_index_find() takes it;
 * a path of that name alone means the whole type.
 */
struct type_field {
	uint64_t offset; /* bytes from the start of the outermost struct */
	/*
	 * Size of the field in bytes; for an array, of all its elements. For a bit field: size of
	 * the smallest naturally aligned load that contains it and lies within the struct; if
	 * packing leaves no such load, the number of bytes that the field touches (1 to 8).
	 */
	uint64_t size;
	uint32_t bit_shift; /* shift of a bit field within that little-endian load */
	uint32_t bit_size;  /* of a bit field, in bits; 0: not a bit field */
	/* number of elements over all dimensions of an array (0 if flexible), else 1 */
	uint32_t elements;
	bool is_signed; /* of the integer or enum, or of an array's elements */
	type_id type;   /* the declared type, with typedefs and qualifiers */
};
/*
 * Resolves a path. NUNCHI_ERROR_NOT_FOUND, which names the first part that is missing, means that
 * the caller can try an alternative path; NUNCHI_ERROR_ARGUMENT means that the path has a syntax
 * error.
 */
struct nunchi_error *type_index_resolve(const struct type_index *index, const char *path,
					struct type_field *ret);
/*
 * Does the same for a path that goes on from a type: ".member[INDEX].member". Offsets count from
 * the start of that type, which may be anonymous.
 */
struct nunchi_error *type_index_resolve_in(const struct type_index *index, type_id type,
					   const char *path, struct type_field *ret);

#endif
