/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a VMware guest, with the memory in it, and with a file beside it. */
#include "saved.h"
#include "target/file/vmware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	struct nunchi_error *err;

	for (uint64_t beside = 0; beside <= size; beside += size + !size) {
		_cleanup_source_ struct source source = source_of_bytes(&bytes);
		_cleanup_vmware_ struct vmware vmware = {0};

		err = vmware_parse(&source, beside, &vmware);
		nunchi_error_destroy(err);
		if (!err)
			read_memory(&vmware.extents, &source);
	}
	return 0;
}
