/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pieces of a file that describe ranges, where a later piece replaces what earlier ones describe:
 * the records of a flattened file, or the pages of a guest that ran while it was saved.
 */
#ifndef NUNCHI_TARGET_FILE_SPANS_H
#define NUNCHI_TARGET_FILE_SPANS_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t start, size; /* the described range; the sum must not overflow */
	uint64_t position;    /* in the file; a greater position means later */
	unsigned tag;         /* for use by the caller */
};

struct spans {
	struct span *items;
	size_t count, capacity;
};

void spans_deinit(struct spans *spans);
#define _cleanup_spans_ _cleanup_(spans_deinit)

/* Appends a span. False if memory is short. */
bool spans_append(struct spans *spans, struct span span);
/*
 * Sorts the spans by start and splits those that overlap, so that each byte belongs to the latest
 * span that describes it. False if memory is short.
 */
bool spans_keep_latest(struct spans *spans);

#endif
