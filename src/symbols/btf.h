/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BTF, the kernel's compact format for types, read in place. Private to the type index.
 *
 * The bytes may belong to a hostile guest that runs and changes them. btf_init() determines where
 * each record starts and ends, and copies the names. After that each access loads a word once and
 * checks it against the bounds stored in private memory. Sources: include/uapi/linux/btf.h and
 * kernel/bpf/btf.c of Linux 4.18 – 7.2, Documentation/bpf/btf.rst.
 */
#ifndef NUNCHI_SYMBOLS_BTF_H
#define NUNCHI_SYMBOLS_BTF_H

#include "core/error.h"
#include "symbols/type_index.h"

#include <stddef.h>
#include <stdint.h>

enum btf_kind {
	BTF_VOID,
	BTF_INT,
	BTF_PTR,
	BTF_ARRAY,
	BTF_STRUCT,
	BTF_UNION,
	BTF_ENUM,
	BTF_FWD,
	BTF_TYPEDEF,
	BTF_VOLATILE,
	BTF_CONST,
	BTF_RESTRICT,
	BTF_FUNC,
	BTF_FUNC_PROTO,
	BTF_VAR,
	BTF_DATASEC,
	BTF_FLOAT,
	BTF_DECL_TAG,
	BTF_TYPE_TAG,
	BTF_ENUM64,
	BTF_KINDS,
};

#define BTF_MAGIC       0xeb9f
#define BTF_VERSION     1
#define BTF_HEADER_SIZE 24
#define BTF_RECORD_SIZE 12 /* name, info, size or type */
#define BTF_KIND_FLAG   (1u << 31)

struct btf {
	/* the records: borrowed bytes that may change at any time, or a copy in the arena */
	const uint8_t *types;
	uint32_t types_size;
	/*
	 * Contains the strings, the copy of the types (if there is one) and the offsets, followed
	 * by arena_left zero bytes, which btf_take_arena() hands out.
	 */
	char *arena;
	size_t arena_size, arena_left;
	bool arena_mapped;
	char *strings; /* NUL-terminated and padded so that 8 bytes can be read anywhere */
	uint32_t strings_size;
	/*
	 * Split BTF (of a kernel module) continues the ids and names of its base: ids below
	 * first_id and name offsets below first_string belong to the base. Without a base, first_id
	 * is 1 and first_string 0.
	 */
	const struct btf *base; /* borrowed, or NULL */
	uint32_t first_id, first_string;
	/* of each own record, from id first_id on; one more entry holds the end */
	uint32_t *offsets;
	uint32_t count; /* number of types, with void and those of the base */
	/*
	 * Ids, ascending, of the types that can be looked up by name: structs, unions, enums,
	 * typedefs, base types and forward declarations that have a name, and all enums because of
	 * their enumerators.
	 */
	uint32_t *listed;
	uint32_t listed_count;
	/*
	 * Since Linux 6.0, kind_flag of an enum says whether its values are signed. If no enum in
	 * the data has kind_flag set, the data is taken to be older, and all enums are treated as
	 * signed.
	 */
	bool enum_signs;
};

/*
 * A copy of a record's header, and a pointer to its payload, whose size was checked against kind
 * and vlen.
 */
struct btf_record {
	enum btf_kind kind; /* BTF_KINDS if the kind is unknown to this program */
	bool kind_flag;
	uint32_t vlen;
	uint32_t name;
	uint32_t word; /* size or type */
	const uint8_t *payload;
};

/*
 * Checks and indexes BTF. data is borrowed until btf_deinit(), or during this call only if copy is
 * true. base is the BTF that split BTF continues, or NULL; it must outlive btf. Fails with
 * NUNCHI_ERROR_TRUNCATED, _DATA or _UNSUPPORTED.
 */
struct nunchi_error *btf_init(struct btf *btf, const struct btf *base, const void *data,
			      size_t size, bool copy);
void btf_deinit(struct btf *btf);
/* Allocates `size` zero bytes in the arena, aligned to 8; NULL if the arena has no room. */
void *btf_take_arena(struct btf *btf, size_t size);

/* Loads a word that may change at any time: exactly one load, which the compiler cannot repeat. */
static inline uint32_t btf_load(const uint8_t *p)
{
	struct word {
		uint32_t value;
	} __attribute__((packed));

	return ((const volatile struct word *)p)->value;
}

/*
 * Reads record `id`. False if id is 0 or out of range, or if the record has changed and no longer
 * fits into its bounds.
 */
bool btf_record(const struct btf *btf, type_id id, struct btf_record *ret);
/* True if offset lies within the names; the name there may be "". */
static inline bool btf_has_name(const struct btf *btf, uint32_t offset)
{
	return offset < btf->first_string || offset - btf->first_string < btf->strings_size;
}
/* The name at offset, "" if offset is out of range. Owned by btf or its base. */
static inline const char *btf_name(const struct btf *btf, uint32_t offset)
{
	if (offset < btf->first_string)
		btf = btf->base;
	offset -= btf->first_string;
	return offset < btf->strings_size ? btf->strings + offset : "";
}
/* Name offset of member i of a struct or union; i must be below vlen. */
static inline uint32_t btf_member_name(const struct btf_record *record, uint32_t i)
{
	return btf_load(record->payload + (size_t)i * 12);
}
static inline type_id btf_member_type(const struct btf_record *record, uint32_t i)
{
	return btf_load(record->payload + (size_t)i * 12 + 4);
}

/* These implement the functions of the same names in type_index.h. */
bool btf_type(const struct btf *btf, type_id id, struct type *ret);
bool btf_member(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret);
bool btf_enumerator(const struct btf *btf, type_id id, uint32_t i, struct type_enumerator *ret);
/*
 * The value of the first enumerator with this name. Searches all enums each time, since only a few
 * enumerators are ever looked up.
 */
bool btf_find_enumerator(const struct btf *btf, const char *name, int64_t *ret);
bool btf_parameter(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret);
type_id btf_strip(const struct btf *btf, type_id id);

#endif
