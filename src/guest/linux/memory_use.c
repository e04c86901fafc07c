/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/memory_use.h"

#define MAX_BLOCK_INODES 65536

/*
 * Reads a counter of the array for all zones or nodes, which stands at a symbol. The field is one
 * of the array of a single zone or node, which begins at `all`.
 */
static enum read_result counter(struct linux_kernel *kernel, enum linux_symbol symbol,
				const struct field *all, const struct field *field, int64_t *ret)
{
	uint64_t value = 0;
	enum read_result result;

	if (!kernel->symbol[symbol])
		return READ_NO_SYMBOL;
	if (!all->present || !field->present || field->offset < all->offset)
		return READ_NO_LAYOUT;
	result =
	    linux_read_word(kernel, kernel->symbol[symbol] + field->offset - all->offset, &value);
	if (result != READ_OK)
		return result;
	*ret = kernel->word_size == 4 ? (int32_t)value : (int64_t)value;
	/* What CPUs count for themselves may have one below zero for a moment: then it is shown as
	 * 0. */
	if (*ret < 0)
		*ret = 0;
	return READ_OK;
}

static enum read_result node_counter(struct linux_kernel *kernel, const struct field *field,
				     int64_t *ret)
{
	return counter(kernel, LINUX_vm_node_stat, &kernel->layout.node_count_all, field, ret);
}

/* The sum of two counters of nodes. */
static enum read_result node_sum(struct linux_kernel *kernel, const struct field *one,
				 const struct field *other, int64_t *ret)
{
	int64_t first = 0, second = 0;
	enum read_result result = node_counter(kernel, one, &first);

	if (result == READ_OK)
		result = node_counter(kernel, other, &second);
	*ret = (int64_t)((uint64_t)first + (uint64_t)second);
	return result;
}

static enum read_result number_at(struct linux_kernel *kernel, enum linux_symbol symbol,
				  int64_t *ret)
{
	uint64_t value = 0;
	enum read_result result;

	if (!kernel->symbol[symbol])
		return READ_NO_SYMBOL;
	result = linux_read_word(kernel, kernel->symbol[symbol], &value);
	*ret = kernel->word_size == 4 ? (int32_t)value : (int64_t)value;
	return result;
}

/* The pages of block devices: those of all inodes of the file system that has no name but theirs.
 */
static enum read_result buffers(struct linux_kernel *kernel, int64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_hash_map_ struct hash_map seen = {0};
	uint64_t super = 0, sum = 0, node;
	enum read_result result;
	struct linux_list list;

	if (!kernel->symbol[LINUX_blockdev_superblock])
		return READ_NO_SYMBOL;
	if (!layout->block_super_inodes.present || !layout->block_inode_list.present ||
	    !layout->block_inode_mapping.present || !layout->block_pages_count.present)
		return READ_NO_LAYOUT;
	result = linux_read_word(kernel, kernel->symbol[LINUX_blockdev_superblock], &super);
	if (result != READ_OK)
		return result;
	linux_list_init(&list, kernel, super + layout->block_super_inodes.offset, MAX_BLOCK_INODES,
			&seen);
	while (linux_list_next(&list, &node)) {
		uint64_t mapping = 0, pages = 0;

		result = linux_read_field(kernel, node - layout->block_inode_list.offset,
					  &layout->block_inode_mapping, &mapping);
		if (result == READ_OK)
			result =
			    linux_read_field(kernel, mapping, &layout->block_pages_count, &pages);
		if (result != READ_OK)
			return result;
		sum += pages;
	}
	*ret = (int64_t)sum;
	return list.broken;
}

/* Before 5.12 each area of swap has caches of its own; without any there is none. */
static enum read_result swap_cached(struct linux_kernel *kernel, const struct linux_memory *memory,
				    int64_t *ret)
{
	if (kernel->layout.node_count_swap_cache.present)
		return node_counter(kernel, &kernel->layout.node_count_swap_cache, ret);
	if (memory->result[LINUX_MEMORY_SWAP_TOTAL] != READ_OK)
		return memory->result[LINUX_MEMORY_SWAP_TOTAL];
	*ret = 0;
	return memory->bytes[LINUX_MEMORY_SWAP_TOTAL] ? READ_NO_LAYOUT : READ_OK;
}

/* What the page cache has of files, without block devices and swap. */
static enum read_result cached(struct linux_kernel *kernel, const struct linux_memory *memory,
			       int64_t *ret)
{
	int64_t file = 0;
	enum read_result result = node_counter(kernel, &kernel->layout.node_count_file, &file);

	if (result == READ_OK)
		result = memory->result[LINUX_MEMORY_BUFFERS];
	if (result == READ_OK)
		result = memory->result[LINUX_MEMORY_SWAP_CACHED];
	if (result != READ_OK)
		return result;
	*ret = (int64_t)((uint64_t)file - (uint64_t)memory->bytes[LINUX_MEMORY_BUFFERS] -
			 (uint64_t)memory->bytes[LINUX_MEMORY_SWAP_CACHED]);
	if (*ret < 0)
		*ret = 0;
	return READ_OK;
}

void linux_memory_use(struct linux_kernel *kernel, struct linux_memory *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_memory_use);
	enum read_result *result = ret->result;
	int64_t *pages = ret->bytes; /* until the end */

	*ret = (struct linux_memory){0};
	result[LINUX_MEMORY_FREE] = counter(kernel, LINUX_vm_zone_stat, &layout->zone_count_all,
					    &layout->zone_count_free, &pages[LINUX_MEMORY_FREE]);
	result[LINUX_MEMORY_BUFFERS] = buffers(kernel, &pages[LINUX_MEMORY_BUFFERS]);
	result[LINUX_MEMORY_SWAP_TOTAL] =
	    number_at(kernel, LINUX_total_swap_pages, &pages[LINUX_MEMORY_SWAP_TOTAL]);
	result[LINUX_MEMORY_SWAP_FREE] =
	    number_at(kernel, LINUX_nr_swap_pages, &pages[LINUX_MEMORY_SWAP_FREE]);
	result[LINUX_MEMORY_SWAP_CACHED] =
	    swap_cached(kernel, ret, &pages[LINUX_MEMORY_SWAP_CACHED]);
	result[LINUX_MEMORY_CACHED] = cached(kernel, ret, &pages[LINUX_MEMORY_CACHED]);
	result[LINUX_MEMORY_ACTIVE] =
	    node_sum(kernel, &layout->node_count_active_anon, &layout->node_count_active_file,
		     &pages[LINUX_MEMORY_ACTIVE]);
	result[LINUX_MEMORY_INACTIVE] =
	    node_sum(kernel, &layout->node_count_inactive_anon, &layout->node_count_inactive_file,
		     &pages[LINUX_MEMORY_INACTIVE]);
	result[LINUX_MEMORY_SHARED] =
	    node_counter(kernel, &layout->node_count_shared, &pages[LINUX_MEMORY_SHARED]);
	result[LINUX_MEMORY_SLAB] =
	    node_counter(kernel, &layout->node_count_slab, &pages[LINUX_MEMORY_SLAB]);
	for (size_t i = 0; i < LINUX_MEMORY_USES; i++)
		pages[i] = (int64_t)((uint64_t)pages[i] * PAGE_SIZE);
}
