/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest-virtual memory: an address space is a page-table root over guest-physical memory, with a
 * translation cache that lives for one generation of that memory.
 */
#ifndef NUNCHI_MEMORY_VIRTUAL_H
#define NUNCHI_MEMORY_VIRTUAL_H

#include "arch/x86/paging.h"
#include "memory/memory.h"

struct address_space;

/* memory must outlive it. */
struct nunchi_error *address_space_create(struct memory *memory, const struct x86_paging *paging,
					  struct address_space **ret);
void address_space_destroy(struct address_space *space);
const struct x86_paging *address_space_paging(const struct address_space *space);
struct memory *address_space_memory(const struct address_space *space);
/* Changes the root (another process) and drops the cache if it differs. */
void address_space_switch(struct address_space *space, gpa_t root);

/* MEMORY_OK, _NOT_MAPPED, or the fault of reading a table. Does not check for RAM at *ret. */
enum memory_fault address_space_translate(struct address_space *space, gva_t address, gpa_t *ret);
/*
 * The same for as many bytes as are contiguous in guest-physical memory from there, at most size:
 * *ret_size bytes from *ret.
 */
enum memory_fault address_space_translate_run(struct address_space *space, gva_t address,
					      uint64_t size, gpa_t *ret, uint64_t *ret_size);
/* Copies size bytes, crossing pages; all or a fault with its address. */
enum memory_fault address_space_read(struct address_space *space, gva_t address, void *buffer,
				     size_t size, gva_t *ret_fault);
/* A zero-copy pointer to size bytes that are contiguous, or NULL (see memory_map()). */
const void *address_space_map(struct address_space *space, gva_t address, size_t size);
/* Every level of one translation, uncached. */
enum x86_fault address_space_walk(struct address_space *space, gva_t address, struct x86_walk *ret);

/* An address of a process, by the root of its page table. */
struct address_want {
	gpa_t root;
	gva_t address;
};

/*
 * Makes pages of many processes ready that are about to be read, and the page tables that lead to
 * them: level by level, for all of them at once (memory_fetch()). Paging is that of space. At most
 * ADDRESS_WANTS of them; the rest is left out.
 */
#define ADDRESS_WANTS 512
void address_space_fetch(struct address_space *space, const struct address_want *wants,
			 size_t count);

/* Fixed-size reads. */
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
