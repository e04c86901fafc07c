/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/type_index_private.h"

#include <stdio.h>
#include <string.h>

/* Greatest nesting of arrays when the size of a type is computed. */
#define SIZE_DEPTH 32

static unsigned deduce_word_size(const struct btf *btf, const struct btf_names *names)
{
	/* The names that gcc and clang give to long. */
	static const char *const longs[] = {"long int", "long unsigned int", "long",
					    "unsigned long"};
	struct btf_record record;
	type_id id;

	for (size_t i = 0; i < ARRAY_SIZE(longs); i++) {
		if (btf_names_find(names, btf, BTF_CLASS_BASE, longs[i], strlen(longs[i]), &id) &&
		    btf_record(btf, id, &record) && (record.word == 4 || record.word == 8))
			return record.word;
	}
	return 8;
}

static void describe(struct type_index *index, const char *format)
{
	uint32_t count = index->btf.count - index->btf.first_id;

	if (count >= 1000000)
		snprintf(index->description, sizeof(index->description), "%s, %u,%03u,%03u types",
			 format, count / 1000000, count / 1000 % 1000, count % 1000);
	else if (count >= 1000)
		snprintf(index->description, sizeof(index->description), "%s, %u,%03u types",
			 format, count / 1000, count % 1000);
	else
		snprintf(index->description, sizeof(index->description), "%s, %u types", format,
			 count);
}

static void destroy(struct type_index *index)
{
	btf_names_deinit(&index->names);
	btf_deinit(&index->btf);
	type_index_unref(index->base);
	free(index);
}

struct nunchi_error *type_index_create(const void *data, size_t size,
				       const struct type_index_source *source,
				       struct type_index **ret)
{
	struct type_index *index = calloc(1, sizeof(*index));
	struct nunchi_error *err;

	if (!index)
		return &error_nomem;
	atomic_init(&index->references, 1);
	if (source->base)
		index->base = type_index_ref(source->base);
	err = btf_init(&index->btf, source->base ? &source->base->btf : NULL, data, size,
		       source->copy);
	if (!err) {
		index->btf.enum_signs |= source->enum_signs;
		err = btf_names_init(&index->names, &index->btf);
	}
	if (err) {
		destroy(index);
		return err;
	}
	index->word_size = source->base ? source->base->word_size : source->word_size;
	if (!index->word_size)
		index->word_size = deduce_word_size(&index->btf, &index->names);
	describe(index, source->format);
	index->destroy = source->destroy;
	index->owner = source->owner;
	*ret = index;
	return NULL;
}

struct nunchi_error *type_index_from_btf(const void *data, size_t size,
					 void (*destroy_owner)(void *owner), void *owner,
					 struct type_index **ret)
{
	struct type_index_source source = {
	    .format = "BTF", .destroy = destroy_owner, .owner = owner};

	return type_index_create(data, size, &source, ret);
}

struct nunchi_error *type_index_copy_btf(const void *data, size_t size, struct type_index **ret)
{
	struct type_index_source source = {.format = "BTF", .copy = true};

	return type_index_create(data, size, &source, ret);
}

struct nunchi_error *type_index_from_split_btf(struct type_index *base, const void *data,
					       size_t size, struct type_index **ret)
{
	struct type_index_source source = {.format = "split BTF", .base = base, .copy = true};

	return type_index_create(data, size, &source, ret);
}

uint32_t type_index_first(const struct type_index *index)
{
	return index->btf.first_id;
}

uint32_t type_index_names_size(const struct type_index *index)
{
	return index->btf.first_string + index->btf.strings_size;
}

struct type_index *type_index_ref(struct type_index *index)
{
	atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
	return index;
}

void type_index_unref(struct type_index *index)
{
	void (*destroy_owner)(void *owner);
	void *owner;

	if (!index || atomic_fetch_sub_explicit(&index->references, 1, memory_order_acq_rel) != 1)
		return;
	destroy_owner = index->destroy;
	owner = index->owner;
	destroy(index);
	if (destroy_owner)
		destroy_owner(owner);
}

