/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests saved by Xen's tools: the header of xl (`xl save`) or libvirt (`virsh save`) with the
 * guest's configuration, the stream of libxl, in it that of libxc, whose records hold the memory;
 * or any of the inner ones alone. Read from front to back once, for an index of the pages.
 *
 * The pages are named by the guest's own frame numbers. The page tables of a PV guest hold those
 * too, since the saver puts them there in place of machine frames. Of a guest that ran while it
 * was saved a page may be there many times: the last one counts.
 *
 * Sources: Xen's docs/specs/libxc-migration-stream and libxl-migration-stream, tools/xl/xl.h
 * (struct save_file_header), tools/libs/guest/xg_sr_save.c; libvirt's src/libxl/libxl_conf.h.
 */
#ifndef NUNCHI_TARGET_FILE_XEN_SAVE_H
#define NUNCHI_TARGET_FILE_XEN_SAVE_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/source.h"
#include "target/file/xen_registers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs of neighbouring pages; each costs 32 bytes. */
#define XEN_SAVE_RUN_LIMIT ((size_t)1 << 22)
/* Xen writes 1024 pages in one; 16 TiB of them. */
#define XEN_SAVE_RECORD_COUNT_LIMIT ((size_t)1 << 22)
/* As Xen's own reader has it (REC_LENGTH_MAX). */
#define XEN_SAVE_RECORD_SIZE_LIMIT ((uint32_t)128 << 20)

enum xen_save_record {
	XEN_SAVE_END = 0x0,
	XEN_SAVE_PAGE_DATA = 0x1,
	XEN_SAVE_PV_INFO = 0x2,
	XEN_SAVE_PV_VCPU_BASIC = 0x4,
	XEN_SAVE_HVM_CONTEXT = 0x9,
	XEN_SAVE_CHECKPOINT = 0xe,
	XEN_SAVE_LAST_KNOWN = 0x12, /* X86_MSR_POLICY */
};

/* Set in the types of records that a reader need not know. */
#define XEN_SAVE_OPTIONAL ((uint32_t)1 << 31)

/* Types of pages, bits 63 to 60 of their numbers; others than these come with 4096 bytes. */
enum xen_save_page {
	XEN_PAGE_L4_TABLE = 0x4,
	XEN_PAGE_PINNED = 0x8, /* added to the level of a page table */
	XEN_PAGE_BROKEN = 0xd,
	XEN_PAGE_ALLOCATED = 0xe, /* never written to */
	XEN_PAGE_NONE = 0xf,      /* there is no such page (any more) */
};

struct xen_save {
	enum xen_guest_kind kind;
	unsigned stream_version;       /* of libxc's stream: 2 or 3 */
	unsigned xen_major, xen_minor; /* of the Xen that wrote it */
	/* Why the records end before they should; NULL: they end well. Static. */
	const char *ending;
	bool whole;              /* all of the guest's pages came before that */
	uint64_t end;            /* offset in the file of the first record not used */
	uint64_t repeated;       /* bytes of pages that a later copy replaces */
	uint64_t without;        /* bytes of pages whose contents were not saved */
	uint64_t unknown_record; /* offset of the first record of a mandatory type not known; 0 */
	bool context_damaged;    /* the HVM context ends within an entry */
	struct extents extents;  /* normalized */
	struct xen_vcpus vcpus;
};

void xen_save_deinit(struct xen_save *save);
#define _cleanup_xen_save_ _cleanup_(xen_save_deinit)

/* True if the first bytes of a file are those of one of these streams. */
bool xen_save_matches(const void *start, size_t size);

/*
 * Fails where the headers are damaged or of another version, or no page comes before the first
 * damage. A file that merely ends too early, or is damaged later on, gives what is there before.
 */
struct nunchi_error *xen_save_parse(const struct source *source, struct xen_save *ret);

#endif
