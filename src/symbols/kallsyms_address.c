/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The address table. It stands before num_syms until Linux 6.3 and after the token index since 6.4,
 * in one of four encodings. A place and an encoding are right if they give ascending addresses for
 * all symbols, and if these addresses agree with the place of the table itself: the table lies
 * between two symbols, and no symbols lie inside it except the labels of its own parts (6.4 and
 * later contain these labels as symbols, earlier kernels do not). This also shows that the
 * addresses belong to this image and not to another image, of which a copy lies here.
 */
#include "symbols/kallsyms_private.h"

/* Greatest distance between the symbol table and the nearest symbol on either side. */
#define NEIGHBOUR_MAX ((uint64_t)256 << 20)
/* A kernel starts at a multiple of at least 2 MiB (CONFIG_PHYSICAL_ALIGN). */
#define KERNEL_ALIGN ((uint64_t)2 << 20)
/* A kernel's image ends within a GiB of its start (KERNEL_IMAGE_SIZE). */
#define KERNEL_SIZE_MAX ((uint64_t)1 << 30)
/* How many of the first symbols are searched for _text and _stext. */
#define START_SYMBOLS 32
/* Greatest number of labels between num_syms and the end of the token index. */
#define LABELS_MAX 8

/* Decodes entry i of the table; the caller has checked that it lies within the image. */
static inline __attribute__((always_inline)) uint64_t
decode(const struct kallsyms *k, enum kallsyms_encoding encoding, uint32_t i)
{
	unsigned word_size = k->image.word_size;
	uint64_t mask = word_size == 8 ? UINT64_MAX : UINT32_MAX;
	size_t at = k->addresses + (size_t)i * (encoding == KALLSYMS_ADDRESSES ? word_size : 4);
	const uint8_t *entry = k->image.data + at;
	int64_t offset;

	switch (encoding) {
	case KALLSYMS_ADDRESSES:
		return kallsyms_word(entry, word_size);
	case KALLSYMS_OFFSETS:
		return (k->base + load_le32(entry)) & mask;
	case KALLSYMS_OFFSETS_PERCPU:
		offset = (int32_t)load_le32(entry);
		return (offset >= 0 ? (uint64_t)offset : k->base - 1 - (uint64_t)offset) & mask;
	default:
		offset = (int32_t)load_le32(entry);
		return (kallsyms_address_of(k, at) + (uint64_t)offset) & mask;
	}
}

uint64_t kallsyms_address(const struct kallsyms *k, uint32_t i)
{
	return decode(k, k->encoding, i);
}

static inline __attribute__((always_inline)) void
copy_with(const struct kallsyms *k, enum kallsyms_encoding encoding, uint64_t *ret)
{
	for (uint32_t i = 0; i < k->count; i++)
		ret[i] = decode(k, encoding, i);
}

/*
 * Decodes all addresses. The encoding is a constant in each call of copy(), so that the compiler
 * makes a loop for each encoding.
 */
void kallsyms_copy_addresses(const struct kallsyms *k, uint64_t *ret)
{
	switch (k->encoding) {
	case KALLSYMS_ADDRESSES:
		copy_with(k, KALLSYMS_ADDRESSES, ret);
		break;
	case KALLSYMS_OFFSETS:
		copy_with(k, KALLSYMS_OFFSETS, ret);
		break;
	case KALLSYMS_OFFSETS_PERCPU:
		copy_with(k, KALLSYMS_OFFSETS_PERCPU, ret);
		break;
	default:
		copy_with(k, KALLSYMS_OFFSETS_PLACE, ret);
	}
}

static inline __attribute__((always_inline)) bool ascends_with(const struct kallsyms *k,
							       enum kallsyms_encoding encoding)
{
	uint64_t last = decode(k, encoding, 0);

	for (uint32_t i = 1; i < k->count; i++) {
		uint64_t address = decode(k, encoding, i);

		if (address < last)
			return false;
		last = address;
	}
	return true;
}

static bool ascends(const struct kallsyms *k)
{
	switch (k->encoding) {
	case KALLSYMS_ADDRESSES:
		return ascends_with(k, KALLSYMS_ADDRESSES);
	case KALLSYMS_OFFSETS:
		return ascends_with(k, KALLSYMS_OFFSETS);
	case KALLSYMS_OFFSETS_PERCPU:
		return ascends_with(k, KALLSYMS_OFFSETS_PERCPU);
	default:
		return ascends_with(k, KALLSYMS_OFFSETS_PLACE);
	}
}

