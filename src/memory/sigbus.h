/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The SIGBUS guard. Reading a mapped file raises SIGBUS if the file was truncated or its disk
 * fails. If the address lies in a guarded region, the handler maps zeros there, marks the region,
 * and the read continues. Any other SIGBUS is passed on to the handler that was installed before.
 * The handler is installed with the first region of the process and stays installed.
 *
 * This is the only process-wide state of the library. Thread-safe.
 */
#ifndef NUNCHI_MEMORY_SIGBUS_H
#define NUNCHI_MEMORY_SIGBUS_H

#include "core/error.h"

#include <stdatomic.h>
#include <stddef.h>

struct sigbus_region;

/*
 * Guards a mapping of size bytes at start. *gone, which must exist as long as the region, is set
 * when zeros replace bytes of the file.
 */
struct nunchi_error *sigbus_guard_add(void *start, size_t size, atomic_bool *gone,
				      struct sigbus_region **ret);
/* Ends guarding. Call it before the mapping is unmapped. NULL is accepted. */
void sigbus_guard_remove(struct sigbus_region *region);

#endif
