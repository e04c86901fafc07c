/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/layout.h"

#include <assert.h>
#include <string.h>

enum row_kind { ROW_GROUP, ROW_STRUCT, ROW_FIELD, ROW_SHAPE };

/* A line of layout.def, in its order. */
struct row {
	enum row_kind kind;
	unsigned id;          /* enum layout_group or layout_struct; for a field, its structure */
	size_t place;         /* for a field: offset of its struct field in struct layout */
	const char *names[4]; /* group and its users, type of a structure, or paths of a field */
};

static const struct row rows[] = {
#define LAYOUT_GROUP(id, users) {ROW_GROUP, LAYOUT_GROUP_##id, 0, {#id, users}},
#define STRUCT(id, name)        {ROW_STRUCT, LAYOUT_##id, 0, {name}},
#define ROW(kind, id, name, ...)                                                                   \
	{kind, LAYOUT_##id, offsetof(struct layout, id##_##name), {__VA_ARGS__}},
#define FIELD(...) ROW(ROW_FIELD, __VA_ARGS__)
#define SHAPE(...) ROW(ROW_SHAPE, __VA_ARGS__)
#include "guest/linux/layout.def"
#undef LAYOUT_GROUP
#undef STRUCT
#undef FIELD
#undef SHAPE
};

static struct field *field_of(struct layout *layout, const struct row *row)
{
	return (struct field *)((char *)layout + row->place);
}

static bool is_field(const struct row *row)
{
	return row->kind == ROW_FIELD || row->kind == ROW_SHAPE;
}

/* The index of the row of a group. */
static size_t group_row(enum layout_group group)
{
	size_t i = 0;

	while (rows[i].kind != ROW_GROUP || rows[i].id != group)
		i++;
	return i;
}

/* The group to which a row belongs. */
static enum layout_group group_at(size_t i)
{
	while (rows[i].kind != ROW_GROUP)
		i--;
	return (enum layout_group)rows[i].id;
}

/* The index after the last row of a group. */
static size_t group_end(enum layout_group group)
{
	size_t i = group_row(group) + 1;

	while (i < ARRAY_SIZE(rows) && rows[i].kind != ROW_GROUP)
		i++;
	return i;
}

const char *layout_group_name(enum layout_group group)
{
	return rows[group_row(group)].names[0];
}

const char *layout_group_users(enum layout_group group)
{
	return rows[group_row(group)].names[1];
}

enum layout_group layout_group_of(enum layout_struct type)
{
	size_t i = 0;

	while (rows[i].kind != ROW_STRUCT || rows[i].id != type)
		i++;
	return group_at(i);
}

enum layout_group layout_group_of_field(const struct layout *layout, const struct field *field)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (is_field(&rows[i]) && field_of((struct layout *)layout, &rows[i]) == field)
			return group_at(i);
	}
	return LAYOUT_GROUP_COUNT;
}

