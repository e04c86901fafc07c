/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/clock.h"
#include "core/hash.h"
#include "guest/linux/linux.h"

#include <string.h>

#define MAX_CPUS 8192
/* Steps of a walk between two looks at the clock. */
#define STEPS_PER_LOOK 64
/*
 * How often a walk may start again at the head because its current node was removed from the list.
 */
#define MAX_STARTS 64

void linux_layout_resolve(struct linux_kernel *kernel, enum layout_group group)
{
	/* Without types there is nothing to look up. */
	if (kernel->types)
		layout_resolve(kernel->types, group, &kernel->layout);
}

uint32_t linux_used_size(struct linux_kernel *kernel, enum layout_struct type)
{
	if (!kernel->layout.used[type])
		linux_layout(kernel, layout_group_of(type));
	return kernel->layout.used[type];
}

struct nunchi_error *linux_lacks_fields(const char *what, const char *fields)
{
	return error_hint(
	    error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: this kernel's types lack %s", what, fields),
	    "give types that have them, of exactly this build, with --types FILE (a "
	    "vmlinux with DWARF has all); `nunchi info` lists what is missing");
}

bool linux_has_field(struct linux_kernel *kernel, const struct field *field)
{
	enum layout_group group;

	if (field->present)
		return true;
	group = layout_group_of_field(&kernel->layout, field);
	if (group != LAYOUT_GROUP_COUNT)
		linux_layout(kernel, group);
	return field->present;
}

void linux_add_part(struct linux_kernel *kernel, struct layout_parts *parts,
		    const struct field *field)
{
	if (linux_has_field(kernel, field))
		layout_parts_add(parts, field);
}

enum read_result linux_read(struct linux_kernel *kernel, uint64_t address, void *buffer,
			    size_t size)
{
	return read_result_of(
	    address_space_read(kernel->guest.space, gva(address), buffer, size, NULL));
}

enum read_result linux_read_u32(struct linux_kernel *kernel, uint64_t address, uint32_t *ret)
{
	return linux_read(kernel, address, ret, sizeof(*ret));
}

enum read_result linux_read_u64(struct linux_kernel *kernel, uint64_t address, uint64_t *ret)
{
	return linux_read(kernel, address, ret, sizeof(*ret));
}

enum read_result linux_read_word(struct linux_kernel *kernel, uint64_t address, uint64_t *ret)
{
	uint64_t value = 0;
	enum read_result fault = linux_read(kernel, address, &value, kernel->word_size);

	if (fault == READ_OK)
		*ret = value;
	return fault;
}

/* Copies the parts that are needed of the structure of size bytes at object->address. */
static enum read_result read_parts(struct linux_kernel *kernel, struct object *object, size_t size)
{
	const struct layout_parts *parts = object->parts;
	enum read_result fault = READ_OK;

	if (!parts)
		return linux_read(kernel, object->address, object->data, size);
	for (size_t i = 0; i < parts->count && fault == READ_OK; i++) {
		const struct layout_part *part = &parts->parts[i];

		if (part->end <= size)
			fault = linux_read(kernel, object->address + part->start,
					   object->data + part->start, part->end - part->start);
	}
	return fault;
}

enum read_result linux_read_object(struct linux_kernel *kernel, enum layout_struct type,
				   uint64_t address, struct object *object)
{
	size_t size = linux_used_size(kernel, type);

	object->size = 0;
	object->address = address;
	if (!size)
		return object->result = READ_NO_LAYOUT;
	if (!address)
		return object->result = READ_NOT_MAPPED;
	if (size > object->capacity) {
		uint8_t *data = realloc(object->data, size);

		if (!data)
			return object->result = READ_NO_MEMORY;
		object->data = data;
		object->capacity = size;
	}
	object->result = read_parts(kernel, object, size);
	if (object->result == READ_OK)
		object->size = size;
	return object->result;
}

enum read_result linux_read_field(struct linux_kernel *kernel, uint64_t address,
				  const struct field *field, uint64_t *ret)
{
	uint8_t bytes[8];
	struct object object = {.data = bytes};
	enum read_result fault;
	struct field at_start;

	if (!linux_has_field(kernel, field) || field->size > sizeof(bytes))
		return READ_NO_LAYOUT;
	object.size = field->size;
	at_start = *field;
	fault = linux_read(kernel, address + field->offset, bytes, field->size);
	if (fault != READ_OK)
		return fault;
	at_start.offset = 0;
	*ret = object_u64(&object, &at_start);
	return READ_OK;
}

enum read_result linux_read_string(struct linux_kernel *kernel, uint64_t address, char *buffer,
				   size_t limit, size_t *ret)
{
	size_t done = 0;

	while (done < limit) {
		uint64_t at = address + done;
		size_t piece = PAGE_SIZE - (at & PAGE_MASK);
		enum read_result fault;
		size_t length;

		if (piece > limit - done)
			piece = limit - done;
		fault = linux_read(kernel, at, buffer + done, piece);
		if (fault != READ_OK)
			return fault;
		length = strnlen(buffer + done, piece);
		done += length;
		if (length < piece)
			break;
	}
	*ret = done;
	return READ_OK;
}

enum read_result linux_cpu_count(struct linux_kernel *kernel, unsigned *ret)
{
	enum read_result result;
	uint32_t count;

