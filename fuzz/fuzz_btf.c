/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * BTF that changes after it was indexed, as in a running guest: the last 24 bytes of the input are
 * eight changes (16 bits of offset, then the new byte). Each input is also
 * read as split BTF, that of a module, on a small base.
 */
#include "symbols/type_index.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES    4096
#define ELEMENTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* A name given out must be a string, and stay inside of the memory that holds names. */
static void use_name(const char *name)
{
	check(name && strlen(name) < SIZE_MAX);
}

static void use_path(const struct type_index *index, const struct type *type, const char *member)
{
	struct type_field field = {0};
	struct nunchi_error *err;
	char path[256];

	snprintf(path, sizeof(path), "%.100s.%.100s", type->name, member);
	err = type_index_resolve(index, path, &field);
	check(err || field.bit_size == 0 || field.bit_shift + field.bit_size <= field.size * 8);
	nunchi_error_destroy(err);
	snprintf(path, sizeof(path), "%.100s.%.100s[1]", type->name, member);
	nunchi_error_destroy(type_index_resolve(index, path, &field));
}

static void use_element(const struct type_index *index, type_id id, const struct type *type,
			uint32_t i)
{
	struct type_enumerator enumerator;
	struct type_member member;
	int64_t value;

	if (type_index_member(index, id, i, &member)) {
		use_name(member.name);
		use_path(index, type, member.name);
	}
	if (type_index_parameter(index, id, i, &member))
		use_name(member.name);
	if (type_index_enumerator(index, id, i, &enumerator)) {
		use_name(enumerator.name);
		type_index_enum_value(index, enumerator.name, &value);
	}
}

static void use(const struct type_index *index)
{
	uint32_t count = type_index_count(index);
	char spelling[200];
	struct type type;
	uint64_t size;
	type_id found;

	for (type_id id = 0; id <= count && id < TYPES; id++) {
		type_index_spell(index, id, spelling, sizeof(spelling));
		use_name(spelling);
		check(type_index_strip(index, id) < count);
		type_index_size(index, id, &size);
		if (!type_index_get(index, id, &type))
			continue;
		use_name(type.name);
		if (type_index_find(index, type.name, &found))
			check(found && found < count);
		for (uint32_t i = 0; i < type.count && i < ELEMENTS; i++)
			use_element(index, id, &type, i);
		type_index_member(index, id, UINT32_MAX, &(struct type_member){0});
	}
	type_index_suggest(index, "struct_x");
}

/* int, struct common {int kernels;}, struct declared;, int * */
static const uint8_t kernel_types[] = {
    0x9f, 0xeb, 0x01, 0x00, 0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00,
    0x00, 0x40, 0x00, 0x00, 0x00, 0x1d, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x01, 0x04, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x01, 0x05, 0x00, 0x00, 0x00, 0x01,
    0x00, 0x00, 0x04, 0x04, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x69,
    0x6e, 0x74, 0x00, 0x63, 0x6f, 0x6d, 0x6d, 0x6f, 0x6e, 0x00, 0x6b, 0x65, 0x72, 0x6e, 0x65,
    0x6c, 0x73, 0x00, 0x64, 0x65, 0x63, 0x6c, 0x61, 0x72, 0x65, 0x64, 0x00,
};

/* The same bytes as those of a module, whose types go on where the kernel's end. */
static void use_split(const uint8_t *data, size_t size)
{
	struct type_index *base = NULL, *index = NULL;
	struct nunchi_error *err;

	check(!type_index_from_btf(kernel_types, sizeof(kernel_types), NULL, NULL, &base));
	err = type_index_from_split_btf(base, data, size, &index);
	check((err && !index) || (!err && type_index_first(index) == type_index_count(base)));
	nunchi_error_destroy(err);
	type_index_unref(base);
	if (index)
		use(index);
	type_index_unref(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t changes = size >= 24 ? 24 : 0, rest = size - changes;
	uint8_t *copy = malloc(rest ? rest : 1);
	struct type_index *index = NULL;
	struct nunchi_error *err;

	memcpy(copy, data, rest);
	use_split(copy, rest);
	err = type_index_from_btf(copy, rest, NULL, NULL, &index);
	if (err) {
		check(!index && *nunchi_error_message(err));
		nunchi_error_destroy(err);
		free(copy);
		return 0;
	}
	use(index);
	for (size_t i = 0; i < changes && rest; i += 3)
		copy[(data[rest + i] | data[rest + i + 1] << 8) % rest] = data[rest + i + 2];
	use(index);
	type_index_unref(index);
	free(copy);
	return 0;
}
