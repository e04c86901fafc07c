/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/vma.h"

#include "guest/linux/mm.h"

#include <string.h>

#define MAX_VMAS      ((uint64_t)1 << 20)
#define MAX_STALE     64 /* entries that are not mappings of the process */
#define MAX_TRIES     4
#define NAME_MAX_ANON 80 /* ANON_VMA_NAME_MAX_LEN of mm/madvise.c */

/*
 * FMODE_BACKING of include/linux/fs.h: bit 25 at first, then bit 24, when bit 25 got another
 * meaning.
 */
#define FMODE_BACKING_EITHER ((uint64_t)3 << 24)
#define HAS_VSYSCALL         ((uint64_t)1 << 1) /* MM_CONTEXT_HAS_VSYSCALL of asm/mmu.h */
#define VSYSCALL_NONE        2 /* vsyscall_mode in arch/x86/entry/vsyscall/vsyscall_64.c */

enum read_result linux_vmas_init(struct linux_vmas *walk, struct linux_kernel *kernel, uint64_t mm)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);

	*walk = (struct linux_vmas){.kernel = kernel, .mm = mm};
	if (!layout->vma_start.present || !layout->vma_end.present || !layout->vma_mm.present)
		return READ_NO_LAYOUT;
	if (layout->mm_mm_mt.present) {
		walk->is_tree = true;
		return linux_maple_init(&walk->maple, kernel, mm + layout->mm_mm_mt.offset)
			   ? READ_OK
			   : READ_NO_LAYOUT;
	}
	if (!layout->vma_next.present)
		return READ_NO_LAYOUT;
	return linux_read_field(kernel, mm, &layout->mm_mmap, &walk->next);
}

void linux_vmas_deinit(struct linux_vmas *walk)
{
	linux_maple_deinit(&walk->maple);
}

/*
 * Reads a vm_area_struct. READ_BAD_DATA if it is not a mapping of this process after the last one
 * returned: its memory may have been reused for another process.
 */
static enum read_result read_vma(struct linux_vmas *walk, uint64_t address, struct object *vma)
{
	const struct layout *layout = &walk->kernel->layout;
	enum read_result result = linux_read_object(walk->kernel, LAYOUT_vma, address, vma);
	uint64_t start, end;

	if (result != READ_OK)
		return result;
	start = object_u64(vma, &layout->vma_start);
	end = object_u64(vma, &layout->vma_end);
	return object_u64(vma, &layout->vma_mm) == walk->mm && start < end && start >= walk->end &&
		       !((start | end) & PAGE_MASK)
		   ? READ_OK
		   : READ_BAD_DATA;
}

static bool next_in_tree(struct linux_vmas *walk, struct object *vma)
{
	uint64_t address, first;

	while (linux_maple_next(&walk->maple, &address, &first)) {
		enum read_result result = read_vma(walk, address, vma);

		if (result == READ_OK)
			return true;
		/*
		 * Read again, because the tree may have changed; then continue after the last
		 * mapping.
		 */
		if (walk->tries++ < MAX_TRIES) {
			linux_maple_seek(&walk->maple, walk->end);
		} else {
			walk->tries = 0;
			walk->broken = result;
			if (walk->stale++ == MAX_STALE)
				return false;
		}
	}
	if (walk->maple.broken)
		walk->broken = walk->maple.broken;
	return false;
}

