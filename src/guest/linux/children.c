/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/children.h"

struct nunchi_error *linux_children_init(struct linux_children *walk, struct linux_kernel *kernel,
					 uint64_t directory)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_path);

	*walk = (struct linux_children){.kernel = kernel, .directory = directory};
	hash_map_init(&walk->seen);
	if (!layout->dentry_hash_pprev.present || !layout->dentry_parent.present ||
	    !layout->dentry_inode.present)
		return linux_lacks_fields("names of files cannot be read", "a field of dentry");
	if (layout->dentry_children.present && layout->dentry_sibling.present) {
		walk->has_head = true;
		walk->link = directory + layout->dentry_children.offset;
	} else if (layout->dentry_subdirs.present && layout->dentry_child.present) {
		linux_list_init(&walk->list, kernel, directory + layout->dentry_subdirs.offset,
				LINUX_MAX_CHILDREN, &walk->seen);
	} else {
		return linux_lacks_fields("names of files cannot be read",
					  "dentry.d_children and dentry.d_subdirs");
	}
	return NULL;
}

void linux_children_deinit(struct linux_children *walk)
{
	object_deinit(&walk->dentry);
	hash_map_deinit(&walk->seen);
}

/*
 * Follows a list of hlist_nodes. Each node points back to the pointer that leads to it, so that a
 * list that goes in a circle contradicts itself.
 */
static bool next_sibling(struct linux_children *walk, uint64_t *ret)
{
	unsigned word = walk->kernel->word_size;
	uint64_t node, back;

	walk->broken = linux_read_word(walk->kernel, walk->link, &node);
	if (walk->broken || !node)
		return false;
	walk->broken = linux_read_word(walk->kernel, node + word, &back);
	if (!walk->broken && back != walk->link)
		walk->broken = READ_BAD_DATA;
	if (!walk->broken && walk->count == LINUX_MAX_CHILDREN)
		walk->broken = READ_LIMIT;
	walk->link = node;
	*ret = node - walk->kernel->layout.dentry_sibling.offset;
	return !walk->broken;
}

static bool next_child(struct linux_children *walk, uint64_t *ret)
{
	if (walk->broken || cancel_requested(walk->kernel->guest.cancel))
		return false;
	if (walk->has_head)
		return next_sibling(walk, ret);
	if (!linux_list_next(&walk->list, ret)) {
		walk->broken = walk->list.broken;
		return false;
	}
	*ret -= walk->kernel->layout.dentry_child.offset;
	return true;
}

bool linux_children_next(struct linux_children *walk)
{
	const struct layout *layout = &walk->kernel->layout;
	uint64_t address;

	while (next_child(walk, &address)) {
		walk->count++;
		walk->broken =
		    linux_read_object(walk->kernel, LAYOUT_dentry, address, &walk->dentry);
		if (!walk->broken &&
		    object_u64(&walk->dentry, &layout->dentry_parent) != walk->directory)
			walk->broken = READ_BAD_DATA;
		if (walk->broken)
			return false;
		walk->inode = object_u64(&walk->dentry, &layout->dentry_inode);
		if (!walk->inode || !object_u64(&walk->dentry, &layout->dentry_hash_pprev))
			continue;
		walk->broken =
		    linux_dentry_name(walk->kernel, &walk->dentry, walk->name, &walk->name_size);
		return !walk->broken;
	}
	return false;
}
