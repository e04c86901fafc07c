/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every view over a guest whose memory is the input: whatever address is followed leads somewhere
 * into it, so that all walks go through arbitrary structures, lists and trees. The first byte
 * chooses the view and whether the guest runs (then what is read changes now and then), the second
 * the process asked for; the rest is memory, over and over.
 */
#include "guest/linux/linux.h"
#include "view/cursor.h"

#include <stdio.h>
#include <string.h>

#define TABLES      ((uint64_t)1 << 40) /* where the page tables lie, far from the rest */
#define LARGE_ENTRY 0x1e3               /* present, writable, accessed, dirty, 1 GiB, global */
#define TABLE_ENTRY 0x63

/* Rows that one input may make: walks are bounded by themselves, but 4 million rows take long. */
#define MAX_ROWS 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
	bool live;
	uint64_t reads;
};

/* Every so many reads the memory of a running guest has moved on by a byte. */
#define READS_TO_A_CHANGE 61

static enum memory_fault read_input(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	struct input *input = data;
	uint8_t *to = buffer;

	(void)fault_offset;
	if (input->live)
		offset += ++input->reads / READS_TO_A_CHANGE;
	for (size_t i = 0; i < size; i++)
		to[i] = input->data[(offset + i) % input->size];
	return MEMORY_OK;
}

/* Every address leads to the first gigabyte: one top table, one below it. */
static enum memory_fault read_tables(void *data, uint64_t offset, void *buffer, size_t size,
				     uint64_t *fault_offset)
{
	(void)data;
	(void)fault_offset;
	for (size_t i = 0; i < size; i++) {
		uint64_t entry =
		    (offset + i) < PAGE_SIZE ? (TABLES + PAGE_SIZE) | TABLE_ENTRY : LARGE_ENTRY;

		((uint8_t *)buffer)[i] = (uint8_t)(entry >> ((offset + i) % 8 * 8));
	}
	return MEMORY_OK;
}

/* Each structure's fields one after the other; texts have 16 bytes, all else 8. */
static void make_layout(struct layout *layout)
{
	enum layout_struct current = 0;
	uint32_t at = 0;

#define LAYOUT_GROUP(id, ...) layout->known[LAYOUT_GROUP_##id] = true;
#define STRUCT(id, ...)                                                                            \
	current = LAYOUT_##id;                                                                     \
	at = 0;
#define FIELD(id, name, ...)                                                                       \
	layout->id##_##name = (struct field){                                                      \
	    .offset = at, .size = strstr(#name, "name") ? 16 : 8, .elements = 1, .present = true}; \
	at += layout->id##_##name.size;                                                            \
	layout->used[current] = layout->size[current] = at;
#define SHAPE FIELD
#include "guest/linux/layout.def"
#undef LAYOUT_GROUP
#undef STRUCT
#undef FIELD
#undef SHAPE
	layout->task_comm.size = 16;
}

static struct type_index *make_types(void)
{
	/* One type, so that there are types at all: struct btf_header, an int, two strings. */
	static const uint8_t btf[] = {0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0,   0,   0,   16,  0, 0, 0,
				      16,   0,    0, 0, 6,  0, 0, 0, 1, 0,   0,   0,   0,   0, 0, 1,
				      8,    0,    0, 0, 64, 0, 0, 1, 0, 'l', 'o', 'n', 'g', 0};
	struct type_index *types = NULL;
	struct nunchi_error *err = type_index_from_btf(btf, sizeof(btf), NULL, NULL, &types);

	if (err)
		__builtin_trap();
	return types;
}

static struct symbol_index *make_symbols(void)
{
	static const char *const names[] = {"simple_dname", "pipefs_dname", "sockfs_dname",
					    "anon_inodefs_dname", "ns_dname"};
	struct symbol_index *symbols = NULL;
	struct nunchi_error *err = symbol_index_create(&symbols);

	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++)
		err = symbol_index_add(symbols, names[i], strlen(names[i]), 0x1000 + i * 64, 't');
	if (!err)
		err = symbol_index_seal(symbols);
	if (err)
		__builtin_trap();
	return symbols;
}

/* column: the only one asked for, or NULL for all of them. */
static void run_view(struct view_source *source, const struct view *view, const char *pid,
		     const char *column)
{
	struct nunchi_constraint constraint = {"pid", pid};
	struct nunchi_query query = {.size = sizeof(query),
				     .columns = column ? &column : NULL,
				     .column_count = column != NULL,
				     .limit = MAX_ROWS};
	const struct nunchi_cell *cells;
	struct view_cursor *cursor;
	struct nunchi_error *err;
	bool torn;

	if (pid[0] && !strcmp(view->schema.columns[0].name, "pid")) {
		query.constraints = &constraint;
		query.constraint_count = 1;
	}
	err = view_cursor_create(source, view, &query, &cursor);
	if (!err) {
		while (!(err = view_cursor_next(cursor, &cells, &torn)))
			;
		view_cursor_destroy(cursor);
	}
	nunchi_error_destroy(err);
}

static void run_input(const struct view *view, const char *pid, struct input *input)
{
	static const struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = {TABLES}};
	static const struct cancel cancel = {.requested = false};
	struct linux_kernel kernel = {
	    .guest = {.system = &guest_linux, .cancel = &cancel, .live = input->live},
	    .word_size = 8};
	struct target target = {.live = input->live};
	struct view_source source = {
	    .kernel = &kernel.guest, .target = &target, .pause = NUNCHI_PAUSE_NEVER};
	struct nunchi_error *err = memory_create(false, &kernel.guest.memory);

	if (!err)
		err = memory_add_reader(kernel.guest.memory, gpa(0), (uint64_t)1 << 30, read_input,
					NULL, input);
	if (!err)
		err = memory_add_reader(kernel.guest.memory, gpa(TABLES), 2 * PAGE_SIZE,
					read_tables, NULL, NULL);
	if (!err)
		err = memory_seal(kernel.guest.memory);
	if (!err)
		err = address_space_create(kernel.guest.memory, &paging, &kernel.guest.space);
	if (err)
		__builtin_trap();
	target.memory = kernel.guest.memory;
	make_layout(&kernel.layout);
	kernel.types = make_types();
	kernel.symbols = make_symbols();
	for (size_t i = 0; i < LINUX_SYMBOL_COUNT; i++)
		kernel.symbol[i] = 0xffffffff81000000 + i * 256;
	run_view(&source, view, pid, NULL);
	/* Less is read then, which must do. */
	run_view(&source, view, pid,
		 view->schema.columns[input->size % view->schema.column_count].name);
	symbol_index_unref(kernel.symbols);
	type_index_unref(kernel.types);
	address_space_destroy(kernel.guest.space);
	guest_spaces_deinit(&kernel.guest.spaces);
	memory_destroy(kernel.guest.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct view *const *views;
	char pid[8] = "";
	size_t count;

	if (size < 10)
		return 0;
	views = view_registry(&count);
	if (data[1] & 1)
		snprintf(pid, sizeof(pid), "%u", data[1] >> 1);
	run_input(views[(data[0] & 127) % count], pid,
		  &(struct input){.data = data + 2, .size = size - 2, .live = data[0] >> 7});
	return 0;
}
