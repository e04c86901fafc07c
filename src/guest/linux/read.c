/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hash.h"
#include "guest/linux/linux.h"

#include <string.h>

#define MAX_CPUS 8192

enum memory_fault linux_read(struct linux_kernel *kernel, uint64_t address, void *buffer,
			     size_t size)
{
	return address_space_read(kernel->space, gva(address), buffer, size, NULL);
}

enum memory_fault linux_read_u32(struct linux_kernel *kernel, uint64_t address, uint32_t *ret)
{
	return linux_read(kernel, address, ret, sizeof(*ret));
}

enum memory_fault linux_read_u64(struct linux_kernel *kernel, uint64_t address, uint64_t *ret)
{
	return linux_read(kernel, address, ret, sizeof(*ret));
}

enum memory_fault linux_read_word(struct linux_kernel *kernel, uint64_t address, uint64_t *ret)
{
	uint64_t value = 0;
	enum memory_fault fault = linux_read(kernel, address, &value, kernel->word_size);

	if (fault == MEMORY_OK)
		*ret = value;
	return fault;
}

enum memory_fault linux_read_object(struct linux_kernel *kernel, enum layout_struct type,
				    uint64_t address, struct object *object)
{
	size_t size = kernel->layout.used[type];
	enum memory_fault fault;

	object->size = 0;
	object->address = address;
	if (!size)
		return MEMORY_IO;
	if (!address)
		return MEMORY_NOT_MAPPED;
	if (size > object->capacity) {
		uint8_t *data = realloc(object->data, size);

		if (!data)
			return MEMORY_IO;
		object->data = data;
		object->capacity = size;
	}
	fault = linux_read(kernel, address, object->data, size);
	if (fault == MEMORY_OK)
		object->size = size;
	return fault;
}

enum memory_fault linux_read_field(struct linux_kernel *kernel, uint64_t address,
				   const struct field *field, uint64_t *ret)
{
	uint8_t bytes[8];
	struct object object = {.data = bytes, .size = field->size};
	struct field at_start = *field;
	enum memory_fault fault;

	if (!field->present || field->size > sizeof(bytes))
		return MEMORY_IO;
	fault = linux_read(kernel, address + field->offset, bytes, field->size);
	if (fault != MEMORY_OK)
		return fault;
	at_start.offset = 0;
	*ret = object_u64(&object, &at_start);
	return MEMORY_OK;
}

enum memory_fault linux_read_string(struct linux_kernel *kernel, uint64_t address, char *buffer,
				    size_t limit, size_t *ret)
{
	size_t done = 0;

	while (done < limit) {
		uint64_t at = address + done;
		size_t piece = PAGE_SIZE - (at & PAGE_MASK);
		enum memory_fault fault;
		size_t length;

		if (piece > limit - done)
			piece = limit - done;
		fault = linux_read(kernel, at, buffer + done, piece);
		if (fault != MEMORY_OK)
			return fault;
		length = strnlen(buffer + done, piece);
		done += length;
		if (length < piece)
			break;
	}
	*ret = done;
	return MEMORY_OK;
}

unsigned linux_cpu_count(struct linux_kernel *kernel)
{
	uint32_t count;

	if (!kernel->symbol[LINUX_nr_cpu_ids] ||
	    linux_read_u32(kernel, kernel->symbol[LINUX_nr_cpu_ids], &count) != MEMORY_OK ||
	    count < 1)
		return 1;
	return count > MAX_CPUS ? MAX_CPUS : count;
}

bool linux_per_cpu(struct linux_kernel *kernel, uint64_t variable, unsigned cpu, uint64_t *ret)
{
	uint64_t table = kernel->symbol[LINUX_per_cpu_offset];
	uint64_t offset;

	if (!table || cpu >= MAX_CPUS ||
	    linux_read_word(kernel, table + (uint64_t)cpu * kernel->word_size, &offset) !=
		MEMORY_OK)
		return false;
	*ret = variable + offset;
	if (kernel->word_size == 4)
		*ret &= UINT32_MAX;
	return true;
}

void linux_list_init(struct linux_list *list, struct linux_kernel *kernel, uint64_t head,
		     uint64_t limit, struct hash_map *seen)
{
	hash_map_clear(seen);
	*list = (struct linux_list){
	    .kernel = kernel, .head = head, .at = head, .limit = limit, .seen = seen};
}

bool linux_list_next(struct linux_list *list, uint64_t *ret)
{
	unsigned word = list->kernel->word_size;
	uint64_t next, back;

	if (list->broken)
		return false;
	/*
	 * A node that does not point back was being changed, or was freed: on a running guest that
	 * settles within moments, so look again before giving up.
	 */
	for (int tries = 0;; tries++) {
		if (linux_read_word(list->kernel, list->at, &next) == MEMORY_OK &&
		    linux_read_word(list->kernel, next + word, &back) == MEMORY_OK &&
		    back == list->at)
			break;
		if (tries == 3) {
			list->broken = true;
			return false;
		}
	}
	if (next == list->head)
		return false;
	if (list->count++ >= list->limit || hash_map_insert(list->seen, next, 0) != HASH_INSERTED) {
		list->broken = true;
		return false;
	}
	list->at = next;
	*ret = next;
	return true;
}
