/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/path.h"

#include "guest/linux/task.h"

#include <string.h>

#define NAME_LIMIT       LINUX_PATH_MAX
#define DMA_BUF_NAME_LEN 32 /* include/uapi/linux/dma-buf.h */

/* A path grows from its end, as names are found from the file upward. */
struct climb {
	struct linux_kernel *kernel;
	struct object dentry;
	struct object mount;
	size_t start; /* of the text; NAME_LIMIT when empty */
	char text[LINUX_PATH_MAX];
};

enum climb_end {
	CLIMB_ROOT,    /* met the root given */
	CLIMB_TOP,     /* met a mount that hangs nowhere */
	CLIMB_ESCAPED, /* met a file system's root above the part that is mounted */
};

static void climb_init(struct climb *climb, struct linux_kernel *kernel)
{
	climb->kernel = kernel;
	climb->dentry = (struct object){0};
	climb->mount = (struct object){0};
	climb->start = sizeof(climb->text);
}

static void climb_deinit(struct climb *climb)
{
	object_deinit(&climb->dentry);
	object_deinit(&climb->mount);
}

#define _cleanup_climb_ _cleanup_(climb_deinit)

static bool prepend(struct climb *climb, const char *text, size_t size)
{
	if (size > climb->start)
		return false;
	climb->start -= size;
	memcpy(climb->text + climb->start, text, size);
	return true;
}

static enum memory_fault climb_append_to(const struct climb *climb, struct buffer *ret)
{
	return buffer_append(ret, climb->text + climb->start, sizeof(climb->text) - climb->start)
		   ? MEMORY_OK
		   : MEMORY_IO;
}

/* A dentry's name: within the dentry itself if it is short. A rename may cut it at a NUL. */
static enum memory_fault read_name(struct linux_kernel *kernel, const struct object *dentry,
				   char name[NAME_LIMIT], size_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t size = object_u64(dentry, &layout->dentry_name_len);
	uint64_t place = object_u64(dentry, &layout->dentry_name);
	uint64_t within = place - dentry->address;
	enum memory_fault fault = MEMORY_OK;

	if (!layout->dentry_name_len.present || !layout->dentry_name.present || size > NAME_LIMIT)
		return MEMORY_IO;
	/* Most names are short and stand in the dentry itself. */
	if (layout->dentry_short_name.present && within == layout->dentry_short_name.offset &&
	    size <= dentry->size - within)
		memcpy(name, dentry->data + within, size);
	else
		fault = linux_read(kernel, place, name, size);
	if (fault == MEMORY_OK)
		*ret = strnlen(name, size);
	return fault;
}

static enum memory_fault prepend_name(struct climb *climb)
{
	char name[NAME_LIMIT];
	enum memory_fault fault;
	size_t size;

	fault = read_name(climb->kernel, &climb->dentry, name, &size);
	if (fault != MEMORY_OK)
		return fault;
	return prepend(climb, name, size) && prepend(climb, "/", 1) ? MEMORY_OK : MEMORY_IO;
}

/*
 * From a file upward, across mounts (prepend_path() of fs/d_path.c). Each step but those to a
 * parent mount adds a byte to a text of limited size, and the latter are counted: it ends.
 */
static enum memory_fault climb_up(struct climb *climb, struct linux_path at,
				  const struct linux_path *root, enum climb_end *ret)
{
	struct linux_kernel *kernel = climb->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	uint64_t mount = at.mnt - layout->mount_vfsmount.offset;
	enum memory_fault fault;

	if (!layout->mount_vfsmount.present || !layout->mount_root.present ||
	    !layout->mount_parent.present || !layout->dentry_parent.present)
		return MEMORY_IO;
	fault = linux_read_object(kernel, LAYOUT_mount, mount, &climb->mount);
	for (unsigned mounts = 0; fault == MEMORY_OK;) {
		uint64_t vfsmount = climb->mount.address + layout->mount_vfsmount.offset;
		uint64_t parent;

		if (root && at.dentry == root->dentry && vfsmount == root->mnt) {
			*ret = CLIMB_ROOT;
			return MEMORY_OK;
		}
		if (at.dentry == object_u64(&climb->mount, &layout->mount_root)) {
			parent = object_u64(&climb->mount, &layout->mount_parent);
			if (parent == climb->mount.address) {
				*ret = CLIMB_TOP;
				return MEMORY_OK;
			}
			if (mounts++ == LINUX_PATH_MAX)
				return MEMORY_IO;
			at.dentry = object_u64(&climb->mount, &layout->mount_mountpoint);
			fault = linux_read_object(kernel, LAYOUT_mount, parent, &climb->mount);
			continue;
		}
		fault = linux_read_object(kernel, LAYOUT_dentry, at.dentry, &climb->dentry);
		if (fault != MEMORY_OK)
			break;
		parent = object_u64(&climb->dentry, &layout->dentry_parent);
		if (parent == at.dentry) {
			*ret = CLIMB_ESCAPED;
			return MEMORY_OK;
		}
		fault = prepend_name(climb);
		at.dentry = parent;
	}
	return fault;
}

