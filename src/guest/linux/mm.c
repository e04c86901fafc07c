/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/mm.h"

#include "guest/linux/task.h"

#include <string.h>
#include <time.h>

/*
 * Page-table entries that the processor treats as not present but that contain information for
 * Linux (arch/x86/include/asm/pgtable_types.h, pgtable-invert.h, pgtable_64.h, pgtable-3level.h).
 */
#define PTE_PRESENT ((uint64_t)1 << 0)
/* in a directory entry, while a large page is being split */
#define PTE_LARGE    ((uint64_t)1 << 7)
#define PTE_PROTNONE ((uint64_t)1 << 8) /* the page is in memory, but access is not permitted */
/*
 * Address bits of an entry: 12 to 51. Without PTE_PRESENT they are inverted (mitigation of L1TF).
 */
#define PTE_ADDRESS ((((uint64_t)1 << 52) - 1) & ~PAGE_MASK)
/*
 * The type of a swap entry: bits 59 to 63, or bits 1 to 5 of a 32-bit entry. The greatest types are
 * not swap files but marks (migration, hardware poison, guard): at most ten, which is 32 less
 * MAX_SWAPFILES.
 */
#define SWAP_KIND_SHIFT   59
#define SWAP_KIND_SHIFT32 1
#define SWAP_KIND_MASK    31
#define SWAP_KIND_FILES   22
/*
 * While the kernel copies a page because of a write, the entry is empty for a moment
 * (wp_page_copy() of mm/memory.c). It may be longer if the vCPU is not scheduled then. So an empty
 * entry is read again: first at once, then after this time.
 */
#define COPY_TRIES_AT_ONCE 2
#define COPY_TRIES         4
#define COPY_WAIT_NS       50000

enum read_result linux_mm_space(struct linux_kernel *kernel, uint64_t pgd,
				struct address_space **ret)
{
	enum memory_fault fault;
	gpa_t root;

	if (!pgd)
		return READ_NOT_MAPPED;
	fault = address_space_translate(kernel->guest.space, gva(pgd), &root);
	if (fault != MEMORY_OK)
		return read_result_of(fault);
	*ret = guest_space_of(&kernel->guest, root);
	return *ret ? READ_OK : READ_NO_MEMORY;
}

/* Finds the page of an entry that the processor treats as not present. */
static enum read_result decode_absent(const struct x86_paging *paging,
				      const struct x86_level *level, gva_t address, gpa_t *ret)
{
	uint64_t entry = level->entry;
	uint64_t in_memory = PTE_PROTNONE | (level->level > 1 ? PTE_LARGE : 0);
	bool narrow = paging->mode == X86_MODE_32BIT;
	unsigned shift = PAGE_SHIFT + (level->level - 1) * (narrow ? 10 : 9);
	uint64_t offset_mask = ((uint64_t)1 << shift) - 1;
	unsigned kind;

	if (!entry || entry & PTE_PRESENT || level->level > 3)
		return READ_NOT_MAPPED;
	if (entry & in_memory) {
		/* A 32-bit entry without PAE has no spare bits and is not inverted. */
		uint64_t place = (narrow ? entry : ~entry) & PTE_ADDRESS & ~offset_mask;

		place &= ~paging->encryption;
		*ret = gpa(place | (address.v & offset_mask));
		return READ_OK;
	}
	kind = entry >> (narrow ? SWAP_KIND_SHIFT32 : SWAP_KIND_SHIFT) & SWAP_KIND_MASK;
	return level->level == 1 && kind < SWAP_KIND_FILES ? READ_PAGED_OUT : READ_NOT_MAPPED;
}

/*
 * Reads within one page whose entry the processor treats as not present. *ret_empty: the entry is
 * zero.
 */
static enum read_result read_absent(struct address_space *space, gva_t address, void *buffer,
				    size_t size, bool *ret_empty)
{
	struct memory *memory = address_space_memory(space);
	const struct x86_level *last;
	struct x86_walk walk = {0};
	enum read_result fault;
	enum x86_fault why;
	gpa_t place;

	*ret_empty = false;
	why = address_space_walk(space, address, &walk);
	if (why == X86_FAULT_NONE)
		return read_result_of(memory_read(memory, walk.address, buffer, size, NULL));
	if (why != X86_FAULT_NOT_PRESENT || !walk.level_count)
		return READ_NOT_MAPPED;
	last = &walk.levels[walk.level_count - 1];
	*ret_empty = last->level == 1 && !last->entry;
	fault = decode_absent(address_space_paging(space), last, address, &place);
	if (fault != READ_OK)
		return fault;
	return read_result_of(memory_read(memory, place, buffer, size, NULL));
}

static enum read_result read_in_page(struct linux_kernel *kernel, struct address_space *space,
				     gva_t address, void *buffer, size_t size)
{
	static const struct timespec wait = {.tv_nsec = COPY_WAIT_NS};
	enum read_result fault;
	bool empty = true;

	fault = read_result_of(address_space_read(space, address, buffer, size, NULL));
	for (int tries = 0; fault == READ_NOT_MAPPED && empty; tries++) {
		if (tries > COPY_TRIES_AT_ONCE)
			nanosleep(&wait, NULL);
		fault = read_absent(space, address, buffer, size, &empty);
		if (!kernel->guest.live || tries == COPY_TRIES)
			break;
	}
	return fault;
}

