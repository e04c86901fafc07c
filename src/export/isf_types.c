/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export/isf.h"
#include "output/escape.h"

#include <stdio.h>
#include <string.h>

/* Pointers to pointers, arrays of arrays …: the kernel has 4 levels. Damaged types may be endless.
 */
#define DEPTH_LIMIT 16
/* Of a name, in bytes; the kernel's own limit is 512. Many members may have one long name. */
#define NAME_LIMIT 512
#define NAME_SIZE  32

void isf_put(struct isf *isf, const char *text)
{
	buffer_append_string(&isf->text.buffer, text);
}

void isf_number(struct isf *isf, uint64_t number)
{
	buffer_append_unsigned(&isf->text.buffer, number, 10, 1);
}

static void string(struct isf *isf, const char *text)
{
	escape_json(&isf->text.buffer, text, strnlen(text, NAME_LIMIT));
}

void isf_key(struct isf *isf, const char *name)
{
	if (!isf->first)
		isf_put(isf, ",");
	isf->first = false;
	string(isf, name);
	isf_put(isf, ":");
}

void isf_open(struct isf *isf, const char *name)
{
	isf_key(isf, name);
	isf_put(isf, "{");
	isf->first = true;
}

void isf_close(struct isf *isf)
{
	isf_put(isf, "}");
	isf->first = false;
}

/* The name of a type, or one made of its id, for which there is room in `made`. */
static const char *name_of(const struct type *type, type_id id, char made[NAME_SIZE])
{
	if (type->name[0])
		return type->name;
	snprintf(made, NAME_SIZE, "unnamed_%u", id);
	return made;
}

static void named(struct isf *isf, const char *kind, const char *name)
{
	isf_put(isf, "{\"kind\":\"");
	isf_put(isf, kind);
	isf_put(isf, "\",\"name\":");
	string(isf, name);
	isf_put(isf, "}");
}

static void describe(struct isf *isf, type_id id, unsigned depth)
{
	char made[NAME_SIZE];
	struct type type;

	id = type_index_strip(isf->types, id);
	if (depth > DEPTH_LIMIT || !id || !type_index_get(isf->types, id, &type)) {
		named(isf, "base", "void");
		return;
	}
	switch (type.kind) {
	case TYPE_INT:
	case TYPE_FLOAT:
		named(isf, "base", type.name[0] ? type.name : "void");
		break;
	case TYPE_POINTER:
		isf_put(isf, "{\"kind\":\"pointer\",\"subtype\":");
		describe(isf, type.target, depth + 1);
		isf_put(isf, "}");
		break;
	case TYPE_ARRAY:
		isf_put(isf, "{\"kind\":\"array\",\"count\":");
		isf_number(isf, type.count);
		isf_put(isf, ",\"subtype\":");
		describe(isf, type.target, depth + 1);
		isf_put(isf, "}");
		break;
	case TYPE_STRUCT:
	case TYPE_FORWARD:
		named(isf, "struct", name_of(&type, id, made));
		break;
	case TYPE_UNION:
		named(isf, "union", name_of(&type, id, made));
		break;
	case TYPE_ENUM:
		named(isf, "enum", name_of(&type, id, made));
		break;
	case TYPE_FUNCTION:
		isf_put(isf, "{\"kind\":\"function\"}");
		break;
	default:
		named(isf, "base", "void");
		break;
	}
}

void isf_type(struct isf *isf, type_id id)
{
	describe(isf, id, 0);
}

/* ---- Structures --------------------------------------------------------------------------------
 */

/* Writes a bit field's type, and gives the offset of the integer that it lies in. */
static uint64_t bit_field(struct isf *isf, const struct type_member *member)
{
	uint64_t size, offset;

	if (!type_index_size(isf->types, member->type, &size) || !size || size > 16)
		size = 1;
	offset = member->bit_offset / (size * 8) * size;
	isf_put(isf, "{\"kind\":\"bitfield\",\"bit_length\":");
	isf_number(isf, member->bit_size);
	isf_put(isf, ",\"bit_position\":");
	isf_number(isf, member->bit_offset - offset * 8);
	isf_put(isf, ",\"type\":");
	isf_type(isf, member->type);
	isf_put(isf, "}");
	return offset;
}

static void field(struct isf *isf, const struct type_member *member, uint32_t i)
{
	uint64_t offset = member->bit_offset / 8;
	char made[NAME_SIZE];

	snprintf(made, sizeof(made), "unnamed_field_%u", i);
	isf_key(isf, member->name[0] ? member->name : made);
	isf_put(isf, "{\"type\":");
	if (member->bit_size)
		offset = bit_field(isf, member);
	else
		isf_type(isf, member->type);
	isf_put(isf, ",\"offset\":");
	isf_number(isf, offset);
	isf_put(isf, member->name[0] ? "}" : ",\"anonymous\":true}");
}

static void user_type(struct isf *isf, type_id id, const struct type *type)
{
	struct type_member member;
	char made[NAME_SIZE];

	isf_open(isf, name_of(type, id, made));
	isf_put(isf, type->kind == TYPE_UNION ? "\"kind\":\"union\",\"size\":"
					      : "\"kind\":\"struct\",\"size\":");
	isf_number(isf, type->size);
	isf->first = false;
	isf_open(isf, "fields");
	for (uint32_t i = 0; i < type->count && export_text_step(&isf->text); i++) {
		if (!type_index_member(isf->types, id, i, &member))
			break;
		field(isf, &member, i);
	}
	isf_close(isf);
	isf_close(isf);
}

