/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a process in an ELF core: what is stored, what is told, and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/guest.h"
#include "gdb/core.h"

#define PAGE  ((uint64_t)CORE_PAGE)
#define START UINT64_C(0x400000)

/* What the process has from an address on. */
struct piece {
	uint64_t start, end;
	enum read_result result;
	uint8_t fill;
};

static struct core_test {
	struct target target;
	struct nunchi_context *context;
	struct nunchi_guest guest;
	struct guest_kernel kernel;
	struct nunchi_core_output output;
	struct core core;
	const struct piece *pieces, *cached; /* of the process, of its file */
	uint64_t file_size;
	struct guest_file file;
	uint8_t written[64 * CORE_PAGE];
	uint64_t bytes; /* that were written */
	struct nunchi_core_gap gaps[8];
	size_t gap_count;
	char said[256];
	unsigned opened;
} * test;

static const struct target_ops ops = {.kind = "test"};

/* The piece at an address; behind the last one there is nothing. */
static const struct piece *find(const struct piece *pieces, uint64_t address)
{
	while (pieces->end && pieces->end <= address)
		pieces++;
	return pieces;
}

static struct nunchi_error *process_piece(struct guest_kernel *kernel, uint64_t pid,
					  uint64_t address, void *buffer, size_t size,
					  uint64_t *ret_size, enum read_result *ret)
{
	const struct piece *piece = find(test->pieces, address);
	uint64_t left = piece->end - address;

	(void)kernel;
	assert_int_equal(pid, 7);
	*ret = piece->result;
	*ret_size = piece->result == READ_OK && left > size ? size : left;
	if (piece->result == READ_OK)
		memset(buffer, piece->fill, (size_t)*ret_size);
	return NULL;
}

static struct nunchi_error *mapped_open(struct guest_kernel *kernel, uint64_t pid, uint64_t address,
					struct guest_file **ret)
{
	(void)kernel;
	(void)pid;
	(void)address;
	test->opened++;
	if (!test->cached)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "a file of FUSE");
	test->file.size = test->file_size;
	*ret = &test->file;
	return NULL;
}

static enum read_result file_page(struct guest_file *file, uint64_t number, gpa_t *ret)
{
	const struct piece *piece = find(test->cached, number * PAGE);

	(void)file;
	(void)ret;
	return piece->result;
}

static void file_close(struct guest_file *file)
{
	(void)file;
}

static const struct guest_system test_system = {.name = "a test",
						.process_piece = process_piece,
						.mapped_open = mapped_open,
						.file_page = file_page,
						.file_close = file_close};

static bool write_bytes(uint64_t at, const void *bytes, size_t count, void *data)
{
	(void)data;
	assert_true(at + count <= sizeof(test->written));
	memcpy(test->written + at, bytes, count);
	test->bytes += count;
	return true;
}

static void take_gap(const struct nunchi_core_gap *gap, void *data)
{
	(void)data;
	assert_true(test->gap_count < ARRAY_SIZE(test->gaps));
	test->gaps[test->gap_count++] = *gap;
}

static void take_warning(const char *text, void *data)
{
	(void)data;
	snprintf(test->said, sizeof(test->said), "%s", text);
}