static bool is_unlinked(const struct linux_kernel *kernel, const struct object *dentry)
{
	const struct layout *layout = &kernel->layout;

	return layout->dentry_hash_pprev.present &&
	       !object_u64(dentry, &layout->dentry_hash_pprev) &&
	       object_u64(dentry, &layout->dentry_parent) != dentry->address;
}

/* The function that names a file of a file system without paths, or 0. */
static uint64_t naming_function(struct linux_kernel *kernel, const struct object *dentry)
{
	uint64_t op = object_u64(dentry, &kernel->layout.dentry_op);
	uint64_t function = 0;

	if (op && linux_read_field(kernel, op, &kernel->layout.dentry_ops_d_dname, &function) !=
		      MEMORY_OK)
		return 0;
	return function;
}

static enum memory_fault append_inode(struct linux_kernel *kernel, const struct object *dentry,
				      const char *prefix, struct buffer *ret)
{
	uint64_t inode = object_u64(dentry, &kernel->layout.dentry_inode);
	enum memory_fault fault;
	uint64_t number;

	fault = linux_read_field(kernel, inode, &kernel->layout.inode_ino, &number);
	if (fault != MEMORY_OK)
		return fault;
	return buffer_printf(ret, "%s:[%llu]", prefix, (unsigned long long)number) ? MEMORY_OK
										   : MEMORY_IO;
}

/* "mnt:[4026531841]" (fs/nsfs.c). */
static enum memory_fault append_namespace(struct linux_kernel *kernel, const struct object *dentry,
					  struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t at = object_u64(dentry, &layout->dentry_inode);
	const struct field *const links[] = {&layout->inode_private, &layout->ns_common_ops,
					     &layout->ns_ops_name};
	char name[32];
	enum memory_fault fault;
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		fault = linux_read_field(kernel, at, links[i], &at);
		if (fault != MEMORY_OK)
			return fault;
	}
	fault = linux_read_string(kernel, at, name, sizeof(name) - 1, &size);
	if (fault != MEMORY_OK)
		return fault;
	name[size] = '\0';
	return append_inode(kernel, dentry, name, ret);
}

/* "/dmabuf:NAME" (drivers/dma-buf/dma-buf.c). */
static enum memory_fault append_dma_buf(struct linux_kernel *kernel, const struct object *dentry,
					const char *name, size_t size, struct buffer *ret)
{
	uint64_t dma_buf = object_u64(dentry, &kernel->layout.dentry_fsdata);
	char label[DMA_BUF_NAME_LEN];
	size_t label_size = 0;
	uint64_t place = 0;
	bool ok;

	if (linux_read_field(kernel, dma_buf, &kernel->layout.dma_buf_name, &place) == MEMORY_OK &&
	    place)
		linux_read_string(kernel, place, label, sizeof(label), &label_size);
	ok = buffer_append_char(ret, '/') && buffer_append(ret, name, size) &&
	     buffer_append_char(ret, ':') && buffer_append(ret, label, label_size);
	return ok ? MEMORY_OK : MEMORY_IO;
}

