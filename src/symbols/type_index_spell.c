/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index_private.h"

#include <stdio.h>
#include <string.h>

/* Limit of the types visited, since types of a hostile guest may refer to each other in circles. */
#define SPELL_STEPS 512

/*
 * In C notation, a type surrounds the name it declares: left() writes the part before, right() the
 * part after.
 */
struct speller {
	const struct type_index *index;
	char *buf;
	size_t size;
	size_t used;
	unsigned steps;
};

static void right(struct speller *speller, type_id id);

static void put(struct speller *speller, const char *text)
{
	size_t room = speller->size - speller->used - 1;
	size_t size = strnlen(text, room);

	memcpy(speller->buf + speller->used, text, size);
	speller->used += size;
	speller->buf[speller->used] = 0;
}

static bool enter(struct speller *speller)
{
	return speller->steps++ < SPELL_STEPS && speller->used + 1 < speller->size;
}

static char last(const struct speller *speller)
{
	return speller->used ? speller->buf[speller->used - 1] : 0;
}

/* Writes a word, after a space unless a '*', '(' or space stands there already. */
static void put_word(struct speller *speller, const char *word)
{
	if (last(speller) && !strchr("*( ", last(speller)))
		put(speller, " ");
	put(speller, word);
}

static void put_tagged(struct speller *speller, const char *keyword, const char *name)
{
	put_word(speller, keyword);
	put(speller, " ");
	put(speller, *name ? name : "{...}");
}

/* Whether a pointer to the type is written with parentheses, as for arrays and functions. */
static bool binds_tighter(const struct type_index *index, type_id id)
{
	struct type type;

	for (int i = 0; i < SPELL_STEPS && type_index_get(index, id, &type); i++) {
		if (type.kind != TYPE_QUALIFIER)
			return type.kind == TYPE_ARRAY || type.kind == TYPE_FUNCTION;
		id = type.target;
	}
	return false;
}

static void left(struct speller *speller, type_id id);

static void left_qualifier(struct speller *speller, type_id id, const struct type *type)
{
	const char *word = "";
	struct btf_record record;
	struct type target;

	if (btf_record(&speller->index->btf, id, &record)) {
		word = record.kind == BTF_CONST      ? "const"
		       : record.kind == BTF_VOLATILE ? "volatile"
		       : record.kind == BTF_RESTRICT ? "restrict"
						     : "";
	}
	if (!*word) { /* type tags are not part of C */
		left(speller, type->target);
	} else if (type_index_get(speller->index, type->target, &target) &&
		   target.kind == TYPE_POINTER) {
		left(speller, type->target);
		put_word(speller, word);
	} else {
		put_word(speller, word);
		left(speller, type->target);
	}
}

static void left_pointer(struct speller *speller, const struct type *type)
{
	left(speller, type->target);
	put_word(speller, binds_tighter(speller->index, type->target) ? "(*" : "*");
}

static void left_forward(struct speller *speller, type_id id, const char *name)
{
	struct btf_record record;

	put_tagged(speller,
		   btf_record(&speller->index->btf, id, &record) && record.kind_flag ? "union"
										     : "struct",
		   name);
}

static void left_type(struct speller *speller, type_id id, const struct type *type)
{
	switch (type->kind) {
	case TYPE_VOID:
		put_word(speller, "void");
		break;
	case TYPE_INT:
	case TYPE_FLOAT:
	case TYPE_TYPEDEF:
		put_word(speller, *type->name ? type->name : "?");
		break;
	case TYPE_STRUCT:
		put_tagged(speller, "struct", type->name);
		break;
	case TYPE_UNION:
		put_tagged(speller, "union", type->name);
		break;
	case TYPE_ENUM:
		put_tagged(speller, "enum", type->name);
		break;
	case TYPE_FORWARD:
		left_forward(speller, id, type->name);
		break;
	case TYPE_POINTER:
		left_pointer(speller, type);
		break;
	case TYPE_QUALIFIER:
		left_qualifier(speller, id, type);
		break;
	case TYPE_ARRAY:
	case TYPE_FUNCTION:
	case TYPE_VARIABLE:
		left(speller, type->target);
		break;
	case TYPE_OTHER:
		put_word(speller, "?");
		break;
	}
}

static void left(struct speller *speller, type_id id)
{
	struct type type;

	if (!enter(speller))
		return;
	if (type_index_get(speller->index, id, &type))
		left_type(speller, id, &type);
	else
		put_word(speller, "?");
}

static void put_parameters(struct speller *speller, type_id id, uint32_t count)
{
	struct type_member parameter;

	put(speller, count ? "(" : "(void");
	for (uint32_t i = 0; i < count && enter(speller); i++) {
		if (i)
			put(speller, ", ");
		if (!type_index_parameter(speller->index, id, i, &parameter)) {
			put(speller, "?");
		} else if (!parameter.type && i == count - 1) {
			put(speller, "...");
		} else {
			left(speller, parameter.type);
			right(speller, parameter.type);
		}
	}
	put(speller, ")");
}

static void right_type(struct speller *speller, type_id id, const struct type *type)
{
	char text[16];

	switch (type->kind) {
	case TYPE_POINTER:
		if (binds_tighter(speller->index, type->target))
			put(speller, ")");
		right(speller, type->target);
		break;
	case TYPE_ARRAY:
		snprintf(text, sizeof(text), type->count ? "[%u]" : "[]", type->count);
		put(speller, text);
		right(speller, type->target);
		break;
	case TYPE_FUNCTION:
		put_parameters(speller, id, type->count);
		right(speller, type->target);
		break;
	case TYPE_QUALIFIER:
	case TYPE_VARIABLE:
		right(speller, type->target);
		break;
	default:
		break;
	}
}

static void right(struct speller *speller, type_id id)
{
	struct type type;

	if (!enter(speller))
		return;
	if (type_index_get(speller->index, id, &type))
		right_type(speller, id, &type);
}

void type_index_spell(const struct type_index *index, type_id id, char *buf, size_t size)
{
	struct speller speller = {.index = index, .buf = buf, .size = size};

	if (!size)
		return;
	buf[0] = 0;
	left(&speller, id);
	right(&speller, id);
}
