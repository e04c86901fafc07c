/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds a file by its path, among the names that the kernel has in memory. Source: fs/namei.c.
 */
#ifndef NUNCHI_GUEST_LINUX_NAMEI_H
#define NUNCHI_GUEST_LINUX_NAMEI_H

#include "guest/linux/path.h"

/* A file that was found by its path. */
struct linux_found {
	struct linux_path path;
	uint64_t inode; /* address */
	uint64_t mode;  /* of the inode: its type and permissions */
};

/*
 * Finds the file that a process with the root `root` means by an absolute path, in the mount
 * namespace of that root; for a guest that stands still. Symbolic links are followed, at most 40,
 * the last one only if `follow` is set or a '/' is behind it. NUNCHI_ERROR_NOT_FOUND if a name is
 * not in memory, which does not mean that there is no such file, or if a directory is none.
 */
struct nunchi_error *linux_find_file(struct linux_kernel *kernel, const struct linux_path *root,
				     const char *path, bool follow, struct linux_found *ret);

/*
 * Reads the target of a symbolic link. NUNCHI_ERROR_UNSUPPORTED if the kernel makes it when it is
 * read (/proc), or if it is encrypted.
 */
struct nunchi_error *linux_read_link(struct linux_kernel *kernel, uint64_t inode,
				     char target[LINUX_PATH_MAX], size_t *ret);

/*
 * Collects what is mounted on the file system of a mount: from a dentry to the mount that lies on
 * it. mnt is the address of its vfsmount.
 */
enum read_result linux_mounts_on(struct linux_kernel *kernel, uint64_t mnt, struct hash_map *ret);
/* Goes on to the root of what is mounted on a place, and of what is mounted on that. */
enum read_result linux_enter_mounts(struct linux_kernel *kernel, struct linux_path *at);

#endif