enum read_result linux_process_read(struct linux_kernel *kernel, uint64_t pgd, uint64_t address,
				    void *buffer, size_t size, size_t *ret_done)
{
	struct address_space *space = NULL;
	enum read_result fault = linux_mm_space(kernel, pgd, &space);
	size_t done = 0;

	while (fault == READ_OK && done < size) {
		gva_t at = gva(address + done);
		size_t piece = PAGE_SIZE - (at.v & PAGE_MASK);
		char *to = (char *)buffer + done;

		if (piece > size - done)
			piece = size - done;
		fault = read_in_page(kernel, space, at, to, piece);
		if (fault == READ_OK)
			done += piece;
	}
	if (ret_done)
		*ret_done = done;
	return fault;
}

/* How many bytes follow from the address on to the end of what an entry of this level maps. */
static uint64_t rest_of_entry(const struct x86_paging *paging, unsigned level, uint64_t address)
{
	unsigned bits = paging->mode == X86_MODE_32BIT ? 10 : 9;
	uint64_t span = (uint64_t)1 << (PAGE_SHIFT + (level - 1) * bits);

	return span - (address & (span - 1));
}

/*
 * What is at an address that could not be read because of `fault`, and how far that is so: as far
 * as the last entry of the page tables reaches that could be read.
 */
static enum read_result absent_piece(struct address_space *space, gva_t address,
				     enum read_result fault, void *buffer, size_t size,
				     uint64_t *ret_size)
{
	const struct x86_paging *paging = address_space_paging(space);
	const struct x86_level *last;
	struct x86_walk walk = {0};
	enum x86_fault why = address_space_walk(space, address, &walk);
	enum read_result result;
	gpa_t place;

	/* The page cannot be read, or nothing of the page tables. */
	if (why == X86_FAULT_NONE || !walk.level_count)
		return fault;
	last = &walk.levels[walk.level_count - 1];
	if (why != X86_FAULT_NOT_PRESENT || !last->entry)
		*ret_size = rest_of_entry(paging, last->level, address.v);
	if (why != X86_FAULT_NOT_PRESENT)
		return fault == READ_NOT_MAPPED ? READ_BAD_DATA : fault;
	if (!last->entry)
		return READ_NONE;
	result = decode_absent(paging, last, address, &place);
	if (result == READ_OK)
		result = read_result_of(
		    memory_read(address_space_memory(space), place, buffer, size, NULL));
	return result;
}

enum read_result linux_process_piece(struct address_space *space, uint64_t address, void *buffer,
				     size_t size, uint64_t *ret_size)
{
	size_t done = 0;

	/* Addresses end at 2^64. */
	if (size && size - 1 > UINT64_MAX - address)
		size = (size_t)(UINT64_MAX - address) + 1;
	while (done < size) {
		gva_t at = gva(address + done);
		uint64_t part = PAGE_SIZE - (at.v & PAGE_MASK);
		char *to = (char *)buffer + done;
		enum read_result result;

		if (part > size - done)
			part = size - done;
		result = read_result_of(address_space_read(space, at, to, (size_t)part, NULL));
		if (result != READ_OK)
			result = absent_piece(space, at, result, to, (size_t)part, &part);
		if (result != READ_OK && !done) {
			*ret_size = part;
			return result;
		}
		if (result != READ_OK)
			break;
		done += (size_t)part;
	}
	*ret_size = done;
	return READ_OK;
}

bool linux_task_keeps(struct linux_kernel *kernel, const struct object *task,
		      const struct field *field)
{
	const struct field *pid = &kernel->layout.task_pid;
	uint64_t now;

	return linux_read_field(kernel, task->address, pid, &now) == READ_OK &&
	       now == object_u64(task, pid) &&
	       linux_read_field(kernel, task->address, field, &now) == READ_OK &&
	       now == object_u64(task, field);
}

enum read_result linux_task_lacks(const struct linux_kernel *kernel, const struct object *task,
				  bool memory)
{
	/* include/linux/sched.h; a task that is exiting gives up one thing after the other. */
	enum { PF_EXITING = 0x4 };
	const struct field *flags = &kernel->layout.task_flags;

	if (kernel->guest.live || !flags->present || object_u64(task, flags) & PF_EXITING)
		return READ_NONE;
	return memory && linux_task_is_kernel_thread(kernel, task) ? READ_NONE : READ_BAD_DATA;
}

bool linux_task_has_other_threads(struct linux_kernel *kernel, const struct object *task)
{
	uint64_t signal = object_u64(task, &kernel->layout.task_signal);
	uint64_t count;

	return linux_read_field(kernel, signal, &kernel->layout.signal_nr_threads, &count) ==
		   READ_OK &&
	       count > 1;
}
