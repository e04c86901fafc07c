/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of a guest as regions of addresses that have bytes, and the reading of these. */
#ifndef NUNCHI_SCAN_MEMORY_H
#define NUNCHI_SCAN_MEMORY_H

#include "scan/blocks.h"

#include <nunchi/nunchi.h>

/* What is read: all zeros but `guest` and `place` at first. */
struct scan_memory {
	struct nunchi_guest *guest;
	struct nunchi_place place; /* the address is set by each read */
	/* The first error that is more than a page that cannot be read; owned. */
	struct nunchi_error *err;
};

/* A scan_read; after an error it gives 0. `data` is a struct scan_memory. */
size_t scan_memory_read(void *data, uint64_t address, size_t size, void *buffer);

/* Adds the guest's RAM. */
struct nunchi_error *scan_ram(struct nunchi_guest *guest, struct scan_regions *ret);
/*
 * Adds what the page table of memory->place maps between two addresses, at most *left bytes, of
 * which it takes what it adds, and something for each page that a table says is not mapped, so that
 * tables of a hostile guest have an end. *ret_cut is set if there were more. goes_on() is asked now
 * and then; if it says no, the error is NUNCHI_ERROR_CANCELLED.
 */
struct nunchi_error *scan_mapped(struct scan_memory *memory, uint64_t start, uint64_t end,
				 uint64_t *left, bool (*goes_on)(void *data), void *data,
				 struct scan_regions *ret, bool *ret_cut);

#endif
