/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* layout.def against types; and numbers and texts out of copied structures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guest/linux/layout.h"

#include "btf_blob.h"

struct types {
	struct type_index *index;
	uint8_t *data;
};

/* Base types have these ids. */
enum { U8 = 1, S32, U64, LONG, CHAR16, BASE_COUNT = CHAR16 };

static void start(struct blob *blob)
{
	*blob = (struct blob){0};
	blob_int(blob, "unsigned char", 1, 0);
	blob_int(blob, "int", 4, 1);
	blob_int(blob, "unsigned long long", 8, 0);
	blob_int(blob, "long", 8, 1);
	blob_array(blob, U8, 16);
	assert_int_equal(blob->count, BASE_COUNT);
}

static void resolve(struct blob *blob, struct types *types, struct layout *ret)
{
	size_t size;
	struct nunchi_error *err;

	types->data = blob_finish(blob, &size);
	err = type_index_from_btf(types->data, size, NULL, NULL, &types->index);
	if (err)
		fail_msg("%s", nunchi_error_message(err));
	*ret = (struct layout){0};
	for (int group = 0; group < LAYOUT_GROUP_COUNT; group++)
		layout_resolve(types->index, (enum layout_group)group, ret);
}

static void forget(struct types *types)
{
	type_index_unref(types->index);
	free(types->data);
}

/* Calls of missing: a list with commas. */
static void note(const char *path, void *data)
{
	strcat(data, path);
	strcat(data, ",");
}

static void test_fields(void **state)
{
	struct layout *layout = malloc(sizeof(*layout));
	struct types types;
	struct blob blob;

	(void)state;
	start(&blob);
	blob_type(&blob, 4, 0, 3, "task_struct", 128);
	blob_member(&blob, "pid", S32, 40 * 8);
	blob_member(&blob, "comm", CHAR16, 64 * 8);
	blob_member(&blob, "flags", S32, 24 * 8);
	resolve(&blob, &types, layout);
	assert_true(layout->task_pid.present);
	assert_int_equal(layout->task_pid.offset, 40);
	assert_int_equal(layout->task_pid.size, 4);
	assert_true(layout->task_pid.is_signed);
	assert_int_equal(layout->task_pid.elements, 1);
	assert_int_equal(layout->task_comm.offset, 64);
	assert_int_equal(layout->task_comm.size, 16);
	assert_int_equal(layout->task_comm.elements, 16);
	assert_false(layout->task_mm.present);
	assert_int_equal(layout->task_mm.offset, 0);
	/* All of it, and as far as it is used. */
	assert_int_equal(layout->size[LAYOUT_task], 128);
	assert_int_equal(layout->used[LAYOUT_task], 80);
	/* Nothing is known of others. */
	assert_int_equal(layout->size[LAYOUT_mm], 0);
	assert_int_equal(layout->used[LAYOUT_mm], 0);
	forget(&types);
	free(layout);
}

/* task_struct.state was renamed to __state, start_boottime was real_start_time. */
static void test_alternatives(void **state)
{
	struct layout *layout = malloc(sizeof(*layout));
	struct types types;
	struct blob blob;

	(void)state;
	start(&blob);
	blob_type(&blob, 4, 0, 3, "task_struct", 64);
	blob_member(&blob, "state", LONG, 0);
	blob_member(&blob, "__state", S32, 16 * 8);
	blob_member(&blob, "real_start_time", U64, 32 * 8);
	resolve(&blob, &types, layout);
	/* The first that there is. */
	assert_int_equal(layout->task_state.offset, 16);
	assert_int_equal(layout->task_state.size, 4);
	assert_true(layout->task_start_boottime.present);
	assert_int_equal(layout->task_start_boottime.offset, 32);
	forget(&types);
	start(&blob);
	blob_type(&blob, 4, 0, 1, "task_struct", 64);
	blob_member(&blob, "state", LONG, 0);
	resolve(&blob, &types, layout);
	assert_true(layout->task_state.present);
	assert_int_equal(layout->task_state.size, 8);
	forget(&types);
	free(layout);
}

/* A shape that a kernel lacks is no loss; a field is, by the newest of its names. */
static void test_missing(void **state)
{
	struct layout *layout = malloc(sizeof(*layout));
	char *list = calloc(1, 65536);
	struct types types;
	struct blob blob;

	(void)state;
	start(&blob);
	blob_type(&blob, 4, 0, 1, "task_struct", 64);
	blob_member(&blob, "pid", S32, 0);
	resolve(&blob, &types, layout);
	layout_missing(layout, LAYOUT_GROUP_task, note, list);
	assert_null(strstr(list, "task_struct.pid,"));
	assert_non_null(strstr(list, "task_struct.tgid,"));
	assert_non_null(strstr(list, "task_struct.__state,"));
	assert_null(strstr(list, "task_struct.state,"));
	assert_null(strstr(list, "mm_struct.mmap"));
	assert_null(strstr(list, "maple_tree"));
	forget(&types);
	free(list);
	free(layout);
}

