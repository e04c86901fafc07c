/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's structures as this kernel lays them out: layout.def resolved against its types.
 */
#ifndef NUNCHI_GUEST_LINUX_LAYOUT_H
#define NUNCHI_GUEST_LINUX_LAYOUT_H

#include "core/buffer.h"
#include "core/error.h"
#include "guest/result.h"
#include "symbols/type_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field {
	uint32_t offset; /* bytes, in the outermost structure */
	uint32_t size;
	uint16_t elements;
	uint8_t bit_shift;
	uint8_t bit_size; /* 0: not a bit field */
	bool present;
	bool is_signed;
};

/* What is looked up together, when the first walk needs a part of it. */
enum layout_group {
#define LAYOUT_GROUP(id, ...) LAYOUT_GROUP_##id,
#define STRUCT(...)
#define FIELD(...)
#define SHAPE(...)
#include "guest/linux/layout.def"
#undef LAYOUT_GROUP
#undef STRUCT
	LAYOUT_GROUP_COUNT
};

enum layout_struct {
#define LAYOUT_GROUP(...)
#define STRUCT(id, ...) LAYOUT_##id,
#include "guest/linux/layout.def"
#undef STRUCT
#undef FIELD
#undef SHAPE
	LAYOUT_STRUCT_COUNT
};

struct layout {
	bool known[LAYOUT_GROUP_COUNT]; /* the group was looked up; fields may be missing */
	/* Bytes of each structure in all, and up to the end of its last field in the table. */
	uint32_t size[LAYOUT_STRUCT_COUNT];
	uint32_t used[LAYOUT_STRUCT_COUNT];
#define STRUCT(id, ...)
#define FIELD(id, name, ...) struct field id##_##name;
#define SHAPE                FIELD
#include "guest/linux/layout.def"
#undef LAYOUT_GROUP
#undef STRUCT
#undef FIELD
#undef SHAPE
};

/* The group's name, and the views that need it ("kernel_modules, …"). Static. */
const char *layout_group_name(enum layout_group group);
const char *layout_group_users(enum layout_group group);
/* The group of a structure. */
enum layout_group layout_group_of(enum layout_struct type);
/* The group of a field of layout; LAYOUT_GROUP_COUNT if field is not one of its fields. */
enum layout_group layout_group_of_field(const struct layout *layout, const struct field *field);

/*
 * Looks up a group's structures and fields and marks it as known. Fields that this kernel lacks are
 * left with present = false.
 */
void layout_resolve(const struct type_index *types, enum layout_group group, struct layout *layout);

/*
 * Calls missing for each FIELD of a known group that this kernel lacks ("task_struct.pid"), in the
 * table's order.
 */
void layout_missing(const struct layout *layout, enum layout_group group,
		    void (*missing)(const char *path, void *data), void *data);

/*
 * The parts of a structure that are copied where not all of it is needed: a task_struct has some
 * ten thousand bytes, a process's id and name twenty. Storage of all zeros has no part.
 */
#define LAYOUT_MAX_PARTS 16
/* Parts with less than so many bytes between them become one: that costs less than another read. */
#define LAYOUT_PART_GAP 128

struct layout_parts {
	size_t count;
	struct layout_part {
		uint32_t start, end;
	} parts[LAYOUT_MAX_PARTS]; /* ascending */
};

/* Adds the bytes of a field; of a field that this kernel lacks, none. */
void layout_parts_add(struct layout_parts *parts, const struct field *field);

/*
 * A structure copied out of the guest: check and use the copy, never the guest's bytes twice. Where
 * parts is set, only these are copied, to where they stand in the structure; to ask for a field
 * besides them is a mistake (assert()).
 */
struct object {
	uint64_t address;
	uint8_t *data; /* owned */
	size_t size; /* of the structure, as far as layout.def uses it; 0: not read, for the reason
			in result */
	size_t capacity;
	const struct layout_parts *parts; /* borrowed; NULL: all of the structure */
	enum read_result result;
};

void object_deinit(struct object *object);
#define _cleanup_object_ _cleanup_(object_deinit)

/*
 * A field of a copy as a number, by its sign. READ_NO_LAYOUT if the kernel's types lack it, else
 * the reason why the structure was not read.
 */
enum read_result object_number(const struct object *object, const struct field *field,
			       int64_t *ret);
/* A field of a copy as an unsigned or sign-extended number; 0 where the copy does not reach. */
uint64_t object_u64(const struct object *object, const struct field *field);
int64_t object_s64(const struct object *object, const struct field *field);
/* The same for one element of an array; 0 past its end. */
uint64_t object_element(const struct object *object, const struct field *array, unsigned i);
/* Appends a character array up to its first NUL; else as object_number(). */
enum read_result object_append_text(const struct object *object, const struct field *field,
				    struct buffer *ret);
/* A character array up to its first NUL: its length, with *ret the bytes; 0 if out of reach. */
size_t object_text(const struct object *object, const struct field *field, const char **ret);

#endif
