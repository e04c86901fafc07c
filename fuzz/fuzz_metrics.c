/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A reading of nunchi metrics, as a process that a guest took over might send it. The input is the
 * start of a reading, whose size is fixed; the rest of it is what the input's last 96 bytes repeat.
 */
#include "metrics/render.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines are names, braces and values; no byte of the guest ends one or is none of UTF-8. */
static void check(const struct buffer *out)
{
	for (size_t i = 0; i < out->size; i++)
		if ((unsigned char)out->data[i] < ' ' && out->data[i] != '\n')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct metrics_reading sent, taken;
	const struct metrics_source sources[] = {{"fuzz", &taken, 0},
						 {"other", NULL, NUNCHI_ERROR_GONE}};
	const size_t period = size < 96 ? size : 96;
	uint8_t *bytes = (uint8_t *)&sent;

	if (!size)
		return 0;
	for (size_t i = 0; i < sizeof(sent); i++)
		bytes[i] = i < size ? data[i] : data[size - period + (i - size) % period];
	/* Other numbers are found at once; this leads behind the first comparison. */
	memcpy(&sent.magic, (const char *)"nmtrics1", 8);
	if (!metrics_reading_decode(&sent, sizeof(sent), &taken))
		return 0;
	for (unsigned form = 0; form < METRICS_FORMS; form++) {
		_cleanup_buffer_ struct buffer out = {.limit = (size_t)1 << 24};

		metrics_render(&out, form, sources, 2);
		check(&out);
	}
	return 0;
}
