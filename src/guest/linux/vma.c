/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/vma.h"

#include <string.h>

#define MAX_VMAS      ((uint64_t)1 << 20)
#define MAX_STALE     64 /* entries that are no mapping of the process */
#define MAX_TRIES     4
#define NAME_MAX_ANON 80 /* ANON_VMA_NAME_MAX_LEN of mm/madvise.c */

/*
 * FMODE_BACKING of include/linux/fs.h: bit 25 at first, later bit 24, while 25 got another meaning.
 */
#define FMODE_BACKING_EITHER ((uint64_t)3 << 24)
#define HAS_VSYSCALL         ((uint64_t)1 << 1) /* MM_CONTEXT_HAS_VSYSCALL of asm/mmu.h */
#define VSYSCALL_NONE        2 /* vsyscall_mode in arch/x86/entry/vsyscall/vsyscall_64.c */

bool linux_vmas_init(struct linux_vmas *walk, struct linux_kernel *kernel, uint64_t mm)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);

	*walk = (struct linux_vmas){.kernel = kernel, .mm = mm};
	if (!layout->vma_start.present || !layout->vma_end.present || !layout->vma_mm.present)
		return false;
	if (layout->mm_mm_mt.present) {
		walk->is_tree = true;
		return linux_maple_init(&walk->maple, kernel, mm + layout->mm_mm_mt.offset);
	}
	return layout->mm_mmap.present && layout->vma_next.present &&
	       linux_read_field(kernel, mm, &layout->mm_mmap, &walk->next) == MEMORY_OK;
}

void linux_vmas_deinit(struct linux_vmas *walk)
{
	linux_maple_deinit(&walk->maple);
}

/* A vm_area_struct's storage may have been given to another process meanwhile. */
static bool read_vma(struct linux_vmas *walk, uint64_t address, struct object *vma)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t start, end;

	if (linux_read_object(walk->kernel, LAYOUT_vma, address, vma) != MEMORY_OK)
		return false;
	start = object_u64(vma, &layout->vma_start);
	end = object_u64(vma, &layout->vma_end);
	return object_u64(vma, &layout->vma_mm) == walk->mm && start < end && start >= walk->end &&
	       !((start | end) & PAGE_MASK);
}

static bool next_in_tree(struct linux_vmas *walk, struct object *vma)
{
	uint64_t address, first;

	while (linux_maple_next(&walk->maple, &address, &first)) {
		if (read_vma(walk, address, vma))
			return true;
		/* Look again, for the tree may have changed; then go on behind it. */
		if (walk->tries++ < MAX_TRIES) {
			linux_maple_seek(&walk->maple, walk->end);
		} else {
			walk->tries = 0;
			walk->broken = true;
			if (walk->stale++ == MAX_STALE)
				return false;
		}
	}
	walk->broken |= walk->maple.broken;
	return false;
}

static bool next_in_list(struct linux_vmas *walk, struct object *vma)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t steps = 0;

	while (walk->next && !cancel_requested(walk->kernel->guest.cancel)) {
		if (read_vma(walk, walk->next, vma)) {
			walk->next = object_u64(vma, &layout->vma_next);
			return true;
		}
		/* From the start again, past those already given, which are in order. */
		if (vma->size && object_u64(vma, &layout->vma_mm) == walk->mm &&
		    object_u64(vma, &layout->vma_end) <= walk->end && steps++ < MAX_VMAS) {
			walk->next = object_u64(vma, &layout->vma_next);
			continue;
		}
		if (walk->tries++ == MAX_TRIES ||
		    linux_read_field(walk->kernel, walk->mm, &layout->mm_mmap, &walk->next) !=
			MEMORY_OK) {
			walk->broken = true;
			walk->next = 0;
		}
	}
	return false;
}

