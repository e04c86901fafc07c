/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86 page-table walks: 32-bit, PAE, 4-level and 5-level. Pure functions over a read callback.
 * Source: Intel SDM volume 3, chapter 4 (paging); AMD APM volume 2, chapter 5.
 */
#ifndef NUNCHI_ARCH_X86_PAGING_H
#define NUNCHI_ARCH_X86_PAGING_H

#include "arch/address.h"

#include <stdbool.h>
#include <stddef.h>

enum x86_mode {
	X86_MODE_32BIT,  /* 2 levels, CR4.PAE = 0; 4 MiB pages where pse is set */
	X86_MODE_PAE,    /* 3 levels, CR4.PAE = 1, EFER.LMA = 0 */
	X86_MODE_4LEVEL, /* EFER.LMA = 1, CR4.LA57 = 0 */
	X86_MODE_5LEVEL, /* EFER.LMA = 1, CR4.LA57 = 1 */
};

enum x86_fault {
	X86_FAULT_NONE,
	X86_FAULT_NON_CANONICAL,
	X86_FAULT_NOT_PRESENT, /* an entry has its present bit clear */
	X86_FAULT_RESERVED,    /* an entry sets bits that must be clear */
	X86_FAULT_READ,        /* a table itself could not be read */
};

struct x86_paging {
	enum x86_mode mode;
	bool pse;   /* 32-bit mode: 4 MiB pages allowed */
	gpa_t root; /* of the top table: CR3 without its flag bits (12-bit aligned; PAE: 32) */
	/*
	 * AMD's C-bit: the bit of an entry that says that the page is encrypted, and is no part of
	 * the address (APM volume 2, 7.10). 0 if the guest has none.
	 */
	uint64_t encryption;
};

struct x86_level {
	unsigned level; /* 1 = page table, 2 = directory, 3 = PDPT, 4 = PML4, 5 = PML5 */
	gpa_t entry_address;
	uint64_t entry;
};

struct x86_walk {
	struct x86_level levels[5]; /* from the top; those that were read */
	size_t level_count;
	gpa_t address;                   /* when there is no fault */
	unsigned page_shift;             /* 12, 21, 22 or 30 */
	bool writable, user, executable; /* over all levels; executable ignores EFER.NXE = 0 */
};

/* Reads an entry of 4 or 8 bytes at a guest-physical address; false if that fails. */
typedef bool x86_read_fn(void *data, gpa_t address, size_t size, uint64_t *ret);

/* Walks the page tables for address. On a fault, levels hold the entries read so far. */
enum x86_fault x86_walk(const struct x86_paging *paging, x86_read_fn *read, void *data,
			gva_t address, struct x86_walk *ret);

/* The address of the table, or page, to which an entry points. */
gpa_t x86_entry_address(const struct x86_paging *paging, uint64_t entry);

/* From control registers. CR3's flag and PCID bits are dropped; KPTI's bit 12 is the caller's. */
struct x86_paging x86_paging_from_registers(uint64_t cr0, uint64_t cr3, uint64_t cr4,
					    uint64_t efer);

/*
 * How the last level of a mode is laid out, for caches that keep page tables: an entry maps a page
 * if its bit 0 is set and no reserved bit is; the page is at entry & address_mask.
 */
struct x86_leaf {
	unsigned table_shift; /* log2 of the bytes that one page table maps */
	unsigned entry_shift; /* log2 of an entry's size */
	uint64_t reserved;
	uint64_t address_mask;
};

struct x86_leaf x86_leaf_format(const struct x86_paging *paging);

const char *x86_fault_string(enum x86_fault fault);
const char *x86_mode_string(enum x86_mode mode);

#endif
