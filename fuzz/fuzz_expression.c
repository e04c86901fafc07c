/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as an expression, over types with a struct that contains itself. */
#include "expression/expression.h"

#include "tests/unit/btf_blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct type_index *make_index(void)
{
	struct blob blob = {0};
	uint32_t integer = blob_int(&blob, "int", 4, 1);
	uint32_t pointer = blob_type(&blob, 2, 0, 0, "", 0), inner, array, grid, alias, text;
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
	text = blob_int(&blob, "char", 1, 1);
	text = blob_type(&blob, 2, 0, 0, "", text);
	blob_type(&blob, 4, 0, 2, "task_struct", 16);
	blob_member(&blob, "text", text, 0);
	blob_member(&blob, "self", 10 /* struct s */, 64);
	blob_type(&blob, 4, 0, 1, "list_head", 8);
	blob_member(&blob, "next", pointer, 0);
	blob_type(&blob, 4, 0, 1, "idr", 24);
	blob_member(&blob, "idr_rt", blob.count + 2, 0);
	blob_type(&blob, 4, 0, 1, "xarray", 16);
	blob_member(&blob, "xa_head", pointer, 64);
	blob_type(&blob, 14, 0, 0, "v", 10);
	blob_word(&blob, 1);
	btf = blob_finish(&blob, &size);
	if (type_index_from_btf(btf, size, free, btf, &index))
		abort();
	return index;
}

static struct nunchi_error *read_memory(void *data, uint64_t address, size_t size, void *buffer)
{
	(void)data;
	if (size > EXPRESSION_READ_LIMIT)
		abort();
	if (address < 4096)
		return error_create_at(NUNCHI_ERROR_FAULT, address, "nothing is mapped");
	memset(buffer, (int)(address % 251), size);
	return NULL;
}

static struct nunchi_error *find_symbol(void *data, const char *name, uint64_t *ret)
{
	(void)data;
	if (*name == 'z')
		return error_create(NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\"", name);
	*ret = 0x10000;
	return NULL;
}

static void name_address(void *data, uint64_t address, struct buffer *text)
{
	(void)data;
	if (address % 2)
		buffer_append_string(text, " <x>");
}

static struct nunchi_error *find_task(void *data, uint64_t pid, uint64_t *ret)
{
	(void)data;
	*ret = pid;
	return NULL;
}

static struct nunchi_error *find_per_cpu(void *data, uint64_t variable, uint64_t cpu, uint64_t *ret)
{
	(void)data;
	*ret = variable + cpu;
	return NULL;
}

static struct nunchi_error *find_elements(void *data, enum expression_container kind, uint64_t head,
					  bool (*give)(uint64_t element, void *give_data),
					  void *give_data)
{
	(void)data;
	for (uint64_t i = 0; i < head % 7 + kind; i++)
		if (!give(4090 + i * head, give_data))
			return NULL;
	return head % 2 ? error_create(NUNCHI_ERROR_DATA, "a loop") : NULL;
}

struct shown {
	const struct expression_guest *guest;
	struct buffer text;
	unsigned rows;
};

static struct nunchi_error *show(const struct expression_value *value,
				 const struct nunchi_error *why, void *data)
{
	struct shown *shown = data;
	char type[32];

	/* Arrays within each other have too many rows for a fuzzer's patience. */
	if (++shown->rows == 1000)
		return &error_stop;
	if (!value) {
		if (!*nunchi_error_message(why))
			abort();
		return NULL;
	}
	expression_spell(shown->guest, value, type, sizeof(type));
	return expression_print(shown->guest, value, 3, &shown->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct type_index *index;
	struct expression_guest guest = {.read = read_memory,
					 .symbol = find_symbol,
					 .name = name_address,
					 .task = find_task,
					 .per_cpu = find_per_cpu,
					 .container = find_elements};
	struct shown shown = {.guest = &guest};
	struct nunchi_error *err;
	char *text = malloc(size + 1);

	if (!index)
		index = make_index();
	guest.types = index;
	memcpy(text, data, size);
	text[size] = 0;
	buffer_init(&shown.text, EXPRESSION_TEXT_LIMIT);
	err = expression_evaluate(&guest, text, show, &shown);
	if (err && !*nunchi_error_message(err))
		abort();
	nunchi_error_destroy(err);
	buffer_deinit(&shown.text);
	free(text);
	return 0;
}
