/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The read-only data of the kernel's image as one block of memory. It contains the symbol table,
 * the types and the banner.
 */
#ifndef NUNCHI_GUEST_LINUX_RODATA_H
#define NUNCHI_GUEST_LINUX_RODATA_H

#include "symbols/kallsyms.h"

#include <stdbool.h>
#include <stdint.h>

struct linux_image;
struct linux_kernel;

/*
 * The address of the read-only data, and the copy or mapping of its bytes. Part of struct
 * linux_kernel.
 */
struct linux_rodata {
	uint64_t start; /* virtual, page-aligned */
	uint64_t size;
	uint64_t physical; /* of the first byte; not used if the image is not contiguous */
	void *copy;        /* private copy of the bytes; owned, NULL if there is none */
	const void *map;   /* mapping by memory_map_persistent(); owned, NULL if there is none */
	bool lasts;        /* the result of linux_rodata_lasts() */
};

/* Stores the address of the read-only data of an image. */
void linux_rodata_init(struct linux_kernel *kernel, const struct linux_image *image);
/* Frees the copy and the mapping. */
void linux_rodata_deinit(struct linux_kernel *kernel);

/*
 * Gives the bytes: a zero-copy mapping where the target has one, else a private copy. They are
 * valid until linux_rodata_release() and, on a running guest, for the current generation of its
 * memory. NUNCHI_ERROR_FAULT with the first address that cannot be read.
 */
struct nunchi_error *linux_rodata_get(struct linux_kernel *kernel, struct kernel_image *ret);
/*
 * True if the bytes stay valid as long as the kernel: those of a saved guest's mapped file, and
 * pages that a hypervisor maps for us. False for a running guest's shared file, where the guest may
 * give pages back at any time (balloon) and touching such a hole would allocate the page again, and
 * for a private copy, which is too large to be kept.
 */
bool linux_rodata_lasts(const struct linux_kernel *kernel);
/* Frees the bytes unless they last. */
void linux_rodata_release(struct linux_kernel *kernel);

#endif
