/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/traces.h"
#include "core/bytes.h"

#include <stdio.h>
#include <string.h>

#define DATA_LIMIT ((uint64_t)8 << 30)
#define PIECE      ((size_t)1 << 20)
/* A banner may begin at the end of a piece. */
#define OVERLAP 512

/* One page in so many is looked at to find out whether the memory is random. */
#define SAMPLE_STEP 64
#define MIN_SAMPLES 64

static const char banner_start[] = "Linux version ";

/* The header of arch/arm64/kernel/head.S: the magic number, and three words that are 0. */
#define ARM64_MAGIC       0x644d5241
#define ARM64_MAGIC_AT    56
#define ARM64_RESERVED_AT 32

struct search {
	struct linux_traces *traces;
	uint64_t pages, samples, random;
};

/*
 * Whether the bytes of a page are spread evenly: in 4,096 random bytes each value occurs some 16
 * times, and one that occurs 64 times is all but impossible.
 */
static bool is_random(const uint8_t *page)
{
	unsigned counts[256] = {0}, values = 0;

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		values += !counts[page[i]];
		if (++counts[page[i]] == 64)
			return false;
	}
	return values >= 250;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_SIZE - 1);
}

static bool is_arm64_image(const uint8_t *page)
{
	static const uint8_t zeros[24];

	return load_le32(page + ARM64_MAGIC_AT) == ARM64_MAGIC &&
	       !memcmp(page + ARM64_RESERVED_AT, zeros, sizeof(zeros));
}

static void look_at_page(struct search *search, const uint8_t *page)
{
	bool sampled = search->pages++ % SAMPLE_STEP == 0;

	search->traces->is_arm64 |= is_arm64_image(page);
	if (!search->traces->has_data)
		search->traces->has_data = !is_zero(page);
	if (!sampled || is_zero(page))
		return;
	search->samples++;
	search->random += is_random(page);
}

/* The banner in an image ends with a newline and a NUL; that in a log has no NUL. */
static void look_for_banner(struct linux_traces *traces, uint64_t address, const uint8_t *data,
			    size_t size)
{
	const uint8_t *at = data, *end = data + size;

	while (!traces->banner[0] &&
	       (at = memmem(at, (size_t)(end - at), banner_start, sizeof(banner_start) - 1))) {
		size_t left = (size_t)(end - at);
		const uint8_t *stop = memchr(at, '\0', left < OVERLAP ? left : OVERLAP);

		if (stop && stop[-1] == '\n' && memmem(at, (size_t)(stop - at), ") #", 3)) {
			snprintf(traces->banner, sizeof(traces->banner), "%.*s",
				 (int)(stop - at - 1), (const char *)at);
			traces->banner_at = address + (uint64_t)(at - data);
		}
		at++;
	}
}

static void look_at(struct search *search, struct memory *memory, uint64_t address, uint64_t size,
		    uint8_t *piece)
{
	if (memory_read(memory, gpa(address), piece, size, NULL) != MEMORY_OK)
		return;
	for (size_t i = 0; i + PAGE_SIZE <= size && i < PIECE; i += PAGE_SIZE)
		look_at_page(search, piece + i);
	look_for_banner(search->traces, address, piece, size);
}

void linux_traces_find(struct memory *memory, const struct cancel *cancel, struct linux_traces *ret)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE + OVERLAP);
	struct search search = {.traces = ret};
	gpa_t start, end, at = gpa(0);
	uint64_t done = 0;

	*ret = (struct linux_traces){0};
	while (piece && done < DATA_LIMIT && memory_next_data(memory, at, &start, &end)) {
		for (uint64_t i = start.v; i < end.v && !cancel_requested(cancel); i += PIECE) {
			uint64_t left = end.v - i, size = PIECE + OVERLAP;

			look_at(&search, memory, i, left < size ? left : size, piece);
		}
		done += end.v - start.v;
		at = end;
	}
	ret->is_random =
	    search.samples >= MIN_SAMPLES && search.random * 100 >= search.samples * 95;
	ret->is_arm64 |= strstr(ret->banner, "arm64") || strstr(ret->banner, "aarch64");
}
