/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Declarations shared by the files of the kallsyms reader. All positions are offsets into the
 * image. A running guest may change bytes after they were checked, so that each later use of the
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

#define KALLSYMS_TOKENS 256
/* bytes that are copied of a token, whatever its size */
#define KALLSYMS_TOKEN_SHORT 16
#define KALLSYMS_GROUP       256 /* number of symbols for each marker */
#define KALLSYMS_GROUPS_MAX  (SYMBOL_COUNT_MAX / KALLSYMS_GROUP)

/* Private copy of the token table. */
struct kallsyms_tokens {
	uint8_t size[KALLSYMS_TOKENS];
	uint8_t longest;                                  /* of the sizes */
	char head[KALLSYMS_TOKENS][KALLSYMS_TOKEN_SHORT]; /* padded with zeros */
	uint16_t offset[KALLSYMS_TOKENS];                 /* into text, of the whole token */
	char *text;
};

/* Encodings of the address table. */
enum kallsyms_encoding {
	/* words with addresses (CONFIG_KALLSYMS_BASE_RELATIVE is not set) */
	KALLSYMS_ADDRESSES,
	KALLSYMS_OFFSETS, /* u32: offset from the base */
	/* s32: not negative: the absolute address; negative: base - 1 - offset */
	KALLSYMS_OFFSETS_PERCPU,
	/* s32: offset from the address of the entry itself (7.0 and later) */
	KALLSYMS_OFFSETS_PLACE
};

struct kallsyms {
	struct kernel_image image;
	struct kallsyms_tokens tokens;
	size_t token_table;
	size_t token_index;
	uint32_t count;
	size_t count_at; /* offset of num_syms */
	size_t names;
	size_t names_end; /* end of the names, before padding */
	/* the length of names with 128 or more tokens takes two bytes (6.1 and later) */
	bool long_sizes;
	size_t markers_at;
	uint32_t *markers; /* private copy: for each group its offset in names */
	uint32_t group_count;
	size_t addresses;
	uint64_t base;
	enum kallsyms_encoding encoding;
	char description[160];
};

/* Loads a word of the image; the caller has checked that it lies within. */
static inline uint64_t kallsyms_word(const uint8_t *p, unsigned word_size)
{
	return word_size == 8 ? load_le64(p) : load_le32(p);
}

static inline uint64_t kallsyms_address_of(const struct kallsyms *k, size_t at)
{
	return k->image.address.v + at;
}

/*
 * Reads the entry of the names at *at: stores its tokens and moves *at past it. False if the entry
 * is empty or does not end at or before `end`.
 */
static inline bool kallsyms_next_name(const uint8_t *data, size_t *at, size_t end, bool long_sizes,
				      const uint8_t **ret, size_t *ret_size)
{
	size_t p = *at;
	size_t size;

	if (p >= end)
		return false;
	size = data[p++];
	if (__builtin_expect(size >= 0x80, 0) && long_sizes) {
		if (p >= end)
			return false;
		size = (size & 0x7f) | (size_t)data[p++] << 7;
	}
	/* Size 0, which becomes the greatest number, or more than there is. */
	if (size - 1 >= end - p)
		return false;
	*ret = data + p;
	*ret_size = size;
	*at = p + size;
	return true;
}

/* The offset where the names of a group end. */
static inline size_t kallsyms_group_end(const struct kallsyms *k, uint32_t group)
{
	return group + 1 < k->group_count ? k->names + k->markers[group + 1] : k->names_end;
}

static inline uint32_t kallsyms_group_size(const struct kallsyms *k, uint32_t group)
{
	uint32_t left = k->count - group * KALLSYMS_GROUP;

	return left < KALLSYMS_GROUP ? left : KALLSYMS_GROUP;
}

/*
 * kallsyms_tokens.c: finds the next place in the image, from *at on, where the tokens of the ten
 * digits stand in a row; moves *at past it.
 */
bool kallsyms_next_anchor(const struct kernel_image *image, size_t *at, size_t *ret);
/*
 * Finds the token table that contains the digits at anchor, checks it, and copies it into k. *ret
 * is false if there is no such table.
 */
struct nunchi_error *kallsyms_read_tokens(struct kallsyms *k, size_t anchor, bool *ret);

/*
 * kallsyms_names.c: finds markers, names and num_syms before the token table, and checks them
 * against each other.
 */
struct nunchi_error *kallsyms_find_names(struct kallsyms *k, bool *ret);

/* kallsyms_address.c: how well the addresses agree with the place of the table. */
enum kallsyms_agreement {
	KALLSYMS_NO_ADDRESSES, /* no encoding gives ascending addresses around the table */
	/* ascending addresses, but of another image or for another place in this image */
	KALLSYMS_ELSEWHERE,
	KALLSYMS_AGREES
};
/* Finds the place and the encoding of the address table, and stores them in k. */
enum kallsyms_agreement kallsyms_find_addresses(struct kallsyms *k);
/* The address of symbol i, which must be below count. */
uint64_t kallsyms_address(const struct kallsyms *k, uint32_t i);
/* Writes the addresses of all symbols. */
void kallsyms_copy_addresses(const struct kallsyms *k, uint64_t *ret);

/* kallsyms_decode.c: the error for names at offset `at` that changed after they were checked. */
struct nunchi_error *kallsyms_changed(const struct kallsyms *k, size_t at);
/* Writes the type letter and the name of symbol i, NUL-terminated; false if it has no name. */
#define KALLSYMS_TEXT_MAX (1 + SYMBOL_NAME_MAX + 1)
bool kallsyms_name(const struct kallsyms *k, uint32_t i, char ret[KALLSYMS_TEXT_MAX]);

#endif
