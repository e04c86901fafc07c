/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/environment.h"

#include "core/hash.h"
#include "guest/linux/mm.h"
#include "guest/linux/vma.h"

#include <string.h>

void linux_environment_init(struct linux_environment *environment)
{
	*environment = (struct linux_environment){0};
}

void linux_environment_deinit(struct linux_environment *environment)
{
	free(environment->data);
	environment->data = NULL;
}

void linux_environment_clear(struct linux_environment *environment)
{
	environment->size = 0;
	environment->at = 0;
	environment->count = 0;
	environment->lost = false;
	environment->more = false;
	environment->unmapped = false;
}

static size_t page_of(const struct linux_environment *environment, size_t offset)
{
	return ((environment->start & PAGE_MASK) + offset) >> PAGE_SHIFT;
}

static bool make_room(struct linux_environment *environment, size_t size)
{
	char *data;

	if (size <= environment->capacity)
		return true;
	data = realloc(environment->data, size);
	if (!data)
		return false;
	environment->data = data;
	environment->capacity = size;
	return true;
}

/* Reads page by page; false if nothing is mapped in any of them. */
static bool read_pages(struct linux_environment *environment, struct linux_kernel *kernel,
		       uint64_t pgd)
{
	bool any = false;

	for (size_t at = 0; at < environment->size;) {
		uint64_t address = environment->start + at;
		size_t piece = PAGE_SIZE - (address & PAGE_MASK);
		enum memory_fault fault;

		if (piece > environment->size - at)
			piece = environment->size - at;
		fault =
		    linux_process_read(kernel, pgd, address, environment->data + at, piece, NULL);
		environment->fault[page_of(environment, at)] = fault;
		any |= fault != MEMORY_NOT_MAPPED;
		at += piece;
	}
	return any;
}

void linux_environment_read(struct linux_environment *environment, struct linux_kernel *kernel,
			    const struct object *mm)
{
	const struct layout *layout = &kernel->layout;
	uint64_t start = object_u64(mm, &layout->mm_env_start);
	uint64_t end = object_u64(mm, &layout->mm_env_end);

	/* Until execve() is done, or if the process asked so by prctl(), there may be none. */
	if (!start || end <= start)
		return;
	environment->start = start;
	environment->more = end - start > LINUX_MAX_ENVIRONMENT;
	end = environment->more ? start + LINUX_MAX_ENVIRONMENT : end;
	if (!make_room(environment, end - start)) {
		environment->more = true;
		return;
	}
	environment->size = end - start;
	if (!read_pages(environment, kernel, object_u64(mm, &layout->mm_pgd)) &&
	    !linux_vma_overlaps(kernel, mm->address, start, end)) {
		environment->size = 0;
		environment->more = false;
		environment->unmapped = true;
	}
}

bool linux_environment_has_gap(const struct linux_environment *environment)
{
	size_t last = environment->size ? page_of(environment, environment->size - 1) : 0;

	for (size_t page = 0; environment->size && page <= last; page++) {
		if (environment->fault[page] == MEMORY_NOT_MAPPED)
			return true;
	}
	return false;
}

uint64_t linux_environment_digest(const struct linux_environment *environment)
{
	uint64_t digest = environment->start + environment->size;

	for (size_t at = 0; at < environment->size;) {
		size_t page = page_of(environment, at);
		size_t piece = PAGE_SIZE - ((environment->start + at) & PAGE_MASK);

		if (piece > environment->size - at)
			piece = environment->size - at;
		digest = digest * 31 + environment->fault[page];
		if (environment->fault[page] == MEMORY_OK)
			digest = digest * 31 + hash_bytes(environment->data + at, piece);
		at += piece;
	}
	return digest;
}

static enum nunchi_absence absence_of(enum memory_fault fault)
{
	switch (fault) {
	case MEMORY_PAGED_OUT:
		return NUNCHI_ABSENT_PAGED_OUT;
	case MEMORY_NOT_SAVED:
		return NUNCHI_ABSENT_NOT_SAVED;
	case MEMORY_NOT_MAPPED:
	case MEMORY_NO_RAM:
		return NUNCHI_ABSENT_NOT_MAPPED;
	default:
		return NUNCHI_ABSENT_BAD_DATA;
	}
}

/*
 * The end of what begins at `at`: a NUL in a page that was read, or the end of the area. *ret_read
 * is how far it was read without a gap; *ret_why the reason for the first gap.
 */
static size_t find_end(const struct linux_environment *environment, size_t at, size_t *ret_read,
		       enum nunchi_absence *ret_why)
{
	bool gap = false;

	while (at < environment->size) {
		enum memory_fault fault = environment->fault[page_of(environment, at)];
		size_t piece = PAGE_SIZE - ((environment->start + at) & PAGE_MASK);
		size_t length;

		if (piece > environment->size - at)
			piece = environment->size - at;
		length = piece;
		if (fault == MEMORY_OK) {
			length = strnlen(environment->data + at, piece);
		} else if (!gap) {
			gap = true;
			*ret_read = at;
			*ret_why = absence_of(fault);
		}
		at += length;
		if (length < piece)
			break;
	}
	if (!gap)
		*ret_read = at;
	return at;
}

bool linux_environment_next(struct linux_environment *environment, struct linux_variable *ret)
{
	size_t start = environment->at, end, read = start;
	const char *text, *equals;

	*ret = (struct linux_variable){
	    .position = environment->count++,
	    .has_position = !environment->lost,
	    .why = NUNCHI_ABSENT_NOT_APPLICABLE,
	    .why_no_position = environment->why_lost,
	};
	if (start >= environment->size) {
		ret->why = NUNCHI_ABSENT_LIMIT;
		if (!environment->more)
			return false;
		environment->more = false;
		return true;
	}
	end = find_end(environment, start, &read, &ret->why);
	environment->at = end + 1;
	if (read < end && !environment->lost) {
		environment->lost = true;
		environment->why_lost = ret->why;
	}
	text = environment->data + start;
	equals = memchr(text, '=', read - start);
	/* The limit may have cut this one. */
	if (end == environment->size && environment->more) {
		environment->more = false;
		ret->why = NUNCHI_ABSENT_LIMIT;
		read = equals ? read : start;
	}
	ret->has_key = equals || read == end;
	ret->key = text;
	ret->key_size = equals ? (size_t)(equals - text) : read - start;
	if (!equals || ret->why != NUNCHI_ABSENT_NOT_APPLICABLE)
		return true;
	ret->has_value = true;
	ret->value = equals + 1;
	ret->value_size = end - start - ret->key_size - 1;
	return true;
}