	if (!kernel->symbol[LINUX_nr_cpu_ids])
		return READ_NO_SYMBOL;
	result = linux_read_u32(kernel, kernel->symbol[LINUX_nr_cpu_ids], &count);
	if (result != READ_OK)
		return result;
	if (count < 1)
		return READ_BAD_DATA;
	if (count > MAX_CPUS)
		return READ_LIMIT;
	*ret = count;
	return READ_OK;
}

enum read_result linux_per_cpu(struct linux_kernel *kernel, uint64_t variable, unsigned cpu,
			       uint64_t *ret)
{
	uint64_t table = kernel->symbol[LINUX_per_cpu_offset];
	enum read_result result;
	uint64_t offset;

	if (!table)
		return READ_NO_SYMBOL;
	if (cpu >= MAX_CPUS)
		return READ_LIMIT;
	result = linux_read_word(kernel, table + (uint64_t)cpu * kernel->word_size, &offset);
	if (result != READ_OK)
		return result;
	*ret = variable + offset;
	if (kernel->word_size == 4)
		*ret &= UINT32_MAX;
	return READ_OK;
}

void linux_list_init(struct linux_list *list, struct linux_kernel *kernel, uint64_t head,
		     uint64_t limit, struct hash_map *seen)
{
	hash_map_clear(seen);
	*list = (struct linux_list){
	    .kernel = kernel, .head = head, .at = head, .limit = limit, .seen = seen};
}

/*
 * Finds the node after the current one. Normally the `prev` of the next node is the current node.
 * This is not so for a moment while a node is added between them (the new node has its links
 * already, but is not on the list yet), or while the current node is removed (the `next` of its
 * predecessor changes last). A node that was removed, or freed and reused, has another `prev` than
 * when the walk reached it.
 */
static enum read_result follow(const struct linux_list *list, uint64_t *ret, uint64_t *ret_before)
{
	struct linux_kernel *kernel = list->kernel;
	unsigned word = kernel->word_size;
	uint64_t next, back, link, other;
	enum read_result result;

	result = linux_read_word(kernel, list->at, &next);
	if (result == READ_OK)
		result = linux_read_word(kernel, next + word, &back);
	if (result != READ_OK)
		return result;
	if (back != list->at) {
		bool taken_off = list->at != list->head && back == list->before;

		if (linux_read_word(kernel, back, &link) != READ_OK ||
		    link != (taken_off ? list->at : next))
			return READ_BAD_DATA;
		if (!taken_off &&
		    (linux_read_word(kernel, back + word, &other) != READ_OK || other != list->at))
			return READ_BAD_DATA;
		/* One that is being added, to which only the link forward does not lead yet. */
		if (!taken_off && back != list->head) {
			next = back;
			back = list->at;
		}
	}
	if (kernel->guest.live && list->at != list->head) {
		result = linux_read_word(kernel, list->at + word, &link);
		if (result != READ_OK || link != list->before)
			return result != READ_OK ? result : READ_BAD_DATA;
	}
	*ret = next;
	*ret_before = back;
	return READ_OK;
}

/* Whether the walk may start again at the head after the current node was removed. */
static bool start_again(struct linux_list *list)
{
	if (!list->kernel->guest.live || list->starts == MAX_STARTS)
		return false;
	list->starts++;
	list->passed = 0;
	list->at = list->head;
	return true;
}

/* Marks the current node as seen; *ret_new is false if it was returned before. */
static enum read_result mark_seen(struct linux_list *list, bool *ret_new)
{
	enum hash_result result = hash_map_insert(list->seen, list->at, 0);

	*ret_new = result == HASH_INSERTED;
	if (result == HASH_NOMEM)
		return READ_NO_MEMORY;
	if (result == HASH_INSERTED)
		return list->count++ < list->limit ? READ_OK : READ_LIMIT;
	return list->kernel->guest.live && list->passed++ < list->count ? READ_OK : READ_BAD_DATA;
}

bool linux_is_late(struct linux_kernel *kernel)
{
	struct guest_kernel *guest = &kernel->guest;

	if (!guest->until_us || clock_us() < guest->until_us)
		return false;
	guest->late = true;
	return true;
}

bool linux_list_next(struct linux_list *list, uint64_t *ret)
{
	bool is_new = false;

	while (!list->broken && !cancel_requested(list->kernel->guest.cancel)) {
		enum read_result result = READ_BAD_DATA;
		uint64_t next, before;

		if (list->steps++ % STEPS_PER_LOOK == 0 && linux_is_late(list->kernel)) {
			list->broken = READ_LIMIT;
			break;
		}
		/* On a running guest most changes of a list are complete after a moment. */
		for (int tries = 0; tries < 4 && result != READ_OK; tries++)
			result = follow(list, &next, &before);
		if (result != READ_OK) {
			if (!start_again(list))
				list->broken = result;
			continue;
		}
		if (next == list->head)
			return false;
		list->at = next;
		list->before = before;
		list->broken = mark_seen(list, &is_new);
		if (!list->broken && is_new) {
			*ret = next;
			return true;
		}
	}
	return false;
}

bool linux_list_holds(struct linux_kernel *kernel, uint64_t node)
{
	uint64_t back, forth;

	return linux_read_word(kernel, node + kernel->word_size, &back) == READ_OK &&
	       linux_read_word(kernel, back, &forth) == READ_OK && forth == node;
}