static bool next_in_list(struct linux_vmas *walk, struct object *vma)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t steps = 0;

	while (walk->next && !cancel_requested(walk->kernel->guest.cancel)) {
		enum read_result result = read_vma(walk, walk->next, vma);

		if (result == READ_OK) {
			walk->next = object_u64(vma, &layout->vma_next);
			return true;
		}
		/*
		 * Start again at the first mapping and skip those already returned; they are in
		 * ascending order.
		 */
		if (vma->size && object_u64(vma, &layout->vma_mm) == walk->mm &&
		    object_u64(vma, &layout->vma_end) <= walk->end && steps++ < MAX_VMAS) {
			walk->next = object_u64(vma, &layout->vma_next);
			continue;
		}
		if (walk->tries++ == MAX_TRIES ||
		    linux_read_field(walk->kernel, walk->mm, &layout->mm_mmap, &walk->next) !=
			READ_OK) {
			walk->broken = result;
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
		walk->broken = READ_LIMIT;
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
 * Finds the path by which a file of an overlay file system was opened. Such a file system maps the
 * file below it, in a larger structure (struct backing_file) that contains this path. f_mode says
 * so, but its bit has moved between versions; so the bytes after the file must also be a valid
 * path: a mount and a dentry of one file system.
 */
static enum read_result read_user_path(struct linux_kernel *kernel, const struct object *file,
				       struct linux_path *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);
	uint64_t on_mount = 0, on_dentry = 0;
	enum read_result result;

	if (!layout->backing_file_user_path.present ||
	    !(object_u64(file, &layout->file_mode) & FMODE_BACKING_EITHER))
		return READ_NONE;
	result =
	    linux_read_path(kernel, file->address + layout->backing_file_user_path.offset, ret);
	if (result == READ_OK)
		result = linux_read_field(kernel, ret->mnt - layout->mount_vfsmount.offset,
					  &layout->mount_sb, &on_mount);
	if (result == READ_OK)
		result = linux_read_field(kernel, ret->dentry, &layout->dentry_sb, &on_dentry);
	/* If the file is not in such a structure, the bytes after it are arbitrary. */
	if (result == READ_NOT_MAPPED || result == READ_NO_RAM)
		return READ_NONE;
	if (result != READ_OK)
		return result;
	return on_mount && on_mount == on_dentry ? READ_OK : READ_NONE;
}

/* Finds the path and the inode of a mapped file. */
static enum read_result read_file(struct linux_kernel *kernel, uint64_t file,
				  struct linux_path *ret_path, uint64_t *ret_inode)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object copy = {0};
	enum read_result fault = linux_read_object(kernel, LAYOUT_file, file, &copy);

	if (fault != READ_OK)
		return fault;
	if (!layout->file_path.present)
		return READ_NO_LAYOUT;
	fault = read_user_path(kernel, &copy, ret_path);
	if (fault == READ_OK)
		return linux_read_field(kernel, ret_path->dentry, &layout->dentry_inode, ret_inode);
	if (fault != READ_NONE)
		return fault;
	*ret_inode = object_u64(&copy, &layout->file_inode);
	return linux_read_path(kernel, file + layout->file_path.offset, ret_path);
}

static enum read_result read_inode(struct linux_kernel *kernel, uint64_t inode,
				   struct linux_mapping *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result fault;
	uint64_t sb;

	fault = linux_read_field(kernel, inode, &layout->inode_ino, &ret->inode);
	if (fault == READ_OK)
		fault = linux_read_field(kernel, inode, &layout->inode_sb, &sb);
	if (fault == READ_OK)
		fault = linux_read_field(kernel, sb, &layout->super_dev, &ret->device);
	return fault;
}

/*
 * The address of the name that the process gave an anonymous mapping (PR_SET_VMA_ANON_NAME), or 0.
 */
static uint64_t anon_name(const struct layout *layout, const struct object *vma, bool has_file)
{
	bool shares_place =
	    layout->vma_shared.present && layout->vma_anon_name.offset == layout->vma_shared.offset;

	if (!layout->vma_anon_name.present || !layout->anon_vma_name_name.present ||
	    (has_file && shares_place))
		return 0;
	return object_u64(vma, &layout->vma_anon_name);
}

static enum read_result append_anon_name(struct linux_kernel *kernel, const char *prefix,
					 uint64_t address, struct buffer *ret)
{
	char name[NAME_MAX_ANON];
	enum read_result fault;
	size_t size;

	fault = linux_read_string(kernel, address + kernel->layout.anon_vma_name_name.offset, name,
				  sizeof(name), &size);
	if (fault != READ_OK)
		return fault;
	buffer_append_string(ret, prefix);
	buffer_append(ret, name, size);
	return buffer_append_char(ret, ']') ? READ_OK : READ_NO_MEMORY;
}

/*
 * Appends the name of a mapping that the kernel made ("[vdso]"), which a kernel structure contains.
 * READ_NONE if the mapping is not of that kind.
 */
