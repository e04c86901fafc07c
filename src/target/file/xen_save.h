/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests saved by Xen's tools. The file has the header of xl (`xl save`) or libvirt (`virsh save`)
 * with the guest's configuration; then the stream of libxl, which contains that of libxc, whose
 * records contain the memory. Each of the inner streams alone can be read as well. The file is read
 * once from start to end, to make an index of the pages.
 *
 * Pages are identified by the guest's own frame numbers. The page tables of a PV guest contain
 * these, too, since the tool that saves the guest replaces machine frames by them. If the guest ran
 * while it was saved, a page may occur several times; the last copy is valid.
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

/* Limit of the rows of contiguous pages; each takes 32 bytes here. */
#define XEN_SAVE_RUN_LIMIT ((size_t)1 << 22)
/* Limit of the records; Xen writes 1024 pages in one, so this is 16 TiB. */
#define XEN_SAVE_RECORD_COUNT_LIMIT ((size_t)1 << 22)
/* The same limit as in Xen's own reader (REC_LENGTH_MAX). */
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

/* Set in the types of records that a reader may ignore. */
#define XEN_SAVE_OPTIONAL ((uint32_t)1 << 31)

/*
 * Types of pages, in bits 63 to 60 of the number. A page of any other type has 4096 bytes in the
 * record.
 */
enum xen_save_page {
	XEN_PAGE_L4_TABLE = 0x4,
	XEN_PAGE_PINNED = 0x8, /* added to the type of a page table that is pinned */
	XEN_PAGE_BROKEN = 0xd,
	XEN_PAGE_ALLOCATED = 0xe, /* the guest never wrote to the page */
	XEN_PAGE_NONE = 0xf,      /* the page does not exist (any more) */
};

struct xen_save {
	enum xen_guest_kind kind;
	unsigned stream_version;       /* of libxc's stream: 2 or 3 */
	unsigned xen_major, xen_minor; /* version of the Xen that wrote the file */
	/* Why the records end too early, in static storage; NULL: they end as they should. */
	const char *ending;
	bool whole;        /* all pages of the guest came before the end */
	uint64_t end;      /* offset in the file of the first record that was not used */
	uint64_t repeated; /* bytes of pages that a later copy replaces */
	uint64_t without;  /* bytes of pages whose contents were not saved */
	/* offset of the first mandatory record of an unknown type; 0: none */
	uint64_t unknown_record;
	bool context_damaged;   /* the HVM context ends in the middle of an entry */
	struct extents extents; /* normalized */
	struct xen_vcpus vcpus;
};

void xen_save_deinit(struct xen_save *save);
#define _cleanup_xen_save_ _cleanup_(xen_save_deinit)

/* Whether the first bytes of a file are those of one of these streams. */
bool xen_save_matches(const void *start, size_t size);

/*
 * Parses the file. Fails if the headers are damaged or of an unknown version, or if no page comes
 * before the first damage. If the file ends too early or is damaged after that, the pages before
 * are used.
 */
struct nunchi_error *xen_save_parse(const struct source *source, struct xen_save *ret);

#endif
