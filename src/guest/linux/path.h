/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of files: what the kernel shows in /proc/PID/{exe,cwd,root,fd}. Source: fs/d_path.c.
 */
#ifndef NUNCHI_GUEST_LINUX_PATH_H
#define NUNCHI_GUEST_LINUX_PATH_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

#define LINUX_PATH_MAX 4096 /* bytes, as include/uapi/linux/limits.h */

/* The kernel's struct path: addresses of a struct vfsmount and a struct dentry. */
struct linux_path {
	uint64_t mnt;
	uint64_t dentry;
};

/*
 * Appends the path as the kernel spells it for a reader whose root is root: up to there, or, where
 * that is not on the way (another mount namespace, a lazily unmounted tree) or root is NULL, up to
 * the topmost mount; " (deleted)" where the file has no name any more; "pipe:[12345]" and the like
 * for files that never have one. Names may hold any bytes but NUL and '/'.
 *
 * READ_NOT_MAPPED if path is empty; READ_NO_SYMBOL if a function of the kernel names the file that
 * is not known to us; READ_LIMIT if the path is longer than LINUX_PATH_MAX. Appends nothing on a
 * fault.
 */
enum read_result linux_d_path(struct linux_kernel *kernel, const struct linux_path *path,
			      const struct linux_path *root, struct buffer *ret);

/* A struct path in the guest's memory. */
enum read_result linux_read_path(struct linux_kernel *kernel, uint64_t address,
				 struct linux_path *ret);

/* The path of an open file (struct file) at that address. */
enum read_result linux_file_path(struct linux_kernel *kernel, uint64_t file,
				 const struct linux_path *root, struct buffer *ret);

/*
 * Whether an open file's name was removed since (which a name that ends in " (deleted)" does not
 * prove). READ_OK with the answer, or a fault.
 */
enum read_result linux_file_unlinked(struct linux_kernel *kernel, uint64_t file, bool *ret);

/* The root and the working directory of a task, by the address of its fs_struct (task.fs). */
enum read_result linux_fs_root(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret);
enum read_result linux_fs_pwd(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret);

/*
 * The root of process 1: the usual reader's, to be read once a query. Where it cannot be told use
 * NULL for a root, which differs only where process 1 lives in a chroot.
 */
enum read_result linux_init_root(struct linux_kernel *kernel, struct linux_path *ret);

/*
 * Appends the path without regard to whether it was deleted, as the fifth field of
 * /proc/PID/mountinfo; *ret_below says whether root was on the way (else mountinfo leaves the mount
 * out).
 */
enum read_result linux_path_below(struct linux_kernel *kernel, const struct linux_path *path,
				  const struct linux_path *root, struct buffer *ret,
				  bool *ret_below);

/*
 * Appends the path of a dentry within its file system, as the fourth field of /proc/PID/mountinfo
 * ("/" for the whole of it; "//deleted" at the end if it is gone).
 */
enum read_result linux_dentry_path(struct linux_kernel *kernel, uint64_t dentry,
				   struct buffer *ret);

#endif
