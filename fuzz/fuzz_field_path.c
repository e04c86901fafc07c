/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a path, over types with each thing a path can pass. */
#include "symbols/type_index.h"

#include "tests/unit/btf_blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct type_index *make_index(void)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", 0), inner, array, grid, alias;
	struct type_index *index = NULL;
	size_t size;
	uint8_t *btf;

	blob_type(&blob, 6, 1, 2, "e", 4);
	blob_pair(&blob, "A", 1);
	blob_pair(&blob, "B", (uint32_t)-1);
	inner = blob_type(&blob, 4, 0, 2, "", 16);
	blob_member(&blob, "x", integer, 0);
	blob_member(&blob, "p", pointer, 64);
	array = blob_array(&blob, inner, 3);
	grid = blob_array(&blob, array, 0);
	alias = blob_type(&blob, 8, 0, 0, "t", array);
	blob_type(&blob, 4, 1, 6, "s", 64);
	blob_member(&blob, "", inner, 0);
	blob_member(&blob, "a", alias, 128);
	blob_member(&blob, "b", integer, 5u << 24 | 515);
	blob_member(&blob, "c", integer, 32u << 24 | 7);
	blob_member(&blob, "", 10 /* itself */, 0);
	blob_member(&blob, "g", grid, 512);
	btf = blob_finish(&blob, &size);
	if (type_index_from_btf(btf, size, free, btf, &index))
		abort();
	return index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct type_index *index;
	struct type_field field = {.elements = 12345};
	struct nunchi_error *err;
	char *path = malloc(size + 1);

	if (!index)
		index = make_index();
	memcpy(path, data, size);
	path[size] = 0;
	err = type_index_resolve(index, path, &field);
	if (err && (field.elements != 12345 || !*nunchi_error_message(err)))
		abort();
	if (!err && field.bit_size &&
	    (field.size > 8 || field.bit_shift + field.bit_size > field.size * 8))
		abort();
	nunchi_error_destroy(err);
	free(path);
	return 0;
}
