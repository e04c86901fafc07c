/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dpkg's status of any bytes. */
#include "doctor/facts/packages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *at;
	size_t left;
};

static ssize_t read_bytes(void *data, void *to, size_t size)
{
	struct bytes *bytes = data;

	size = size < bytes->left ? size : bytes->left;
	if (size)
		memcpy(to, bytes->at, size);
	bytes->at += size;
	bytes->left -= size;
	return (ssize_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	_cleanup_buffer_ struct buffer out;

	buffer_init(&out, 1u << 20);
	if (packages_list(read_bytes, &bytes, &out))
		return 0;
	if (out.size && out.data[out.size - 1] != '\n')
		abort();
	return 0;
}
