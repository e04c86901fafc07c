/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mount namespaces and their mounts. Source: fs/mount.h, fs/namespace.c, fs/proc_namespace.c. */
#ifndef NUNCHI_GUEST_LINUX_MOUNTS_H
#define NUNCHI_GUEST_LINUX_MOUNTS_H

#include "guest/linux/path.h"

#define LINUX_MAX_MOUNTS ((uint64_t)1 << 17) /* the default of sysctl fs.mount-max is 100,000 */

/* All mounts of one namespace, in the kernel's order. */
struct linux_mounts {
	struct linux_kernel *kernel;
	uint64_t namespace; /* address of the mnt_namespace */
	uint64_t inum;      /* inode number of the namespace, as in /proc/PID/ns/mnt */
	uint64_t *mounts;   /* addresses of the struct mounts; owned */
	size_t count;
	size_t capacity;
	enum read_result broken; /* why some mounts are missing, or READ_OK */
	struct linux_path root; /* of a process that enters the namespace; zeros if not known … */
	enum read_result root_result;
};

void linux_mounts_init(struct linux_mounts *mounts, struct linux_kernel *kernel);
void linux_mounts_deinit(struct linux_mounts *mounts);
/*
 * Collects the mounts of a namespace (nsproxy.mnt_ns). NUNCHI_ERROR_UNSUPPORTED if this kernel's
 * types lack a field that is needed, NUNCHI_ERROR_FAULT if the namespace cannot be read.
 */
struct nunchi_error *linux_mounts_collect(struct linux_mounts *mounts, uint64_t namespace);

/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * missing ones.
 */
struct nunchi_error *linux_mounts_check(struct linux_kernel *kernel);
/* Reads the address of a task's mount namespace; READ_NONE if the task has none (a zombie). */
enum read_result linux_task_mounts(struct linux_kernel *kernel, const struct object *task,
				   uint64_t *ret);

/* The properties of one mount. Each result is READ_OK or says why a property is missing. */
struct linux_mount {
	uint64_t super_block;
	uint64_t root;   /* address of the dentry that is mounted */
	uint64_t device; /* number as in the kernel (12 bits, 20 bits) */
	enum read_result device_result;
	int64_t id, parent_id;
	enum read_result id_result, parent_result;
	/* the mount is below the root that a process gets when it enters the namespace */
	bool is_seen;
};

/*
 * Reads mount i of those collected, and appends the path of its mount point; *ret_path_result says
 * why the path is missing. copy is scratch space. READ_NONE if the mount has left the namespace
 * meanwhile.
 */
enum read_result linux_mounts_get(struct linux_mounts *mounts, size_t i, struct object *copy,
				  struct linux_mount *ret, struct buffer *ret_path,
				  enum read_result *ret_path_result);
/*
 * Appends the device by the name under which it was mounted. mount is a copy of the struct mount.
 */
enum read_result linux_mount_device(struct linux_kernel *kernel, const struct object *mount,
				    struct buffer *ret);
/* Appends the options of the mount ("rw,nosuid,relatime"), not those of its file system. */
enum read_result linux_mount_flags(struct linux_kernel *kernel, const struct object *mount,
				   struct buffer *ret);
/* Appends the file system's type, with the subtype if there is one ("fuse.sshfs"). */
enum read_result linux_mount_type(struct linux_kernel *kernel, uint64_t super_block,
				  struct buffer *ret);

#endif
