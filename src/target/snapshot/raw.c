/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/snapshot/writer.h"

static struct nunchi_error *raw_begin(struct writer *writer)
{
	writer->segment_limit = SIZE_MAX;
	return NULL;
}

static void raw_place(struct writer *writer, struct segment *segment)
{
	(void)writer;
	segment->offset = segment->address;
}

/*
 * The offset in the file is the guest-physical address; address ranges without RAM are holes of the
 * file.
 */
const struct writer_ops snapshot_raw_ops = {.begin = raw_begin, .place = raw_place};
