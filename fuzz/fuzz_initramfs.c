/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An initramfs of any bytes. */
#include "doctor/facts/initramfs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_bytes(void *data, void *to, size_t size, uint64_t offset)
{
	const struct bytes *bytes = data;
	size_t left = offset < bytes->size ? bytes->size - (size_t)offset : 0;

	size = size < left ? size : left;
	if (size)
		memcpy(to, bytes->data + offset, size);
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	_cleanup_buffer_ struct buffer out;

	buffer_init(&out, 1u << 20);
	initramfs_list(read_bytes, &bytes, &out);
	/* What is printed of it are lines. */
	if (out.size && !out.failed && out.data[out.size - 1] != '\n')
		abort();
	return 0;
}
