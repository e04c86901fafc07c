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
	uint64_t virtual_end;    /* one past the last byte mapped */
	uint64_t physical_start; /* of the first page, all there is to say where it is scattered */
	/* Virtual; the end of the text may be among it; up to all of the image if flags do not
	 * tell. */
	uint64_t rodata_start;
	uint64_t rodata_end;
	uint64_t data_start; /* virtual, of the first writable byte; 0 if the flags do not tell */
};

/* Where the linear map begins below a kernel address of 32 bits (CONFIG_VMSPLIT_*); 0: nowhere. */
uint64_t linux_split_below(uint64_t address);

/*
 * True if the page table maps something that is built like a kernel image: at least 4 MiB,
 * physically contiguous, beginning on a 2 MiB boundary. Reads a few hundred bytes to 16 KiB.
 *
 * scattered: the page table holds machine frames, where nothing is contiguous (see enum
 * target_frames); then it is what lies in the kernel's gigabyte from such a virtual boundary on.
 * A PV guest of Xen has no large pages: reads 4 KiB for each 2 MiB of the image.
 */
bool linux_image_find(struct memory *memory, const struct x86_paging *paging, bool scattered,
		      struct linux_image *ret);

#endif
