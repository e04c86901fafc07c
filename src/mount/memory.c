/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of the guest, and of a process: the offset in the file is the address. */
#include "core/error.h"
#include "mount/served.h"

#include <errno.h>
#include <string.h>

/* Nothing is mapped below it; who reads a file from its start is to find its end there. */
#define FIRST_PAGE 4096

uint64_t served_memory_end(const struct served *served)
{
	uint64_t start, size, end = 0;

	for (size_t n = 0; nunchi_memory_range(served->guest, n, &start, &size); n++)
		if (start + size > end)
			end = start + size;
	return end;
}

/* How many bytes at an address are alike: in RAM, or in a hole between two ranges. */
static uint64_t alike(const struct served *served, uint64_t at, bool *ret_ram)
{
	uint64_t start, size, next = UINT64_MAX;

	*ret_ram = false;
	for (size_t n = 0; nunchi_memory_range(served->guest, n, &start, &size); n++) {
		if (at >= start && at - start < size) {
			*ret_ram = true;
			return size - (at - start);
		}
		if (start > at && start < next)
			next = start;
	}
	return next - at;
}

/*
 * Reads what can be read from a place on: the number of bytes. If there are none, the error is
 * given, with the number of bytes up to the next page in *ret_part.
 */
static struct nunchi_error *read_part(struct served *served, const struct nunchi_place *place,
				      char *to, size_t size, size_t *ret_part)
{
	struct nunchi_error *err = nunchi_read(served->guest, place, size, to);
	size_t part = FIRST_PAGE - (size_t)(place->address % FIRST_PAGE);
	uint64_t at;

	if (err && error_is(err, NUNCHI_ERROR_FAULT) && nunchi_error_address(err, &at) &&
	    at > place->address && at - place->address < size) {
		nunchi_error_destroy(err);
		size = (size_t)(at - place->address);
		err = nunchi_read(served->guest, place, size, to);
	}
	*ret_part = err && part < size ? part : size;
	return err;
}

static int read_place(struct served *served, const char *path, struct nunchi_place *place, char *to,
		      size_t size)
{
	size_t done = 0, part;

	while (done < size) {
		struct nunchi_error *err = read_part(served, place, to + done, size - done, &part);

		if (err && !error_is(err, NUNCHI_ERROR_FAULT))
			return done      ? nunchi_error_destroy(err),
			       (int)done : served_errno(served, path, err);
		if (err && !served->options->fill) {
			nunchi_error_destroy(err);
			return done ? (int)done : -EIO;
		}
		if (err)
			memset(to + done, 0, part);
		nunchi_error_destroy(err);
		done += part;
		place->address += part;
	}
	return (int)done;
}

static int read_physical(struct served *served, const char *path, char *to, size_t size,
			 uint64_t at)
{
	struct nunchi_place place = {.space = NUNCHI_SPACE_PHYSICAL};
	uint64_t end = served_memory_end(served), same;
	size_t done = 0;
	bool is_ram;

	if (at >= end)
		return 0;
	if (size > end - at)
		size = (size_t)(end - at);
	while (done < size) {
		int part;

		same = alike(served, at + done, &is_ram);
		part = (int)(same < size - done ? same : size - done);
		place.address = at + done;
		if (is_ram)
			part = read_place(served, path, &place, to + done, (size_t)part);
		else
			memset(to + done, 0, (size_t)part);
		if (part <= 0)
			return done ? (int)done : part;
		done += (size_t)part;
	}
	return (int)done;
}

int served_memory_read_at(struct served *served, const char *path, const struct node *node,
			  char *to, size_t size, uint64_t at)
{
	struct nunchi_place place = {.space = NUNCHI_SPACE_PROCESS, .id = node->pid, .address = at};

	if (node->kind == NODE_PHYSICAL)
		return read_physical(served, path, to, size, at);
	/* Here --fill would make a file of all addresses. */
	if (at < FIRST_PAGE)
		return 0;
	return read_place(served, path, &place, to, size);
}
