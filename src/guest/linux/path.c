/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/path.h"

#include "guest/linux/task.h"

#include <string.h>

#define NAME_LIMIT       LINUX_PATH_MAX
#define DMA_BUF_NAME_LEN 32 /* include/uapi/linux/dma-buf.h */

/* A path that is built from its end, because names are found from the file up to the root. */
struct spelling {
	struct linux_kernel *kernel;
	struct object dentry;
	struct object mount;
	size_t start; /* start of the text; NAME_LIMIT if it is empty */
	char text[LINUX_PATH_MAX];
};

enum spelling_end {
	SPELLED_TO_ROOT,    /* reached the given root */
	SPELLED_TO_TOP,     /* reached a mount that is not mounted anywhere */
	SPELLED_PAST_MOUNT, /* reached the root of a file system above the part that is mounted */
};

static void spelling_init(struct spelling *spelling, struct linux_kernel *kernel)
{
	spelling->kernel = kernel;
	spelling->dentry = (struct object){0};
	spelling->mount = (struct object){0};
	spelling->start = sizeof(spelling->text);
}

static void spelling_deinit(struct spelling *spelling)
{
	object_deinit(&spelling->dentry);
	object_deinit(&spelling->mount);
}

#define _cleanup_spelling_ _cleanup_(spelling_deinit)

static bool prepend(struct spelling *spelling, const char *text, size_t size)
{
	if (size > spelling->start)
		return false;
	spelling->start -= size;
	memcpy(spelling->text + spelling->start, text, size);
	return true;
}

static enum read_result spelling_append_to(const struct spelling *spelling, struct buffer *ret)
{
	return buffer_append(ret, spelling->text + spelling->start,
			     sizeof(spelling->text) - spelling->start)
		   ? READ_OK
		   : READ_NO_MEMORY;
}

enum read_result linux_dentry_name(struct linux_kernel *kernel, const struct object *dentry,
				   char name[LINUX_PATH_MAX], size_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t size = object_u64(dentry, &layout->dentry_name_len);
	uint64_t place = object_u64(dentry, &layout->dentry_name);
	uint64_t within = place - dentry->address;
	enum read_result fault = READ_OK;

	if (!layout->dentry_name_len.present || !layout->dentry_name.present)
		return READ_NO_LAYOUT;
	if (!size || size > NAME_LIMIT)
		return READ_BAD_DATA;
	/* Most names are short and are in the dentry itself, which was copied. */
	if (layout->dentry_short_name.present && within == layout->dentry_short_name.offset &&
	    size <= dentry->size - within)
		memcpy(name, dentry->data + within, size);
	else
		fault = linux_read(kernel, place, name, size);
	if (fault == READ_OK)
		*ret = strnlen(name, size);
	return fault;
}

static enum read_result prepend_name(struct spelling *spelling)
{
	char name[NAME_LIMIT];
	enum read_result fault;
	size_t size;

	fault = linux_dentry_name(spelling->kernel, &spelling->dentry, name, &size);
	if (fault != READ_OK)
		return fault;
	return prepend(spelling, name, size) && prepend(spelling, "/", 1) ? READ_OK : READ_LIMIT;
}

/*
 * Builds the path from a file upwards, across mounts (prepend_path() of fs/d_path.c). The walk
 * ends: each step to a parent dentry adds a byte to a text of limited size, and steps to a parent
 * mount are counted.
 */
