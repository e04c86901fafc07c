/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/cleanup.h"
#include "doctor/change/grub_env.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *block = (const char *)data;
	_cleanup_free_ char *value = grub_env_get(block, size, "next_entry");
	_cleanup_buffer_ struct buffer without;

	buffer_init(&without, 0);
	if (!grub_env_without(block, size, "next_entry", &without)) {
		if (grub_env_valid(block, size) || value)
			abort();
		return 0;
	}
	if (without.size != size || !grub_env_valid(without.data, size) ||
	    grub_env_get(without.data, size, "next_entry"))
		abort();
	if (!grub_env_same_without(block, size, without.data, size, "next_entry"))
		abort();
	if (grub_env_empty(block, size) && !grub_env_empty(without.data, size))
		abort();
	return 0;
}
