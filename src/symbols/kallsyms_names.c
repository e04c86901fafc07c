/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The markers, the names and num_syms. They stand before the token table in this order, num_syms
 * first; the markers end right before the token table, or (6.1.y to 6.3) before seqs_of_names,
 * which follows them:
 *
 *	num_syms   u32, or a long before 4.20
 *	names      for each symbol its number of tokens, then the tokens
 *	markers    for every 256th symbol the offset of its name in names; u32, or long before 4.20
 *
 * The markers are recognised by their form: they start with 0 and ascend in steps of 256 names.
 * Then num_syms must agree with the number of markers, the 256 names from each marker must end
 * exactly at the next marker, and the last names must end at the markers themselves. This proves
 * all three parts, and also how sizes above 127 are encoded.
 */
#include "symbols/kallsyms_private.h"

/*
 * The size of 256 names of one token each, and of 256 names with as many tokens as the longest name
 * has letters.
 */
#define STEP_MIN (KALLSYMS_GROUP * 2)
#define STEP_MAX (KALLSYMS_GROUP * (SYMBOL_NAME_MAX + 3))
/*
 * How far before the token table the markers are searched: seqs_of_names has a u32 for each symbol
 * in early 6.2, three bytes later.
 */
#define SEARCH_MAX (SYMBOL_COUNT_MAX * 4 + 64)
/*
 * The size of the smallest table of markers; with fewer than two markers nothing could be proved.
 */
#define SEARCH_STEP 8
/* Greatest padding before a label. */
#define PADDING_MAX 8
/*
 * Rows of numbers that look like markers, tried before one token table. In seqs_of_names at most
 * one occurs by chance.
 */
#define RUNS_MAX 64
/*
 * Complete checks made before one token table. If more than one or two are needed, the data was
 * made to look like names.
 */
#define PROOFS_MAX 16

struct marker_run {
	size_t at;      /* of the first marker, which is 0 */
	uint32_t count; /* of words that have the form of markers */
	unsigned width;
};

static bool marker(const struct kernel_image *image, size_t at, unsigned width, uint32_t *ret)
{
	if (width == 8 && load_le32(image->data + at + 4))
		return false;
	*ret = load_le32(image->data + at);
	return true;
}

static bool is_step(uint32_t low, uint32_t high)
{
	return high > low && high - low >= STEP_MIN && high - low <= STEP_MAX;
}

/*
 * Finds the row of markers that contains the word at `at`. If there is none, *broken is the offset
 * below which the search has to continue.
 */
static bool run_at(const struct kernel_image *image, size_t at, size_t end, unsigned width,
		   struct marker_run *ret, size_t *broken)
{
	struct marker_run found = {.at = at, .count = 1, .width = width};
	uint32_t value, other;

	*broken = at;
	if (!marker(image, at, width, &value))
		return false;
	while (value) {
		if (found.count > KALLSYMS_GROUPS_MAX || found.at < width ||
		    !marker(image, found.at - width, width, &other) || !is_step(other, value))
			return false;
		found.at -= width;
		found.count++;
		*broken = found.at;
		value = other;
	}
	if (!marker(image, at, width, &value))
		return false;
	for (; found.count < KALLSYMS_GROUPS_MAX; found.count++, value = other) {
		at += width;
		if (at + width > end || !marker(image, at, width, &other) || !is_step(value, other))
			break;
	}
	*ret = found;
	return found.count > 1;
}

/* Skips `count` names; false if they do not fit before `end`. */
static bool skip_names(const struct kallsyms *k, size_t at, size_t end, uint32_t count,
		       bool long_sizes, size_t *ret)
{
	const uint8_t *tokens;
	size_t size;

	while (count--) {
		if (!kallsyms_next_name(k->image.data, &at, end, long_sizes, &tokens, &size))
			return false;
	}
	*ret = at;
	return true;
}

static bool is_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i])
			return false;
	}
	return true;
}