static enum memory_fault append_special(struct linux_kernel *kernel, const struct object *dentry,
					uint64_t function, struct buffer *ret)
{
	const uint64_t *symbol = kernel->symbol;
	char name[NAME_LIMIT];
	enum memory_fault fault;
	size_t size;
	bool ok;

	if (function == symbol[LINUX_pipefs_dname])
		return append_inode(kernel, dentry, "pipe", ret);
	if (function == symbol[LINUX_sockfs_dname])
		return append_inode(kernel, dentry, "socket", ret);
	if (function == symbol[LINUX_ns_dname])
		return append_namespace(kernel, dentry, ret);
	if (function == symbol[LINUX_pidfs_dname])
		return buffer_append_string(ret, "anon_inode:[pidfd]") ? MEMORY_OK : MEMORY_IO;
	fault = read_name(kernel, dentry, name, &size);
	if (fault != MEMORY_OK)
		return fault;
	if (function == symbol[LINUX_dmabuffs_dname])
		return append_dma_buf(kernel, dentry, name, size, ret);
	if (function == symbol[LINUX_anon_inodefs_dname])
		ok = buffer_append_string(ret, "anon_inode:") && buffer_append(ret, name, size);
	else if (function == symbol[LINUX_simple_dname])
		ok = buffer_append_char(ret, '/') && buffer_append(ret, name, size) &&
		     buffer_append_string(ret, " (deleted)");
	else
		ok = false;
	return ok ? MEMORY_OK : MEMORY_IO;
}

/* append_special(), all or nothing. */
static enum memory_fault append_special_whole(struct linux_kernel *kernel,
					      const struct object *dentry, uint64_t function,
					      struct buffer *ret)
{
	size_t before = ret->size;
	enum memory_fault fault = append_special(kernel, dentry, function, ret);

	if (fault != MEMORY_OK && ret->size > before) {
		ret->size = before;
		ret->data[before] = '\0';
	}
	return fault;
}

/* Whether path is the root of its mount and of its file system: then it has a path after all. */
static bool is_mounted_root(struct linux_kernel *kernel, const struct linux_path *path,
			    const struct object *dentry)
{
	const struct layout *layout = &kernel->layout;
	uint64_t mount = path->mnt - layout->mount_vfsmount.offset;
	uint64_t root;

	return object_u64(dentry, &layout->dentry_parent) == path->dentry &&
	       linux_read_field(kernel, mount, &layout->mount_root, &root) == MEMORY_OK &&
	       root == path->dentry;
}

enum memory_fault linux_d_path(struct linux_kernel *kernel, const struct linux_path *path,
			       const struct linux_path *root, struct buffer *ret)
{
	static const char deleted[] = " (deleted)";
	_cleanup_climb_ struct climb climb;
	enum memory_fault fault;
	enum climb_end end;
	uint64_t function;
	bool unlinked;
	size_t empty;

	climb_init(&climb, kernel);
	if (!path->mnt || !path->dentry)
		return MEMORY_NOT_MAPPED;
	fault = linux_read_object(kernel, LAYOUT_dentry, path->dentry, &climb.dentry);
	if (fault != MEMORY_OK)
		return fault;
	function = naming_function(kernel, &climb.dentry);
	if (function && !is_mounted_root(kernel, path, &climb.dentry))
		return append_special_whole(kernel, &climb.dentry, function, ret);
	unlinked = is_unlinked(kernel, &climb.dentry);
	if (unlinked)
		prepend(&climb, deleted, sizeof(deleted) - 1);
	empty = climb.start;
	fault = climb_up(&climb, *path, root, &end);
	if (fault != MEMORY_OK)
		return fault;
	if (end == CLIMB_ESCAPED)
		climb.start = empty;
	if (climb.start == empty && !prepend(&climb, "/", 1))
		return MEMORY_IO;
	return climb_append_to(&climb, ret);
}

enum memory_fault linux_path_below(struct linux_kernel *kernel, const struct linux_path *path,
				   const struct linux_path *root, struct buffer *ret,
				   bool *ret_below)
{
	_cleanup_climb_ struct climb climb;
	enum memory_fault fault;
	enum climb_end end;

	climb_init(&climb, kernel);
	fault = climb_up(&climb, *path, root, &end);
	if (fault != MEMORY_OK)
		return fault;
	if (climb.start == sizeof(climb.text))
		prepend(&climb, "/", 1);
	fault = climb_append_to(&climb, ret);
	if (fault == MEMORY_OK)
		*ret_below = end == CLIMB_ROOT;
	return fault;
}