static enum read_result append_special_name(struct linux_kernel *kernel, const struct object *vma,
					    struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t ops = object_u64(vma, &layout->vma_ops);
	uint64_t function = 0, name = 0;
	enum read_result result;
	char text[64];
	size_t size;

	if (!ops || !layout->vm_ops_name.present || !layout->special_mapping_name.present)
		return READ_NONE;
	result = linux_read_field(kernel, ops, &layout->vm_ops_name, &function);
	if (result == READ_OK &&
	    (!function || function != kernel->symbol[LINUX_special_mapping_name]))
		return READ_NONE;
	if (result == READ_OK)
		result = linux_read_field(kernel, object_u64(vma, &layout->vma_private),
					  &layout->special_mapping_name, &name);
	if (result == READ_OK)
		result = linux_read_string(kernel, name, text, sizeof(text), &size);
	if (result == READ_OK && !size)
		return READ_NONE;
	if (result == READ_OK && !buffer_append(ret, text, size))
		return READ_NO_MEMORY;
	return result;
}

static enum read_result append_name(struct linux_kernel *kernel, const struct object *mm,
				    const struct object *vma, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t start = object_u64(vma, &layout->vma_start);
	uint64_t end = object_u64(vma, &layout->vma_end);
	uint64_t stack = object_u64(mm, &layout->mm_start_stack);
	uint64_t given = anon_name(layout, vma, false);
	enum read_result special = append_special_name(kernel, vma, ret);

	if (special != READ_NONE)
		return special;
	if (start < object_u64(mm, &layout->mm_brk) && end > object_u64(mm, &layout->mm_start_brk))
		return buffer_append_string(ret, "[heap]") ? READ_OK : READ_NO_MEMORY;
	if (start <= stack && end >= stack)
		return buffer_append_string(ret, "[stack]") ? READ_OK : READ_NO_MEMORY;
	return given ? append_anon_name(kernel, "[anon:", given, ret) : READ_OK;
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
	if (ret->name_fault != READ_OK)
		return;
	ret->inode_fault = read_inode(kernel, inode, ret);
	given = anon_name(layout, vma, true);
	ret->name_fault = given ? append_anon_name(kernel, "[anon_shmem:", given, ret_name)
				: linux_d_path(kernel, &path, root, ret_name);
}

enum read_result linux_vma_overlaps(struct linux_kernel *kernel, uint64_t mm, uint64_t start,
				    uint64_t end, bool *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object vma = {0};
	struct linux_vmas walk;
	enum read_result result = linux_vmas_init(&walk, kernel, mm);
	bool found = false;

	while (result == READ_OK && !found && linux_vmas_next(&walk, &vma) &&
	       object_u64(&vma, &layout->vma_start) < end)
		found = object_u64(&vma, &layout->vma_end) > start;
	if (result == READ_OK && !found)
		result = walk.broken;
	linux_vmas_deinit(&walk);
	if (result == READ_OK)
		*ret = found;
	return result;
}

enum read_result linux_vma_file(struct linux_kernel *kernel, uint64_t mm, uint64_t address,
				uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object vma = {0};
	struct linux_vmas walk;
	enum read_result result = linux_vmas_init(&walk, kernel, mm);
	bool found = false;

	/* In a list all mappings before it are read. */
	if (result == READ_OK && walk.is_tree)
		linux_maple_seek(&walk.maple, address);
	while (result == READ_OK && !found && linux_vmas_next(&walk, &vma))
		found = object_u64(&vma, &layout->vma_end) > address;
	if (result == READ_OK && !found && walk.broken)
		result = walk.broken;
	else if (result == READ_OK && (!found || object_u64(&vma, &layout->vma_start) > address))
		result = READ_NONE;
	else if (result == READ_OK && !layout->vma_file.present)
		result = READ_NO_LAYOUT;
	linux_vmas_deinit(&walk);
	if (result == READ_OK)
		*ret = object_u64(&vma, &layout->vma_file);
	return result;
}

enum read_result linux_gate_vma(struct linux_kernel *kernel, const struct object *mm,
				struct object *vma)
{
	const struct layout *layout = &kernel->layout;
	uint64_t gate = kernel->symbol[LINUX_gate_vma];
	uint64_t mode = kernel->symbol[LINUX_vsyscall_mode];
	enum read_result result;
	uint32_t value;
	bool offered;

