/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of the reader of kallsyms. All positions are offsets into the image; what was proven
 * of them was proven of bytes that a running guest may change afterwards, so every use of the
 * image checks its bounds again.
 */
#ifndef NUNCHI_SYMBOLS_KALLSYMS_PRIVATE_H
#define NUNCHI_SYMBOLS_KALLSYMS_PRIVATE_H

#include "core/bytes.h"
#include "symbols/kallsyms.h"
#include "symbols/symbol_index_private.h"

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KALLSYMS_TOKENS      256
#define KALLSYMS_TOKEN_SHORT 16  /* bytes of a token copied without looking at its length */
#define KALLSYMS_GROUP       256 /* symbols to a marker */
#define KALLSYMS_GROUPS_MAX  (SYMBOL_COUNT_MAX / KALLSYMS_GROUP)

/* Private copy of the token table. */
struct kallsyms_tokens {
	uint8_t size[KALLSYMS_TOKENS];
	uint8_t longest;                                  /* of the sizes */
	char head[KALLSYMS_TOKENS][KALLSYMS_TOKEN_SHORT]; /* padded with zeros */
	uint16_t offset[KALLSYMS_TOKENS];                 /* into text, of the whole token */
	char *text;
};

/* How the address table gives addresses. */
enum kallsyms_encoding {
	KALLSYMS_ADDRESSES,      /* words: addresses (without KALLSYMS_BASE_RELATIVE) */
	KALLSYMS_OFFSETS,        /* u32: from the base */
	KALLSYMS_OFFSETS_PERCPU, /* s32: absolute, or negative: base - 1 - offset */
	KALLSYMS_OFFSETS_PLACE   /* s32: from the entry's own place (7.0 and later) */
};

struct kallsyms {
	struct kernel_image image;
	struct kallsyms_tokens tokens;
	size_t token_table;
	size_t token_index;
	uint32_t count;
	size_t count_at; /* where num_syms stands */
	size_t names;
	size_t names_end; /* of the stream, without padding */
	bool long_sizes;  /* sizes of names of 128 and above take two bytes (6.1 and later) */
	size_t markers_at;
	uint32_t *markers; /* private copy; of each group, from names */
	uint32_t group_count;
	size_t addresses;
	uint64_t base;
	enum kallsyms_encoding encoding;
	char description[160];
};

/* A word of the image; the caller checked that it is inside. */
static inline uint64_t kallsyms_word(const uint8_t *p, unsigned word_size)
{
	return word_size == 8 ? load_le64(p) : load_le32(p);
}

static inline uint64_t kallsyms_address_of(const struct kallsyms *k, size_t at)
{
	return k->image.address.v + at;
}

/*
 * The entry of the names at *at, which ends at or before end: gives its tokens and moves *at past
 * it. False if it does not fit or is empty.
 */
static inline bool kallsyms_next_name(const uint8_t *data, size_t *at, size_t end, bool long_sizes,
				      const uint8_t **ret, size_t *ret_size)
{
	size_t p = *at;
	size_t size;

	if (p >= end)
		return false;
	size = data[p++];
	if (size >= 0x80 && long_sizes) {
		if (p >= end)
			return false;
		size = (size & 0x7f) | (size_t)data[p++] << 7;
	}
	if (!size || size > end - p)
		return false;
	*ret = data + p;
	*ret_size = size;
	*at = p + size;
	return true;
}

/* Where the names of a group end. */
static inline size_t kallsyms_group_end(const struct kallsyms *k, uint32_t group)
{
	return group + 1 < k->group_count ? k->names + k->markers[group + 1] : k->names_end;
}

static inline uint32_t kallsyms_group_size(const struct kallsyms *k, uint32_t group)
{
	uint32_t left = k->count - group * KALLSYMS_GROUP;

	return left < KALLSYMS_GROUP ? left : KALLSYMS_GROUP;
}

/* kallsyms_tokens.c: the next run of digits' tokens in the image, from *at on; moves *at past it.
 */
bool kallsyms_next_anchor(const struct kernel_image *image, size_t *at, size_t *ret);
/*
 * Settles the token table that the run at anchor belongs to, and copies it. False without an error
 * if it is none.
 */
struct nunchi_error *kallsyms_read_tokens(struct kallsyms *k, size_t anchor, bool *ret);

/* kallsyms_names.c: markers, names and num_syms before the token table, proven against each other.
 */
struct nunchi_error *kallsyms_find_names(struct kallsyms *k, bool *ret);

/* kallsyms_address.c: how well a table's addresses agree with where it lies. */
enum kallsyms_agreement {
	KALLSYMS_NO_ADDRESSES, /* no encoding gives ascending addresses around the table */
	KALLSYMS_ELSEWHERE, /* ascending, but of another image, or of another place in this one */
	KALLSYMS_AGREES
};
enum kallsyms_agreement kallsyms_find_addresses(struct kallsyms *k);
/* The address of symbol i < count. */
uint64_t kallsyms_address(const struct kallsyms *k, uint32_t i);
/* The same of all symbols. */
void kallsyms_copy_addresses(const struct kallsyms *k, uint64_t *ret);

/* kallsyms_decode.c: the error for names at `at` that are no longer as they were proven. */
struct nunchi_error *kallsyms_changed(const struct kallsyms *k, size_t at);
/* Writes symbol i's letter and name, NUL-terminated; false if it has none. */
#define KALLSYMS_TEXT_MAX (1 + SYMBOL_NAME_MAX + 1)
bool kallsyms_name(const struct kallsyms *k, uint32_t i, char ret[KALLSYMS_TEXT_MAX]);

#endif
