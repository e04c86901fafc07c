/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ranges of a memory: finding the range of an address and reading its bytes. memory.c and
 * capture.c count, record and replay reads.
 */
#include "memory/internal.h"

#include <string.h>

const struct memory_backing memory_nowhere;

/* The number of ranges that start at or before address. */
static size_t count_before(const struct memory *memory, uint64_t address)
{
	size_t low = 0;
	size_t high = memory->sealed ? memory->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memory->backings[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memory_backing *memory_find(struct memory *memory, uint64_t address)
{
	struct memory_backing *backing;
	size_t i;

	if (address - memory->last->start < memory->last->size)
		return (struct memory_backing *)memory->last;
	i = count_before(memory, address);
	backing = i ? &memory->backings[i - 1] : NULL;
	if (!backing || address - backing->start >= backing->size)
		return address < memory->outside.size ? &memory->outside : NULL;
	memory->last = backing;
	return backing;
}

/*
 * The address at which a window is mapped; maps it at its first use. NULL if it cannot be mapped.
 */
static const uint8_t *window_base(struct memory_backing *backing)
{
	if (backing->base)
		return backing->base;
	if (!backing->file || !backing->available || !window_file_map(backing->file))
		return NULL;
	backing->base = window_file_at(backing->file, backing->file_offset);
	backing->direct = backing->available;
	return backing->base;
}

bool memory_is_touchable(const struct memory *memory, struct memory_backing *backing,
			 uint64_t offset, size_t size)
{
	enum window_state state;

	if (offset >= backing->available || size > backing->available - offset ||
	    !window_base(backing) || window_file_gone(backing->file))
		return false;
	return !backing->file->careful ||
	       (window_file_run(backing->file, memory->generation, backing->file_offset + offset,
				size, &state) == size &&
		state == WINDOW_DATA);
}

/* Reads with pread() from a window that cannot be mapped or that has lost pages. */
static enum memory_fault read_file(const struct memory_backing *backing, uint64_t offset,
				   void *buffer, size_t size, uint64_t *fault_offset)
{
	uint64_t at;
	enum memory_fault fault =
	    window_file_read(backing->file, backing->file_offset + offset, buffer, size, &at);

	if (fault != MEMORY_OK)
		*fault_offset = at - backing->file_offset;
	return fault;
}

/*
 * Reads from the mapped window of a careful file, extent by extent. During a fill of a capture the
 * kernel is not asked for holes: the same request read these pages before the guest was paused, and
 * found the holes then.
 */
static enum memory_fault read_carefully(const struct memory *memory,
					const struct memory_backing *backing, uint64_t offset,
					void *buffer, size_t size, uint64_t *fault_offset)
{
	uint64_t generation =
	    memory->watch & MEMORY_WATCH_FILL ? memory->recorded : memory->generation;
	uint8_t *to = buffer;

	while (size) {
		enum window_state state;
		size_t n = window_file_run(backing->file, generation, backing->file_offset + offset,
					   size, &state);
		enum memory_fault fault = MEMORY_OK;

		if (state == WINDOW_DATA)
			memcpy(to, backing->base + offset, n);
		else if (state == WINDOW_HOLE)
			memset(to, 0, n);
		else
			fault = read_file(backing, offset, to, n, fault_offset);
		if (fault != MEMORY_OK)
			return fault;
		to += n;
		offset += n;
		size -= n;
	}
	return MEMORY_OK;
}

/* Reads within one range, where `size` bytes are available. */
static enum memory_fault read_available(const struct memory *memory, struct memory_backing *backing,
					uint64_t offset, void *buffer, size_t size,
					uint64_t *fault_offset)
{
	enum memory_fault fault = MEMORY_OK;

	if (backing->mapper) {
		fault = mapper_read(backing->mapper, memory->generation, backing->start + offset,
				    buffer, size, fault_offset);
		*fault_offset -= backing->start;
		return fault;
	}
	if (backing->read)
		return backing->read(backing->data, offset, buffer, size, fault_offset);
	if (!window_base(backing) || window_file_gone(backing->file))
		return read_file(backing, offset, buffer, size, fault_offset);
	if (backing->file->careful)
		fault = read_carefully(memory, backing, offset, buffer, size, fault_offset);
	else
		memcpy(buffer, backing->base + offset, size);
	/* A page that was lost during the copy reads as zeros; so read again with pread(). */
	if (fault == MEMORY_OK && window_file_gone(backing->file))
		return read_file(backing, offset, buffer, size, fault_offset);
	return fault;
}

enum memory_fault memory_read_raw(struct memory *memory, uint64_t address, void *buffer,
				  size_t size, uint64_t *ret_fault)
{
	uint8_t *to = buffer;

	while (size) {
		struct memory_backing *backing = memory_find(memory, address);
		uint64_t offset, fault_offset;
		enum memory_fault fault = MEMORY_NO_RAM;
		size_t n;

		*ret_fault = address;
		if (!backing)
			return memory->incomplete ? MEMORY_NOT_SAVED : MEMORY_NO_RAM;
		offset = address - backing->start;
		if (offset >= backing->available)
			return MEMORY_NOT_SAVED;
		n = size;
		if (n > backing->available - offset)
			n = (size_t)(backing->available - offset);
		fault_offset = offset;
		fault = read_available(memory, backing, offset, to, n, &fault_offset);
		if (fault != MEMORY_OK) {
			/*
			 * Use the offset only if it lies within the read: the callback may have set
			 * a wrong one.
			 */
			if (fault_offset >= offset && fault_offset - offset < n)
				*ret_fault = backing->start + fault_offset;
			return fault;
		}
		to += n;
		size -= n;
		address += n;
	}
	return MEMORY_OK;
}

/* Finds the first data of one range at or after offset, in whole pages. */
static bool next_data_in(const struct memory *memory, const struct memory_backing *backing,
			 uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start, end;

	if (offset >= backing->available)
		return false;
	if (backing->mapper) {
		if (!mapper_next_data(backing->mapper, memory->generation, backing->sparse,
				      backing->start + offset, backing->start + backing->size,
				      &start, &end))
			return false;
		*ret_start = start - backing->start;
		*ret_end = end - backing->start;
		return true;
	}
	if (backing->read) {
		*ret_start = offset;
		*ret_end = backing->available;
		return true;
	}
	if (!window_file_next_data(backing->file, memory->generation, backing->file_offset + offset,
				   backing->file_offset + backing->available, &start, &end))
		return false;
	start = (start - backing->file_offset) & ~PAGE_MASK;
	end = (end - backing->file_offset + PAGE_MASK) & ~PAGE_MASK;
	*ret_start = start > offset ? start : offset;
	*ret_end = end < backing->available ? end : backing->available;
	return true;
}

bool memory_next_data(struct memory *memory, gpa_t address, gpa_t *ret_start, gpa_t *ret_end)
{
	size_t i = count_before(memory, address.v);
	uint64_t start, end;

	for (i = i ? i - 1 : 0; memory->sealed && i < memory->count; i++) {
		const struct memory_backing *backing = &memory->backings[i];
		uint64_t offset = address.v > backing->start ? address.v - backing->start : 0;

		if (next_data_in(memory, backing, offset, &start, &end)) {
			*ret_start = gpa(backing->start + start);
			*ret_end = gpa(backing->start + end);
			return true;
		}
	}
	return false;
}

bool memory_gone(const struct memory *memory)
{
	for (size_t i = 0; i < memory->file_count; i++) {
		if (window_file_gone(memory->files[i]))
			return true;
	}
	return false;
}
