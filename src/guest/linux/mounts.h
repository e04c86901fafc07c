/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount namespaces and what is mounted in them. Source: fs/mount.h, fs/namespace.c,
 * fs/proc_namespace.c.
 */
#ifndef NUNCHI_GUEST_LINUX_MOUNTS_H
#define NUNCHI_GUEST_LINUX_MOUNTS_H

#include "guest/linux/path.h"

#define LINUX_MAX_MOUNTS ((uint64_t)1 << 17) /* sysctl fs.mount-max is 100,000 unless raised */

/* All mounts of one namespace, in the kernel's order. */
struct linux_mounts {
	struct linux_kernel *kernel;
	uint64_t namespace; /* address of the mnt_namespace */
	uint64_t inum;      /* its number, as in /proc/PID/ns/mnt */
	uint64_t *mounts;   /* addresses of the struct mounts; owned */
	size_t count;
	size_t capacity;
	struct linux_path root; /* of a process that enters it; zeros if unknown */
	bool broken;            /* not all of them: a link contradicts itself */
};

void linux_mounts_init(struct linux_mounts *mounts, struct linux_kernel *kernel);
void linux_mounts_deinit(struct linux_mounts *mounts);
/*
 * Collects the mounts of a namespace (nsproxy.mnt_ns). NUNCHI_ERROR_UNSUPPORTED if this kernel's
 * types lack what is needed, NUNCHI_ERROR_FAULT if the namespace cannot be read.
 */
struct nunchi_error *linux_mounts_collect(struct linux_mounts *mounts, uint64_t namespace);

/* "rw,nosuid,relatime": the options of the mount itself, not of its file system. */
void linux_mount_flags(struct linux_kernel *kernel, const struct object *mount, struct buffer *ret);
/* The file system's type, with its subtype if it has one ("fuse.sshfs"). */
enum memory_fault linux_mount_type(struct linux_kernel *kernel, uint64_t super_block,
				   struct buffer *ret);

#endif
