/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's dump-core files (`xl dump-core`, on_crash="coredump-…"): ELF cores without segments, whose
 * memory stands in sections: .xen_pages, and behind it a table that says of each page which it is,
 * .xen_pfn of an HVM or PVH guest, .xen_p2m of a PV guest. The page tables of a PV guest hold
 * machine frames, so that its pages are placed by these, not by the guest's own frame numbers.
 *
 * Sources: Xen's docs/misc/dump-core-format.txt, tools/libs/guest/xg_core.c (tools/libxc/xc_core.c
 * before 4.15), public/elfnote.h.
 */
#ifndef NUNCHI_TARGET_FILE_XEN_CORE_H
#define NUNCHI_TARGET_FILE_XEN_CORE_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/source.h"
#include "target/file/xen_registers.h"

#include <stdbool.h>
#include <stdint.h>

/* Runs of neighbouring pages: an HVM guest has tens; each costs 32 bytes. */
#define XEN_CORE_RUN_LIMIT ((size_t)1 << 22)

enum {
	XEN_NOTE_HEADER = 0x2000001,
	XEN_NOTE_VERSION = 0x2000002,
	XEN_NOTE_FORMAT = 0x2000003,
};

#define XEN_CORE_MAGIC_PV  0xf00febed
#define XEN_CORE_MAGIC_HVM 0xf00febee

struct xen_core {
	enum xen_guest_kind kind;
	unsigned xen_major, xen_minor; /* of the Xen that wrote it; 0, 0: the file does not say */
	uint64_t pages;                /* that the file is to hold */
	uint64_t unplaced; /* of those, where the file ends before it says which they are */
	uint64_t nonsense; /* of those, said to be at addresses that no x86 has */
	bool registers_cut_off;
	struct extents extents; /* normalized; machine addresses where kind is not XEN_GUEST_HVM */
	struct xen_vcpus vcpus;
};

void xen_core_deinit(struct xen_core *core);
#define _cleanup_xen_core_ _cleanup_(xen_core_deinit)

/* True if the first bytes of a file are those of an ELF core with sections, but no segments. */
bool xen_core_matches(const void *start, size_t size);

/*
 * Fails where the headers are damaged or the table of pages is not there at all. A file that merely
 * ends too early gives what is there; the rest is missing in the extents.
 */
struct nunchi_error *xen_core_parse(const struct source *source, struct xen_core *ret);

#endif
