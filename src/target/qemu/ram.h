/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to the bytes of a QEMU guest's RAM, best first:
 *
 *  1. the file or memfd behind it is mapped (shared memory: zero-copy),
 *  2. it is read out of QEMU's process with process_vm_readv(2),
 *  3. QEMU's monitor prints it (xp).
 *
 * None of the first two makes the guest's memory grow: what the host has not allocated is seen in
 * /proc/PID/pagemap, or as a hole of the file, and reads as zeros without being touched.
 */
#ifndef NUNCHI_TARGET_QEMU_RAM_H
#define NUNCHI_TARGET_QEMU_RAM_H

#include "core/error.h"
#include "memory/memory.h"
#include "target/qemu/maps.h"
#include "target/qemu/qmp_client.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A piece of RAM, contiguous for the guest and in QEMU's process. */
struct ram_piece {
	uint64_t start; /* guest-physical */
	uint64_t size;
	uint64_t host; /* address in QEMU's process */
};

/* How many bytes are reached which way. */
struct ram_ways {
	uint64_t mapped;  /* 1, zero-copy */
	uint64_t file;    /* 1, but copied: a file system whose holes cannot be seen (hugetlbfs) */
	uint64_t process; /* 2 */
	uint64_t monitor; /* 3 */
};

/* For tests: which ways may be taken. */
enum ram_allow {
	RAM_ALLOW_WINDOW = 1 << 0,
	RAM_ALLOW_FILE = 1 << 1,
	RAM_ALLOW_PROCESS = 1 << 2,
	RAM_ALLOW_MONITOR = 1 << 3,
	RAM_ALLOW_ALL = 15,
};

/* QEMU's process as memory is read from it; counted, since each reader holds it. */
struct ram_host;

/* pagemap and mappings are opened if that is allowed. */
struct nunchi_error *ram_host_create(pid_t pid, struct ram_host **ret);
void ram_host_unref(struct ram_host *host);
/* NULL where they could not be read. */
const struct maps *ram_host_maps(const struct ram_host *host);

/*
 * Adds a piece by the best way there is, in parts where several mappings lie behind it. client is
 * borrowed and must outlive the memory; *client may be NULL.
 */
struct nunchi_error *ram_add(struct memory *memory, struct ram_host *host,
			     struct qmp_client **client, const struct ram_piece *piece,
			     unsigned allow, struct ram_ways *ways);

/* Adds a range by way 3. */
struct nunchi_error *ram_add_monitor(struct memory *memory, struct qmp_client **client,
				     uint64_t start, uint64_t size, struct ram_ways *ways);

#endif
