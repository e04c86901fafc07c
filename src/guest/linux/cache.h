/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The contents of a file out of the page cache. Source: include/linux/xarray.h, mm/filemap.c,
 * mm/shmem.c.
 */
#ifndef NUNCHI_GUEST_LINUX_CACHE_H
#define NUNCHI_GUEST_LINUX_CACHE_H

#include "guest/linux/linux.h"

/* Of a guest that stands still: nodes are kept. */
struct linux_cache {
	struct linux_kernel *kernel;
	uint64_t mapping;  /* address of the address_space */
	uint64_t size;     /* bytes of the file */
	bool memory_only;  /* tmpfs, ramfs: what has no page and is not swapped out is zeros */
	uint64_t pages;    /* address of the struct page of page frame 0 */
	uint64_t uptodate; /* the bit of page.flags that says that the page was filled */
	struct object node, page;
	bool has_leaf; /* `node` has the pages from leaf * its number of slots on */
	uint64_t leaf;
};

/*
 * Begins to read a file by the address of its inode; the cache is freed by linux_cache_deinit() in
 * any case. type is S_IFREG or S_IFLNK. NUNCHI_ERROR_UNSUPPORTED if the file is not of this type,
 * if its file system does not keep its files in the page cache of the same inode (overlayfs, FUSE,
 * proc), or if the kernel's types or symbols lack something.
 */
struct nunchi_error *linux_cache_init(struct linux_cache *cache, struct linux_kernel *kernel,
				      uint64_t inode, uint64_t type);
void linux_cache_deinit(struct linux_cache *cache);
/*
 * Finds the page with this number of the file. READ_OK: *ret is where it is in RAM. READ_NONE: it
 * is zeros, and the file system stores nothing there. READ_PAGED_OUT: it is not in RAM: swapped
 * out, or not in the page cache.
 */
enum read_result linux_cache_page(struct linux_cache *cache, uint64_t number, gpa_t *ret);

#endif
