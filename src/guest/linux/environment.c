/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/environment.h"

#include "core/hash.h"
#include "guest/linux/mm.h"
#include "guest/linux/vma.h"

#include <string.h>
#include <time.h>

/*
 * How often the area of a process of a running guest is read at most, until two reads give the same
 * bytes.
 */
#define MAX_TRIES   5
#define GAP_WAIT_NS 5000000

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
	environment->more = READ_OK;
	environment->unmapped = false;
	environment->torn = false;
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

/* Reads the area page by page; false if none of its pages is mapped. */
static bool read_pages(struct linux_environment *environment, struct linux_kernel *kernel,
		       uint64_t pgd)
{
	bool any = false;

	for (size_t at = 0; at < environment->size;) {
		uint64_t address = environment->start + at;
		size_t piece = PAGE_SIZE - (address & PAGE_MASK);
		enum read_result fault;

		if (piece > environment->size - at)
			piece = environment->size - at;
		fault =
		    linux_process_read(kernel, pgd, address, environment->data + at, piece, NULL);
		environment->fault[page_of(environment, at)] = fault;
		any |= fault != READ_NOT_MAPPED;
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
	enum read_result result;
	bool mapped;

	/*
	 * There is no area before execve() has finished, or if the process removed it with prctl().
	 */
	if (!start || end <= start) {
		if (!kernel->guest.live && start != end)
			environment->more = READ_BAD_DATA;
		return;
	}
	environment->start = start;
	environment->more = end - start > LINUX_MAX_ENVIRONMENT ? READ_LIMIT : READ_OK;
	end = environment->more ? start + LINUX_MAX_ENVIRONMENT : end;
	if (!make_room(environment, end - start)) {
		environment->more = READ_NO_MEMORY;
		return;
	}
	environment->size = end - start;
	if (read_pages(environment, kernel, object_u64(mm, &layout->mm_pgd))) {
		/* The area ends where a variable ends; else its end is wrong, and some are missing.
		 */
		if (!kernel->guest.live && !environment->more &&
		    environment->fault[page_of(environment, environment->size - 1)] == READ_OK &&
		    environment->data[environment->size - 1])
			environment->more = READ_BAD_DATA;
		return;
	}
	result = linux_vma_overlaps(kernel, mm->address, start, end, &mapped);
	if (result != READ_OK) {
		/* For this reason it is unknown whether the process unmapped the area. */
		for (size_t page = 0; page <= page_of(environment, environment->size - 1); page++)
			environment->fault[page] = result;
	} else if (!mapped) {
		environment->size = 0;
		environment->more = READ_OK;
		environment->unmapped = true;
	}
}

bool linux_environment_has_gap(const struct linux_environment *environment)
{
	size_t last = environment->size ? page_of(environment, environment->size - 1) : 0;

	for (size_t page = 0; environment->size && page <= last; page++) {
		if (environment->fault[page] == READ_NOT_MAPPED)
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
		if (environment->fault[page] == READ_OK)
			digest = digest * 31 + hash_bytes(environment->data + at, piece);
		at += piece;
	}
	return digest;
}

struct nunchi_error *linux_environment_check(struct linux_kernel *kernel)
{
	const struct layout *layout = &kernel->layout;

	if (layout->task_mm.present && layout->mm_pgd.present && layout->mm_env_start.present &&
	    layout->mm_env_end.present)
		return NULL;
	return linux_lacks_fields("environments cannot be read",
				  "task_struct.mm or a field of mm_struct");
}

enum read_result linux_environment_of(struct linux_environment *environment,
				      struct linux_kernel *kernel, const struct object *task,
				      struct object *mm)
{
	static const struct timespec wait = {.tv_nsec = GAP_WAIT_NS};
	const struct field *field = &kernel->layout.task_mm;
	uint64_t address = object_u64(task, field), before = 0;
	bool gap = false;

	linux_environment_clear(environment);
	if (!address)
		return linux_task_lacks(kernel, task, true);
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		enum read_result result;
		uint64_t now;

		if (gap)
			nanosleep(&wait, NULL);
		linux_environment_clear(environment);
		result = linux_read_object(kernel, LAYOUT_mm, address, mm);
		if (result == READ_OK)
			linux_environment_read(environment, kernel, mm);
		if (!kernel->guest.live)
			return result;
		if (!linux_task_keeps(kernel, task, field)) {
			linux_environment_clear(environment);
			return READ_NONE;
		}
		if (result != READ_OK)
			return result;
		now = linux_environment_digest(environment);
		gap = linux_environment_has_gap(environment);
		environment->torn = !tries || now != before;
		if (!environment->torn && !gap)
			break;
		before = now;
	}
	return READ_OK;
}

/*
 * Finds the end of the variable that begins at `at`: a NUL in a page that was read, or the end of
 * the area. *ret_read is the end of the bytes that were read without a gap, *ret_why the reason for
 * the first gap.
 */
static size_t find_end(const struct linux_environment *environment, size_t at, size_t *ret_read,
		       enum read_result *ret_why)
{
	bool gap = false;

	while (at < environment->size) {
		enum read_result fault = environment->fault[page_of(environment, at)];
		size_t piece = PAGE_SIZE - ((environment->start + at) & PAGE_MASK);
		size_t length;

		if (piece > environment->size - at)
			piece = environment->size - at;
		length = piece;
		if (fault == READ_OK) {
			length = strnlen(environment->data + at, piece);
		} else if (!gap) {
			gap = true;
			*ret_read = at;
			*ret_why = fault;
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
	    .why = READ_NONE,
	    .why_no_position = environment->why_lost,
	};
	if (start >= environment->size) {
		if (!environment->more)
			return false;
		ret->why = environment->more;
		environment->more = READ_OK;
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
	/* The limit may have truncated this variable. */
	if (end == environment->size && environment->more) {
		ret->why = environment->more;
		environment->more = READ_OK;
		read = equals ? read : start;
	}
	ret->has_key = equals || read == end;
	ret->key = text;
	ret->key_size = equals ? (size_t)(equals - text) : read - start;
	if (!equals || ret->why != READ_NONE)
		return true;
	ret->has_value = true;
	ret->value = equals + 1;
	ret->value_size = end - start - ret->key_size - 1;
	return true;
}
