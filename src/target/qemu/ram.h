/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to read a QEMU guest's RAM, the best first:
 *
 *  1. mapping its file or memfd (shared memory: zero-copy),
 *  2. reading it from QEMU's process through /proc/PID/mem,
 *  3. having QEMU's monitor print it (xp).
 *
 * The first two ways never make the guest use more memory: pages that the host has not allocated
 * are recognised in /proc/PID/pagemap or as holes of the file, and read as zeros without being
 * touched.
 */
#ifndef NUNCHI_TARGET_QEMU_RAM_H
#define NUNCHI_TARGET_QEMU_RAM_H

#include "core/error.h"
#include "memory/memory.h"
#include "target/qemu/maps.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct target;

/* A piece of RAM that is contiguous in the guest and in QEMU's process. */
struct ram_piece {
	uint64_t start; /* guest-physical */
	uint64_t size;
	uint64_t host; /* address in QEMU's process */
};

/* The number of bytes that are read in each way. */
struct ram_ways {
	uint64_t mapped; /* way 1, zero-copy */
	/* way 1, but copied, because the file system does not report holes (hugetlbfs) */
	uint64_t file;
	uint64_t process; /* way 2 */
	uint64_t monitor; /* way 3 */
};

/* For tests: the ways that are permitted. */
enum ram_allow {
	RAM_ALLOW_WINDOW = 1 << 0,
	RAM_ALLOW_FILE = 1 << 1,
	RAM_ALLOW_PROCESS = 1 << 2,
	RAM_ALLOW_MONITOR = 1 << 3,
	RAM_ALLOW_ALL = 15,
};

/*
 * QEMU's process, from which memory is read. Reference-counted, because each reader holds a
 * reference.
 */
struct ram_host;

/* Opens pagemap and reads the mappings, if permitted. */
struct nunchi_error *ram_host_create(pid_t pid, struct ram_host **ret);
void ram_host_unref(struct ram_host *host);
/* NULL if the mappings could not be read. */
const struct maps *ram_host_maps(const struct ram_host *host);

/* Limit of what is read by way 3 at once: QEMU's main loop is blocked while it prints. */
#define RAM_MONITOR_BYTES ((size_t)16384)

/* Way 3. Borrowed by the memory, which it must outlive. */
struct ram_monitor {
	/*
	 * Reads at most RAM_MONITOR_BYTES, in whole words of 8 bytes; NULL: there is no connection.
	 */
	enum memory_fault (*read)(struct target *target, uint64_t address, void *words,
				  size_t size);
	struct target *target;
};

/* Adds a piece in the best way that is possible, in parts if it spans several mappings. */
struct nunchi_error *ram_add(struct memory *memory, struct ram_host *host,
			     const struct ram_monitor *monitor, const struct ram_piece *piece,
			     unsigned allow, struct ram_ways *ways);

/* Adds a range that is read in way 3. */
struct nunchi_error *ram_add_monitor(struct memory *memory, const struct ram_monitor *monitor,
				     uint64_t start, uint64_t size, struct ram_ways *ways);

#endif
