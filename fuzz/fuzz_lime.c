/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saved.h"
#include "target/file/lime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes);
	_cleanup_lime_ struct lime lime = {0};
	struct nunchi_error *err = lime_parse(&source, &lime);

	nunchi_error_destroy(err);
	if (!err)
		read_memory(&lime.extents, &source);
	return 0;
}
