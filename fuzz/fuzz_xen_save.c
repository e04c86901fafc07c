/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saved.h"
#include "target/file/xen_save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes);
	_cleanup_xen_save_ struct xen_save save = {0};
	struct nunchi_error *err = xen_save_parse(&source, &save);

	nunchi_error_destroy(err);
	if (!err)
		read_memory(&save.extents, &source);
	return 0;
}
