/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's image as the page table maps it: where it lies, and which part is read-only data.
 * Source: arch/x86/kernel/head_64.S and arch/x86/mm/init_64.c (cleanup_highmap(),
 * mark_rodata_ro()); arch/x86/mm/init_32.c.
 */
#ifndef NUNCHI_GUEST_LINUX_IMAGE_H
#define NUNCHI_GUEST_LINUX_IMAGE_H

#include "arch/x86/paging.h"
#include "memory/memory.h"

/* Where x86-64 maps its image: __START_KERNEL_map of arch/x86/include/asm/page_64_types.h. */
#define LINUX_KERNEL_MAP ((uint64_t)0xffffffff80000000)

struct linux_image {
	uint64_t virtual_start;  /* of _text */
	uint64_t virtual_end;    /* address after the last mapped byte */
	uint64_t physical_start; /* of the first page only, if the image is not contiguous */
	/*
	 * Virtual. May include the end of the text; is the whole image if the page flags do not
	 * distinguish the sections.
	 */
	uint64_t rodata_start;
	uint64_t rodata_end;
	/* virtual address of the first writable byte; 0 if the page flags do not tell */
	uint64_t data_start;
};

/*
 * The start of the linear map (CONFIG_VMSPLIT_*) for a 32-bit kernel address; 0 if the address lies
 * below all splits.
 */
uint64_t linux_split_below(uint64_t address);

/*
 * The bit by which an entry's address lies beyond the end of the memory, if it lies in the memory
 * without that bit: AMD's C-bit (sme_me_mask of arch/x86/mm/mem_encrypt_amd.c); else 0. A dump of a
 * host with SME has it in its page tables, although the memory in the dump is not encrypted.
 */
uint64_t linux_encryption_bit(const struct memory *memory, uint64_t entry);
/* Sets paging->encryption, and removes the bit from the root. */
void linux_find_encryption(struct memory *memory, struct x86_paging *paging);

/*
 * Finds out whether a page table maps something that has the form of a kernel image: at least 4
 * MiB, physically contiguous, starting at a multiple of 2 MiB. Reads between a few hundred bytes
 * and 16 KiB.
 *
 * scattered: the page table contains machine frames, so that nothing is contiguous (see enum
 * target_frames). Then the image is what lies in the kernel's gigabyte from such a virtual address
 * on. A PV guest of Xen has no large pages, so this reads 4 KiB for each 2 MiB of the image.
 */
bool linux_image_find(struct memory *memory, const struct x86_paging *paging, bool scattered,
		      struct linux_image *ret);

#endif