/* Whether k's number of symbols, names and copied markers agree with each other. */
static bool prove(struct kallsyms *k, bool long_sizes)
{
	uint32_t last = k->group_count - 1;
	size_t at;

	if (!skip_names(k, k->names + k->markers[last], k->markers_at,
			k->count - last * KALLSYMS_GROUP, long_sizes, &at))
		return false;
	if (k->markers_at - at >= PADDING_MAX || !is_zero(k->image.data + at, k->markers_at - at))
		return false;
	k->names_end = at;
	k->long_sizes = long_sizes;
	for (uint32_t i = 0; i < last; i++) {
		if (!skip_names(k, k->names + k->markers[i], k->markers_at, KALLSYMS_GROUP,
				long_sizes, &at) ||
		    at != k->names + k->markers[i + 1])
			return false;
	}
	return true;
}

/* Reads num_syms, which stands before the names: a u32, or a u64 if it is padded or long. */
static bool count_before(const struct kallsyms *k, size_t names, unsigned width, uint32_t *ret)
{
	const uint8_t *data = k->image.data;

	if (names < width || (width == 8 && (names % 8 || load_le32(data + names - 4))))
		return false;
	*ret = load_le32(data + names - width);
	return *ret > (k->group_count - 1) * KALLSYMS_GROUP &&
	       *ret <= k->group_count * KALLSYMS_GROUP;
}

/*
 * Searches for the start of the names, given the copied markers, from the highest possible offset
 * down.
 */
static bool find_start(struct kallsyms *k, unsigned *proofs)
{
	size_t last = k->markers[k->group_count - 1];
	size_t high = k->markers_at > last ? (k->markers_at - last) & ~(size_t)3 : 0;
	size_t low = high > STEP_MAX + PADDING_MAX ? high - STEP_MAX - PADDING_MAX : 4;

	for (size_t names = high; names >= low && names >= 4; names -= 4) {
		for (unsigned width = 4; width <= k->image.word_size; width += 4) {
			if (!count_before(k, names, width, &k->count))
				continue;
			k->names = names;
			k->count_at = names - width;
			if ((*proofs)++ >= PROOFS_MAX)
				return false;
			if (prove(k, true) || prove(k, false))
				return true;
		}
	}
	return false;
}

static struct nunchi_error *copy_markers(struct kallsyms *k, const struct marker_run *run)
{
	free(k->markers);
	k->markers_at = run->at;
	k->markers = calloc(run->count, sizeof(*k->markers));
	if (!k->markers)
		return &error_nomem;
	for (uint32_t i = 0; i < run->count; i++)
		k->markers[i] = load_le32(k->image.data + run->at + i * run->width);
	return NULL;
}

/*
 * Checks the names with these markers. The words after the last marker may look like one or two
 * more markers, so that shorter rows are tried as well.
 */
static struct nunchi_error *try_run(struct kallsyms *k, const struct marker_run *run,
				    unsigned *proofs, bool *ret)
{
	struct nunchi_error *err = copy_markers(k, run);

	*ret = false;
	if (err)
		return err;
	for (uint32_t spare = 0; !*ret && spare < 3 && run->count - spare > 1; spare++) {
		k->group_count = run->count - spare;
		*ret = find_start(k, proofs);
	}
	return NULL;
}

static struct nunchi_error *find_with_width(struct kallsyms *k, unsigned width, bool *ret)
{
	size_t end = k->token_table & ~(size_t)3;
	size_t low = end > SEARCH_MAX ? end - SEARCH_MAX : 0;
	size_t at = end;
	unsigned runs = 0, proofs = 0;
	bool found = false;

	while (at >= low + SEARCH_STEP && !found && runs < RUNS_MAX && proofs <= PROOFS_MAX) {
		struct marker_run run;
		size_t broken;

		at -= SEARCH_STEP;
		if (run_at(&k->image, at, end, width, &run, &broken)) {
			struct nunchi_error *err = try_run(k, &run, &proofs, &found);

			if (err)
				return err;
			broken = run.at;
			runs++;
		}
		at = broken < at ? broken : at;
	}
	*ret = found;
	return NULL;
}

struct nunchi_error *kallsyms_find_names(struct kallsyms *k, bool *ret)
{
	struct nunchi_error *err = find_with_width(k, 4, ret);

	if (!err && !*ret && k->image.word_size == 8)
		err = find_with_width(k, 8, ret);
	return err;
}
