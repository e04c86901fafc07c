/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/layout.h"

#include <string.h>

struct struct_row {
	const char *name;
};

struct field_row {
	enum layout_struct owner;
	size_t place;  /* of the struct field in struct layout */
	bool required; /* not one of several shapes */
	const char *paths[4];
};

static const struct struct_row struct_rows[] = {
#define STRUCT(id, name) [LAYOUT_##id] = {name},
#define FIELD(...)
#define SHAPE(...)
#include "guest/linux/layout.def"
#undef STRUCT
#undef FIELD
#undef SHAPE
};

static const struct field_row field_rows[] = {
#define STRUCT(...)
#define ROW(required, id, name, ...)                                                               \
	{LAYOUT_##id, offsetof(struct layout, id##_##name), required, {__VA_ARGS__}},
#define FIELD(...) ROW(true, __VA_ARGS__)
#define SHAPE(...) ROW(false, __VA_ARGS__)
#include "guest/linux/layout.def"
#undef STRUCT
#undef FIELD
#undef SHAPE
};

static struct field *field_of(struct layout *layout, const struct field_row *row)
{
	return (struct field *)((char *)layout + row->place);
}

static bool resolve_field(const struct type_index *types, const char *path, struct field *ret)
{
	struct type_field found;
	_cleanup_error_ struct nunchi_error *err = type_index_resolve(types, path, &found);

	/* No structure of a kernel is near these bounds; types come from the guest. */
	if (err || found.offset > (1u << 20) || found.size > (1u << 20))
		return false;
	*ret = (struct field){
	    .offset = (uint32_t)found.offset,
	    .size = (uint32_t)found.size,
	    .elements = (uint16_t)(found.elements > UINT16_MAX ? UINT16_MAX : found.elements),
	    .bit_shift = (uint8_t)found.bit_shift,
	    .bit_size = (uint8_t)found.bit_size,
	    .present = true,
	    .is_signed = found.is_signed,
	};
	return true;
}

void layout_resolve(const struct type_index *types, struct layout *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_SIZE(struct_rows); i++) {
		uint64_t size;
		type_id id;

		if (type_index_find(types, struct_rows[i].name, &id) &&
		    type_index_size(types, id, &size) && size <= (1u << 20))
			ret->size[i] = (uint32_t)size;
	}
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
		const struct field_row *row = &field_rows[i];
		struct field *field = field_of(ret, row);

		for (size_t j = 0; j < ARRAY_SIZE(row->paths) && row->paths[j]; j++) {
			if (resolve_field(types, row->paths[j], field))
				break;
		}
		if (field->present && field->offset + field->size > ret->used[row->owner])
			ret->used[row->owner] = field->offset + field->size;
	}
}

void layout_missing(const struct layout *layout, void (*missing)(const char *path, void *data),
		    void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
		if (field_rows[i].required &&
		    !field_of((struct layout *)layout, &field_rows[i])->present)
			missing(field_rows[i].paths[0], data);
	}
}

void object_deinit(struct object *object)
{
	free(object->data);
	*object = (struct object){0};
}

uint64_t object_u64(const struct object *object, const struct field *field)
{
	uint64_t value = 0;

	if (!field->present || field->size > sizeof(value) ||
	    (size_t)field->offset + field->size > object->size)
		return 0;
	memcpy(&value, object->data + field->offset, field->size);
	if (field->bit_size) {
		value >>= field->bit_shift;
		if (field->bit_size < 64)
			value &= ((uint64_t)1 << field->bit_size) - 1;
	}
	return value;
}

uint64_t object_element(const struct object *object, const struct field *array, unsigned i)
{
	struct field one = *array;

	if (i >= array->elements)
		return 0;
	one.size /= array->elements;
	one.offset += i * one.size;
	return object_u64(object, &one);
}

int64_t object_s64(const struct object *object, const struct field *field)
{
	uint64_t value = object_u64(object, field);
	unsigned bits = field->bit_size ? field->bit_size : field->size * 8;

	if (bits && bits < 64 && value >> (bits - 1) & 1)
		value |= ~(uint64_t)0 << bits;
	return (int64_t)value;
}

size_t object_text(const struct object *object, const struct field *field, const char **ret)
{
	if (!field->present || (size_t)field->offset + field->size > object->size)
		return 0;
	*ret = (const char *)object->data + field->offset;
	return strnlen(*ret, field->size);
}
