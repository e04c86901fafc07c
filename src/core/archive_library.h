/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libarchive: for bundles, and for what an initramfs or a saved guest is compressed with. */
#ifndef NUNCHI_CORE_ARCHIVE_LIBRARY_H
#define NUNCHI_CORE_ARCHIVE_LIBRARY_H

#include "config.h"

#define ARCHIVE_PACKAGES "libarchive13 (Debian, Ubuntu) or libarchive (Fedora)"

#ifdef HAVE_LIBARCHIVE

#include "core/library.h"

#include <archive.h>
#include <archive_entry.h>

#define ARCHIVE_FUNCTIONS(FUNCTION)                                                                \
	FUNCTION(archive_entry_filetype)                                                           \
	FUNCTION(archive_entry_free)                                                               \
	FUNCTION(archive_entry_new)                                                                \
	FUNCTION(archive_entry_pathname)                                                           \
	FUNCTION(archive_entry_set_filetype)                                                       \
	FUNCTION(archive_entry_set_pathname)                                                       \
	FUNCTION(archive_entry_set_perm)                                                           \
	FUNCTION(archive_entry_set_size)                                                           \
	FUNCTION(archive_error_string)                                                             \
	FUNCTION(archive_filter_bytes)                                                             \
	FUNCTION(archive_filter_count)                                                             \
	FUNCTION(archive_free)                                                                     \
	FUNCTION(archive_read_append_filter)                                                       \
	FUNCTION(archive_read_data)                                                                \
	FUNCTION(archive_read_free)                                                                \
	FUNCTION(archive_read_new)                                                                 \
	FUNCTION(archive_read_next_header)                                                         \
	FUNCTION(archive_read_open)                                                                \
	FUNCTION(archive_read_open_filename)                                                       \
	FUNCTION(archive_read_open_memory)                                                         \
	FUNCTION(archive_read_support_filter_bzip2)                                                \
	FUNCTION(archive_read_support_filter_gzip)                                                 \
	FUNCTION(archive_read_support_filter_lz4)                                                  \
	FUNCTION(archive_read_support_filter_lzma)                                                 \
	FUNCTION(archive_read_support_filter_xz)                                                   \
	FUNCTION(archive_read_support_filter_zstd)                                                 \
	FUNCTION(archive_read_support_format_raw)                                                  \
	FUNCTION(archive_read_support_format_tar)                                                  \
	FUNCTION(archive_set_error)                                                                \
	FUNCTION(archive_write_add_filter_gzip)                                                    \
	FUNCTION(archive_write_close)                                                              \
	FUNCTION(archive_write_data)                                                               \
	FUNCTION(archive_write_header)                                                             \
	FUNCTION(archive_write_new)                                                                \
	FUNCTION(archive_write_open_fd)                                                            \
	FUNCTION(archive_write_set_format_pax_restricted)

struct archive_library {
	void *handle;
	ARCHIVE_FUNCTIONS(LIBRARY_MEMBER)
};

struct nunchi_error *archive_library_load(struct archive_library *ret);
/* Of one that is all zeros, too. */
void archive_library_unload(struct archive_library *library);

#endif
#endif
