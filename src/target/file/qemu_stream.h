/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that QEMU saved as a migration stream: `migrate exec:…` and `file:…`, virsh save (with
 * libvirt's header before the stream), virsh dump without options, vmstate of Proxmox, mapped-ram
 * files of QEMU 9 and later.
 *
 * The stream identifies a page by RAM block and offset. If the guest ran while it was saved, a page
 * occurs several times, and the last copy is valid. The stream does not contain the addresses of a
 * block; the main memory is arranged like a raw file (raw.h). The RAM is followed by the state of
 * the devices, of which a JSON text at the end of the stream describes the layout; the vCPUs'
 * registers are read from it.
 *
 * Sources: QEMU's migration/savevm.c, migration/ram.c, migration/xbzrle.c, migration/vmstate.c,
 * docs/devel/migration/ (main.rst, mapped-ram.rst), target/i386/machine.c; libvirt's
 * src/qemu/qemu_saveimage.h.
 */
#ifndef NUNCHI_TARGET_FILE_QEMU_STREAM_H
#define NUNCHI_TARGET_FILE_QEMU_STREAM_H

#include "arch/x86/registers.h"
#include "core/error.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limit of the RAM: 16 TiB. */
#define QEMU_STREAM_RAM_LIMIT   ((uint64_t)16 << 40)
#define QEMU_STREAM_BLOCK_LIMIT 256

struct qemu_stream_info {
	/* Why the pages end too early, in static storage; NULL: they end as they should. */
	const char *ending;
	uint64_t end; /* offset in the file of the first byte that was not used */
	/* bytes of the main memory that the stream lacks; they are zero if ending is NULL */
	uint64_t absent;
	uint64_t unplaced;           /* bytes of hot-plugged memory, whose address is unknown */
	struct x86_registers *vcpus; /* owned by the caller; NULL if there are none */
	size_t vcpu_count;
};

/*
 * Whether the first size bytes of a file are those of a migration stream, or of libvirt's header.
 */
bool qemu_stream_matches(const void *start, size_t size);

/*
 * Reads the stream once from start to end and makes an index of its pages. Takes over file unless
 * it fails. Stores a source of the main memory, in which the blocks follow each other.
 */
struct nunchi_error *qemu_stream_parse(struct source *file, struct source *ret_ram,
				       struct qemu_stream_info *ret);

#endif
