/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layout of the kernel's structures: layout.def resolved against the types of this kernel. */
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
	uint32_t offset; /* in bytes from the start of the outermost structure */
	uint32_t size;
	uint16_t elements;
	uint8_t bit_shift;
	uint8_t bit_size; /* 0: not a bit field */
	bool present;
	bool is_signed;
};

/* Fields that are looked up together, when a walk first needs one of them. */
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
	/* the group was looked up; single fields may be missing all the same */
	bool known[LAYOUT_GROUP_COUNT];
	/*
	 * The size of each structure in bytes, and the end of its last field that is in layout.def.
	 */
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

/* The group's name, and the views that need the group ("kernel_modules, …"). Static storage. */
const char *layout_group_name(enum layout_group group);
const char *layout_group_users(enum layout_group group);
/* The group to which a structure belongs. */
enum layout_group layout_group_of(enum layout_struct type);
/* The group to which a field of layout belongs; LAYOUT_GROUP_COUNT if field is not in layout. */
enum layout_group layout_group_of_field(const struct layout *layout, const struct field *field);

/*
 * Looks up a group's structures and fields in the types and marks the group as known. A field that
 * this kernel lacks gets present = false.
 */
void layout_resolve(const struct type_index *types, enum layout_group group, struct layout *layout);

/*
 * Calls missing() for each FIELD of a known group that this kernel lacks, with its path
 * ("task_struct.pid"), in the order of the table.
 */
void layout_missing(const struct layout *layout, enum layout_group group,
		    void (*missing)(const char *path, void *data), void *data);

/*
 * The parts of a structure to copy if only some fields are needed: a task_struct has about ten
 * thousand bytes, the id and name of a process twenty. A structure of zeros means no part.
 */
#define LAYOUT_MAX_PARTS 16
/* Parts with a gap of fewer bytes are merged, because that costs less than another read. */
#define LAYOUT_PART_GAP 128

struct layout_parts {
	size_t count;
	struct layout_part {
		uint32_t start, end;
	} parts[LAYOUT_MAX_PARTS]; /* in ascending order */
};

/* Adds the bytes of a field; nothing if this kernel lacks the field. */
void layout_parts_add(struct layout_parts *parts, const struct field *field);

/*
 * A copy of a structure of the guest. Check and use the copy; never read the guest's bytes twice.
 * If parts is set, only these parts are copied, to their offsets in the structure; reading a field
 * outside of them is a programming error (assert()).
 */
struct object {
	uint64_t address;
	uint8_t *data; /* owned */
	/*
	 * up to the last field that layout.def has of the structure; 0: not read, `result` says why
	 */
	size_t size;
	size_t capacity;
	const struct layout_parts *parts; /* borrowed; NULL: the whole structure */
	enum read_result result;
};

void object_deinit(struct object *object);
#define _cleanup_object_ _cleanup_(object_deinit)

/*
 * Gets a field of a copy as a number, signed if the field's type is. Returns READ_NO_LAYOUT if the
 * kernel's types lack the field, else the reason why the structure was not read.
 */
enum read_result object_number(const struct object *object, const struct field *field,
			       int64_t *ret);
/* A field of a copy as an unsigned or a sign-extended number; 0 if the field is not in the copy. */
uint64_t object_u64(const struct object *object, const struct field *field);
int64_t object_s64(const struct object *object, const struct field *field);
/* One element of an array as an unsigned number; 0 if i is past the end of the array. */
uint64_t object_element(const struct object *object, const struct field *array, unsigned i);
/* Appends a character array up to its first NUL; results are those of object_number(). */
enum read_result object_append_text(const struct object *object, const struct field *field,
				    struct buffer *ret);
/*
 * The length of a character array up to its first NUL; *ret points to its bytes in the copy. 0 if
 * the field is not in the copy.
 */
size_t object_text(const struct object *object, const struct field *field, const char **ret);

#endif
