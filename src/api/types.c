/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

#include <stdio.h>
#include <string.h>

/* Limit of the nesting of anonymous members; the kernel has at most 4 levels. */
#define MAX_DEPTH 16
/*
 * Limit of the members examined for one type, including those of anonymous members; the largest
 * types have a few thousand. Types of a hostile guest may contain themselves many times on each
 * level.
 */
#define MAX_MEMBERS 100000

struct layout_print {
	const struct type_index *types;
	void (*member)(const struct nunchi_member *member, void *data);
	void *data;
	uint64_t holes; /* in bits */
	size_t count;
	uint32_t left; /* number of members that may still be examined */
	bool counting; /* first pass, which only counts holes and members */
};

static const char *const kind_names[] = {
    [TYPE_VOID] = "void",           [TYPE_INT] = "int",
    [TYPE_FLOAT] = "float",         [TYPE_POINTER] = "pointer",
    [TYPE_ARRAY] = "array",         [TYPE_STRUCT] = "struct",
    [TYPE_UNION] = "union",         [TYPE_ENUM] = "enum",
    [TYPE_FORWARD] = "forward",     [TYPE_TYPEDEF] = "typedef",
    [TYPE_QUALIFIER] = "qualifier", [TYPE_FUNCTION] = "function",
};

static void give(struct layout_print *print, const struct nunchi_member *member)
{
	print->count += !member->hole;
	if (member->hole)
		print->holes += member->bit_size;
	if (!print->counting)
		print->member(member, print->data);
}

static void give_hole(struct layout_print *print, uint64_t start, uint64_t end, unsigned depth)
{
	struct nunchi_member hole = {
	    .name = "(hole)",
	    .type = "",
	    .bit_offset = start,
	    .bit_size = end - start,
	    .depth = depth,
	    .hole = true,
	};

	if (end > start)
		give(print, &hole);
}

static void print_members(struct layout_print *print, type_id id, uint64_t base, unsigned depth)
{
	struct type type, member_type;
	uint64_t end = base, size;

	if (depth > MAX_DEPTH || !type_index_get(print->types, id, &type))
		return;
	for (uint32_t i = 0; i < type.count && print->left; i++) {
		struct nunchi_member out = {.depth = depth};
		struct type_member member;
		char spelled[512];
		type_id stripped;
		bool anonymous;

		print->left--;
		if (!type_index_member(print->types, id, i, &member))
			return;
		stripped = type_index_strip(print->types, member.type);
		anonymous = !member.name[0] &&
			    type_index_get(print->types, stripped, &member_type) &&
			    (member_type.kind == TYPE_STRUCT || member_type.kind == TYPE_UNION);
		type_index_spell(print->types, member.type, spelled, sizeof(spelled));
		if (!type_index_size(print->types, member.type, &size))
			size = 0;
		out.name = member.name;
		out.type = spelled;
		out.bit_offset = base + member.bit_offset;
		out.bit_size = member.bit_size ? member.bit_size : size * 8;
		out.bit_field = member.bit_size != 0;
		if (type.kind == TYPE_STRUCT)
			give_hole(print, end, out.bit_offset, depth);
		give(print, &out);
		if (anonymous)
			print_members(print, stripped, out.bit_offset, depth + 1);
		if (out.bit_offset + out.bit_size > end)
			end = out.bit_offset + out.bit_size;
	}
	if (type.kind == TYPE_STRUCT)
		give_hole(print, end, base + type.size * 8, depth);
}

static void print_enumerators(struct layout_print *print, type_id id, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct type_enumerator enumerator;
		struct nunchi_member out = {.type = ""};

		if (!type_index_enumerator(print->types, id, i, &enumerator))
			return;
		out.name = enumerator.name;
		out.bit_offset = (uint64_t)enumerator.value;
		give(print, &out);
	}
}

static void print_body(struct layout_print *print, type_id id, const struct type *type)
{
	print->left = MAX_MEMBERS;
	if (type->kind == TYPE_STRUCT || type->kind == TYPE_UNION)
		print_members(print, id, 0, 0);
	else if (type->kind == TYPE_ENUM)
		print_enumerators(print, id, type->count);
}

struct nunchi_error *
nunchi_type_layout(struct nunchi_guest *guest, const char *name,
		   void (*give_type)(const struct nunchi_type_info *type, void *data),
		   void (*member)(const struct nunchi_member *member, void *data), void *data)
{
	API_REQUIRE(guest && name && give_type && member);

	struct layout_print print = {
	    .member = member, .data = data, .left = MAX_MEMBERS, .counting = true};
	struct nunchi_type_info info = {0};
	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel(guest, &kernel);
	char target[512];
	struct type type;
	struct guest_type found;
	type_id body;

	if (err)
		return err;
	err = kernel->system->type_find(kernel, name, &found);
	if (err)
		return guest_error(guest, err);
	if (!type_index_get(found.types, found.id, &type))
		return guest_error(
		    guest, error_create(NUNCHI_ERROR_DATA, "the type \"%s\" is damaged", name));
	info.kind = (size_t)type.kind < ARRAY_SIZE(kind_names) ? kind_names[type.kind] : "type";
	info.name = type.name;
	info.module = found.module;
	if (!type_index_size(found.types, found.id, &info.size))
		info.size = 0;
	if (type.kind == TYPE_TYPEDEF) {
		type_index_spell(found.types, type.target, target, sizeof(target));
		info.target = target;
	}
	body = type_index_strip(found.types, found.id);
	print.types = found.types;
	if (type_index_get(found.types, body, &type)) {
		print_body(&print, body, &type);
		info.holes = print.holes / 8;
		info.member_count = print.count;
	}
	if (!print.left)
		return guest_error(guest, error_create(NUNCHI_ERROR_DATA,
						       "the type \"%s\" has more than %d members",
						       name, MAX_MEMBERS));
	give_type(&info, data);
	print.counting = false;
	print_body(&print, body, &type);
	return NULL;
}
