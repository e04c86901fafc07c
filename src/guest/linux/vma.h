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
	uint64_t next; /* if the mappings are a list: address of the next one */
	uint64_t end;  /* end address of the last one returned */
	uint64_t count;
	unsigned tries;
	unsigned stale;
	bool is_tree;
	enum read_result broken; /* why some mappings are left out, or READ_OK */
	struct linux_maple maple;
};

/* Begins a walk over the mappings. Returns a fault or READ_NO_LAYOUT if there can be no walk. */
enum read_result linux_vmas_init(struct linux_vmas *walk, struct linux_kernel *kernel, uint64_t mm);
void linux_vmas_deinit(struct linux_vmas *walk);
/* Copies the next vm_area_struct in ascending order of address; false at the end. */
bool linux_vmas_next(struct linux_vmas *walk, struct object *vma);

/*
 * Finds out whether the process has a mapping in the range; otherwise returns why that is unknown.
 */
enum read_result linux_vma_overlaps(struct linux_kernel *kernel, uint64_t mm, uint64_t start,
				    uint64_t end, bool *ret);

/*
 * Gets the address of the struct file that is mapped at an address; 0: the mapping there has none.
 * READ_NONE if there is no mapping; otherwise why that is unknown.
 */
enum read_result linux_vma_file(struct linux_kernel *kernel, uint64_t mm, uint64_t address,
				uint64_t *ret);

/* The properties of a mapping. */
struct linux_mapping {
	uint64_t start, end; /* set by linux_mappings_get() only, like flags */
	uint64_t flags;      /* vm_flags */
	uint64_t offset;     /* in bytes, in the file */
	/* of the file's inode, in the kernel's encoding (12 bits major, 20 bits minor) */
	uint64_t device;
	uint64_t inode;
	enum read_result inode_fault;
	enum read_result name_fault;
	bool has_file;
};

/*
 * Describes a mapping. Appends its name: the file's path, a name given by the kernel or the process
 * ("[heap]", "[vdso]", "[anon:x]"), or nothing. mm is a copy of the mm_struct.
 */
void linux_vma_describe(struct linux_kernel *kernel, const struct object *mm,
			const struct object *vma, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name);

/*
 * Describes the vsyscall page, which /proc/PID/maps shows last and which 64-bit processes may call
 * for old system calls. READ_NONE if this process has none.
 */
enum read_result linux_gate_vma(struct linux_kernel *kernel, const struct object *mm,
				struct object *vma);

/*
 * A walk over the mappings of one process in the order of /proc/PID/maps, with the vsyscall page
 * last.
 */
struct linux_mappings {
	struct linux_kernel *kernel;
	const struct object *task; /* borrowed */
	struct linux_vmas vmas;
	struct object mm, vma;
	bool walking;
	bool in_gate; /* the current mapping is the vsyscall page */
	/* valid after the last mapping: why some are left out, or READ_OK */
	enum read_result broken;
	/* why the vsyscall page is left out; READ_NONE: the process has none */
	enum read_result gate;
};

/*
 * Checks that this kernel's types have all fields needed. NUNCHI_ERROR_UNSUPPORTED names the
 * missing ones.
 */
struct nunchi_error *linux_mappings_check(struct linux_kernel *kernel);
/*
 * Begins a walk. task is a copy of a task_struct that must outlive the walk. READ_NONE if the task
 * has no memory.
 */
enum read_result linux_mappings_init(struct linux_mappings *walk, struct linux_kernel *kernel,
				     const struct object *task);
void linux_mappings_deinit(struct linux_mappings *walk);
/* Steps to the next mapping; false at the end. */
bool linux_mappings_next(struct linux_mappings *walk);
/*
 * Describes the current mapping as it is now and appends its name; false if the mapping does not
 * exist any more.
 */
bool linux_mappings_get(struct linux_mappings *walk, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name);

#endif
