/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan/memory.h"

#include "core/error.h"

#include <string.h>

/* A hole of the guest's file that is shorter is read with what is around it, as zeros. */
#define SHORT_HOLE ((uint64_t)64 << 10)

/* Keeps an error that says more than that a page cannot be read. */
static void keep(struct scan_memory *memory, struct nunchi_error *err)
{
	if (nunchi_error_code(err) == NUNCHI_ERROR_FAULT)
		nunchi_error_destroy(err);
	else
		memory->err = err;
}

size_t scan_memory_read(void *data, uint64_t address, size_t size, void *buffer)
{
	struct scan_memory *memory = data;
	struct nunchi_error *err;
	uint64_t fault;

	if (memory->err || !size)
		return 0;
	memory->place.address = address;
	err = nunchi_read(memory->guest, &memory->place, size, buffer);
	if (!err)
		return size;
	if (!nunchi_error_address(err, &fault) || fault <= address || fault - address >= size)
		fault = address;
	keep(memory, err);
	if (memory->err || fault == address)
		return 0;
	/* What is in the buffer after a failure is not known. */
	size = (size_t)(fault - address);
	err = nunchi_read(memory->guest, &memory->place, size, buffer);
	if (!err)
		return size;
	keep(memory, err);
	return 0;
}

struct nunchi_error *scan_ram(struct nunchi_guest *guest, struct scan_regions *ret)
{
	uint64_t at = 0, start, end;
	struct nunchi_error *err;

	while (!(err = nunchi_memory_next(guest, at, &start, &end))) {
		if (ret->count && start - at < SHORT_HOLE)
			start = at;
		if (!scan_regions_add(ret, start, end))
			return &error_nomem;
		at = end;
	}
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		return err;
	nunchi_error_destroy(err);
	return NULL;
}

/* Between two questions whether to go on there are so many walks. */
#define ASK_EACH 4096
/*
 * Bytes that a page counts for which is not mapped. A table of 512 pages of which one is mapped
 * counts for three pages.
 */
#define UNMAPPED_COST 16

/* How many bytes from this address on a walk has told of: those of a page, or of a missing table.
 */
static uint64_t told(const struct nunchi_translation *walk, uint64_t address)
{
	uint64_t size = walk->page_size;

	if (!walk->mapped) {
		/* The last level that was read is the one whose entry maps nothing. */
		size_t levels = walk->level_count;
		const char *table = levels ? walk->levels[levels - 1].table : "";

		size = BLOCK_PAGE;
		if (!strcmp(table, "PD"))
			size = (uint64_t)1 << 21;
		else if (!strcmp(table, "PDPT"))
			size = (uint64_t)1 << 30;
		else if (!strcmp(table, "PML4"))
			size = (uint64_t)1 << 39;
	}
	if (size < BLOCK_PAGE)
		size = BLOCK_PAGE;
	return size - address % size;
}

struct nunchi_error *scan_mapped(struct scan_memory *memory, uint64_t start, uint64_t end,
				 uint64_t *left, bool (*goes_on)(void *data), void *data,
				 struct scan_regions *ret, bool *ret_cut)
{
	struct nunchi_translation walk;
	struct nunchi_error *err;

	for (uint64_t steps = 0; start < end; steps++) {
		uint64_t size, cost;

		if (steps % ASK_EACH == 0 && !goes_on(data))
			return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
		memory->place.address = start;
		err = nunchi_translate(memory->guest, &memory->place, &walk);
		if (err)
			return err;
		size = told(&walk, start);
		if (size > end - start)
			size = end - start;
		cost = walk.mapped ? size : UNMAPPED_COST;
		if (cost > *left) {
			*ret_cut = true;
			return NULL;
		}
		*left -= cost;
		if (walk.mapped && !scan_regions_add(ret, start, start + size))
			return &error_nomem;
		start += size;
	}
	return NULL;
}
