/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the kernel uses its RAM. Source: fs/proc/meminfo.c, mm/vmstat.c, block/bdev.c. */
#ifndef NUNCHI_GUEST_LINUX_MEMORY_USE_H
#define NUNCHI_GUEST_LINUX_MEMORY_USE_H

#include "guest/linux/linux.h"

enum linux_memory_use {
	LINUX_MEMORY_FREE,
	LINUX_MEMORY_BUFFERS,
	LINUX_MEMORY_CACHED,
	LINUX_MEMORY_SWAP_CACHED,
	LINUX_MEMORY_ACTIVE,
	LINUX_MEMORY_INACTIVE,
	LINUX_MEMORY_SHARED,
	LINUX_MEMORY_SLAB,
	LINUX_MEMORY_SWAP_TOTAL,
	LINUX_MEMORY_SWAP_FREE,
	LINUX_MEMORY_USES
};

/* Bytes of each use, as /proc/meminfo has them, and why some are not known. */
struct linux_memory {
	int64_t bytes[LINUX_MEMORY_USES];
	enum read_result result[LINUX_MEMORY_USES];
};

void linux_memory_use(struct linux_kernel *kernel, struct linux_memory *ret);

#endif
