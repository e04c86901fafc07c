/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saved.h"
#include "target/file/elf_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes);
	_cleanup_elf_core_ struct elf_core core = {0};
	struct nunchi_error *err = elf_core_parse(&source, &core);

	nunchi_error_destroy(err);
	if (!err)
		read_memory(&core.extents, &source);
	return 0;
}
