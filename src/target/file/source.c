/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static enum memory_fault read_fd(void *data, uint64_t offset, void *buffer, size_t size,
				 uint64_t *fault_offset)
{
	int fd = (int)(intptr_t)data;
	size_t done = 0;

	while (done < size) {
		ssize_t n;

		if (offset + done > INT64_MAX || offset + done < offset) {
			*fault_offset = offset + done;
			return MEMORY_NOT_SAVED;
		}
		n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*fault_offset = offset + done;
			return n < 0 ? MEMORY_IO : MEMORY_NOT_SAVED;
		}
		done += (size_t)n;
	}
	return MEMORY_OK;
}

struct source source_of_fd(int fd, uint64_t size)
{
	return (struct source){
	    .read = read_fd, .data = (void *)(intptr_t)fd, .size = size, .fd = fd};
}

static enum memory_fault read_bytes(void *data, uint64_t offset, void *buffer, size_t size,
				    uint64_t *fault_offset)
{
	const struct source_bytes *bytes = data;
	size_t there = offset < bytes->size ? bytes->size - (size_t)offset : 0;

	if (there > size)
		there = size;
	if (there)
		memcpy(buffer, (const char *)bytes->start + offset, there);
	if (there == size)
		return MEMORY_OK;
	*fault_offset = offset + there;
	return MEMORY_NOT_SAVED;
}

struct source source_of_bytes(struct source_bytes *bytes)
{
	return (struct source){.read = read_bytes, .data = bytes, .size = bytes->size, .fd = -1};
}

void source_deinit(struct source *source)
{
	if (source->destroy)
		source->destroy(source->data);
	source->destroy = NULL;
}

struct nunchi_error *source_read(const struct source *source, uint64_t offset, void *buffer,
				 size_t size, const char *what)
{
	uint64_t fault = offset;
	struct nunchi_error *err;

	switch (source->read(source->data, offset, buffer, size, &fault)) {
	case MEMORY_OK:
		return NULL;
	case MEMORY_NOT_SAVED:
		err = error_create(NUNCHI_ERROR_TRUNCATED,
				   "%s at offset 0x%" PRIx64 " (%zu bytes) is cut off: the file "
				   "ends at 0x%" PRIx64,
				   what, offset, size, fault);
		return error_hint(err, "the file is incomplete: copy or dump it again");
	case MEMORY_GONE:
		return error_create(NUNCHI_ERROR_GONE,
				    "%s at offset 0x%" PRIx64 ": the file shrank while it was read",
				    what, offset);
	default:
		return error_create(NUNCHI_ERROR_IO,
				    "%s at offset 0x%" PRIx64 " (%zu bytes) cannot be read", what,
				    offset, size);
	}
}
