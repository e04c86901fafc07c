/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernels as boot loaders take them, which users give where a vmlinux or a map is asked for. */
#ifndef NUNCHI_SYMBOLS_BOOT_IMAGE_H
#define NUNCHI_SYMBOLS_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Documentation/arch/x86/boot.rst: the magic of the header of bzImage and vmlinuz. */
static inline bool is_boot_image(const void *start, size_t size)
{
	return size >= 518 && !memcmp((const char *)start + 514, "HdrS", 4);
}

#endif
