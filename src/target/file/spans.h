/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pieces of a file that say what lies where, and of which a later one replaces what earlier ones
 * said: the records of a flattened file, the pages of a guest that ran while it was saved.
 */
#ifndef NUNCHI_TARGET_FILE_SPANS_H
#define NUNCHI_TARGET_FILE_SPANS_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t start, size; /* what it describes; their sum must not overflow */
	uint64_t position;    /* in the file; the higher, the later */
	unsigned tag;         /* the caller's */
};

struct spans {
	struct span *items;
	size_t count, capacity;
};

void spans_deinit(struct spans *spans);
#define _cleanup_spans_ _cleanup_(spans_deinit)

/* False if memory is short. */
bool spans_append(struct spans *spans, struct span span);
/*
 * Sorts by start, and takes apart where spans overlap, so that each byte belongs to the latest span
 * that describes it. False if memory is short.
 */
bool spans_keep_latest(struct spans *spans);

#endif
