/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/ram.h"

#include "guest/linux/identify.h"
#include "target/e820.h"

#define MIB ((uint64_t)1 << 20)
/* End of the physical addresses: no x86 processor has more than 52 bits. */
#define ADDRESS_END ((uint64_t)1 << 52)

/* Size of the number of entries, with which struct e820_table begins. */
#define E820_HEADER 4

/* Reads the bytes of a variable in the image. */
static bool read_variable(struct linux_kernel *kernel, uint64_t address, void *buffer, size_t size)
{
	uint64_t physical;

	return address && linux_image_physical(kernel, address, &physical) &&
	       memory_read(kernel->guest.memory, gpa(physical), buffer, size, NULL) == MEMORY_OK;
}

/* Reads the table to which a variable points, or (up to 4.9) which is the variable itself. */
static bool read_table(struct linux_kernel *kernel, uint64_t variable, struct target_ram *ret)
{
	uint8_t bytes[E820_MAP_SIZE];
	uint64_t address = 0;
	uint32_t count;

	if (!read_variable(kernel, variable, &address, kernel->word_size))
		return false;
	/* An address is in the kernel's half of the address space; a number of entries is small. */
	if ((uint32_t)address <= E820_ENTRIES_MAX)
		address = variable;
	if (linux_read_u32(kernel, address, &count) != READ_OK || !count ||
	    count > E820_ENTRIES_MAX ||
	    linux_read(kernel, address + E820_HEADER, bytes, count * E820_ENTRY_SIZE) != READ_OK)
		return false;
	return e820_decode(bytes, sizeof(bytes), count, ret);
}

bool linux_ram_read(struct linux_kernel *kernel, struct target_ram *ret)
{
	struct target_ram ram = {0};
	uint64_t frames = 0, end = 0;

	if (read_variable(kernel, kernel->symbol[LINUX_max_pfn], &frames, kernel->word_size) &&
	    frames < ADDRESS_END >> PAGE_SHIFT)
		end = frames << PAGE_SHIFT;
	if (!read_table(kernel, kernel->symbol[LINUX_e820_firmware], &ram) &&
	    !read_table(kernel, kernel->symbol[LINUX_e820_table], &ram) && end < MIB)
		return false;
	/* The firmware's map does not contain memory that was added later. */
	if (ram.end < end)
		ram.end = end;
	*ret = ram;
	return true;
}
