/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/isf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct type_index *index)
{
	uint32_t count = type_index_count(index);
	char spelling[200];

	for (type_id id = 0; id < count && id < 1000; id++) {
		struct type_enumerator enumerator;
		struct type_member member;
		struct type type;
		uint64_t bytes;

		/* What the writer wrote must be whole. */
		if (!type_index_get(index, id, &type))
			abort();
		type_index_spell(index, id, spelling, sizeof(spelling));
		type_index_size(index, id, &bytes);
		for (uint32_t i = 0; i < type.count && i < 100; i++) {
			if (type.kind == TYPE_STRUCT || type.kind == TYPE_UNION) {
				if (!type_index_member(index, id, i, &member) ||
				    member.type >= count)
					abort();
			} else if (type.kind == TYPE_ENUM) {
				if (!type_index_enumerator(index, id, i, &enumerator))
					abort();
			}
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct type_index *index = NULL;
	struct nunchi_error *err;
	char *unpacked = NULL;

	if (size > 6 && !memcmp(data,
				"\xfd"
				"7zXZ",
				6)) {
		size_t unpacked_size;

		err = isf_unpack(data, size, &unpacked, &unpacked_size);
		free(unpacked);
	} else {
		err = type_index_from_isf((const char *)data, size, &index);
	}
	if (err && !*nunchi_error_message(err))
		abort();
	nunchi_error_destroy(err);
	if (index)
		use(index);
	type_index_unref(index);
	return 0;
}