const char *type_index_description(const struct type_index *index)
{
	return index->description;
}

unsigned type_index_word_size(const struct type_index *index)
{
	return index->word_size;
}

uint32_t type_index_count(const struct type_index *index)
{
	return index->btf.count;
}

bool type_index_get(const struct type_index *index, type_id id, struct type *ret)
{
	if (!btf_type(&index->btf, id, ret))
		return false;
	if (ret->kind == TYPE_POINTER)
		ret->size = index->word_size;
	return true;
}

bool type_index_member(const struct type_index *index, type_id id, uint32_t i,
		       struct type_member *ret)
{
	return btf_member(&index->btf, id, i, ret);
}

bool type_index_enumerator(const struct type_index *index, type_id id, uint32_t i,
			   struct type_enumerator *ret)
{
	return btf_enumerator(&index->btf, id, i, ret);
}

bool type_index_parameter(const struct type_index *index, type_id id, uint32_t i,
			  struct type_member *ret)
{
	return btf_parameter(&index->btf, id, i, ret);
}

static bool find_class(const struct type_index *index, enum btf_class class, const char *name,
		       type_id *ret)
{
	return btf_names_find(&index->names, &index->btf, class, name, strlen(name), ret) ||
	       (index->base && find_class(index->base, class, name, ret));
}

bool type_index_find(const struct type_index *index, const char *name, type_id *ret)
{
	if (!strncmp(name, "struct ", 7))
		return find_class(index, BTF_CLASS_STRUCT, name + 7, ret) ||
		       find_class(index, BTF_CLASS_FORWARD_STRUCT, name + 7, ret);
	if (!strncmp(name, "union ", 6))
		return find_class(index, BTF_CLASS_UNION, name + 6, ret) ||
		       find_class(index, BTF_CLASS_FORWARD_UNION, name + 6, ret);
	if (!strncmp(name, "enum ", 5))
		return find_class(index, BTF_CLASS_ENUM, name + 5, ret);
	for (int class = 0; class < BTF_CLASSES; class ++) {
		if (find_class(index, (enum btf_class) class, name, ret))
			return true;
	}
	return false;
}

type_id type_index_strip(const struct type_index *index, type_id id)
{
	return btf_strip(&index->btf, id);
}

bool type_index_size(const struct type_index *index, type_id id, uint64_t *ret)
{
	uint64_t factor = 1, size;
	struct type type;

	for (int depth = 0; depth < SIZE_DEPTH; depth++) {
		if (!type_index_get(index, type_index_strip(index, id), &type))
			return false;
		switch (type.kind) {
		case TYPE_ARRAY:
			if (__builtin_mul_overflow(factor, (uint64_t)type.count, &factor))
				return false;
			id = type.target;
			break;
		case TYPE_VARIABLE:
			id = type.target;
			break;
		case TYPE_INT:
		case TYPE_FLOAT:
		case TYPE_POINTER:
		case TYPE_STRUCT:
		case TYPE_UNION:
		case TYPE_ENUM:
			if (__builtin_mul_overflow(factor, type.size, &size))
				return false;
			*ret = size;
			return true;
		default:
			return false;
		}
	}
	return false;
}

/* From the last one on: that is where pahole writes variables. */
type_id type_index_variable(const struct type_index *index, const char *name)
{
	struct type type;

	for (type_id id = type_index_count(index); id-- > 1;)
		if (type_index_get(index, id, &type) && type.kind == TYPE_VARIABLE &&
		    !strcmp(type.name, name))
			return type.target;
	return 0;
}

bool type_index_enum_value(const struct type_index *index, const char *name, int64_t *ret)
{
	return btf_find_enumerator(&index->btf, name, ret) ||
	       (index->base && type_index_enum_value(index->base, name, ret));
}