/* ---- Enums and base types ----------------------------------------------------------------------
 */

static const struct integer {
	uint64_t size;
	bool is_signed;
	const char *name;
} integers[] = {
    {1, false, "unsigned char"},     {1, true, "signed char"},   {2, false, "short unsigned int"},
    {2, true, "short int"},          {4, false, "unsigned int"}, {4, true, "int"},
    {8, false, "long unsigned int"}, {8, true, "long int"},
};

/* The integer that an enum is held in. */
static const char *integer_of(const struct type *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		if (integers[i].size == type->size && integers[i].is_signed == type->is_signed)
			return integers[i].name;
	}
	return "int";
}

static void enumeration(struct isf *isf, type_id id, const struct type *type)
{
	struct type_enumerator enumerator;
	char made[NAME_SIZE];

	isf_open(isf, name_of(type, id, made));
	isf_put(isf, "\"size\":");
	isf_number(isf, type->size);
	isf_put(isf, ",\"base\":");
	string(isf, integer_of(type));
	isf->first = false;
	isf_open(isf, "constants");
	for (uint32_t i = 0; i < type->count && export_text_step(&isf->text); i++) {
		if (!type_index_enumerator(isf->types, id, i, &enumerator))
			break;
		isf_key(isf, enumerator.name);
		/* Values above INT64_MAX become negative, as in dwarf2json: readers use int64_t. */
		if (enumerator.value < 0)
			isf_put(isf, "-");
		isf_number(isf, enumerator.value < 0 ? -(uint64_t)enumerator.value
						     : (uint64_t)enumerator.value);
	}
	isf_close(isf);
	isf_close(isf);
}

static void base_type(struct isf *isf, const char *name, const char *kind, uint64_t size,
		      bool is_signed)
{
	isf_open(isf, name);
	isf_put(isf, "\"size\":");
	isf_number(isf, size);
	isf_put(isf, is_signed ? ",\"signed\":true,\"kind\":\"" : ",\"signed\":false,\"kind\":\"");
	isf_put(isf, kind);
	isf_put(isf, "\",\"endian\":\"little\"");
	isf_close(isf);
}

static void integer(struct isf *isf, const struct type *type)
{
	const char *kind = "int";

	if (type->kind == TYPE_FLOAT)
		kind = "float";
	else if (!strcmp(type->name, "_Bool") || !strcmp(type->name, "bool"))
		kind = "bool";
	else if (type->size == 1 && strstr(type->name, "char"))
		kind = "char";
	base_type(isf, type->name, kind, type->size, type->is_signed);
}

/* ---- Sections ----------------------------------------------------------------------------------
 */

/* Whether the type is the one that its name stands for: names are unique in a section. */
static bool is_found(const struct isf *isf, const char *prefix, const struct type *type, type_id id)
{
	char name[600];
	type_id found;

	snprintf(name, sizeof(name), "%s%s", prefix, type->name);
	return type_index_find(isf->types, name, &found) && found == id;
}

static void base_types(struct isf *isf)
{
	struct type type;
	type_id found;

	isf_open(isf, "base_types");
	base_type(isf, "void", "void", 0, false);
	base_type(isf, "pointer", "int", type_index_word_size(isf->types), false);
	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		if (!type_index_find(isf->types, integers[i].name, &found))
			base_type(isf, integers[i].name, integers[i].size == 1 ? "char" : "int",
				  integers[i].size, integers[i].is_signed);
	}
	for (type_id id = 1; id < type_index_count(isf->types) && export_text_step(&isf->text);
	     id++) {
		if (type_index_get(isf->types, id, &type) && type.name[0] &&
		    (type.kind == TYPE_INT || type.kind == TYPE_FLOAT) &&
		    is_found(isf, "", &type, id))
			integer(isf, &type);
	}
	isf_close(isf);
}

static void enums(struct isf *isf)
{
	struct type type;

	isf_open(isf, "enums");
	for (type_id id = 1; id < type_index_count(isf->types) && export_text_step(&isf->text);
	     id++) {
		if (type_index_get(isf->types, id, &type) && type.kind == TYPE_ENUM &&
		    (!type.name[0] || is_found(isf, "enum ", &type, id)))
			enumeration(isf, id, &type);
	}
	isf_close(isf);
}

/* A union whose name a structure has too is left out. */
static bool is_user_type(const struct isf *isf, const struct type *type, type_id id)
{
	char name[600];
	type_id other;

	if (type->kind != TYPE_STRUCT && type->kind != TYPE_UNION)
		return false;
	if (!type->name[0])
		return true;
	if (type->kind == TYPE_STRUCT)
		return is_found(isf, "struct ", type, id);
	snprintf(name, sizeof(name), "struct %s", type->name);
	return is_found(isf, "union ", type, id) && !type_index_find(isf->types, name, &other);
}

void isf_types(struct isf *isf)
{
	struct type type;

	base_types(isf);
	enums(isf);
	isf_open(isf, "user_types");
	for (type_id id = 1; id < type_index_count(isf->types) && export_text_step(&isf->text);
	     id++) {
		if (type_index_get(isf->types, id, &type) && is_user_type(isf, &type, id))
			user_type(isf, id, &type);
	}
	isf_close(isf);
}
