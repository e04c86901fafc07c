/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests saved by QEMU as a migration stream: `migrate exec:…` and `file:…`, virsh save (libvirt's
 * header in front), plain virsh dump, Proxmox' vmstate, mapped-ram files of QEMU 9 and later.
 *
 * The stream names pages by RAM block and offset, and of a guest that ran meanwhile a page comes
 * many times: the last one counts. Which addresses a block has it does not say; the main memory is
 * laid out as that of a raw file is (raw.h). Behind the RAM stands the devices' state, whose layout
 * a description in JSON at the end tells: the vCPUs' registers are taken from it.
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

/* 16 TiB of RAM. */
#define QEMU_STREAM_RAM_LIMIT   ((uint64_t)16 << 40)
#define QEMU_STREAM_BLOCK_LIMIT 256
/* A page is sent again as a difference this often at most (XBZRLE). */
#define QEMU_STREAM_DELTA_LIMIT 4096

struct qemu_stream_info {
	/* Why the pages end before they should; NULL: they end well. Static. */
	const char *ending;
	uint64_t end;      /* offset in the file of what was not used */
	uint64_t absent;   /* bytes of the main memory that never came; zeros if it ended well */
	uint64_t unplaced; /* bytes of memory that was plugged in later: its address is not known */
	struct x86_registers *vcpus; /* owned by the caller; NULL: none found */
	size_t vcpu_count;
};

bool qemu_stream_matches(const void *start, size_t size);

/*
 * Reads the stream once, from front to back, for an index of its pages. Takes file over unless it
 * fails. Gives a source of the main memory's bytes, one block behind the other, by offset.
 */
struct nunchi_error *qemu_stream_parse(struct source *file, struct source *ret_ram,
				       struct qemu_stream_info *ret);

#endif
