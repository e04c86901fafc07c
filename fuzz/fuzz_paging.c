/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables of a hostile guest: the translation cache must say what a fresh walk says, for every
 * mode and every way to reach the tables, and reads must give the bytes that the walks point to.
 *
 * Input: a byte for the mode (2 bits), the way (2 bits) and PSE (1 bit), a byte for the root page,
 * then records: a byte for the kind and eight more.
 */
#include "memory/virtual.h"

#include <string.h>
#include <sys/mman.h>

#define RAM_PAGES 32
#define RAM_SIZE  (RAM_PAGES * PAGE_SIZE)

enum way { WAY_WINDOW, WAY_LIVE, WAY_READER, WAY_COUNT };

struct state {
	uint8_t *ram;
	struct memory *memories[WAY_COUNT];
	struct address_space *space;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static enum memory_fault read_ram(void *data, uint64_t offset, void *buffer, size_t size,
				  uint64_t *fault_offset)
{
	const struct state *state = data;

	(void)fault_offset;
	memcpy(buffer, state->ram + offset, size);
	return MEMORY_OK;
}

static bool read_entry(void *data, gpa_t address, size_t size, uint64_t *ret)
{
	const struct state *state = data;

	if (address.v > RAM_SIZE - size)
		return false;
	*ret = 0;
	memcpy(ret, state->ram + address.v, size);
	return true;
}

static void set_up(struct state *state)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && ftruncate(fd, RAM_SIZE) == 0);
	state->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	require(state->ram != MAP_FAILED);
	for (int way = 0; way < WAY_COUNT; way++) {
		struct memory **memory = &state->memories[way];

		require(!memory_create(true, memory));
		if (way == WAY_READER)
			require(
			    !memory_add_reader(*memory, gpa(0), RAM_SIZE, read_ram, NULL, state));
		else
			require(!memory_add_window(*memory, gpa(0), RAM_SIZE, fd, 0,
						   way == WAY_LIVE ? MEMORY_WINDOW_LIVE : 0));
		require(!memory_seal(*memory));
	}
	close(fd);
}

/* Where a fresh walk leads. */
static enum memory_fault walk(const struct state *state, uint64_t address, uint64_t *ret)
{
	struct x86_walk seen;
	enum x86_fault fault = x86_walk(address_space_paging(state->space), read_entry,
					(void *)state, gva(address), &seen);

	require(seen.level_count <= 5);
	if (fault == X86_FAULT_NONE)
		*ret = seen.address.v;
	if (fault == X86_FAULT_READ)
		return MEMORY_NO_RAM;
	return fault == X86_FAULT_NONE ? MEMORY_OK : MEMORY_NOT_MAPPED;
}

static void check_run(const struct state *state, uint64_t address, uint64_t size)
{
	uint64_t expected, run, at;
	gpa_t physical;
	enum memory_fault fault = walk(state, address, &expected);

	require(address_space_translate_run(state->space, gva(address), size, &physical, &run) ==
		fault);
	if (fault != MEMORY_OK)
		return;
	require(physical.v == expected && run <= size && (run || !size));
	for (at = PAGE_SIZE - (address & PAGE_MASK); at < run && at < 1024 * PAGE_SIZE;
	     at += PAGE_SIZE)
		require(walk(state, address + at, &expected) == MEMORY_OK &&
			expected == physical.v + at);
}

/* Byte by byte what the walks say, and the first that they do not. */
static void check_read(const struct state *state, uint64_t address, size_t size)
{
	uint8_t buffer[512];
	gva_t at = gva(0);
	enum memory_fault fault = address_space_read(state->space, gva(address), buffer, size, &at);

	for (size_t i = 0; i < size; i++) {
		uint64_t physical;
		enum memory_fault expected =
		    address + i < address ? MEMORY_NOT_MAPPED : walk(state, address + i, &physical);

		if (expected == MEMORY_OK && physical >= RAM_SIZE)
			expected = MEMORY_NO_RAM;
		if (expected != MEMORY_OK) {
			require(fault == expected && at.v == address + i);
			return;
		}
		require(fault != MEMORY_OK || buffer[i] == state->ram[physical]);
	}
	require(fault == MEMORY_OK);
}

static void check_address(const struct state *state, uint64_t address)
{
	gpa_t seen = gpa(0);
	uint64_t expected = 0;
	enum memory_fault fault = walk(state, address, &expected);

	require(address_space_translate(state->space, gva(address), &seen) == fault);
	require(seen.v == expected);
}

/* An entry for one of few pages, with the flags that matter. */
static uint64_t make_entry(uint64_t word)
{
	uint64_t entry = (word & 0xfff) | (word >> 12 & 0xff) << PAGE_SHIFT;

	if (word & (1 << 20))
		entry |= UINT64_C(1) << 63;
	if (word & (1 << 21))
		entry |= UINT64_C(1) << 52;
	if (word & (1 << 22))
		entry |= UINT64_C(1) << 39;
	return entry;
}

static void step(struct state *state, unsigned kind, uint64_t word)
{
	struct memory *memory = address_space_memory(state->space);
	uint64_t entry = word;

	switch (kind % 6) {
	case 0: /* an entry: page, index, and what leads on */
		entry = make_entry(word);
		memcpy(state->ram + (word >> 48) % RAM_PAGES * PAGE_SIZE + (word >> 32) % 512 * 8,
		       &entry, sizeof(entry));
		memory_new_generation(memory);
		break;
	case 1: /* any bytes anywhere */
		memcpy(state->ram + word % (RAM_SIZE / 8) * 8, &entry, sizeof(entry));
		memory_new_generation(memory);
		break;
	case 2:
		check_address(state, word);
		break;
	case 3:
		check_run(state, word & ~(uint64_t)0xff, (word & 0xff) << 16);
		break;
	case 4:
		check_read(state, word, (word >> 3) % 512);
		break;
	case 5:
		address_space_switch(state->space, gpa(word % RAM_SIZE & ~PAGE_MASK));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state state;
	struct x86_paging paging;

	if (size < 2)
		return 0;
	if (!state.ram)
		set_up(&state);
	memset(state.ram, 0, RAM_SIZE);
	paging.mode = data[0] & 3;
	paging.pse = data[0] & 16;
	paging.root = gpa(data[1] % RAM_PAGES * PAGE_SIZE);
	require(!address_space_create(state.memories[(data[0] >> 2 & 3) % WAY_COUNT], &paging,
				      &state.space));
	memory_new_generation(address_space_memory(state.space));
	data += 2;
	size -= 2;
	for (; size >= 9; data += 9, size -= 9) {
		uint64_t word;

		memcpy(&word, data + 1, sizeof(word));
		step(&state, data[0], word);
	}
	address_space_destroy(state.space);
	state.space = NULL;
	return 0;
}