static int setup(void **state)
{
	(void)state;
	test = calloc(1, sizeof(*test));
	assert_null(target_init(&test->target, &ops, "test"));
	assert_null(nunchi_context_create(0, &test->context));
	test->kernel = (struct guest_kernel){.system = &test_system};
	test->guest = (struct nunchi_guest){
	    .context = test->context, .target = &test->target, .kernel = &test->kernel};
	test->guest.cancel.parent = &test->context->cancel;
	test->guest.session.guest = &test->guest;
	test->output = (struct nunchi_core_output){.size = sizeof(test->output),
						   .write = write_bytes,
						   .gap = take_gap,
						   .warn = take_warning};
	test->core = (struct core){.guest = &test->guest,
				   .output = &test->output,
				   .pid = 7,
				   .limit = UINT64_C(1) << 30,
				   .is_64 = true};
	buffer_init(&test->core.names, 0);
	buffer_init(&test->core.notes, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(test->core.mappings);
	free(test->core.segments);
	free(test->core.chunk);
	buffer_deinit(&test->core.names);
	buffer_deinit(&test->core.notes);
	for (size_t i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		free(test->target.support_text[i]);
	free(test->target.name);
	nunchi_context_destroy(test->context);
	free(test);
	return 0;
}

static void add_mapping(uint64_t start, uint64_t end, const char *name, bool has_file,
			bool accessible)
{
	struct core *core = &test->core;

	core->mappings =
	    realloc(core->mappings, (core->mapping_count + 1) * sizeof(*core->mappings));
	core->mappings[core->mapping_count++] = (struct core_mapping){
	    .start = start,
	    .end = end,
	    .name = core->names.size,
	    .name_size = strlen(name),
	    .has_file = has_file,
	    .reads = accessible,
	};
	buffer_append(&core->names, name, strlen(name) + 1);
}

static void check_gap(size_t i, uint64_t start, uint64_t end, const char *reason, bool untouched)
{
	assert_true(i < test->gap_count);
	assert_int_equal(test->gaps[i].start, start);
	assert_int_equal(test->gaps[i].end, end);
	assert_string_equal(test->gaps[i].reason, reason);
	assert_int_equal(test->gaps[i].untouched, untouched);
}

static void check_segment(size_t i, uint64_t start, uint64_t size, bool stored, uint64_t at)
{
	const struct core_segment *segment = &test->core.segments[i];

	assert_true(i < test->core.segment_count);
	assert_int_equal(segment->start, start);
	assert_int_equal(segment->size, size);
	assert_int_equal(segment->stored, stored);
	if (stored)
		assert_int_equal(segment->at, at);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

/* Zeros are written nowhere; what is missing has no bytes in the file. */
static void test_kinds(void **state)
{
	static const struct piece pieces[] = {
	    {START, START + 2 * PAGE, READ_OK, 'a'},
	    {START + 2 * PAGE, START + 3 * PAGE, READ_OK, 0},
	    {START + 3 * PAGE, START + 4 * PAGE, READ_PAGED_OUT, 0},
	    {START + 4 * PAGE, START + 6 * PAGE, READ_NONE, 0},
	    {0, UINT64_MAX, READ_NONE, 0},
	};

	(void)state;
	test->pieces = pieces;
	add_mapping(START, START + 6 * PAGE, "[heap]", false, true);
	add_mapping(START + 6 * PAGE, START + 8 * PAGE, "[vdso]", false, true);
	add_mapping(START + 8 * PAGE, START + 9 * PAGE, "", false, false);
	assert_null(core_write_memory(&test->core));
	check_segment(0, START, 3 * PAGE, true, 0);
	check_segment(1, START + 3 * PAGE, PAGE, false, 0);
	check_segment(2, START + 4 * PAGE, 2 * PAGE, true, 3 * PAGE);
	check_segment(3, START + 6 * PAGE, 2 * PAGE, false, 0);
	/* Nobody may look at it: it is no gap. */
	check_segment(4, START + 8 * PAGE, PAGE, false, 0);
	assert_int_equal(test->core.segment_count, 5);
	check_gap(0, START + 3 * PAGE, START + 4 * PAGE, "swapped out", false);
	check_gap(1, START + 6 * PAGE, START + 8 * PAGE,
		  "a page of the kernel that the process has not used", true);
	assert_int_equal(test->gap_count, 2);
	assert_int_equal(test->bytes, 2 * PAGE);
	assert_int_equal(test->written[2 * PAGE - 1], 'a');
	assert_int_equal(test->core.result.memory, 3 * PAGE);
	assert_int_equal(test->core.result.missing, PAGE);
	assert_int_equal(test->core.result.zeros, 2 * PAGE);
}

/* Of a file what the process has not used comes out of the page cache. */
static void test_file(void **state)
{
	static const struct piece pieces[] = {{0, UINT64_MAX, READ_NONE, 0}};
	static const struct piece cached[] = {
	    {0, PAGE, READ_NONE, 0}, {PAGE, 2 * PAGE, READ_PAGED_OUT, 0}, {0, 0, READ_NONE, 0}};

	(void)state;
	test->pieces = pieces;
	test->cached = cached;
	test->file_size = 2 * PAGE + 10;
	add_mapping(START, START + 6 * PAGE, "/lib/x", true, true);
	assert_null(core_write_memory(&test->core));
	check_gap(0, START + PAGE, START + 2 * PAGE, "not in the page cache, or swapped out",
		  false);
	check_gap(1, START + 3 * PAGE, START + 6 * PAGE, "behind the end of the file", true);
	assert_int_equal(test->gap_count, 2);
	assert_int_equal(test->core.result.zeros, 2 * PAGE);
	assert_int_equal(test->opened, 1);
}

static void test_file_is_refused(void **state)
{
	static const struct piece pieces[] = {{START, START + PAGE, READ_OK, 'a'},
					      {0, UINT64_MAX, READ_NONE, 0}};

	(void)state;
	test->pieces = pieces;
	add_mapping(START, START + 3 * PAGE, "/fuse/x", true, true);
	assert_null(core_write_memory(&test->core));
	check_gap(0, START + PAGE, START + 3 * PAGE, "the file cannot be read", false);
	assert_int_equal(test->opened, 1);
	assert_non_null(strstr(test->said, "a file of FUSE"));
}

/* A process that reserved most of its address space does not make a file of that size. */
static void test_untouched_is_limited(void **state)
{
	static const struct piece pieces[] = {{0, UINT64_MAX, READ_NONE, 0}};
	const uint64_t end = UINT64_C(1) << 47;

	(void)state;
	test->pieces = pieces;
	add_mapping(START, end - PAGE, "", false, true);
	add_mapping(end - PAGE, end, "[stack]", false, true);
	assert_null(core_write_memory(&test->core));
	check_segment(0, START, end - PAGE - START, false, 0);
	check_segment(1, end - PAGE, PAGE, true, 0);
	check_gap(0, START, end - PAGE, "zeros that were never written, too many for the file",
		  true);
	assert_int_equal(test->core.at, PAGE);
	assert_int_equal(test->core.result.missing, 0);
}

/* Page tables that map one page everywhere. */
static void test_memory_is_limited(void **state)
{
	static const struct piece pieces[] = {{0, UINT64_MAX, READ_OK, 0}};
	struct nunchi_error *err;

	(void)state;
	test->pieces = pieces;
	add_mapping(START, UINT64_C(1) << 47, "", false, true);
	err = core_write_memory(&test->core);
	assert_true(error_is(err, NUNCHI_ERROR_UNSUPPORTED));
	assert_non_null(strstr(nunchi_error_message(err), "more memory than the limit"));
	nunchi_error_destroy(err);
	assert_int_equal(test->core.result.memory, test->core.limit);
}

enum { CELLS = 6 };

/* A row of process_memory_map: start, end, permissions, offset, path, pseudo; all of them known. */
static void make_row(struct nunchi_cell cells[CELLS], uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < CELLS; i++)
		cells[i] = (struct nunchi_cell){.kind = NUNCHI_CELL_VALUE};
	cells[0].address = start;
	cells[1].address = end;
	cells[2].text = "r--p";
	cells[2].text_size = 4;
	cells[3].integer = 8 * PAGE;
	cells[4].text = "/lib/x";
	cells[4].text_size = 6;
}

static void take(struct nunchi_cell cells[CELLS], size_t unknown)
{
	if (unknown < CELLS)
		cells[unknown] = (struct nunchi_cell){.absence = NUNCHI_ABSENT_NOT_MAPPED};
	assert_null(core_take_mapping(&test->core, cells));
}

static void check_left_out(uint64_t start, uint64_t end, const char *reason)
{
	struct nunchi_cell cells[CELLS];
	size_t before = test->core.mapping_count;

	test->said[0] = '\0';
	make_row(cells, start, end);
	take(cells, CELLS);
	assert_int_equal(test->core.mapping_count, before);
	assert_non_null(strstr(test->said, reason));
}

static void test_rows(void **state)
{
	const uint64_t end = UINT64_C(1) << 32;
	struct nunchi_cell cells[CELLS];

	(void)state;
	check_left_out(START + 1, START + PAGE, "not those of pages");
	check_left_out(START, START, "not those of pages");
	check_left_out((UINT64_C(1) << 63) - PAGE, UINT64_C(1) << 63, "kernel's half");
	check_left_out(UINT64_C(0xffff800000000000), UINT64_MAX - PAGE + 1, "kernel's half");
	/* The vsyscall page is left out without a word. */
	check_left_out(UINT64_C(0xffffffffff600000), UINT64_C(0xffffffffff601000), "");
	assert_string_equal(test->said, "");
	make_row(cells, START, START + PAGE);
	take(cells, 1);
	assert_non_null(strstr(test->said, "cannot be read"));
	make_row(cells, START, START + PAGE);
	take(cells, CELLS);
	assert_int_equal(test->core.mapping_count, 1);
	assert_int_equal(test->core.mappings[0].offset, 8 * PAGE);
	assert_true(test->core.mappings[0].has_file && test->core.mappings[0].reads);
	check_left_out(START, START + 2 * PAGE, "overlaps");
	/* Only a program of 64 bits has it. */
	test->core.is_64 = false;
	check_left_out(end - PAGE, end + PAGE, "4 GiB");
	make_row(cells, end - PAGE, end);
	take(cells, CELLS);
	assert_int_equal(test->core.mapping_count, 2);
	test->core.is_64 = true;
	make_row(cells, end, end + PAGE);
	take(cells, CELLS);
	assert_int_equal(test->core.mapping_count, 3);
}

/* Where the process has no page, nobody knows what it would find. What it has is stored. */
static void test_unknown(void **state)
{
	static const struct {
		size_t cell;
		const char *reason;
	} rows[] = {{2, "its permissions are not known"},
		    {3, "its place in the file is not known"},
		    {5, "whether it is of a file is not known"}};
	static const struct piece pieces[] = {{0, START + PAGE, READ_OK, 'a'},
					      {0, UINT64_MAX, READ_NONE, 0}};
	struct nunchi_cell cells[CELLS];

	(void)state;
	test->pieces = pieces;
	test->cached = pieces;
	test->file_size = 100 * PAGE;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_row(cells, START + 4 * i * PAGE, START + (4 * i + 4) * PAGE);
		take(cells, rows[i].cell);
		assert_non_null(strstr(test->said, rows[i].reason));
	}
	assert_null(core_write_memory(&test->core));
	check_segment(0, START, PAGE, true, 0);
	check_segment(1, START + PAGE, 3 * PAGE, false, 0);
	check_gap(0, START + PAGE, START + 4 * PAGE, rows[0].reason, false);
	check_gap(1, START + 4 * PAGE, START + 8 * PAGE, rows[1].reason, false);
	check_gap(2, START + 8 * PAGE, START + 12 * PAGE, rows[2].reason, false);
	assert_int_equal(test->core.result.missing, 11 * PAGE);
	assert_int_equal(test->opened, 0);
}

static void count_warning(const char *text, void *data)
{
	(void)data;
	(void)text;
	test->opened++;
}

static void test_warnings_are_limited(void **state)
{
	struct nunchi_cell cells[CELLS];

	(void)state;
	test->output.warn = count_warning;
	make_row(cells, START + 1, START + PAGE);
	for (size_t i = 0; i < 3 * CORE_MOST_WARNINGS; i++)
		take(cells, CELLS);
	assert_int_equal(test->opened, CORE_MOST_WARNINGS);
	assert_int_equal(test->core.warnings, 3 * CORE_MOST_WARNINGS);
}

static void test_ids(void **state)
{
	static const uint8_t narrow[] = {0xe8, 3, 0xff, 0xff, 0xfe, 0xff}, wide[] = {0, 0, 1, 0};
	struct core *core = &test->core;

	(void)state;
	core->is_64 = false;
	core_put_id(core, 1000);
	core_put_id(core, 65535);
	core_put_id(core, 65536);
	assert_int_equal(core->notes.size, sizeof(narrow));
	assert_memory_equal(core->notes.data, narrow, sizeof(narrow));
	buffer_clear(&core->notes);
	core->is_64 = true;
	core_put_id(core, 65536);
	assert_int_equal(core->notes.size, sizeof(wide));
	assert_memory_equal(core->notes.data, wide, sizeof(wide));
}

static bool stop(uint64_t done, void *data)
{
	(void)data;
	return done < 4 * PAGE;
}

static void test_cancel(void **state)
{
	static const struct piece pieces[] = {{0, UINT64_MAX, READ_OK, 0}};
	struct nunchi_error *err;

	(void)state;
	test->pieces = pieces;
	test->output.progress = stop;
	add_mapping(START, UINT64_C(1) << 47, "", false, true);
	err = core_write_memory(&test->core);
	assert_true(error_is(err, NUNCHI_ERROR_CANCELLED));
	nunchi_error_destroy(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_untouched_is_limited, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_memory_is_limited, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_warnings_are_limited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
