/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files of overlayfs, whose bytes are those of a file in one of its layers. Source:
 * fs/overlayfs/ovl_entry.h, fs/overlayfs/util.c.
 */
#ifndef NUNCHI_GUEST_LINUX_OVERLAY_H
#define NUNCHI_GUEST_LINUX_OVERLAY_H

#include "guest/linux/linux.h"

#define LINUX_FS_NAME 16 /* bytes of a file system's name that are read */

/* Reads the name and the flags of the file system of a super_block. */
enum read_result linux_file_system(struct linux_kernel *kernel, uint64_t super,
				   char name[LINUX_FS_NAME], size_t *ret_size, uint64_t *ret_flags);
/*
 * Finds the inode that has the bytes of a file: itself, or that of the layer below if it is a file
 * of overlayfs. NUNCHI_ERROR_UNSUPPORTED if the types of overlayfs are missing, or if the bytes are
 * in another layer than the rest of the file.
 */
struct nunchi_error *linux_real_inode(struct linux_kernel *kernel, uint64_t inode, uint64_t *ret);

#endif
