/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QMP as a hostile QEMU may speak it: framed in pieces, then parsed. */
#include "target/qemu/qmp.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const struct qmp_limits limits = QMP_LIMITS_EVENT;
	struct qmp_framer framer = {0};
	size_t start = 0, end = 0, seen = 0;

	while (seen < size) {
		struct qmp_message message;
		struct nunchi_error *err;
		enum qmp_frame frame;

		/* Grows by pieces of changing size, as it comes out of a socket. */
		seen += 1 + data[seen] % 61;
		if (seen > size)
			seen = size;
		while ((frame = qmp_frame(&framer, &limits, text + start, seen - start, &end)) ==
		       QMP_FRAME_COMPLETE) {
			if (end == 0 || end > seen - start)
				__builtin_trap();
			err = qmp_message_parse(text + start, end, &message);
			if (!err)
				qmp_message_deinit(&message);
			nunchi_error_destroy(err);
			start += end;
			framer = (struct qmp_framer){0};
		}
		if (frame == QMP_FRAME_BROKEN)
			break;
	}
	return 0;
}