	if (layout->mm_context_flags.present)
		offered = object_u64(mm, &layout->mm_context_flags) & HAS_VSYSCALL;
	else
		offered =
		    layout->mm_ia32_compat.present && !object_u64(mm, &layout->mm_ia32_compat);
	if (!offered)
		return READ_NONE;
	/* Kernels without the page have none of the three; a table of functions alone has the
	 * third. */
	if (!gate || !mode)
		return kernel->symbol[LINUX_stext] && !kernel->symbol[LINUX_emulate_vsyscall]
			   ? READ_NONE
			   : READ_NO_SYMBOL;
	result = linux_read_u32(kernel, mode, &value);
	if (result == READ_OK && value == VSYSCALL_NONE)
		return READ_NONE;
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_vma, gate, vma);
	if (result == READ_OK &&
	    object_u64(vma, &layout->vma_start) >= object_u64(vma, &layout->vma_end))
		return READ_BAD_DATA;
	return result;
}

/* ---- All mappings of one process ------------------------------------------------------------- */

struct nunchi_error *linux_mappings_check(struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_map);

	if (layout->task_mm.present && layout->vma_start.present &&
	    (layout->mm_mm_mt.present || layout->mm_mmap.present))
		return NULL;
	return linux_lacks_fields(
	    "mappings cannot be walked",
	    "task_struct.mm, vm_area_struct, or both mm_struct.mm_mt and mm_struct.mmap");
}

enum read_result linux_mappings_init(struct linux_mappings *walk, struct linux_kernel *kernel,
				     const struct object *task)
{
	uint64_t mm = object_u64(task, &kernel->layout.task_mm);
	enum read_result result;

	*walk = (struct linux_mappings){.kernel = kernel, .task = task};
	if (!mm)
		return linux_task_lacks(kernel, task, true);
	result = linux_read_object(kernel, LAYOUT_mm, mm, &walk->mm);
	if (result == READ_OK)
		result = linux_vmas_init(&walk->vmas, kernel, mm);
	walk->walking = result == READ_OK;
	if (result != READ_OK && !linux_task_keeps(kernel, task, &kernel->layout.task_mm))
		return READ_NONE;
	return result;
}

void linux_mappings_deinit(struct linux_mappings *walk)
{
	linux_vmas_deinit(&walk->vmas);
	object_deinit(&walk->mm);
	object_deinit(&walk->vma);
}

bool linux_mappings_next(struct linux_mappings *walk)
{
	if (!walk->walking)
		return false;
	if (!walk->in_gate && linux_vmas_next(&walk->vmas, &walk->vma))
		return true;
	walk->walking = !walk->in_gate;
	if (!walk->walking)
		return false;
	if (linux_task_keeps(walk->kernel, walk->task, &walk->kernel->layout.task_mm))
		walk->broken = walk->vmas.broken;
	/* The kernel counts them too. */
	if (!walk->kernel->guest.live && !walk->broken &&
	    walk->kernel->layout.mm_map_count.present &&
	    walk->vmas.count != object_u64(&walk->mm, &walk->kernel->layout.mm_map_count))
		walk->broken = READ_BAD_DATA;
	walk->gate = linux_gate_vma(walk->kernel, &walk->mm, &walk->vma);
	walk->in_gate = walk->walking = walk->gate == READ_OK;
	return walk->walking;
}

bool linux_mappings_get(struct linux_mappings *walk, const struct linux_path *root,
			struct linux_mapping *ret, struct buffer *ret_name)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t mm = walk->mm.address;

	/* The mapping or its process may have ended, or their memory may have been reused. */
	if (!linux_task_keeps(kernel, walk->task, &layout->task_mm) ||
	    linux_read_object(kernel, LAYOUT_mm, mm, &walk->mm) != READ_OK ||
	    linux_read_object(kernel, LAYOUT_vma, walk->vma.address, &walk->vma) != READ_OK ||
	    (!walk->in_gate && object_u64(&walk->vma, &layout->vma_mm) != mm))
		return false;
	if (walk->in_gate) {
		*ret = (struct linux_mapping){0};
		if (!buffer_append_string(ret_name, "[vsyscall]"))
			ret->name_fault = READ_NO_MEMORY;
	} else {
		linux_vma_describe(kernel, &walk->mm, &walk->vma, root, ret, ret_name);
	}
	ret->start = object_u64(&walk->vma, &layout->vma_start);
	ret->end = object_u64(&walk->vma, &layout->vma_end);
	ret->flags = object_u64(&walk->vma, &layout->vma_flags);
	return true;
}
