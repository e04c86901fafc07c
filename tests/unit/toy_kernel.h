/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest of a few megabytes made by hand: kernel structures at places of the test's choosing,
 * reached through real page tables. What is allocated is zeroed and aligned to 256 bytes.
 */
#ifndef NUNCHI_TESTS_TOY_KERNEL_H
#define NUNCHI_TESTS_TOY_KERNEL_H

#include "guest/linux/linux.h"

#include <string.h>

#define TOY_BASE    0xffff888000000000ull /* where physical memory is mapped */
#define TOY_RAM     ((size_t)8 << 20)
#define TOY_MISSING (TOY_BASE + TOY_RAM) /* a page that was not saved */
#define TOY_PGD     0x1000ull
#define TOY_PDPT    0x2000ull

struct toy {
	struct linux_kernel kernel;
	struct memory *memory;
	uint8_t *ram;
	uint64_t next; /* physical address of what is allocated next */
	struct cancel cancel;
};

static enum memory_fault toy_read(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	struct toy *toy = data;

	(void)fault_offset;
	memcpy(buffer, toy->ram + offset, size);
	return MEMORY_OK;
}

static inline void toy_put_physical(struct toy *toy, uint64_t address, uint64_t value,
				    unsigned size)
{
	memcpy(toy->ram + address, &value, size);
}

static inline void toy_put(struct toy *toy, uint64_t address, uint64_t value, unsigned size)
{
	toy_put_physical(toy, address - TOY_BASE, value, size);
}

static inline void toy_put_bytes(struct toy *toy, uint64_t address, const void *data, size_t size)
{
	memcpy(toy->ram + (address - TOY_BASE), data, size);
}

/* Sets a field of the structure at address. */
static inline void toy_set(struct toy *toy, uint64_t address, const struct field *field,
			   uint64_t value)
{
	toy_put(toy, address + field->offset, value, field->size);
}

static inline uint64_t toy_alloc(struct toy *toy, size_t size)
{
	uint64_t address = TOY_BASE + toy->next;

	toy->next += (size + 255) & ~(uint64_t)255;
	if (toy->next > TOY_RAM)
		abort();
	return address;
}

static inline uint64_t toy_alloc_page(struct toy *toy)
{
	toy->next = (toy->next + PAGE_MASK) & ~PAGE_MASK;
	return toy_alloc(toy, PAGE_SIZE);
}

static inline uint64_t toy_string(struct toy *toy, const char *text)
{
	uint64_t address = toy_alloc(toy, strlen(text) + 1);

	toy_put_bytes(toy, address, text, strlen(text) + 1);
	return address;
}

/* Gives a structure a field. */
static inline void toy_field(struct toy *toy, enum layout_struct owner, struct field *field,
			     unsigned offset, unsigned size)
{
	*field = (struct field){.offset = offset, .size = size, .elements = 1, .present = true};
	if (offset + size > toy->kernel.layout.used[owner])
		toy->kernel.layout.used[owner] = offset + size;
}

static inline void toy_array(struct toy *toy, enum layout_struct owner, struct field *field,
			     unsigned offset, unsigned element, unsigned count)
{
	toy_field(toy, owner, field, offset, element * count);
	field->elements = (uint16_t)count;
}

static inline void toy_init(struct toy *toy)
{
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = {TOY_PGD}};
	struct nunchi_error *err;

	memset(toy, 0, sizeof(*toy));
	toy->ram = calloc(1, TOY_RAM);
	if (!toy->ram)
		abort();
	toy->next = 0x3000;
	toy_put_physical(toy, TOY_PGD + 273 * 8, TOY_PDPT | 0x63, 8);
	toy_put_physical(toy, TOY_PDPT, 0xe3, 8);
	err = memory_create(false, &toy->memory);
	if (!err)
		err = memory_add_reader(toy->memory, gpa(0), TOY_RAM, toy_read, NULL, toy);
	if (!err)
		err = memory_add_missing(toy->memory, gpa(TOY_RAM), PAGE_SIZE);
	if (!err)
		err = memory_seal(toy->memory);
	toy->kernel = (struct linux_kernel){.guest.memory = toy->memory, .word_size = 8};
	toy->kernel.guest.system = &guest_linux;
	toy->kernel.guest.cancel = &toy->cancel;
	if (!err)
		err = address_space_create(toy->memory, &paging, &toy->kernel.guest.space);
	if (err)
		abort();
}

static inline void toy_deinit(struct toy *toy)
{
	address_space_destroy(toy->kernel.guest.space);
	guest_spaces_deinit(&toy->kernel.guest.spaces);
	hash_map_deinit(&toy->kernel.task_index.tasks);
	memory_destroy(toy->memory);
	free(toy->ram);
}

/* The toy of a test group, marked as having types: the code under test asks only for that. */
static inline int toy_setup(void **state)
{
	struct toy *toy = malloc(sizeof(*toy));

	toy_init(toy);
	toy->kernel.types = (struct type_index *)toy;
	memset(toy->kernel.layout.known, true, sizeof(toy->kernel.layout.known));
	*state = toy;
	return 0;
}

static inline int toy_teardown(void **state)
{
	toy_deinit(*state);
	free(*state);
	return 0;
}

/* Offsets in the toy's task_struct. */
enum { TOY_TASKS = 0, TOY_PID = 16 };

static inline void toy_task_layout(struct toy *toy)
{
	toy_field(toy, LAYOUT_task, &toy->kernel.layout.task_tasks, TOY_TASKS, 16);
	toy_field(toy, LAYOUT_task, &toy->kernel.layout.task_pid, TOY_PID, 4);
}

/* Links tasks in a ring, the first being init_task, and numbers them from 0. */
static inline void toy_link_tasks(struct toy *toy, const uint64_t *tasks, size_t count)
{
	toy->kernel.symbol[LINUX_init_task] = tasks[0];
	for (size_t i = 0; i < count; i++) {
		uint64_t next = tasks[(i + 1) % count];

		toy_put(toy, tasks[i] + TOY_TASKS, next + TOY_TASKS, 8);
		toy_put(toy, next + TOY_TASKS + 8, tasks[i] + TOY_TASKS, 8);
		toy_put(toy, tasks[i] + TOY_PID, i, 4);
	}
}

#endif
