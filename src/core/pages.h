/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_CORE_PAGES_H
#define NUNCHI_CORE_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/*
 * Has the kernel allocate all pages of a large buffer in one call, before it is written: in a PV
 * dom0 each page fault costs several hypercalls. Before Linux 5.14, which brought the call, pages
 * are allocated by faults as usual.
 */
static inline void pages_take(void *buffer, size_t size)
{
#ifdef MADV_POPULATE_WRITE
	uintptr_t start = ((uintptr_t)buffer + 4095) & ~(uintptr_t)4095;
	uintptr_t end = ((uintptr_t)buffer + size) & ~(uintptr_t)4095;

	if (start < end)
		(void)madvise((void *)start, end - start, MADV_POPULATE_WRITE);
#else
	(void)buffer, (void)size;
#endif
}

#endif
