/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's migration stream with the devices' state, and differences of pages. */
#include "saved.h"
#include "target/file/extents.h"
#include "target/file/qemu_stream.h"
#include "target/file/xbzrle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes), ram = {0};
	_cleanup_extents_ struct extents extents = {0};
	struct qemu_stream_info info = {0};
	uint8_t page[4096] = {0};
	struct nunchi_error *err = qemu_stream_parse(&source, &ram, &info);

	(void)xbzrle_apply(data, size, page, sizeof(page));
	if (!err && ram.size <= (uint64_t)64 << 20) {
		nunchi_error_destroy(extents_add(&extents, 0, ram.size, 0));
		nunchi_error_destroy(extents_normalize(&extents, ram.size));
		read_memory(&extents, &ram);
	}
	free(info.vcpus);
	nunchi_error_destroy(err);
	return 0;
}