static bool resolve_field(const struct type_index *types, const char *path, struct field *ret)
{
	struct type_field found;
	_cleanup_error_ struct nunchi_error *err = type_index_resolve(types, path, &found);

	/*
	 * No structure of a kernel is as large as these limits; larger values come from a hostile
	 * guest.
	 */
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

static void resolve_struct(const struct type_index *types, const struct row *row,
			   struct layout *layout)
{
	uint64_t size;
	type_id id;

	if (type_index_find(types, row->names[0], &id) && type_index_size(types, id, &size) &&
	    size <= (1u << 20))
		layout->size[row->id] = (uint32_t)size;
}

void layout_resolve(const struct type_index *types, enum layout_group group, struct layout *layout)
{
	for (size_t i = group_row(group) + 1, end = group_end(group); i < end; i++) {
		const struct row *row = &rows[i];
		struct field *field = field_of(layout, row);

		if (!is_field(row)) {
			resolve_struct(types, row, layout);
			continue;
		}
		for (size_t j = 0; j < ARRAY_SIZE(row->names) && row->names[j]; j++) {
			if (resolve_field(types, row->names[j], field))
				break;
		}
		if (field->present && field->offset + field->size > layout->used[row->id])
			layout->used[row->id] = field->offset + field->size;
	}
	layout->known[group] = true;
}

void layout_missing(const struct layout *layout, enum layout_group group,
		    void (*missing)(const char *path, void *data), void *data)
{
	if (!layout->known[group])
		return;
	for (size_t i = group_row(group) + 1, end = group_end(group); i < end; i++) {
		if (rows[i].kind == ROW_FIELD &&
		    !field_of((struct layout *)layout, &rows[i])->present)
			missing(rows[i].names[0], data);
	}
}

/* Merges the parts i and i + 1. */
static void join_parts(struct layout_parts *parts, size_t i)
{
	struct layout_part *part = &parts->parts[i];

	if (part[1].end > part->end)
		part->end = part[1].end;
	parts->count--;
	memmove(&part[1], &part[2], (parts->count - i - 1) * sizeof(*part));
}

/*
 * The index of the part that has the smallest gap to the next one; there must be at least two
 * parts.
 */
static size_t nearest_parts(const struct layout_parts *parts)
{
	size_t best = 0;

	for (size_t i = 1; i + 1 < parts->count; i++) {
		const struct layout_part *part = &parts->parts[i], *least = &parts->parts[best];

		if (part[1].start - part->end < least[1].start - least->end)
			best = i;
	}
	return best;
}

void layout_parts_add(struct layout_parts *parts, const struct field *field)
{
	struct layout_part *at = parts->parts;
	size_t i = 0;

	if (!field->present)
		return;
	if (parts->count == LAYOUT_MAX_PARTS)
		join_parts(parts, nearest_parts(parts));
	while (i < parts->count && at[i].start <= field->offset)
		i++;
	memmove(&at[i + 1], &at[i], (parts->count - i) * sizeof(*at));
	at[i] = (struct layout_part){field->offset, field->offset + field->size};
	parts->count++;
	/* The new part may overlap several of the following ones. */
	i = i ? i - 1 : 0;
	while (i + 1 < parts->count) {
		if (at[i + 1].start < at[i].end + LAYOUT_PART_GAP)
			join_parts(parts, i);
		else
			i++;
	}
}

/* Whether the field lies within the copied bytes. */
static bool has_field(const struct object *object, const struct field *field)
{
	const struct layout_parts *parts = object->parts;
	size_t end = (size_t)field->offset + field->size;

	if (!field->present || end > object->size)
		return false;
	if (!parts)
		return true;
	for (size_t i = 0; i < parts->count; i++) {
		if (field->offset >= parts->parts[i].start && end <= parts->parts[i].end)
			return true;
	}
	assert(!"a field that was not copied");
	return false;
}

void object_deinit(struct object *object)
{
	free(object->data);
	*object = (struct object){0};
}

uint64_t object_u64(const struct object *object, const struct field *field)
{
	uint64_t value = 0;

	if (field->size > sizeof(value) || !has_field(object, field))
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

enum read_result object_number(const struct object *object, const struct field *field, int64_t *ret)
{
	if (!field->present || field->size > sizeof(*ret))
		return READ_NO_LAYOUT;
	if (!object->size)
		return object->result;
	*ret = field->is_signed ? object_s64(object, field) : (int64_t)object_u64(object, field);
	return READ_OK;
}

size_t object_text(const struct object *object, const struct field *field, const char **ret)
{
	if (!has_field(object, field))
		return 0;
	*ret = (const char *)object->data + field->offset;
	return strnlen(*ret, field->size);
}

enum read_result object_append_text(const struct object *object, const struct field *field,
				    struct buffer *ret)
{
	const char *text;
	size_t length;

	if (!field->present)
		return READ_NO_LAYOUT;
	if (!object->size)
		return object->result;
	length = object_text(object, field, &text);
	return buffer_append(ret, length ? text : "", length) ? READ_OK : READ_NO_MEMORY;
}
