/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mappings of a process, as /proc/PID/maps shows them. Source: fs/proc/task_mmu.c.
 */
#ifndef NUNCHI_GUEST_LINUX_VMA_H
#define NUNCHI_GUEST_LINUX_VMA_H

#include "core/buffer.h"
#include "guest/linux/maple.h"
#include "guest/linux/path.h"

/* vm_area_struct.vm_flags (include/linux/mm.h) */
#define LINUX_VM_READ     0x1
#define LINUX_VM_WRITE    0x2
#define LINUX_VM_EXEC     0x4
#define LINUX_VM_MAYSHARE 0x80

struct linux_vmas {
	struct linux_kernel *kernel;
	uint64_t mm;   /* address of the mm_struct */
	uint64_t next; /* where they are a list: the next one's address */
	uint64_t end;  /* of the last one given */
	uint64_t count;
	unsigned tries;
	unsigned stale;
	bool is_tree;
	bool broken; /* some are left out: what is there contradicts itself in every try */
	struct linux_maple maple;
};

/* False if this kernel's types lack what is needed. */
bool linux_vmas_init(struct linux_vmas *walk, struct linux_kernel *kernel, uint64_t mm);
void linux_vmas_deinit(struct linux_vmas *walk);
/* Copies the next vm_area_struct in ascending order of address; false at the end. */
bool linux_vmas_next(struct linux_vmas *walk, struct object *vma);

/* Whether the process has a mapping in that range; true also where it cannot be told. */
bool linux_vma_overlaps(struct linux_kernel *kernel, uint64_t mm, uint64_t start, uint64_t end);

/* What a mapping is of. */
struct linux_mapping {
	uint64_t offset; /* bytes, in the file */
	uint64_t device; /* of the file's inode: number as in the kernel (12 bits, 20 bits) */
	uint64_t inode;
	enum memory_fault inode_fault;
	enum memory_fault name_fault;
	bool has_file;
};

/*
 * Describes a mapping. The name appended is the file's path, a name that the kernel or the process
 * gave ("[heap]", "[vdso]", "[anon:x]"), or nothing. mm: a copy of the mm_struct.
 */
void linux_vma_describe(struct linux_kernel *kernel, const struct object *mm,
			const struct object *vma, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name);

/*
 * The page that a 64-bit process may call for old-style system calls, shown last in maps where the
 * kernel offers it. False if this process has none.
 */
bool linux_gate_vma(struct linux_kernel *kernel, const struct object *mm, struct object *vma);

#endif
