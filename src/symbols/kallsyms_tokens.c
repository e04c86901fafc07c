/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The token table: 256 strings, one after the other, and an index of u16 with the offset of each
 * string (scripts/kallsyms.c: write_src()). Every character that occurs in a name keeps a token of
 * its own, and digits always occur; so each table contains "0\0001\000…9\000". The digits in UTF-16
 * text have the same bytes. The index distinguishes the two, and gives the start of the table.
 */
#include "symbols/kallsyms_private.h"

#define RUN_SIZE   20
#define TOKEN_MAX  255               /* the longest token seen has 19 bytes */
#define TABLE_MAX  ((size_t)1 << 16) /* offsets in the index are u16 */
#define INDEX_SIZE (KALLSYMS_TOKENS * sizeof(uint16_t))

static const uint8_t run[RUN_SIZE] = {'0', 0, '1', 0, '2', 0, '3', 0, '4', 0,
				      '5', 0, '6', 0, '7', 0, '8', 0, '9', 0};

/*
 * The row of digits has 20 bytes, so it contains the four bytes at some multiple of 16 completely,
 * and these four bytes tell their position in the row. So the search examines only multiples of 16.
 */
static bool run_around(const struct kernel_image *image, size_t at, size_t *ret)
{
	uint32_t word = load_le32(image->data + at);
	size_t into;

	if ((word & 0xfff0fff0) == 0x00300030)
		into = (word & 0xf) * 2;
	else if ((word & 0xf0fff0ff) == 0x30003000)
		into = (word >> 8 & 0xf) * 2 - 1;
	else
		return false;
	if (into > RUN_SIZE - sizeof(word) || into > at || image->size - (at - into) < RUN_SIZE ||
	    memcmp(image->data + at - into, run, RUN_SIZE))
		return false;
	*ret = at - into;
	return true;
}

/*
 * Whether four bytes may belong to the row: digits and zeros in turn, so that each 0x30 falls on a
 * zero when they are turned by a byte.
 */
static inline bool may_be_run(const uint8_t *p)
{
	uint32_t high = load_le32(p) & 0xf0f0f0f0;

	return (high ^ (high << 8 | high >> 24)) == 0x30303030;
}

bool kallsyms_next_anchor(const struct kernel_image *image, size_t *at, size_t *ret)
{
	const uint8_t *data = image->data;
	size_t p = *at;

	/* Almost all bytes are no row: four places are examined in a turn. */
	while (p < image->size && image->size - p >= sizeof(uint32_t)) {
		if (image->size - p >= 64 && !may_be_run(data + p) && !may_be_run(data + p + 16) &&
		    !may_be_run(data + p + 32) && !may_be_run(data + p + 48)) {
			p += 64;
			continue;
		}
		if (may_be_run(data + p) && run_around(image, p, ret)) {
			*at = *ret + RUN_SIZE;
			return true;
		}
		p += 16;
	}
	*at = image->size;
	return false;
}

/* Finds where token `count` after the one at `at` begins; false if a token is too long. */
static bool skip_tokens(const uint8_t *data, size_t size, size_t at, unsigned count, size_t *ret)
{
	while (count--) {
		size_t limit = size - at < TOKEN_MAX + 1 ? size - at : TOKEN_MAX + 1;
		const uint8_t *end = memchr(data + at, 0, limit);

		if (!end)
			return false;
		at = (size_t)(end - data) + 1;
	}
	*ret = at;
	return true;
}

/*
 * Whether index can be the index of a table in which the tokens of the digits stand in a row; *ret
 * is the offset of '0' in the table.
 */
static bool is_index(const uint8_t *index, size_t *ret)
{
	uint16_t zero = load_le16(index + '0' * 2);

	if (load_le16(index) || zero < '0')
		return false;
	for (unsigned digit = 1; digit < 10; digit++) {
		if (load_le16(index + ('0' + digit) * 2) != zero + digit * 2)
			return false;
	}
	*ret = zero;
	return true;
}

/*
 * Fills the sizes and offsets of the tokens from the copied text, if the copied index agrees with
 * the text.
 */
static bool fill_tokens(struct kallsyms_tokens *tokens, size_t table_size, const uint8_t *index)
{
	size_t at = 0;

	tokens->longest = 0;
	for (unsigned i = 0; i < KALLSYMS_TOKENS; i++) {
		size_t size = strnlen(tokens->text + at, table_size - at);

		if (size == table_size - at || size > TOKEN_MAX || load_le16(index + i * 2) != at)
			return false;
		tokens->offset[i] = (uint16_t)at;
		tokens->size[i] = (uint8_t)size;
		if (size > tokens->longest)
			tokens->longest = (uint8_t)size;
		memset(tokens->head[i], 0, KALLSYMS_TOKEN_SHORT);
		memcpy(tokens->head[i], tokens->text + at,
		       size < KALLSYMS_TOKEN_SHORT ? size : KALLSYMS_TOKEN_SHORT);
		at += size + 1;
	}
	return at == table_size;
}

/* Tries the index at offset `index` for a table that ends at `end` and has '0' at `anchor`. */
static struct nunchi_error *try_index(struct kallsyms *k, size_t anchor, size_t end, size_t index,
				      bool *ret)
{
	const uint8_t *data = k->image.data;
	uint8_t copy[INDEX_SIZE];
	size_t zero, table, table_size;

	*ret = false;
	memcpy(copy, data + index, sizeof(copy));
	if (!is_index(copy, &zero) || zero > anchor)
		return NULL;
	table = anchor - zero;
	table_size = end - table;
	if (table_size > TABLE_MAX)
		return NULL;
	free(k->tokens.text);
	k->tokens.text = malloc(table_size);
	if (!k->tokens.text)
		return &error_nomem;
	memcpy(k->tokens.text, data + table, table_size);
	if (fill_tokens(&k->tokens, table_size, copy)) {
		k->token_table = table;
		k->token_index = index;
		*ret = true;
	}
	return NULL;
}

struct nunchi_error *kallsyms_read_tokens(struct kallsyms *k, size_t anchor, bool *ret)
{
	const struct kernel_image *image = &k->image;
	struct nunchi_error *err = NULL;
	bool found = false;
	size_t end;

	if (skip_tokens(image->data, image->size, anchor, KALLSYMS_TOKENS - '0', &end)) {
		/*
		 * The label of the index is aligned to at most 8 bytes, and an image starts at a
		 * page boundary.
		 */
		for (size_t index = (end + 1) & ~(size_t)1;
		     !err && !found && index < end + 8 && index <= image->size &&
		     image->size - index >= INDEX_SIZE;
		     index += 2)
			err = try_index(k, anchor, end, index, &found);
	}
	if (!err)
		*ret = found;
	return err;
}
