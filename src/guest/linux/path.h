/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of files: what the kernel shows in /proc/PID/{exe,cwd,root,fd}. Source: fs/d_path.c.
 */
#ifndef NUNCHI_GUEST_LINUX_PATH_H
#define NUNCHI_GUEST_LINUX_PATH_H

#include "core/buffer.h"
#include "guest/linux/linux.h"

#define LINUX_PATH_MAX 4096 /* in bytes; see include/uapi/linux/limits.h */

/* The kernel's struct path: addresses of a struct vfsmount and a struct dentry. */
struct linux_path {
	uint64_t mnt;
	uint64_t dentry;
};

/*
 * Appends the path of a file as the kernel shows it to a process with the root `root`. If root is
 * NULL or not on the way up (another mount namespace, a lazily unmounted tree), the path goes up to
 * the topmost mount. Adds " (deleted)" if the file has no name any more. Files that never have a
 * path get a name like "pipe:[12345]". Names may contain any bytes except NUL and '/'.
 *
 * Returns READ_NOT_MAPPED if path is empty, READ_NO_SYMBOL if a kernel function that nunchi does
 * not know makes the name, READ_LIMIT if the path is longer than LINUX_PATH_MAX. Appends nothing on
 * a fault.
 */
enum read_result linux_d_path(struct linux_kernel *kernel, const struct linux_path *path,
			      const struct linux_path *root, struct buffer *ret);

/* Reads the struct path at an address. */
enum read_result linux_read_path(struct linux_kernel *kernel, uint64_t address,
				 struct linux_path *ret);

/* Appends the path of the open file (struct file) at an address. */
enum read_result linux_file_path(struct linux_kernel *kernel, uint64_t file,
				 const struct linux_path *root, struct buffer *ret);

/*
 * Whether the name of an open file was removed. (A name may itself end in " (deleted)".) Returns
 * READ_OK with the answer, or a fault.
 */
enum read_result linux_file_unlinked(struct linux_kernel *kernel, uint64_t file, bool *ret);

/*
 * Read the root and the working directory of a task; fs is the address of its fs_struct (task.fs).
 */
enum read_result linux_fs_root(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret);
enum read_result linux_fs_pwd(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret);

/*
 * Reads the root of process 1, which is that of the usual reader; read it once for each query. If
 * it cannot be read, use NULL as root, which makes a difference only if process 1 is in a chroot.
 */
enum read_result linux_init_root(struct linux_kernel *kernel, struct linux_path *ret);

/*
 * Appends the path of a mount point as in the fifth field of /proc/PID/mountinfo, without "
 * (deleted)". *ret_below says whether root was on the way up; if not, mountinfo does not show the
 * mount.
 */
enum read_result linux_path_below(struct linux_kernel *kernel, const struct linux_path *path,
				  const struct linux_path *root, struct buffer *ret,
				  bool *ret_below);

/*
 * Appends the path of a dentry within its file system, as in the fourth field of
 * /proc/PID/mountinfo ("/" for the root of the file system; with "//deleted" at the end if the
 * dentry was removed).
 */
enum read_result linux_dentry_path(struct linux_kernel *kernel, uint64_t dentry,
				   struct buffer *ret);

/*
 * Reads the name in a copy of a dentry, which is within the dentry if it is short. During a rename
 * the name may end at a NUL. The name does not end with one.
 */
enum read_result linux_dentry_name(struct linux_kernel *kernel, const struct object *dentry,
				   char name[LINUX_PATH_MAX], size_t *ret);

#endif
