/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BTF, the kernel's compact type format, read where it lies. Inside of the type index.
 *
 * The bytes may belong to a running, hostile guest: btf_init() settles where each record starts and
 * ends, copies the names, and from then on every access loads a word once and checks it against
 * those private bounds. Sources: include/uapi/linux/btf.h and kernel/bpf/btf.c of Linux 4.18 – 7.2,
 * Documentation/bpf/btf.rst.
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
	const uint8_t *types; /* borrowed, and may change under us, or in the arena */
	uint32_t types_size;
	/*
	 * Holds strings, the copy of the types if there is one, and offsets; then arena_left zero
	 * bytes, for btf_take_arena().
	 */
	char *arena;
	size_t arena_size, arena_left;
	bool arena_mapped;
	char *strings; /* NUL-terminated and padded so that 8 bytes can be read anywhere */
	uint32_t strings_size;
	/*
	 * Split BTF (a kernel module's) goes on where its base ends: ids below first_id and names
	 * below first_string are those of the base. Without a base they are 1 and 0.
	 */
	const struct btf *base; /* borrowed, or NULL */
	uint32_t first_id, first_string;
	uint32_t *offsets; /* of each own type's record, from first_id on; the last is the end */
	uint32_t count;    /* types, void and the base's among them */
	/*
	 * Ids, ascending, of what is looked up by name: structs, unions, enums, typedefs, base
	 * types and forward declarations with a name, and all enums for their enumerators.
	 */
	uint32_t *listed;
	uint32_t listed_count;
	/*
	 * Enums say by kind_flag whether they are signed since 6.0; in data where none does, that
	 * is not known and values are taken as signed.
	 */
	bool enum_signs;
};

/* A record's header, copied, and its payload, proven to hold what kind and vlen say. */
struct btf_record {
	enum btf_kind kind; /* BTF_KINDS for one newer than this list */
	bool kind_flag;
	uint32_t vlen;
	uint32_t name;
	uint32_t word; /* size or type */
	const uint8_t *payload;
};

/*
 * data is borrowed until btf_deinit(), or for this call if copy is true. base is what split BTF
 * goes on from, or NULL; it must outlive btf.
 */
struct nunchi_error *btf_init(struct btf *btf, const struct btf *base, const void *data,
			      size_t size, bool copy);
void btf_deinit(struct btf *btf);
/* Takes size zero bytes of the arena, aligned to 8, or gives NULL. */
void *btf_take_arena(struct btf *btf, size_t size);

/* A word of memory that may change: one load, never repeated by the compiler. */
static inline uint32_t btf_load(const uint8_t *p)
{
	struct word {
		uint32_t value;
	} __attribute__((packed));

	return ((const volatile struct word *)p)->value;
}

/* False if id is 0, out of range, or its record no longer fits its bounds. */
bool btf_record(const struct btf *btf, type_id id, struct btf_record *ret);
/* True if there is a name at offset, be it "". */
static inline bool btf_has_name(const struct btf *btf, uint32_t offset)
{
	return offset < btf->first_string || offset - btf->first_string < btf->strings_size;
}
/* "" if out of range. Owned by btf or its base. */
static inline const char *btf_name(const struct btf *btf, uint32_t offset)
{
	if (offset < btf->first_string)
		btf = btf->base;
	offset -= btf->first_string;
	return offset < btf->strings_size ? btf->strings + offset : "";
}
/* Offset of the name of member (struct, union) i; i must be below vlen. */
static inline uint32_t btf_member_name(const struct btf_record *record, uint32_t i)
{
	return btf_load(record->payload + (size_t)i * 12);
}
static inline type_id btf_member_type(const struct btf_record *record, uint32_t i)
{
	return btf_load(record->payload + (size_t)i * 12 + 4);
}

/* The getters of type_index.h. */
bool btf_type(const struct btf *btf, type_id id, struct type *ret);
bool btf_member(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret);
bool btf_enumerator(const struct btf *btf, type_id id, uint32_t i, struct type_enumerator *ret);
/* The value of the first enumerator of that name. Looks at all of them: few are ever asked for. */
bool btf_find_enumerator(const struct btf *btf, const char *name, int64_t *ret);
bool btf_parameter(const struct btf *btf, type_id id, uint32_t i, struct type_member *ret);
type_id btf_strip(const struct btf *btf, type_id id);

#endif
