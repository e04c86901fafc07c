/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/e820.h"

#include "core/bytes.h"

#define FOUR_GIB ((uint64_t)1 << 32)
#define MIB      ((uint64_t)1 << 20)
/* No x86 processor has more than 52 bits of physical address. */
#define ADDRESS_END ((uint64_t)1 << 52)

enum { ENTRY_SIZE_AT = 8, ENTRY_TYPE_AT = 16 };
#define TYPE_RAM 1

/* The types of the ACPI specification, and E820_TYPE_PRAM and E820_TYPE_SOFT_RESERVED of Linux. */
static bool is_type(uint32_t type)
{
	return (type >= TYPE_RAM && type <= 7) || type == 12 || type == 0xefffffff;
}

/* Adds an entry that begins at or after *covered; false if it is not valid. */
static bool add_entry(const uint8_t *entry, struct target_ram *ram, uint64_t *covered)
{
	uint64_t start = load_le64(entry), size = load_le64(entry + ENTRY_SIZE_AT);
	uint32_t type = load_le32(entry + ENTRY_TYPE_AT);

	if (!is_type(type) || start < *covered || !size || start >= ADDRESS_END ||
	    size > ADDRESS_END - start)
		return false;
	*covered = start + size;
	/*
	 * RAM extends to the first gap, because firmware may have marked its last pages with
	 * another type.
	 */
	if (start < FOUR_GIB && (type == TYPE_RAM || start == ram->low_end))
		ram->low_end = *covered < FOUR_GIB ? *covered : FOUR_GIB;
	if (type != TYPE_RAM || ram->count == ARRAY_SIZE(ram->ranges))
		return true;
	ram->ranges[ram->count++] = (struct memory_range){.start = gpa(start), .size = size};
	ram->end = *covered;
	return true;
}

bool e820_decode(const void *entries, size_t size, size_t count, struct target_ram *ret)
{
	size_t most = count ? count : E820_ENTRIES_MAX;
	const uint8_t *entry = entries;
	struct target_ram ram = {0};
	uint64_t covered = 0;
	size_t i = 0;

	if (count > E820_ENTRIES_MAX)
		return false;
	for (; i < most && size >= E820_ENTRY_SIZE; i++, size -= E820_ENTRY_SIZE) {
		if (!add_entry(entry + i * E820_ENTRY_SIZE, &ram, &covered))
			break;
	}
	/* Hypervisors let RAM below 4 GiB end at a multiple of 1 MiB. */
	ram.low_end = (ram.low_end + MIB - 1) & ~(MIB - 1);
	if ((count && i < count) || ram.end < MIB)
		return false;
	*ret = ram;
	return true;
}

static bool is_first(const uint8_t *entry)
{
	uint64_t size = load_le64(entry + ENTRY_SIZE_AT);

	return !load_le64(entry) && size >= 0x80000 && size <= 0xa0000 &&
	       load_le32(entry + ENTRY_TYPE_AT) == TYPE_RAM;
}

#define BLOCK_WORDS 64

/*
 * Whether an entry that begins in this block may be a first one. A loop without a branch, from
 * which the compiler makes one that looks at several words at once: a whole memory is searched.
 */
static bool may_have_first(const uint8_t *block)
{
	uint32_t some = 0;

	for (size_t i = 0; i < BLOCK_WORDS; i++) {
		const uint8_t *entry = block + i * sizeof(uint32_t);
		uint32_t wrong = load_le32(entry) | load_le32(entry + 4) |
				 load_le32(entry + ENTRY_SIZE_AT + 4) |
				 (load_le32(entry + ENTRY_TYPE_AT) ^ TYPE_RAM);

		some |= wrong == 0;
	}
	return some;
}

bool e820_find_first(const void *bytes, size_t size, size_t *at)
{
	const size_t block = BLOCK_WORDS * sizeof(uint32_t);
	const uint8_t *start = bytes;
	size_t i = *at;

	while (i + E820_ENTRY_SIZE <= size) {
		if (i % block == 0 && i + block + E820_ENTRY_SIZE <= size &&
		    !may_have_first(start + i)) {
			i += block;
			continue;
		}
		if (is_first(start + i)) {
			*at = i;
			return true;
		}
		i += sizeof(uint32_t);
	}
	return false;
}