bool linux_vmas_next(struct linux_vmas *walk, struct object *vma)
{
	bool found;

	if (walk->stale > MAX_STALE)
		return false;
	if (walk->count == MAX_VMAS) {
		walk->broken = true;
		return false;
	}
	found = walk->is_tree ? next_in_tree(walk, vma) : next_in_list(walk, vma);
	if (found) {
		walk->count++;
		walk->tries = 0;
		walk->end = object_u64(vma, &walk->kernel->layout.vma_end);
	}
	return found;
}

/*
 * An overlay file system maps the file beneath it, in a larger structure that also keeps
 * the path by which it was opened. The mode says so, but in a bit that moved; so what follows the
 * file must also be a path: a mount and a name on one and the same file system.
 */
static bool read_user_path(struct linux_kernel *kernel, const struct object *file,
			   struct linux_path *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);
	uint64_t on_mount, on_dentry;

	return layout->backing_file_user_path.present &&
	       object_u64(file, &layout->file_mode) & FMODE_BACKING_EITHER &&
	       linux_read_path(kernel, file->address + layout->backing_file_user_path.offset,
			       ret) == MEMORY_OK &&
	       linux_read_field(kernel, ret->mnt - layout->mount_vfsmount.offset, &layout->mount_sb,
				&on_mount) == MEMORY_OK &&
	       linux_read_field(kernel, ret->dentry, &layout->dentry_sb, &on_dentry) == MEMORY_OK &&
	       on_mount && on_mount == on_dentry;
}

/* The path and the inode that a mapped file stands for. */
static enum memory_fault read_file(struct linux_kernel *kernel, uint64_t file,
				   struct linux_path *ret_path, uint64_t *ret_inode)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object copy = {0};
	enum memory_fault fault = linux_read_object(kernel, LAYOUT_file, file, &copy);

	if (fault != MEMORY_OK)
		return fault;
	if (!layout->file_path.present)
		return MEMORY_IO;
	if (read_user_path(kernel, &copy, ret_path))
		return linux_read_field(kernel, ret_path->dentry, &layout->dentry_inode, ret_inode);
	*ret_inode = object_u64(&copy, &layout->file_inode);
	return linux_read_path(kernel, file + layout->file_path.offset, ret_path);
}

static enum memory_fault read_inode(struct linux_kernel *kernel, uint64_t inode,
				    struct linux_mapping *ret)
{
	const struct layout *layout = &kernel->layout;
	enum memory_fault fault;
	uint64_t sb;

	fault = linux_read_field(kernel, inode, &layout->inode_ino, &ret->inode);
	if (fault == MEMORY_OK)
		fault = linux_read_field(kernel, inode, &layout->inode_sb, &sb);
	if (fault == MEMORY_OK)
		fault = linux_read_field(kernel, sb, &layout->super_dev, &ret->device);
	return fault;
}

/* The name that the process gave an anonymous mapping (PR_SET_VMA_ANON_NAME), or 0. */
static uint64_t anon_name(const struct layout *layout, const struct object *vma, bool has_file)
{
	bool shares_place =
	    layout->vma_shared.present && layout->vma_anon_name.offset == layout->vma_shared.offset;

	if (!layout->vma_anon_name.present || !layout->anon_vma_name_name.present ||
	    (has_file && shares_place))
		return 0;
	return object_u64(vma, &layout->vma_anon_name);
}

static enum memory_fault append_anon_name(struct linux_kernel *kernel, const char *prefix,
					  uint64_t address, struct buffer *ret)
{
	char name[NAME_MAX_ANON];
	enum memory_fault fault;
	size_t size;

	fault = linux_read_string(kernel, address + kernel->layout.anon_vma_name_name.offset, name,
				  sizeof(name), &size);
	if (fault != MEMORY_OK)
		return fault;
	buffer_append_string(ret, prefix);
	buffer_append(ret, name, size);
	return buffer_append_char(ret, ']') ? MEMORY_OK : MEMORY_IO;
}

