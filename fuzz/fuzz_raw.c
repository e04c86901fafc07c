/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling what is no memory image; the e820 map of a guest, and the layouts of raw files by it. */
#include "saved.h"
#include "target/e820.h"
#include "target/file/foreign.h"
#include "target/file/raw.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lay_out(uint64_t file_size, const struct raw_layout *layout,
		    const struct target_ram *ram)
{
	_cleanup_extents_ struct extents extents = {0};
	struct nunchi_error *err = raw_extents(file_size, layout, ram, &extents);

	nunchi_error_destroy(err);
	if (err)
		return;
	check_extents(&extents);
	if (extents_total(&extents) - extents_missing(&extents) > file_size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t file_size = 0;
	struct target_ram ram;
	struct raw_layout layout;

	nunchi_error_destroy(foreign_file_error("a file", data, size));
	memcpy(&file_size, data, size < sizeof(file_size) ? size : sizeof(file_size));
	/* No file is larger. */
	file_size &= INT64_MAX;
	for (unsigned n = 0; raw_guess(file_size, n, &layout); n++)
		lay_out(file_size, &layout, NULL);
	if (size < sizeof(file_size) + 4 ||
	    !e820_decode(data + sizeof(file_size) + 4, size - sizeof(file_size) - 4,
			 data[sizeof(file_size)], &ram))
		return 0;
	for (unsigned packed = 0; packed < 2; packed++) {
		for (unsigned n = 0; raw_fit(file_size, &ram, packed, n, &layout); n++)
			lay_out(file_size, &layout, &ram);
	}
	return 0;
}
