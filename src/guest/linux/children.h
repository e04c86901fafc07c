/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names in a directory that the kernel has in memory. Source: include/linux/dcache.h,
 * fs/libfs.c.
 */
#ifndef NUNCHI_GUEST_LINUX_CHILDREN_H
#define NUNCHI_GUEST_LINUX_CHILDREN_H

#include "guest/linux/path.h"

#define LINUX_MAX_CHILDREN ((uint64_t)4 << 20) /* names of one directory */

/* A walk over the names in a directory; for a guest that stands still. */
struct linux_children {
	struct linux_kernel *kernel;
	uint64_t directory;     /* address of its dentry */
	bool has_head;          /* the list is of hlist_nodes, since 6.8 */
	struct linux_list list; /* until 6.7 */
	struct hash_map seen;
	uint64_t link;  /* since 6.8: address of the pointer to the next node */
	uint64_t count; /* nodes met so far */
	struct object dentry;
	char name[LINUX_PATH_MAX];
	size_t name_size;
	uint64_t inode;          /* address */
	enum read_result broken; /* why some names are missing, or READ_OK */
};

/*
 * Begins a walk. NUNCHI_ERROR_UNSUPPORTED names the fields that this kernel's types lack. The walk
 * is freed by linux_children_deinit() in any case.
 */
struct nunchi_error *linux_children_init(struct linux_children *walk, struct linux_kernel *kernel,
					 uint64_t directory);
void linux_children_deinit(struct linux_children *walk);
/*
 * Gets the next name of a file: the fields dentry, name and inode of the walk. Names that were
 * removed, and those that the kernel keeps because there is no such file, are left out. False at
 * the end, or if cancelled; then `broken` says whether the list could be followed to its end.
 */
bool linux_children_next(struct linux_children *walk);

#endif
