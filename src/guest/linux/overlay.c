/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/overlay.h"

#include "guest/linux/lookup.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_LAYERS 2 /* FILESYSTEM_MAX_STACK_DEPTH of include/linux/fs.h */

enum read_result linux_file_system(struct linux_kernel *kernel, uint64_t super,
				   char name[LINUX_FS_NAME], size_t *ret_size, uint64_t *ret_flags)
{
	const struct layout *layout = &kernel->layout;
	uint64_t type, place;
	enum read_result result;

	result = linux_read_field(kernel, super, &layout->super_type, &type);
	if (result == READ_OK)
		result = linux_read_field(kernel, type, &layout->fs_type_flags, ret_flags);
	if (result == READ_OK)
		result = linux_read_field(kernel, type, &layout->fs_type_name, &place);
	if (result == READ_OK)
		result = linux_read_string(kernel, place, name, LINUX_FS_NAME, ret_size);
	return result;
}

static struct nunchi_error *unread(enum read_result why)
{
	return error_create(NUNCHI_ERROR_FAULT, "a file of overlayfs cannot be read: %s",
			    read_result_string(why));
}

/* Looks up the structures of overlayfs, mostly a module, and the flag for the upper file's data. */
static struct nunchi_error *find_layout(struct linux_kernel *kernel, uint64_t *ret_upper_data)
{
	const struct layout *layout = &kernel->layout;
	struct guest_type type;
	struct nunchi_error *err = linux_type_find(kernel, "ovl_inode", &type);
	int64_t bit;

	if (err)
		return error_context(err, "a file of overlayfs cannot be read");
	layout_resolve(type.types, LAYOUT_GROUP_overlay, &kernel->layout);
	if (!layout->ovl_inode_flags.present || !layout->ovl_inode_inode.present ||
	    !layout->ovl_inode_upper.present ||
	    !type_index_enum_value(type.types, "OVL_UPPERDATA", &bit) || bit < 0 || bit > 31)
		return linux_lacks_fields("a file of overlayfs cannot be read",
					  "a field of ovl_inode");
	*ret_upper_data = (uint64_t)1 << bit;
	return NULL;
}

/* Finds the inode of a dentry; 0 for none. */
static enum read_result inode_of(struct linux_kernel *kernel, uint64_t dentry, uint64_t *ret)
{
	*ret = 0;
	return dentry ? linux_read_field(kernel, dentry, &kernel->layout.dentry_inode, ret)
		      : READ_OK;
}

/* Finds the inode of the topmost lower layer; 0 for none. *ret_more: others have a part of it. */
static enum read_result lower_inode(struct linux_kernel *kernel, uint64_t own, uint64_t *ret,
				    bool *ret_more)
{
	const struct layout *layout = &kernel->layout;
	uint64_t at = 0, count = 0, data = 0;
	enum read_result result;

	*ret = 0;
	*ret_more = false;
	if (layout->ovl_inode_layers.present && layout->ovl_entry_stack.present) {
		result = linux_read_field(kernel, own, &layout->ovl_inode_layers, &at);
		if (result != READ_OK || !at)
			return result;
		result = linux_read_field(kernel, at, &layout->ovl_entry_count, &count);
		if (result == READ_OK && count)
			result = linux_read_field(kernel, at + layout->ovl_entry_stack.offset,
						  &layout->ovl_path_dentry, &at);
		*ret_more = count > 1;
		return result == READ_OK && count ? inode_of(kernel, at, ret) : result;
	}
	if (linux_read_field(kernel, own, &layout->ovl_inode_lower_data, &data) == READ_OK)
		*ret_more = data != 0;
	if (layout->ovl_inode_lower_inode.present)
		return linux_read_field(kernel, own, &layout->ovl_inode_lower_inode, ret);
	result = linux_read_field(kernel, own, &layout->ovl_inode_lower_dentry, &at);
	return result == READ_OK ? inode_of(kernel, at, ret) : result;
}

/* Goes from an inode of overlayfs to the one below. */
static struct nunchi_error *descend(struct linux_kernel *kernel, uint64_t *inode)
{
	const struct layout *layout = &kernel->layout;
	uint64_t upper_data = 0, own, mode, flags, dentry = 0, upper = 0, lower = 0;
	struct nunchi_error *err = find_layout(kernel, &upper_data);
	enum read_result result;
	bool more = false;

	if (err)
		return err;
	own = *inode - layout->ovl_inode_inode.offset;
	result = linux_read_field(kernel, *inode, &layout->inode_mode, &mode);
	if (result == READ_OK)
		result = linux_read_field(kernel, own, &layout->ovl_inode_flags, &flags);
	if (result == READ_OK)
		result = linux_read_field(kernel, own, &layout->ovl_inode_upper, &dentry);
	if (result == READ_OK)
		result = inode_of(kernel, dentry, &upper);
	if (result == READ_OK)
		result = lower_inode(kernel, own, &lower, &more);
	if (result == READ_OK && !upper && !lower)
		result = READ_BAD_DATA;
	if (result != READ_OK)
		return unread(result);
	/* With metacopy the upper file can be without bytes; a directory has no bytes. */
	if (S_ISREG(mode) && (upper ? lower && !(flags & upper_data) : more))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "a file of overlayfs cannot be read: its bytes are in another "
				    "layer than the rest of it (metacopy)");
	*inode = upper ? upper : lower;
	return NULL;
}

struct nunchi_error *linux_real_inode(struct linux_kernel *kernel, uint64_t inode, uint64_t *ret)
{
	for (unsigned i = 0;; i++) {
		char name[LINUX_FS_NAME];
		struct nunchi_error *err;
		uint64_t super, flags;
		enum read_result result;
		size_t size;

		result = linux_read_field(kernel, inode, &kernel->layout.inode_sb, &super);
		if (result == READ_OK)
			result = linux_file_system(kernel, super, name, &size, &flags);
		if (result != READ_OK)
			return error_create(NUNCHI_ERROR_FAULT,
					    "the file system of a file cannot be read: %s",
					    read_result_string(result));
		if (size != strlen("overlay") || memcmp(name, "overlay", size) != 0)
			break;
		if (i == MAX_LAYERS)
			return unread(READ_BAD_DATA);
		err = descend(kernel, &inode);
		if (err)
			return err;
	}
	*ret = inode;
	return NULL;
}
