/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest whose memory is the input of a fuzzer: whatever address is followed leads somewhere into
 * it, so that all walks go through arbitrary structures, lists and trees. Its kernel has all fields
 * of layout.def.
 */
#ifndef NUNCHI_FUZZ_INPUT_GUEST_H
#define NUNCHI_FUZZ_INPUT_GUEST_H

#include "guest/linux/linux.h"
#include "guest/linux/module_index.h"
#include "target/target.h"

#include <string.h>

/* The address of the first function of input_guest_init(). */
#define INPUT_FUNCTIONS UINT64_C(0xffffffff81200000)
#define TABLES          ((uint64_t)1 << 40) /* where the page tables lie, far from the rest */
#define LARGE_ENTRY     0x1e3               /* present, writable, accessed, dirty, 1 GiB, global */
#define TABLE_ENTRY     0x63

struct input {
	const uint8_t *data;
	size_t size;
	bool live;
	uint64_t reads;
};

/* Every so many reads the memory of a running guest has moved on by a byte. */
#define READS_TO_A_CHANGE 61

static inline enum memory_fault read_input(void *data, uint64_t offset, void *buffer, size_t size,
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
static inline enum memory_fault read_tables(void *data, uint64_t offset, void *buffer, size_t size,
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
static inline void make_layout(struct layout *layout)
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

static inline struct type_index *make_types(void)
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

/* names: the kernel's functions, each entry several of them, separated by blanks. */
static inline void add_functions(struct symbol_index *symbols, const char *const *names,
				 size_t count)
{
	uint64_t address = INPUT_FUNCTIONS;

	for (size_t i = 0; i < count; i++) {
		for (const char *at = names[i]; *at; at += strspn(at, " ")) {
			size_t size = strcspn(at, " ");

			if (symbol_index_add(symbols, at, size, address, 't'))
				__builtin_trap();
			address += 64;
			at += size;
		}
	}
}

static inline struct symbol_index *make_symbols(const char *const *functions, size_t count)
{
	static const char *const names[] = {"simple_dname", "pipefs_dname", "sockfs_dname",
					    "anon_inodefs_dname", "ns_dname"};
	struct symbol_index *symbols = NULL;
	struct nunchi_error *err = symbol_index_create(&symbols);

	for (size_t i = 0; !err && i < ARRAY_SIZE(names); i++)
		err = symbol_index_add(symbols, names[i], strlen(names[i]), 0x1000 + i * 64, 't');
	if (!err)
		add_functions(symbols, functions, count);
	if (!err)
		err = symbol_index_seal(symbols);
	if (err)
		__builtin_trap();
	return symbols;
}

struct input_guest {
	struct input input;
	struct linux_kernel kernel;
	struct target target;
};

static inline void input_guest_init(struct input_guest *guest, const struct input *input,
				    const char *const *functions, size_t function_count)
{
	static const struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = {TABLES}};
	static const struct cancel cancel = {.requested = false};
	struct linux_kernel *kernel = &guest->kernel;
	struct memory **memory = &kernel->guest.memory;
	struct nunchi_error *err;

	*guest = (struct input_guest){
	    .input = *input,
	    .kernel = {.guest = {.system = &guest_linux, .cancel = &cancel, .live = input->live},
		       .word_size = 8},
	    .target = {.live = input->live}};
	err = memory_create(false, memory);
	if (!err)
		err = memory_add_reader(*memory, gpa(0), (uint64_t)1 << 30, read_input, NULL,
					&guest->input);
	if (!err)
		err =
		    memory_add_reader(*memory, gpa(TABLES), 2 * PAGE_SIZE, read_tables, NULL, NULL);
	if (!err)
		err = memory_seal(*memory);
	if (!err)
		err = address_space_create(*memory, &paging, &kernel->guest.space);
	if (err)
		__builtin_trap();
	guest->target.memory = *memory;
	make_layout(&kernel->layout);
	kernel->types = make_types();
	kernel->symbols = make_symbols(functions, function_count);
	for (size_t i = 0; i < LINUX_SYMBOL_COUNT; i++)
		kernel->symbol[i] = 0xffffffff81000000 + i * 256;
}

static inline void input_guest_deinit(struct input_guest *guest)
{
	linux_module_index_destroy(guest->kernel.modules);
	hash_map_deinit(&guest->kernel.task_index.tasks);
	symbol_index_unref(guest->kernel.symbols);
	type_index_unref(guest->kernel.types);
	address_space_destroy(guest->kernel.guest.space);
	guest_spaces_deinit(&guest->kernel.guest.spaces);
	memory_destroy(guest->kernel.guest.memory);
}

#endif
