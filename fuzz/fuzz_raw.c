/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling what is no memory image, and the layouts of raw files of any size. */
#include "saved.h"
#include "target/file/foreign.h"
#include "target/file/raw.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t file_size = 0;

	nunchi_error_destroy(foreign_file_error(data, size));
	memcpy(&file_size, data, size < sizeof(file_size) ? size : sizeof(file_size));
	for (unsigned n = 0; n < raw_layout_count(file_size); n++) {
		_cleanup_extents_ struct extents extents = {0};
		struct nunchi_error *err = raw_extents(file_size, n, &extents);

		nunchi_error_destroy(err);
		if (err)
			continue;
		check_extents(&extents);
		if (extents_total(&extents) != (file_size & ~PAGE_MASK) ||
		    extents_missing(&extents))
			abort();
	}
	return 0;
}
