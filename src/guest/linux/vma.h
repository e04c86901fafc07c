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
	enum read_result broken; /* why some are left out, or READ_OK */
	struct linux_maple maple;
};

/* A fault, or READ_NO_LAYOUT, if the mappings cannot be walked at all. */
enum read_result linux_vmas_init(struct linux_vmas *walk, struct linux_kernel *kernel, uint64_t mm);
void linux_vmas_deinit(struct linux_vmas *walk);
/* Copies the next vm_area_struct in ascending order of address; false at the end. */
bool linux_vmas_next(struct linux_vmas *walk, struct object *vma);

/* Whether the process has a mapping in that range; or why that cannot be told. */
enum read_result linux_vma_overlaps(struct linux_kernel *kernel, uint64_t mm, uint64_t start,
				    uint64_t end, bool *ret);

/* What a mapping is of. */
struct linux_mapping {
	uint64_t start, end; /* set by linux_mappings_get() alone, as flags */
	uint64_t flags;      /* vm_flags */
	uint64_t offset;     /* bytes, in the file */
	uint64_t device;     /* of the file's inode: number as in the kernel (12 bits, 20 bits) */
	uint64_t inode;
	enum read_result inode_fault;
	enum read_result name_fault;
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
 * kernel offers it. READ_NONE if this process has none.
 */
enum read_result linux_gate_vma(struct linux_kernel *kernel, const struct object *mm,
				struct object *vma);

/* A walk over the mappings of one process as its maps shows them, the vsyscall page last. */
struct linux_mappings {
	struct linux_kernel *kernel;
	const struct object *task; /* borrowed */
	struct linux_vmas vmas;
	struct object mm, vma;
	bool walking;
	bool in_gate;            /* at the vsyscall page */
	enum read_result broken; /* after the last mapping: why some are left out, or READ_OK */
	enum read_result gate;   /* why the vsyscall page is left out; READ_NONE: there is none */
};

/* NUNCHI_ERROR_UNSUPPORTED names the fields that this kernel's types lack for it. */
struct nunchi_error *linux_mappings_check(struct linux_kernel *kernel);
/* task: a copy of a task_struct, to live as long. READ_NONE if it has no memory. */
enum read_result linux_mappings_init(struct linux_mappings *walk, struct linux_kernel *kernel,
				     const struct object *task);
void linux_mappings_deinit(struct linux_mappings *walk);
/* Goes to the next mapping; false at the end. */
bool linux_mappings_next(struct linux_mappings *walk);
/* Describes the mapping at hand as it is now, its name appended; false if it is gone. */
bool linux_mappings_get(struct linux_mappings *walk, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name);

#endif
