/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest-virtual memory: an address space consists of a page-table root and guest-physical memory.
 * Its translation cache is valid for one generation of that memory.
 */
#ifndef NUNCHI_MEMORY_VIRTUAL_H
#define NUNCHI_MEMORY_VIRTUAL_H

#include "arch/x86/paging.h"
#include "memory/memory.h"

struct address_space;

/* Creates an address space. memory must outlive it. */
struct nunchi_error *address_space_create(struct memory *memory, const struct x86_paging *paging,
					  struct address_space **ret);
/* The same with a smaller cache, for a process, of which few pages are read. */
struct nunchi_error *address_space_create_process(struct memory *memory,
						  const struct x86_paging *paging,
						  struct address_space **ret);
void address_space_destroy(struct address_space *space);
const struct x86_paging *address_space_paging(const struct address_space *space);
struct memory *address_space_memory(const struct address_space *space);
/* Changes the root to that of another process; clears the cache if the root differs. */
void address_space_switch(struct address_space *space, gpa_t root);

/*
 * Translates an address. Returns MEMORY_OK, _NOT_MAPPED, or the fault of reading a page table. Does
 * not check that there is RAM at *ret.
 */
enum memory_fault address_space_translate(struct address_space *space, gva_t address, gpa_t *ret);
/*
 * Translates as many bytes from address, at most size, as are contiguous in guest-physical memory:
 * *ret_size bytes at *ret.
 */
enum memory_fault address_space_translate_run(struct address_space *space, gva_t address,
					      uint64_t size, gpa_t *ret, uint64_t *ret_size);
/*
 * Copies size bytes, also across pages. On a fault, *ret_fault is the first address that could not
 * be read.
 */
enum memory_fault address_space_read(struct address_space *space, gva_t address, void *buffer,
				     size_t size, gva_t *ret_fault);
/* A zero-copy pointer to size bytes that are physically contiguous, or NULL (see memory_map()). */
const void *address_space_map(struct address_space *space, gva_t address, size_t size);
/* Walks the page tables for one address without the cache, and stores the entry of each level. */
enum x86_fault address_space_walk(struct address_space *space, gva_t address, struct x86_walk *ret);

/* An address of a process, which is given by the root of its page table. */
struct address_want {
	gpa_t root;
	gva_t address;
};

/*
 * Prepares reads from many processes: maps the wanted pages and the page tables that lead to them,
 * level by level for all of them at once, with memory_fetch(). The paging mode is that of space. At
 * most ADDRESS_WANTS are handled; the others are ignored.
 */
#define ADDRESS_WANTS 512
void address_space_fetch(struct address_space *space, const struct address_want *wants,
			 size_t count);

/* Reads of fixed sizes. */
static inline enum memory_fault address_space_read_u64(struct address_space *space, gva_t address,
						       uint64_t *ret)
{
	return address_space_read(space, address, ret, sizeof(*ret), NULL);
}

static inline enum memory_fault address_space_read_u32(struct address_space *space, gva_t address,
						       uint32_t *ret)
{
	return address_space_read(space, address, ret, sizeof(*ret), NULL);
}

#endif
