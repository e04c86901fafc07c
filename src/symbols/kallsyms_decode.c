/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expands the tokens of the names to symbols. A running guest may change the image meanwhile: the
 * names of each group must still end where kallsyms_find() found the next group to begin.
 */
#include "symbols/kallsyms_private.h"

#define TEXT_SIZE_MAX (KALLSYMS_TEXT_MAX - 1)
/*
 * Bytes that may be written beyond TEXT_SIZE_MAX: a token is copied as a block that may be longer
 * than the token.
 */
#define SLACK KALLSYMS_TOKEN_SHORT

struct nunchi_error *kallsyms_changed(const struct kallsyms *k, size_t at)
{
	return error_hint(error_create_at(NUNCHI_ERROR_DATA, kallsyms_address_of(k, at),
					  "the kernel's symbol names changed while they were read"),
			  "read again, or pause the guest (--pause always)");
}

static inline size_t copy_token(const struct kallsyms_tokens *restrict tokens, uint8_t code,
				char *restrict out)
{
	size_t size = tokens->size[code];

	memcpy(out, tokens->head[code], KALLSYMS_TOKEN_SHORT);
	if (__builtin_expect(size > KALLSYMS_TOKEN_SHORT, 0))
		memcpy(out, tokens->text + tokens->offset[code], size);
	return size;
}

/*
 * Writes the text of the tokens to out, where TEXT_SIZE_MAX + SLACK bytes can be written. Returns
 * the size of the text, or 0 if it is longer than TEXT_SIZE_MAX. Nearly all names have so few
 * tokens that the text fits whatever the tokens are; checking after each token would cost a quarter
 * of the total time.
 */
static inline size_t expand(const struct kallsyms_tokens *restrict tokens, const uint8_t *codes,
			    size_t size, char *restrict out)
{
	const char *start = out;

	if (__builtin_expect(size * tokens->longest <= TEXT_SIZE_MAX, 1)) {
		for (size_t i = 0; i < size; i++)
			out += copy_token(tokens, codes[i], out);
		return (size_t)(out - start);
	}
	for (size_t i = 0; i < size; i++) {
		if (tokens->size[codes[i]] > TEXT_SIZE_MAX - (size_t)(out - start))
			return 0;
		out += copy_token(tokens, codes[i], out);
	}
	return (size_t)(out - start);
}

bool kallsyms_name(const struct kallsyms *k, uint32_t i, char ret[KALLSYMS_TEXT_MAX])
{
	uint32_t group = i / KALLSYMS_GROUP;
	size_t at = k->names + k->markers[group];
	char text[KALLSYMS_TEXT_MAX + SLACK];
	const uint8_t *codes;
	size_t size;

	for (uint32_t left = i % KALLSYMS_GROUP + 1; left; left--) {
		if (!kallsyms_next_name(k->image.data, &at, kallsyms_group_end(k, group),
					k->long_sizes, &codes, &size))
			return false;
	}
	size = expand(&k->tokens, codes, size, text);
	if (size < 2)
		return false;
	memcpy(ret, text, size);
	ret[size] = 0;
	return true;
}

static struct nunchi_error *bad_name(const struct kallsyms *k, const uint8_t *codes, uint32_t i)
{
	return error_create_at(NUNCHI_ERROR_DATA,
			       kallsyms_address_of(k, (size_t)(codes - k->image.data)),
			       "symbol %u of the kernel has no name, or one of more than %d bytes",
			       i, SYMBOL_NAME_MAX);
}

/* Appends the names of a group to the index, which has room for them. */
static struct nunchi_error *decode_group(const struct kallsyms *k, uint32_t group,
					 struct symbol_index *index)
{
	size_t at = k->names + k->markers[group], end = kallsyms_group_end(k, group);
	uint32_t *places = index->places + group * KALLSYMS_GROUP;
	uint32_t count = kallsyms_group_size(k, group);
	char *text = index->arena.data + index->arena_used;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *codes;
		size_t size;

		if (!kallsyms_next_name(k->image.data, &at, end, k->long_sizes, &codes, &size))
			return kallsyms_changed(k, at);
		size = expand(&k->tokens, codes, size, text);
		if (size < 2)
			return bad_name(k, codes, group * KALLSYMS_GROUP + i);
		text[size] = 0;
		places[i] = (uint32_t)(text - index->arena.data);
		text += size + 1;
	}
	index->arena_used = (size_t)(text - index->arena.data);
	index->count += count;
	return at == end ? NULL : kallsyms_changed(k, at);
}

DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)

struct nunchi_error *kallsyms_to_index(const struct kallsyms *kallsyms, struct symbol_index **ret)
{
	const struct kallsyms *k = kallsyms;
	_cleanup_(cleanup_symbol_index_unref_p) struct symbol_index *index = NULL;
	struct nunchi_error *err = symbol_index_create(&index);
	/*
	 * Names take about twice as many bytes as their tokens. Reserved memory costs nothing until
	 * it is touched.
	 */
	size_t room = (k->names_end - k->names) * 3;

	if (!err)
		err = symbol_index_reserve(index, k->count,
					   room < SYMBOL_ARENA_MAX ? room : SYMBOL_ARENA_MAX);
	if (!err)
		kallsyms_copy_addresses(k, index->addresses);
	for (uint32_t group = 0; !err && group < k->group_count; group++) {
		err = symbol_index_reserve(index, k->count,
					   index->arena_used + KALLSYMS_GROUP * KALLSYMS_TEXT_MAX +
					       SLACK);
		if (!err)
			err = decode_group(k, group, index);
	}
	if (!err)
		err = symbol_index_seal(index);
	if (err)
		return err;
	*ret = no_cleanup_ptr(index);
	return NULL;
}