/* A group is looked up by itself: nothing of another one is, or is called missing. */
static void test_groups(void **state)
{
	struct layout *layout = calloc(1, sizeof(*layout));
	char *list = calloc(1, 65536);
	struct types types;
	struct blob blob;
	size_t size;

	(void)state;
	start(&blob);
	blob_type(&blob, 4, 0, 1, "task_struct", 64);
	blob_member(&blob, "pid", S32, 0);
	blob_type(&blob, 4, 0, 1, "module", 64);
	blob_member(&blob, "name", CHAR16, 8 * 8);
	types.data = blob_finish(&blob, &size);
	assert_null(type_index_from_btf(types.data, size, NULL, NULL, &types.index));
	layout_resolve(types.index, LAYOUT_GROUP_module, layout);
	for (int group = 0; group < LAYOUT_GROUP_COUNT; group++)
		assert_int_equal(layout->known[group], group == LAYOUT_GROUP_module);
	assert_true(layout->module_name.present);
	assert_false(layout->task_pid.present);
	assert_int_equal(layout->size[LAYOUT_task], 0);
	layout_missing(layout, LAYOUT_GROUP_module, note, list);
	assert_non_null(strstr(list, "module.list,"));
	assert_null(strstr(list, "task_struct"));
	*list = 0;
	layout_missing(layout, LAYOUT_GROUP_task, note, list);
	assert_string_equal(list, "");
	assert_string_equal(layout_group_name(LAYOUT_GROUP_module), "module");
	forget(&types);
	free(list);
	free(layout);
}

