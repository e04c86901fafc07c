/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kdump-compressed files of makedumpfile and QEMU: a header, a sub header, notes, two bitmaps
 * (which pages are RAM, which are saved), a descriptor for each saved page, and the pages. Each
 * page is stored plain or compressed by zlib, LZO, snappy or zstd.
 *
 * nunchi decodes the files itself instead of using libkdumpfile: version 0.5.1 (Debian 12) writes
 * beyond its buffer if a page's descriptor claims more than a page, dies by SIGBUS on a file that
 * was cut off, and does not support the flattened format (0.5.3 does), which cannot be added
 * because its interface takes file descriptors.
 *
 * Sources: makedumpfile's diskdump_mod.h and IMPLEMENTATION, QEMU's include/sysemu/dump.h.
 */
#ifndef NUNCHI_TARGET_FILE_KDUMP_H
#define NUNCHI_TARGET_FILE_KDUMP_H

#include "core/error.h"
#include "target/file/extents.h"
#include "target/file/notes.h"
#include "target/file/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limit of the pages: 16 TiB of guest memory. */
#define KDUMP_PAGE_LIMIT ((uint64_t)1 << 32)
/* Limit of the rows of contiguous RAM pages; real guests have tens. */
#define KDUMP_RUN_LIMIT ((size_t)1 << 16)

enum kdump_compression {
	KDUMP_ZLIB = 1 << 0,
	KDUMP_LZO = 1 << 1,
	KDUMP_SNAPPY = 1 << 2,
	KDUMP_ZSTD = 1 << 5,
	KDUMP_COMPRESSION_MASK = KDUMP_ZLIB | KDUMP_LZO | KDUMP_SNAPPY | KDUMP_ZSTD,
};

struct kdump_info {
	unsigned compression; /* according to the header; 0: none */
	uint32_t dump_level;  /* option -d of makedumpfile: which pages were left out */
	uint64_t ram_pages;
	uint64_t saved_pages;
	uint64_t cut_off_pages; /* saved pages that lie beyond the end of the file */
};

/* Whether the first size bytes of a file are those of a kdump-compressed file. */
bool kdump_matches(const void *start, size_t size);
/* The name of a compression, as "zlib"; "none" for 0. */
const char *kdump_compression_string(unsigned compression);

/*
 * Reads the headers of file, and takes over file unless it fails. Stores a source of guest memory
 * by guest-physical address (owned by the caller), the RAM as normalized extents, and the notes.
 */
struct nunchi_error *kdump_parse(struct source *file, struct source *ret_source,
				 struct extents *ret_extents, struct notes *ret_notes,
				 struct kdump_info *ret_info);

#endif