/* A mapping made by the kernel itself ("[vdso]"), whose name is in a structure of the kernel. */
static bool append_special_name(struct linux_kernel *kernel, const struct object *vma,
				struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t ops = object_u64(vma, &layout->vma_ops);
	uint64_t function = 0, name = 0;
	char text[64];
	size_t size;

	if (!ops || linux_read_field(kernel, ops, &layout->vm_ops_name, &function) != MEMORY_OK ||
	    !function || function != kernel->symbol[LINUX_special_mapping_name])
		return false;
	return linux_read_field(kernel, object_u64(vma, &layout->vma_private),
				&layout->special_mapping_name, &name) == MEMORY_OK &&
	       linux_read_string(kernel, name, text, sizeof(text), &size) == MEMORY_OK && size &&
	       buffer_append(ret, text, size);
}

static enum memory_fault append_name(struct linux_kernel *kernel, const struct object *mm,
				     const struct object *vma, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t start = object_u64(vma, &layout->vma_start);
	uint64_t end = object_u64(vma, &layout->vma_end);
	uint64_t stack = object_u64(mm, &layout->mm_start_stack);
	uint64_t given = anon_name(layout, vma, false);

	if (append_special_name(kernel, vma, ret))
		return MEMORY_OK;
	if (start < object_u64(mm, &layout->mm_brk) && end > object_u64(mm, &layout->mm_start_brk))
		return buffer_append_string(ret, "[heap]") ? MEMORY_OK : MEMORY_IO;
	if (start <= stack && end >= stack)
		return buffer_append_string(ret, "[stack]") ? MEMORY_OK : MEMORY_IO;
	return given ? append_anon_name(kernel, "[anon:", given, ret) : MEMORY_OK;
}

void linux_vma_describe(struct linux_kernel *kernel, const struct object *mm,
			const struct object *vma, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name)
{
	const struct layout *layout = &kernel->layout;
	uint64_t file = object_u64(vma, &layout->vma_file);
	struct linux_path path;
	uint64_t inode, given;

	*ret = (struct linux_mapping){.has_file = file != 0};
	if (!file) {
		ret->name_fault = append_name(kernel, mm, vma, ret_name);
		return;
	}
	ret->offset = object_u64(vma, &layout->vma_pgoff) << PAGE_SHIFT;
	ret->name_fault = read_file(kernel, file, &path, &inode);
	ret->inode_fault = ret->name_fault;
	if (ret->name_fault != MEMORY_OK)
		return;
	ret->inode_fault = read_inode(kernel, inode, ret);
	given = anon_name(layout, vma, true);
	ret->name_fault = given ? append_anon_name(kernel, "[anon_shmem:", given, ret_name)
				: linux_d_path(kernel, &path, root, ret_name);
}

bool linux_vma_overlaps(struct linux_kernel *kernel, uint64_t mm, uint64_t start, uint64_t end)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object vma = {0};
	struct linux_vmas walk;
	bool found = true;

	if (linux_vmas_init(&walk, kernel, mm)) {
		found = false;
		while (!found && linux_vmas_next(&walk, &vma) &&
		       object_u64(&vma, &layout->vma_start) < end)
			found = object_u64(&vma, &layout->vma_end) > start;
		found |= walk.broken;
	}
	linux_vmas_deinit(&walk);
	return found;
}

bool linux_gate_vma(struct linux_kernel *kernel, const struct object *mm, struct object *vma)
{
	const struct layout *layout = &kernel->layout;
	uint64_t gate = kernel->symbol[LINUX_gate_vma];
	uint64_t mode = kernel->symbol[LINUX_vsyscall_mode];
	uint32_t value;
	bool offered;

	if (!gate || !mode || linux_read_u32(kernel, mode, &value) != MEMORY_OK ||
	    value == VSYSCALL_NONE)
		return false;
	if (layout->mm_context_flags.present)
		offered = object_u64(mm, &layout->mm_context_flags) & HAS_VSYSCALL;
	else
		offered =
		    layout->mm_ia32_compat.present && !object_u64(mm, &layout->mm_ia32_compat);
	return offered && linux_read_object(kernel, LAYOUT_vma, gate, vma) == MEMORY_OK &&
	       object_u64(vma, &layout->vma_start) < object_u64(vma, &layout->vma_end);
}