/* A copy of a structure is as long as its fields need, so these must be looked up together. */
static void test_fields_are_in_their_structures_group(void **state)
{
	struct layout *layout = calloc(1, sizeof(*layout));

	(void)state;
#define LAYOUT_GROUP(...)
#define STRUCT(...)
#define FIELD(id, name, ...)                                                                       \
	assert_int_equal(layout_group_of_field(layout, &layout->id##_##name),                      \
			 layout_group_of(LAYOUT_##id));
#define SHAPE FIELD
#include "guest/linux/layout.def"
#undef LAYOUT_GROUP
#undef STRUCT
#undef FIELD
#undef SHAPE
	free(layout);
}

/* Types come from the guest: a structure of gigabytes is none. */
static void test_sizes_that_cannot_be(void **state)
{
	struct layout *layout = malloc(sizeof(*layout));
	struct types types;
	struct blob blob;
	uint32_t large;

	(void)state;
	start(&blob);
	large = blob_array(&blob, U64, 0x10000000);
	blob_type(&blob, 4, 0, 3, "task_struct", 0xfffffff0);
	blob_member(&blob, "pid", S32, 0x1fffffc0);
	blob_member(&blob, "comm", large, 64);
	blob_member(&blob, "tgid", S32, 0);
	resolve(&blob, &types, layout);
	assert_int_equal(layout->size[LAYOUT_task], 0);
	assert_false(layout->task_pid.present);
	assert_false(layout->task_comm.present);
	assert_true(layout->task_tgid.present);
	assert_int_equal(layout->used[LAYOUT_task], 4);
	forget(&types);
	free(layout);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
	uint8_t bytes[] = {0x80, 0xff, 0xfe, 0x01, 0x00, 0x00, 0x00, 0x80, 0x55};
	struct object object = {.data = bytes, .size = sizeof(bytes)};
	struct field field = {.size = 1, .present = true};

	(void)state;
	assert_int_equal(object_u64(&object, &field), 0x80);
	assert_int_equal(object_s64(&object, &field), -0x80);
	field.size = 4;
	assert_int_equal(object_u64(&object, &field), 0x01feff80);
	assert_int_equal(object_s64(&object, &field), 0x01feff80);
	field.size = 8;
	assert_int_equal(object_u64(&object, &field), 0x8000000001feff80);
	assert_int_equal(object_s64(&object, &field), (int64_t)0x8000000001feff80);
	field.offset = 1;
	assert_int_equal(object_u64(&object, &field), 0x558000000001feff);
	/* Beyond the copy, wider than a number, or not known: 0. */
	field.offset = 2;
	assert_int_equal(object_u64(&object, &field), 0);
	assert_int_equal(object_s64(&object, &field), 0);
	field = (struct field){.offset = UINT32_MAX, .size = 8, .present = true};
	assert_int_equal(object_u64(&object, &field), 0);
	field = (struct field){.size = 9, .present = true};
	assert_int_equal(object_u64(&object, &field), 0);
	field = (struct field){.size = 4};
	assert_int_equal(object_u64(&object, &field), 0);
	object.size = 0;
	field.present = true;
	assert_int_equal(object_u64(&object, &field), 0);
}

static void test_bit_fields(void **state)
{
	uint8_t bytes[] = {0xb6, 0x9c, 0x00, 0xf0};
	struct object object = {.data = bytes, .size = sizeof(bytes)};
	struct field field = {.size = 1, .bit_shift = 2, .bit_size = 3, .present = true};

	(void)state;
	assert_int_equal(object_u64(&object, &field), 0xb6 >> 2 & 7);
	assert_int_equal(object_s64(&object, &field), -3);
	field = (struct field){.size = 4, .bit_shift = 28, .bit_size = 4, .present = true};
	assert_int_equal(object_u64(&object, &field), 0xf);
	assert_int_equal(object_s64(&object, &field), -1);
	field.bit_size = 64;
	assert_int_equal(object_u64(&object, &field), 0xf);
}

static void test_texts(void **state)
{
	uint8_t bytes[] = {'a', 'b', 0, 'c', 'd'};
	struct object object = {.data = bytes, .size = sizeof(bytes)};
	struct field field = {.size = 5, .present = true};
	const char *text = NULL;

	(void)state;
	assert_int_equal(object_text(&object, &field, &text), 2);
	assert_memory_equal(text, "ab", 2);
	/* Without a NUL it ends with the field. */
	field = (struct field){.offset = 3, .size = 2, .present = true};
	assert_int_equal(object_text(&object, &field, &text), 2);
	assert_memory_equal(text, "cd", 2);
	field.size = 3;
	assert_int_equal(object_text(&object, &field, &text), 0);
	field = (struct field){.size = 2};
	assert_int_equal(object_text(&object, &field, &text), 0);
}

/* The parts, as "start-end start-end". */
static void parts_are(const struct layout_parts *parts, const char *wanted)
{
	char text[512] = "";

	for (size_t i = 0; i < parts->count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u-%u", i ? " " : "",
			 parts->parts[i].start, parts->parts[i].end);
	assert_string_equal(text, wanted);
}

static void add_part(struct layout_parts *parts, unsigned offset, unsigned size)
{
	layout_parts_add(parts, &(struct field){.offset = offset, .size = size, .present = true});
}

static void test_parts(void **state)
{
	struct layout_parts parts = {0}, many = {0};

	(void)state;
	layout_parts_add(&parts, &(struct field){.offset = 8, .size = 8});
	parts_are(&parts, "");
	add_part(&parts, 1000, 8);
	add_part(&parts, 40, 4);
	add_part(&parts, 3000, 16);
	parts_are(&parts, "40-44 1000-1008 3000-3016");
	/* Once more, near, and inside. */
	add_part(&parts, 1000, 8);
	add_part(&parts, 1100, 8);
	add_part(&parts, 1050, 4);
	parts_are(&parts, "40-44 1000-1108 3000-3016");
	/* One that two parts become one by. */
	add_part(&parts, 500, 450);
	add_part(&parts, 171, 250);
	parts_are(&parts, "40-1108 3000-3016");
	add_part(&parts, 0, 4000);
	parts_are(&parts, "0-4000");
	/* More than there is room for: those nearest to each other are joined. */
	for (unsigned i = 0; i < LAYOUT_MAX_PARTS; i++)
		add_part(&many, i * 1000, 8);
	assert_int_equal(many.count, LAYOUT_MAX_PARTS);
	add_part(&many, 20000, 8);
	assert_int_equal(many.count, LAYOUT_MAX_PARTS);
	assert_int_equal(many.parts[0].end, 1008);
	for (unsigned i = 0; i < 200; i++)
		add_part(&many, i * 500, 8);
	assert_true(many.count <= LAYOUT_MAX_PARTS);
	assert_int_equal(many.parts[0].start, 0);
	assert_int_equal(many.parts[many.count - 1].end, 99508);
	for (size_t i = 1; i < many.count; i++)
		assert_true(many.parts[i].start > many.parts[i - 1].end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_alternatives),
	    cmocka_unit_test(test_missing),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_fields_are_in_their_structures_group),
	    cmocka_unit_test(test_sizes_that_cannot_be),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_bit_fields),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
