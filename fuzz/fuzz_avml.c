/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saved.h"
#include "target/file/avml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes), unpacked = {0};
	_cleanup_extents_ struct extents extents = {0};
	struct avml_info info;
	struct nunchi_error *err = avml_parse(&source, &unpacked, &extents, &info);

	nunchi_error_destroy(err);
	if (!err)
		read_memory(&extents, &unpacked);
	return 0;
}
