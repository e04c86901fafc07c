/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/options.h"

#include <stdint.h>
#include <string.h>

/* No structure of options will be larger; more is a size that was not set. */
#define OPTIONS_SIZE_MAX 4096

struct nunchi_error *options_take(const char *name, const void *from, size_t size, size_t first,
				  void *ret, size_t ret_size)
{
	const uint8_t *bytes = from;

	if (size <= first)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s.size is not set", name);
	if (size > OPTIONS_SIZE_MAX)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s.size is %zu, which no version has",
				    name, size);
	for (size_t i = ret_size; i < size; i++) {
		if (bytes[i])
			return error_create(NUNCHI_ERROR_ARGUMENT,
					    "%s has an option at byte %zu that this library (%s) "
					    "does not know",
					    name, i, NUNCHI_VERSION);
	}
	memcpy(ret, from, size < ret_size ? size : ret_size);
	return NULL;
}
