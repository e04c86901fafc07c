/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/spans.h"

#include <string.h>

void spans_deinit(struct spans *spans)
{
	free(spans->items);
	memset(spans, 0, sizeof(*spans));
}

bool spans_append(struct spans *spans, struct span span)
{
	if (spans->count == spans->capacity) {
		size_t capacity = spans->capacity ? 2 * spans->capacity : 1024;
		struct span *items = reallocarray(spans->items, capacity, sizeof(*items));

		if (!items)
			return false;
		spans->items = items;
		spans->capacity = capacity;
	}
	spans->items[spans->count++] = span;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool overlap(const struct spans *spans)
{
	for (size_t i = 1; i < spans->count; i++) {
		if (spans->items[i - 1].start + spans->items[i - 1].size > spans->items[i].start)
			return true;
	}
	return false;
}

/* ---- A sweep with a heap by position, the latest on top -------------------------------------- */

static void heap_push(struct spans *heap, struct span span)
{
	size_t i = heap->count++;

	while (i && heap->items[(i - 1) / 2].position < span.position) {
		heap->items[i] = heap->items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->items[i] = span;
}

static void heap_pop(struct spans *heap)
{
	struct span last = heap->items[--heap->count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < heap->count &&
		    heap->items[child + 1].position > heap->items[child].position)
			child++;
		if (child >= heap->count || heap->items[child].position <= last.position)
			break;
		heap->items[i] = heap->items[child];
		i = child;
	}
	heap->items[i] = last;
}

/* Appends the part of the span that lies in [from, to). */
static bool append_part(struct spans *out, const struct span *span, uint64_t from, uint64_t to)
{
	return spans_append(out, (struct span){.start = from,
					       .size = to - from,
					       .position = span->position + (from - span->start),
					       .tag = span->tag});
}

static bool resolve(const struct spans *in, struct spans *heap, struct spans *out)
{
	uint64_t at = 0;
	size_t next = 0;

	while (next < in->count || heap->count) {
		uint64_t end;

		while (heap->count && heap->items[0].start + heap->items[0].size <= at)
			heap_pop(heap);
		if (!heap->count) {
			if (next == in->count)
				break;
			at = in->items[next].start;
		}
		while (next < in->count && in->items[next].start <= at)
			heap_push(heap, in->items[next++]);
		end = heap->items[0].start + heap->items[0].size;
		if (next < in->count && in->items[next].start < end)
			end = in->items[next].start;
		if (end > at && !append_part(out, &heap->items[0], at, end))
			return false;
		at = end;
	}
	return true;
}

bool spans_keep_latest(struct spans *spans)
{
	_cleanup_spans_ struct spans heap = {0}, out = {0};
	struct spans old;

	if (spans->count)
		qsort(spans->items, spans->count, sizeof(*spans->items), compare);
	if (!overlap(spans))
		return true;
	heap.items = calloc(spans->count, sizeof(*heap.items));
	if (!heap.items || !resolve(spans, &heap, &out))
		return false;
	old = *spans;
	*spans = out;
	out = old;
	return true;
}