enum memory_fault linux_dentry_path(struct linux_kernel *kernel, uint64_t dentry,
				    struct buffer *ret)
{
	static const char deleted[] = "//deleted";
	const struct layout *layout = &kernel->layout;
	_cleanup_climb_ struct climb climb;
	enum memory_fault fault;
	uint64_t function;
	size_t empty;

	climb_init(&climb, kernel);
	fault = linux_read_object(kernel, LAYOUT_dentry, dentry, &climb.dentry);
	if (fault != MEMORY_OK)
		return fault;
	function = naming_function(kernel, &climb.dentry);
	if (function && function == kernel->symbol[LINUX_ns_dname])
		return append_special_whole(kernel, &climb.dentry, function, ret);
	if (is_unlinked(kernel, &climb.dentry))
		prepend(&climb, deleted, sizeof(deleted) - 1);
	empty = climb.start;
	for (;;) {
		uint64_t parent = object_u64(&climb.dentry, &layout->dentry_parent);

		if (parent == climb.dentry.address)
			break;
		fault = prepend_name(&climb);
		if (fault == MEMORY_OK)
			fault = linux_read_object(kernel, LAYOUT_dentry, parent, &climb.dentry);
		if (fault != MEMORY_OK)
			return fault;
	}
	if (climb.start == empty && !prepend(&climb, "/", 1))
		return MEMORY_IO;
	return climb_append_to(&climb, ret);
}

enum memory_fault linux_read_path(struct linux_kernel *kernel, uint64_t address,
				  struct linux_path *ret)
{
	_cleanup_object_ struct object path = {0};
	enum memory_fault fault = linux_read_object(kernel, LAYOUT_path, address, &path);

	if (fault != MEMORY_OK)
		return fault;
	ret->mnt = object_u64(&path, &kernel->layout.path_mnt);
	ret->dentry = object_u64(&path, &kernel->layout.path_dentry);
	return MEMORY_OK;
}

/* A struct path that is a field of a structure. */
static enum memory_fault read_path_field(struct linux_kernel *kernel, uint64_t address,
					 const struct field *field, struct linux_path *ret)
{
	if (!linux_has_field(kernel, field))
		return MEMORY_IO;
	if (!address)
		return MEMORY_NOT_MAPPED;
	return linux_read_path(kernel, address + field->offset, ret);
}

enum memory_fault linux_file_path(struct linux_kernel *kernel, uint64_t file,
				  const struct linux_path *root, struct buffer *ret)
{
	struct linux_path path;
	enum memory_fault fault;

	fault = read_path_field(kernel, file, &kernel->layout.file_path, &path);
	return fault == MEMORY_OK ? linux_d_path(kernel, &path, root, ret) : fault;
}

enum memory_fault linux_file_unlinked(struct linux_kernel *kernel, uint64_t file, bool *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	_cleanup_object_ struct object dentry = {0};
	struct linux_path path;
	enum memory_fault fault;

	if (!layout->dentry_hash_pprev.present)
		return MEMORY_IO;
	fault = read_path_field(kernel, file, &layout->file_path, &path);
	if (fault == MEMORY_OK)
		fault = linux_read_object(kernel, LAYOUT_dentry, path.dentry, &dentry);
	if (fault == MEMORY_OK)
		*ret = is_unlinked(kernel, &dentry);
	return fault;
}

enum memory_fault linux_fs_root(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret)
{
	return read_path_field(kernel, fs, &kernel->layout.fs_root, ret);
}

enum memory_fault linux_fs_pwd(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret)
{
	return read_path_field(kernel, fs, &kernel->layout.fs_pwd, ret);
}

bool linux_init_root(struct linux_kernel *kernel, struct linux_path *ret)
{
	_cleanup_object_ struct object task = {0};
	_cleanup_error_ struct nunchi_error *err = NULL;
	const struct number_filter first = NUMBER_FILTER_EQUAL(1);
	struct linux_tasks walk;
	bool found;

	err = linux_tasks_init(&walk, kernel, &first);
	if (err)
		return false;
	found = linux_tasks_next(&walk, &task) &&
		linux_fs_root(kernel, object_u64(&task, &kernel->layout.task_fs), ret) == MEMORY_OK;
	linux_tasks_deinit(&walk);
	return found;
}