static enum read_result spell_up(struct spelling *spelling, struct linux_path at,
				 const struct linux_path *root, enum spelling_end *ret)
{
	struct linux_kernel *kernel = spelling->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	uint64_t mount = at.mnt - layout->mount_vfsmount.offset;
	enum read_result fault;

	if (!layout->mount_vfsmount.present || !layout->mount_root.present ||
	    !layout->mount_parent.present || !layout->dentry_parent.present)
		return READ_NO_LAYOUT;
	fault = linux_read_object(kernel, LAYOUT_mount, mount, &spelling->mount);
	for (unsigned mounts = 0; fault == READ_OK;) {
		uint64_t vfsmount = spelling->mount.address + layout->mount_vfsmount.offset;
		uint64_t parent;

		if (root && at.dentry == root->dentry && vfsmount == root->mnt) {
			*ret = SPELLED_TO_ROOT;
			return READ_OK;
		}
		if (at.dentry == object_u64(&spelling->mount, &layout->mount_root)) {
			parent = object_u64(&spelling->mount, &layout->mount_parent);
			if (parent == spelling->mount.address) {
				*ret = SPELLED_TO_TOP;
				return READ_OK;
			}
			if (mounts++ == LINUX_PATH_MAX)
				return READ_BAD_DATA;
			at.dentry = object_u64(&spelling->mount, &layout->mount_mountpoint);
			fault = linux_read_object(kernel, LAYOUT_mount, parent, &spelling->mount);
			continue;
		}
		fault = linux_read_object(kernel, LAYOUT_dentry, at.dentry, &spelling->dentry);
		if (fault != READ_OK)
			break;
		parent = object_u64(&spelling->dentry, &layout->dentry_parent);
		if (parent == at.dentry) {
			*ret = SPELLED_PAST_MOUNT;
			return READ_OK;
		}
		fault = prepend_name(spelling);
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

/* Finds the function that names the files of a file system without paths (d_op->d_dname), or 0. */
static enum read_result naming_function(struct linux_kernel *kernel, const struct object *dentry,
					uint64_t *ret)
{
	uint64_t op = object_u64(dentry, &kernel->layout.dentry_op);

	*ret = 0;
	if (!op || !kernel->layout.dentry_ops_d_dname.present)
		return READ_OK;
	return linux_read_field(kernel, op, &kernel->layout.dentry_ops_d_dname, ret);
}

static enum read_result append_inode(struct linux_kernel *kernel, const struct object *dentry,
				     const char *prefix, struct buffer *ret)
{
	uint64_t inode = object_u64(dentry, &kernel->layout.dentry_inode);
	enum read_result result;
	uint64_t number;

	result = linux_read_field(kernel, inode, &kernel->layout.inode_ino, &number);
	if (result != READ_OK)
		return result;
	return buffer_printf(ret, "%s:[%llu]", prefix, (unsigned long long)number) ? READ_OK
										   : READ_NO_MEMORY;
}

/* Appends the name of a namespace file, "mnt:[4026531841]" (fs/nsfs.c). */
static enum read_result append_namespace(struct linux_kernel *kernel, const struct object *dentry,
					 struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t at = object_u64(dentry, &layout->dentry_inode);
	const struct field *const links[] = {&layout->inode_private, &layout->ns_common_ops,
					     &layout->ns_ops_name};
	char name[32];
	enum read_result result;
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		result = linux_read_field(kernel, at, links[i], &at);
		if (result != READ_OK)
			return result;
	}
	result = linux_read_string(kernel, at, name, sizeof(name) - 1, &size);
	if (result != READ_OK)
		return result;
	name[size] = '\0';
	return append_inode(kernel, dentry, name, ret);
}

/* Appends the name of a DMA buffer, "/dmabuf:NAME" (drivers/dma-buf/dma-buf.c). */
static enum read_result append_dma_buf(struct linux_kernel *kernel, const struct object *dentry,
				       const char *name, size_t size, struct buffer *ret)
{
	uint64_t dma_buf = object_u64(dentry, &kernel->layout.dentry_fsdata);
	char label[DMA_BUF_NAME_LEN];
	enum read_result result = READ_OK;
	size_t label_size = 0;
	uint64_t place = 0;
	bool ok;

	/* The pointer is cleared when the buffer is released. */
	if (dma_buf)
		result = linux_read_field(kernel, dma_buf, &kernel->layout.dma_buf_name, &place);
	if (result == READ_OK && place)
		result = linux_read_string(kernel, place, label, sizeof(label), &label_size);
	if (result != READ_OK)
		return result;
	ok = buffer_append_char(ret, '/') && buffer_append(ret, name, size) &&
	     buffer_append_char(ret, ':') && buffer_append(ret, label, label_size);
	return ok ? READ_OK : READ_NO_MEMORY;
}

static enum read_result append_special(struct linux_kernel *kernel, const struct object *dentry,
				       uint64_t function, struct buffer *ret)
{
	const uint64_t *symbol = kernel->symbol;
	char name[NAME_LIMIT];
	enum read_result result;
	size_t size;
	bool ok;

	if (function == symbol[LINUX_pipefs_dname])
		return append_inode(kernel, dentry, "pipe", ret);
	if (function == symbol[LINUX_sockfs_dname])
		return append_inode(kernel, dentry, "socket", ret);
	if (function == symbol[LINUX_ns_dname])
		return append_namespace(kernel, dentry, ret);
	if (function == symbol[LINUX_pidfs_dname])
		return buffer_append_string(ret, "anon_inode:[pidfd]") ? READ_OK : READ_NO_MEMORY;
	result = linux_dentry_name(kernel, dentry, name, &size);
	if (result != READ_OK)
		return result;
	if (function == symbol[LINUX_dmabuffs_dname])
		return append_dma_buf(kernel, dentry, name, size, ret);
	if (function == symbol[LINUX_anon_inodefs_dname])
		ok = buffer_append_string(ret, "anon_inode:") && buffer_append(ret, name, size);
	else if (function == symbol[LINUX_simple_dname])
		ok = buffer_append_char(ret, '/') && buffer_append(ret, name, size) &&
		     buffer_append_string(ret, " (deleted)");
	else
		/* the kernel has a naming function that nunchi does not know */
		return READ_NO_SYMBOL;
	return ok ? READ_OK : READ_NO_MEMORY;
}

/* Does append_special(), but appends nothing if that fails. */
static enum read_result append_special_whole(struct linux_kernel *kernel,
					     const struct object *dentry, uint64_t function,
					     struct buffer *ret)
{
	size_t before = ret->size;
	enum read_result result = append_special(kernel, dentry, function, ret);

	if (result != READ_OK && ret->size > before) {
		ret->size = before;
		ret->data[before] = '\0';
	}
	return result;
}

/* Whether path is the root of its mount and of its file system; then it has an ordinary path. */
static enum read_result is_mounted_root(struct linux_kernel *kernel, const struct linux_path *path,
					const struct object *dentry, bool *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t mount = path->mnt - layout->mount_vfsmount.offset, root;
	enum read_result result;

	*ret = false;
	if (object_u64(dentry, &layout->dentry_parent) != path->dentry)
		return READ_OK;
	result = linux_read_field(kernel, mount, &layout->mount_root, &root);
	*ret = result == READ_OK && root == path->dentry;
	return result;
}

enum read_result linux_d_path(struct linux_kernel *kernel, const struct linux_path *path,
			      const struct linux_path *root, struct buffer *ret)
{
	static const char deleted[] = " (deleted)";
	_cleanup_spelling_ struct spelling spelling;
	enum read_result fault;
	enum spelling_end end;
	bool has_path = true, unlinked;
	uint64_t function;
	size_t empty;

	spelling_init(&spelling, kernel);
	if (!path->mnt || !path->dentry)
		return READ_NOT_MAPPED;
	fault = linux_read_object(kernel, LAYOUT_dentry, path->dentry, &spelling.dentry);
	if (fault != READ_OK)
		return fault;
	fault = naming_function(kernel, &spelling.dentry, &function);
	if (fault == READ_OK && function)
		fault = is_mounted_root(kernel, path, &spelling.dentry, &has_path);
	if (fault != READ_OK)
		return fault;
	if (function && !has_path)
		return append_special_whole(kernel, &spelling.dentry, function, ret);
	unlinked = is_unlinked(kernel, &spelling.dentry);
	if (unlinked)
		prepend(&spelling, deleted, sizeof(deleted) - 1);
	empty = spelling.start;
	fault = spell_up(&spelling, *path, root, &end);
	if (fault != READ_OK)
		return fault;
	if (end == SPELLED_PAST_MOUNT)
		spelling.start = empty;
	if (spelling.start == empty && !prepend(&spelling, "/", 1))
		return READ_LIMIT;
	return spelling_append_to(&spelling, ret);
}

enum read_result linux_path_below(struct linux_kernel *kernel, const struct linux_path *path,
				  const struct linux_path *root, struct buffer *ret,
				  bool *ret_below)
{
	_cleanup_spelling_ struct spelling spelling;
	enum read_result fault;
	enum spelling_end end;

	spelling_init(&spelling, kernel);
	fault = spell_up(&spelling, *path, root, &end);
	if (fault != READ_OK)
		return fault;
	if (spelling.start == sizeof(spelling.text))
		prepend(&spelling, "/", 1);
	fault = spelling_append_to(&spelling, ret);
	if (fault == READ_OK)
		*ret_below = end == SPELLED_TO_ROOT;
	return fault;
}

enum read_result linux_dentry_path(struct linux_kernel *kernel, uint64_t dentry, struct buffer *ret)
{
	static const char deleted[] = "//deleted";
	const struct layout *layout = &kernel->layout;
	_cleanup_spelling_ struct spelling spelling;
	enum read_result fault;
	uint64_t function;
	size_t empty;

	spelling_init(&spelling, kernel);
	fault = linux_read_object(kernel, LAYOUT_dentry, dentry, &spelling.dentry);
	if (fault != READ_OK)
		return fault;
	fault = naming_function(kernel, &spelling.dentry, &function);
	if (fault != READ_OK)
		return fault;
	if (function && function == kernel->symbol[LINUX_ns_dname])
		return append_special_whole(kernel, &spelling.dentry, function, ret);
	if (is_unlinked(kernel, &spelling.dentry))
		prepend(&spelling, deleted, sizeof(deleted) - 1);
	empty = spelling.start;
	for (;;) {
		uint64_t parent = object_u64(&spelling.dentry, &layout->dentry_parent);

		if (parent == spelling.dentry.address)
			break;
		fault = prepend_name(&spelling);
		if (fault == READ_OK)
			fault = linux_read_object(kernel, LAYOUT_dentry, parent, &spelling.dentry);
		if (fault != READ_OK)
			return fault;
	}
	if (spelling.start == empty && !prepend(&spelling, "/", 1))
		return READ_LIMIT;
	return spelling_append_to(&spelling, ret);
}

enum read_result linux_read_path(struct linux_kernel *kernel, uint64_t address,
				 struct linux_path *ret)
{
	_cleanup_object_ struct object path = {0};
	enum read_result fault = linux_read_object(kernel, LAYOUT_path, address, &path);

	if (fault != READ_OK)
		return fault;
	ret->mnt = object_u64(&path, &kernel->layout.path_mnt);
	ret->dentry = object_u64(&path, &kernel->layout.path_dentry);
	return READ_OK;
}

/* Reads a struct path that is a field of a structure. */
static enum read_result read_path_field(struct linux_kernel *kernel, uint64_t address,
					const struct field *field, struct linux_path *ret)
{
	if (!linux_has_field(kernel, field))
		return READ_NO_LAYOUT;
	if (!address)
		return READ_NOT_MAPPED;
	return linux_read_path(kernel, address + field->offset, ret);
}

enum read_result linux_file_path(struct linux_kernel *kernel, uint64_t file,
				 const struct linux_path *root, struct buffer *ret)
{
	struct linux_path path;
	enum read_result fault;

	fault = read_path_field(kernel, file, &kernel->layout.file_path, &path);
	return fault == READ_OK ? linux_d_path(kernel, &path, root, ret) : fault;
}

enum read_result linux_file_unlinked(struct linux_kernel *kernel, uint64_t file, bool *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);
	_cleanup_object_ struct object dentry = {0};
	struct linux_path path;
	enum read_result fault;

	if (!layout->dentry_hash_pprev.present)
		return READ_NO_LAYOUT;
	fault = read_path_field(kernel, file, &layout->file_path, &path);
	if (fault == READ_OK)
		fault = linux_read_object(kernel, LAYOUT_dentry, path.dentry, &dentry);
	if (fault == READ_OK)
		*ret = is_unlinked(kernel, &dentry);
	return fault;
}

