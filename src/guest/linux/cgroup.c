/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cgroup.h"

#include <string.h>

#define CGROUP_PATH_MAX 4096 /* PATH_MAX, the kernel's own limit */
#define KERNFS_NAME_MAX 255
#define CSS_ONLINE      ((uint64_t)1 << 1) /* include/linux/cgroup-defs.h */

/*
 * Reads the name of a kernfs node and the address of its parent. The root of the hierarchy has an
 * empty name and no parent; other bytes that look like a node without a parent have another name.
 */
static enum read_result read_node(struct linux_kernel *kernel, uint64_t address,
				  struct object *node, char *name, size_t *ret_size,
				  uint64_t *ret_parent)
{
	const struct layout *layout = &kernel->layout;
	enum read_result fault = linux_read_object(kernel, LAYOUT_kernfs_node, address, node);

	if (fault != READ_OK)
		return fault;
	*ret_parent = object_u64(node, &layout->kernfs_node_parent);
	fault = linux_read_string(kernel, object_u64(node, &layout->kernfs_node_name), name,
				  KERNFS_NAME_MAX, ret_size);
	if (fault == READ_OK && !*ret_parent != !*ret_size)
		return READ_BAD_DATA;
	return fault;
}

/* Reads the address of a cgroup's kernfs node, which points back to the cgroup. */
static enum read_result read_node_of(struct linux_kernel *kernel, uint64_t cgroup, uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint64_t back = cgroup;
	enum read_result fault = linux_read_field(kernel, cgroup, &layout->cgroup_kn, ret);

	if (fault == READ_OK && layout->kernfs_node_priv.present)
		fault = linux_read_field(kernel, *ret, &layout->kernfs_node_priv, &back);
	return fault == READ_OK && back != cgroup ? READ_BAD_DATA : fault;
}

/*
 * Appends the path of a node. The loop ends, because each step up adds at least a slash to a text
 * of limited size.
 */
static enum read_result append_node_path(struct linux_kernel *kernel, uint64_t address,
					 struct buffer *ret)
{
	_cleanup_object_ struct object node = {0};
	char text[CGROUP_PATH_MAX], name[KERNFS_NAME_MAX];
	size_t start = sizeof(text);
	uint64_t parent;
	size_t size;

	for (;;) {
		enum read_result fault = read_node(kernel, address, &node, name, &size, &parent);

		if (fault != READ_OK)
			return fault;
		if (!parent)
			break;
		if (size + 1 > start)
			return READ_LIMIT;
		start -= size + 1;
		text[start] = '/';
		memcpy(text + start + 1, name, size);
		address = parent;
	}
	if (start == sizeof(text))
		text[--start] = '/';
	return buffer_append(ret, text + start, sizeof(text) - start) ? READ_OK : READ_NO_MEMORY;
}

enum read_result linux_cgroup_path(struct linux_kernel *kernel, uint64_t css_set,
				   struct buffer *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_cgroup);
	uint64_t cgroup, node, flags = CSS_ONLINE;
	enum read_result fault;

	if (!layout->kernfs_node_parent.present || !layout->kernfs_node_name.present)
		return READ_NO_LAYOUT;
	if (!css_set)
		return READ_NOT_MAPPED;
	fault = linux_read_field(kernel, css_set, &layout->css_set_dfl_cgrp, &cgroup);
	if (fault == READ_OK)
		fault = read_node_of(kernel, cgroup, &node);
	if (fault == READ_OK && layout->cgroup_flags.present)
		fault = linux_read_field(kernel, cgroup, &layout->cgroup_flags, &flags);
	if (fault == READ_OK)
		fault = append_node_path(kernel, node, ret);
	if (fault != READ_OK || flags & CSS_ONLINE)
		return fault;
	return buffer_append_string(ret, " (deleted)") ? READ_OK : READ_NO_MEMORY;
}

enum read_result linux_cgroup_path_of(struct linux_kernel *kernel, uint64_t css_set,
				      unsigned controller, struct buffer *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_cgroup);
	uint64_t state = 0, cgroup, first, own, root, node;
	enum read_result result;

	if (controller >= layout->css_set_subsys.elements)
		return READ_NONE;
	result = linux_read_word(kernel,
				 css_set + layout->css_set_subsys.offset +
				     (uint64_t)controller * kernel->word_size,
				 &state);
	if (result == READ_OK && !state)
		return READ_NONE;
	if (result == READ_OK)
		result = linux_read_field(kernel, state, &layout->css_cgroup, &cgroup);
	if (result == READ_OK)
		result = linux_read_field(kernel, cgroup, &layout->cgroup_root, &root);
	if (result == READ_OK)
		result = linux_read_field(kernel, css_set, &layout->css_set_dfl_cgrp, &first);
	if (result == READ_OK)
		result = linux_read_field(kernel, first, &layout->cgroup_root, &own);
	if (result == READ_OK && root == own)
		return READ_NONE;
	if (result == READ_OK)
		result = read_node_of(kernel, cgroup, &node);
	return result == READ_OK ? append_node_path(kernel, node, ret) : result;
}
