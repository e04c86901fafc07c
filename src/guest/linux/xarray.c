/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/xarray.h"

/* Low bits of an entry: 00 a pointer, 01 a value, 10 a node or another internal entry. */
#define TAGS     3
#define INTERNAL 2
/* Internal entries up to this one are no nodes (a sibling, a retry, a zero entry). */
#define LAST_SPECIAL 4096

static bool is_node(uint64_t entry)
{
	return (entry & TAGS) == INTERNAL && entry > LAST_SPECIAL;
}

static void fail(struct linux_xarray *walk, enum read_result why)
{
	if (!walk->broken)
		walk->broken = why;
}

/* Puts a node on the path. above: shift of the node above it, or 0 for the root. */
static void push(struct linux_xarray *walk, uint64_t entry, uint64_t index, unsigned above)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t node = entry - INTERNAL, shift;
	enum read_result result;

	if (!walk->left) {
		fail(walk, READ_LIMIT);
		return;
	}
	walk->left--;
	result = linux_read_field(kernel, node, &layout->xa_node_shift, &shift);
	/* Each level covers less than the one above, so that the tree has an end. */
	if (result == READ_OK &&
	    (shift >= 64 || (walk->depth && shift >= above) || walk->depth == LINUX_XARRAY_LEVELS))
		result = READ_BAD_DATA;
	if (result != READ_OK) {
		fail(walk, result);
		return;
	}
	walk->levels[walk->depth].node = node;
	walk->levels[walk->depth].index = index;
	walk->levels[walk->depth].shift = (unsigned)shift;
	walk->levels[walk->depth++].slot = 0;
}

bool linux_xarray_init(struct linux_xarray *walk, struct linux_kernel *kernel, uint64_t head,
		       uint64_t limit)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_process);

	*walk = (struct linux_xarray){.kernel = kernel, .left = limit};
	if (!layout->xa_node_slots.present || !layout->xa_node_shift.present ||
	    layout->xa_node_slots.elements < 2)
		return false;
	if (is_node(head))
		push(walk, head, 0, 0);
	else if (head && !(head & TAGS))
		walk->root_entry = head;
	return true;
}

bool linux_xarray_next(struct linux_xarray *walk, uint64_t *ret_index, uint64_t *ret_entry)
{
	struct linux_kernel *kernel = walk->kernel;
	const struct field *slots = &kernel->layout.xa_node_slots;

	if (walk->root_entry) {
		*ret_index = 0;
		*ret_entry = walk->root_entry;
		walk->root_entry = 0;
		return true;
	}
	while (walk->depth && !cancel_requested(kernel->guest.cancel)) {
		__auto_type level = &walk->levels[walk->depth - 1];
		uint64_t index = level->index + ((uint64_t)level->slot << level->shift);
		enum read_result result;
		uint64_t entry;

		if (level->slot == slots->elements) {
			walk->depth--;
			continue;
		}
		result = linux_read_word(
		    kernel, level->node + slots->offset + (uint64_t)level->slot * kernel->word_size,
		    &entry);
		level->slot++;
		if (result != READ_OK) {
			fail(walk, result);
		} else if (is_node(entry)) {
			push(walk, entry, index, level->shift);
		} else if (entry && !(entry & TAGS)) {
			*ret_index = index;
			*ret_entry = entry;
			return true;
		}
	}
	return false;
}