enum read_result linux_fs_root(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret)
{
	return read_path_field(kernel, fs, &kernel->layout.fs_root, ret);
}

enum read_result linux_fs_pwd(struct linux_kernel *kernel, uint64_t fs, struct linux_path *ret)
{
	return read_path_field(kernel, fs, &kernel->layout.fs_pwd, ret);
}

/*
 * How many processes are looked through for process 1. The kernel makes it first, so that it is the
 * first on the list; a list on which it is not must not take the time of the rows.
 */
#define INIT_WITHIN 4096

enum read_result linux_init_root(struct linux_kernel *kernel, struct linux_path *ret)
{
	_cleanup_object_ struct object task = {0};
	const struct number_filter first = NUMBER_FILTER_EQUAL(1);
	enum read_result result = READ_NONE;
	struct nunchi_error *err;
	struct linux_tasks walk;

	err = linux_tasks_init(&walk, kernel, &first);
	if (err) {
		nunchi_error_destroy(err);
		return READ_NO_LAYOUT;
	}
	walk.list.limit = INIT_WITHIN;
	if (linux_tasks_next(&walk, &task))
		result = linux_fs_root(kernel, object_u64(&task, &kernel->layout.task_fs), ret);
	else if (walk.list.broken || walk.unread)
		result = walk.list.broken ? walk.list.broken : walk.why_unread;
	linux_tasks_deinit(&walk);
	return result;
}
