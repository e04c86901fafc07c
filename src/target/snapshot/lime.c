/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/lime.h"
#include "target/snapshot/writer.h"

static struct nunchi_error *lime_begin(struct writer *writer)
{
	writer->position = 0;
	writer->segment_limit = LIME_SEGMENT_LIMIT;
	return NULL;
}

static void lime_place(struct writer *writer, struct segment *segment)
{
	segment->offset = writer->position + LIME_HEADER_SIZE;
}

static struct nunchi_error *lime_end_segment(struct writer *writer, const struct segment *segment)
{
	struct lime_header header = {.magic = LIME_MAGIC,
				     .version = LIME_VERSION,
				     .start = segment->address,
				     .size = segment->size};
	uint8_t bytes[LIME_HEADER_SIZE];

	lime_header_encode(&header, bytes);
	return output_write(&writer->output, segment->offset - LIME_HEADER_SIZE, bytes,
			    sizeof(bytes));
}

const struct writer_ops snapshot_lime_ops = {
    .begin = lime_begin,
    .place = lime_place,
    .end_segment = lime_end_segment,
    .keeps_gaps = true,
};