/* The position of the first symbol at or above address; k->count if there is none. */
static uint32_t first_from(const struct kallsyms *k, uint64_t address)
{
	uint32_t low = 0, high = k->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (kallsyms_address(k, middle) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether a symbol inside the table is the label of a part of the table. */
static bool is_label(const struct kallsyms *k, uint64_t address)
{
	uint64_t at = address - k->image.address.v;

	/* seqs_of_names, whose size is unknown, may stand between the markers and the tokens. */
	return at == k->count_at || at == k->names ||
	       (at >= k->markers_at && at <= k->token_table) || at == k->token_index;
}

/*
 * Checks that the nearest symbols before and after the table are close to it, and that no symbols
 * lie inside it except its labels.
 */
static enum kallsyms_agreement check_neighbours(const struct kallsyms *k)
{
	uint64_t start = kallsyms_address_of(k, k->count_at);
	uint64_t end = kallsyms_address_of(k, k->token_index) + KALLSYMS_TOKENS * 2;
	uint32_t inside = first_from(k, start);
	uint32_t after = first_from(k, end);

	if (!inside || after == k->count || after - inside > LABELS_MAX ||
	    start - kallsyms_address(k, inside - 1) > NEIGHBOUR_MAX ||
	    kallsyms_address(k, after) - end > NEIGHBOUR_MAX)
		return KALLSYMS_ELSEWHERE;
	for (; inside < after; inside++) {
		if (!is_label(k, kallsyms_address(k, inside)))
			return KALLSYMS_ELSEWHERE;
	}
	return KALLSYMS_AGREES;
}

/*
 * Checks the table against the address of the image, which comes from the page tables: if _text or
 * _stext is among the first symbols of the kernel, then the image must start there, or later if it
 * is only a part of the kernel.
 */
static bool check_start(const struct kallsyms *k)
{
	uint64_t address = k->image.address.v;
	uint32_t first = first_from(k, address > KERNEL_SIZE_MAX ? address - KERNEL_SIZE_MAX : 0);
	char text[KALLSYMS_TEXT_MAX];

	for (uint32_t i = first; i < k->count && i - first < START_SYMBOLS; i++) {
		uint64_t start = kallsyms_address(k, i);

		if (!kallsyms_name(k, i, text))
			return false;
		if (!strcmp(text + 1, "_text") || !strcmp(text + 1, "_stext"))
			return start <= address || start - address < KERNEL_ALIGN;
	}
	return true;
}

/*
 * Tries one place and encoding. base_at is the offset of the base, 0 if the encoding has no base.
 */
static enum kallsyms_agreement try_place(struct kallsyms *k, enum kallsyms_encoding encoding,
					 size_t at, size_t base_at)
{
	size_t width = encoding == KALLSYMS_ADDRESSES ? k->image.word_size : 4;
	enum kallsyms_agreement agreement;
	size_t size = k->image.size;

	if (at > size || (size - at) / width < k->count)
		return KALLSYMS_NO_ADDRESSES;
	k->encoding = encoding;
	k->addresses = at;
	if (base_at) {
		if (base_at > size || size - base_at < k->image.word_size)
			return KALLSYMS_NO_ADDRESSES;
		k->base = kallsyms_word(k->image.data + base_at, k->image.word_size);
	}
	if (!ascends(k))
		return KALLSYMS_NO_ADDRESSES;
	agreement = check_neighbours(k);
	if (agreement == KALLSYMS_AGREES && !check_start(k))
		agreement = KALLSYMS_ELSEWHERE;
	return agreement;
}

/* Tries the two encodings that have the same place and base. */
static enum kallsyms_agreement try_offsets(struct kallsyms *k, size_t at, size_t base_at)
{
	enum kallsyms_agreement relative = try_place(k, KALLSYMS_OFFSETS, at, base_at);
	enum kallsyms_agreement percpu;

	if (relative == KALLSYMS_AGREES)
		return relative;
	percpu = try_place(k, KALLSYMS_OFFSETS_PERCPU, at, base_at);
	return percpu > relative ? percpu : relative;
}

static enum kallsyms_agreement better(enum kallsyms_agreement a, enum kallsyms_agreement b)
{
	return a > b ? a : b;
}

/* Tries the places before num_syms (Linux up to 6.3): addresses, or offsets and a base. */
static enum kallsyms_agreement try_before(struct kallsyms *k)
{
	enum kallsyms_agreement best = KALLSYMS_NO_ADDRESSES;
	size_t word_size = k->image.word_size;
	size_t offsets = (size_t)k->count * 4;
	size_t addresses = (size_t)k->count * word_size;

	if (k->count_at >= word_size + offsets)
		best = try_offsets(k, (k->count_at - word_size - offsets) & ~(word_size - 1),
				   k->count_at - word_size);
	if (best != KALLSYMS_AGREES && k->count_at >= addresses)
		best = better(best, try_place(k, KALLSYMS_ADDRESSES, k->count_at - addresses, 0));
	return best;
}

/*
 * Tries the places after the token index (Linux 6.4 and later): the same encodings, and offsets
 * relative to the entry's own place.
 */
static enum kallsyms_agreement try_after(struct kallsyms *k, size_t align)
{
	size_t at = (k->token_index + KALLSYMS_TOKENS * 2 + align - 1) & ~(align - 1);
	size_t end = at + (size_t)k->count * 4;
	enum kallsyms_agreement best = try_place(k, KALLSYMS_OFFSETS_PLACE, at, 0);

	for (size_t base_align = 4; base_align <= 8 && best != KALLSYMS_AGREES; base_align += 4)
		best = better(best, try_offsets(k, at, (end + base_align - 1) & ~(base_align - 1)));
	if (best != KALLSYMS_AGREES)
		best = better(best, try_place(k, KALLSYMS_ADDRESSES, at, 0));
	return best;
}

enum kallsyms_agreement kallsyms_find_addresses(struct kallsyms *k)
{
	enum kallsyms_agreement best = try_after(k, 4);

	if (best != KALLSYMS_AGREES)
		best = better(best, try_after(k, 8));
	if (best != KALLSYMS_AGREES)
		best = better(best, try_before(k));
	return best;
}
