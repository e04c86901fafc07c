/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of ORC that holds anything: what becomes of it is well-formed. The first byte says which
 * form its entries have; of the rest two fifths are places and three are entries.
 */
#include "core/bytes.h"
#include "export/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct export_orc table = {.places_at = UINT64_C(0xffffffff81000000),
				   .end = UINT64_C(0xffffffff82000000)};
	_cleanup_buffer_ struct buffer out = {.size = 0};
	size_t at = 0, next;

	if (size < 11)
		return 0;
	table.type_bits = data[0] & 1 ? 3 : 2;
	table.count = (size - 1) / 10;
	table.places = data + 1;
	table.entries = table.places + table.count * 4;
	buffer_init(&out, 0);
	export_frames_convert(&table, &out);
	check(!out.failed);
	for (; at < out.size; at = next) {
		const uint8_t *entry = (const uint8_t *)out.data + at;

		next = at + 4 + load_le32(entry);
		check(next % 8 == 0 && next <= out.size);
		if (!at)
			continue;
		check(load_le32(entry + 4) == 0 && next - at >= 24);
		check(load_le64(entry + 16) > 0 &&
		      load_le64(entry + 8) + load_le64(entry + 16) <= table.end);
	}
	check(at == out.size);
	return 0;
}
