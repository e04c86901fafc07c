/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's dump-core files (`xl dump-core`, on_crash="coredump-…"): ELF cores without segments, whose
 * memory is in sections. .xen_pages contains the pages; it is followed by a table that identifies
 * each page: .xen_pfn for an HVM or PVH guest, .xen_p2m for a PV guest. The page tables of a PV
 * guest contain machine frames, so that its pages are placed by machine frame, not by the guest's
 * own frame numbers.
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

/* Limit of the rows of contiguous pages; an HVM guest has tens. Each takes 32 bytes here. */
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
	/* version of the Xen that wrote the file; 0, 0: the file does not say */
	unsigned xen_major, xen_minor;
	uint64_t pages; /* number of pages that a complete file has */
	/* number of pages that the file does not identify, because it ends too early */
	uint64_t unplaced;
	uint64_t impossible; /* number of pages with addresses that no x86 processor has */
	bool registers_cut_off;
	struct extents extents; /* normalized; by machine address unless kind is XEN_GUEST_HVM */
	struct xen_vcpus vcpus;
};

void xen_core_deinit(struct xen_core *core);
#define _cleanup_xen_core_ _cleanup_(xen_core_deinit)

/* Whether the first bytes of a file are those of an ELF core with sections, but no segments. */
bool xen_core_matches(const void *start, size_t size);

/*
 * Parses the file. Fails if the headers are damaged or the table of pages is missing. If the file
 * only ends too early, the rest is marked as missing in the extents.
 */
struct nunchi_error *xen_core_parse(const struct source *source, struct xen_core *ret);

#endif
