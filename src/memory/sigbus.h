/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The SIGBUS guard: reading a mapped file that was truncated, or whose disk fails, raises SIGBUS.
 * Inside a guarded region the handler maps zeros there, marks the region and lets the read go on;
 * any other SIGBUS goes to the handler that was there before. The handler is installed with the
 * first region of the process and stays.
 *
 * The only process-wide state of the library. Thread-safe.
 */
#ifndef NUNCHI_MEMORY_SIGBUS_H
#define NUNCHI_MEMORY_SIGBUS_H

#include "core/error.h"

#include <stdatomic.h>
#include <stddef.h>

struct sigbus_region;

/*
 * Guards size bytes at start, a mapping. *gone, which must outlive the region, is set once zeros
 * stand in for bytes of the file.
 */
struct nunchi_error *sigbus_guard_add(void *start, size_t size, atomic_bool *gone,
				      struct sigbus_region **ret);
/* To be called before the region is unmapped. NULL is accepted. */
void sigbus_guard_remove(struct sigbus_region *region);

#endif
