/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two readings of nunchi top, as a process that a guest took over might send them. */
#include "top/batch.h"
#include "top/model.h"
#include "top/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct top_reading *now, const struct top_reading *before,
		 const struct top_order *order)
{
	_cleanup_buffer_ struct buffer text = {.limit = (size_t)1 << 20};
	struct top_model model = {0};

	if (top_model_update(&model, now, before, order)) {
		top_batch_text("fuzz", now, &model, 80, &text);
		buffer_clear(&text);
		nunchi_error_destroy(top_batch_json("fuzz", now, &model, &text));
	}
	top_model_deinit(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct top_reading *before = NULL, *now = NULL;
	size_t first = top_reading_size(data, size);

	if (first && first < size) {
		before = top_reading_decode(data, first);
		now = top_reading_decode(data + first, size - first);
	}
	for (unsigned column = 0; now && column < TOP_COLUMNS; column++) {
		const struct top_order order = {.column = column,
						.reverse = column & 1,
						.tree = column & 2,
						.filter = column & 4 ? "a" : ""};

		show(now, before, &order);
	}
	top_reading_destroy(before);
	top_reading_destroy(now);
	return 0;
}
