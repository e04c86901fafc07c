/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel whose memory is a fuzzer's input: TOY_RAM bytes that stand at every canonical address
 * but for a gap in each 2 MiB. The target says where the fields of its structures are.
 */
#ifndef NUNCHI_FUZZ_TOY_KERNEL_H
#define NUNCHI_FUZZ_TOY_KERNEL_H

#include "guest/linux/linux.h"

#include <stdlib.h>
#include <string.h>

#define TOY_RAM    0x10000
#define TOY_TABLES TOY_RAM /* four pages of page tables behind it */
#define TOY_SIZE   (TOY_RAM + 4 * PAGE_SIZE)
#define TOY_BASE   0xffff888000000000ull

static inline void require(bool condition)
{
	if (!condition)
		abort();
}

/* Every entry of each table leads to the next table, and of the last to RAM, half of them. */
static inline void toy_make_tables(uint8_t ram[TOY_SIZE])
{
	for (unsigned level = 0; level < 4; level++) {
		for (unsigned i = 0; i < 512; i++) {
			uint64_t entry = TOY_TABLES + (level + 1) * PAGE_SIZE + 0x67;

			if (level == 3)
				entry = i < 256 ? (i % 16) * PAGE_SIZE + 0x67 : 0;
			memcpy(ram + TOY_TABLES + level * PAGE_SIZE + i * 8, &entry, 8);
		}
	}
}

/* Makes the kernel's memory of `ram`, which `read` reads, and its page tables. */
static inline void toy_make_kernel(struct linux_kernel *kernel, uint8_t ram[TOY_SIZE],
				   memory_read_fn *read, void *data)
{
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL, .root = {TOY_TABLES}};

	toy_make_tables(ram);
	require(!memory_create(false, &kernel->guest.memory));
	require(!memory_add_reader(kernel->guest.memory, gpa(0), TOY_SIZE, read, NULL, data));
	require(!memory_seal(kernel->guest.memory));
	require(!address_space_create(kernel->guest.memory, &paging, &kernel->guest.space));
}

static inline void toy_add_field(struct layout *layout, enum layout_struct owner,
				 struct field *field, unsigned offset, unsigned size,
				 unsigned elements)
{
	*field = (struct field){.offset = offset,
				.size = size * elements,
				.elements = (uint16_t)elements,
				.present = true};
	if (offset + size * elements > layout->used[owner])
		layout->used[owner] = offset + size * elements;
}

/* A field of the layout in scope. */
#define TOY_FIELD(owner, name, offset, size)                                                       \
	toy_add_field(layout, LAYOUT_##owner, &layout->owner##_##name, offset, size, 1);

#endif
