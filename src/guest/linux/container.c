/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The elements of a list or tree of the kernel, whatever they are part of. */
#include "guest/linux/container.h"
#include "guest/linux/maple.h"
#include "guest/linux/rbtree.h"
#include "guest/linux/xarray.h"

#define MOST GUEST_CONTAINER_LIMIT

struct giving {
	struct linux_kernel *kernel;
	bool (*give)(uint64_t element, void *data);
	void *data;
};

static enum read_result give_list(const struct giving *giving, uint64_t head)
{
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node;

	linux_list_init(&list, giving->kernel, head, MOST, &seen);
	while (linux_list_next(&list, &node))
		if (!giving->give(node, giving->data))
			return READ_OK;
	return list.broken;
}

/*
 * Each hlist_node points back to the pointer that leads to it, so that a list that goes in a circle
 * contradicts itself. The last one of hlist_nulls has an odd number in place of a pointer.
 */
static enum read_result give_hlist(const struct giving *giving, uint64_t head)
{
	struct linux_kernel *kernel = giving->kernel;
	enum read_result result;
	uint64_t link = head, node, back;

	for (uint64_t count = 0; !cancel_requested(kernel->guest.cancel); count++) {
		result = linux_read_word(kernel, link, &node);
		if (result != READ_OK || !node || node & 1)
			return result;
		result = linux_read_word(kernel, node + kernel->word_size, &back);
		if (result != READ_OK)
			return result;
		if (back != link)
			return READ_BAD_DATA;
		if (count == MOST)
			return READ_LIMIT;
		if (!giving->give(node, giving->data))
			break;
		link = node;
	}
	return READ_OK;
}

static enum read_result give_rbtree(const struct giving *giving, uint64_t head)
{
	const struct layout *layout = linux_layout(giving->kernel, LAYOUT_GROUP_tree);
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_rbtree walk;
	enum read_result result;
	uint64_t root, node;

	if (!layout->rb_node_parent_color.present || !layout->rb_node_left.present ||
	    !layout->rb_node_right.present)
		return READ_NO_LAYOUT;
	result = linux_read_word(giving->kernel, head, &root);
	if (result != READ_OK)
		return result;
	linux_rbtree_init(&walk, giving->kernel, root, MOST, &seen);
	while (linux_rbtree_next(&walk, &node))
		if (!giving->give(node, giving->data))
			return READ_OK;
	return walk.broken;
}

static enum read_result give_xarray(const struct giving *giving, uint64_t head)
{
	uint64_t root, index, entry;
	struct linux_xarray walk;
	enum read_result result = linux_read_word(giving->kernel, head, &root);

	if (result != READ_OK)
		return result;
	if (!linux_xarray_init(&walk, giving->kernel, root, MOST))
		return READ_NO_LAYOUT;
	while (linux_xarray_next(&walk, &index, &entry))
		if (!giving->give(entry, giving->data))
			return READ_OK;
	return walk.broken;
}

static enum read_result give_maple(const struct giving *giving, uint64_t tree)
{
	enum read_result result = READ_NO_LAYOUT;
	uint64_t entry, first, left = MOST;
	struct linux_maple walk;

	if (linux_maple_init(&walk, giving->kernel, tree)) {
		while (left && linux_maple_next(&walk, &entry, &first))
			if (!giving->give(entry, giving->data))
				break;
			else
				left--;
		result = left ? walk.broken : READ_LIMIT;
	}
	linux_maple_deinit(&walk);
	return result;
}

struct nunchi_error *linux_container(struct guest_kernel *guest, enum guest_container kind,
				     uint64_t head, bool (*give)(uint64_t element, void *data),
				     void *data)
{
	static enum read_result (*const walks[])(const struct giving *giving, uint64_t head) = {
	    [GUEST_LIST] = give_list,     [GUEST_HLIST] = give_hlist, [GUEST_RBTREE] = give_rbtree,
	    [GUEST_XARRAY] = give_xarray, [GUEST_MAPLE] = give_maple,
	};
	const struct giving giving = {linux_kernel_of(guest), give, data};
	enum read_result result = walks[kind](&giving, head);

	if (cancel_requested(guest->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (result == READ_OK)
		return NULL;
	if (result == READ_NO_LAYOUT)
		return linux_lacks_fields("its elements cannot be found",
					  "fields of rb_node, xa_node or maple_node");
	if (result == READ_NO_MEMORY)
		return &error_nomem;
	return error_create_at(result == READ_BAD_DATA ? NUNCHI_ERROR_DATA : NUNCHI_ERROR_FAULT,
			       head, "elements are missing after a broken link: %s",
			       read_result_string(result));
}
