/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kdump files, as they are and flattened. */
#include "saved.h"
#include "target/file/flattened.h"
#include "target/file/kdump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_kdump(struct source *source)
{
	_cleanup_source_ struct source pages = {0};
	_cleanup_extents_ struct extents extents = {0};
	_cleanup_notes_ struct notes notes = {0};
	struct kdump_info info;
	struct nunchi_error *err = kdump_parse(source, &pages, &extents, &notes, &info);

	nunchi_error_destroy(err);
	if (!err)
		read_memory(&extents, &pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_bytes bytes = {data, size};
	_cleanup_source_ struct source source = source_of_bytes(&bytes), inner = {0};
	struct flattened_info info;
	struct nunchi_error *err;

	if (!flattened_matches(data, size)) {
		fuzz_kdump(&source);
		return 0;
	}
	err = flattened_parse(&source, &inner, &info);
	nunchi_error_destroy(err);
	if (!err)
		fuzz_kdump(&inner);
	return 0;
}
