/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the names' tokens to symbols. The image may change while it is read: each group must end
 * where the next was proven to begin.
 */
#include "symbols/kallsyms_private.h"

/* What a token may be copied beyond its end. */
#define SLACK KALLSYMS_TOKEN_SHORT

struct nunchi_error *kallsyms_changed(const struct kallsyms *k, size_t at)
{
	return error_hint(error_create_at(NUNCHI_ERROR_DATA, kallsyms_address_of(k, at),
					  "the kernel's symbol names changed while they were read"),
			  "read again, or pause the guest (--pause always)");
}

/*
 * Writes the tokens' text at out, of which room bytes and SLACK more may be written to. Gives its
 * size, or 0 if there is no room for it.
 */
static inline size_t expand(const struct kallsyms_tokens *tokens, const uint8_t *codes, size_t size,
			    char *out, size_t room)
{
	char *start = out;
	char *end = out + room;

	for (size_t i = 0; i < size; i++) {
		uint8_t code = codes[i];
		size_t token_size = tokens->size[code];

		if (token_size > (size_t)(end - out))
			return 0;
		memcpy(out, tokens->head[code], KALLSYMS_TOKEN_SHORT);
		if (token_size > KALLSYMS_TOKEN_SHORT)
			memcpy(out, tokens->text + tokens->offset[code], token_size);
		out += token_size;
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
	size = expand(&k->tokens, codes, size, text, KALLSYMS_TEXT_MAX - 1);
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

/* Appends a group's symbols; there is room in the index for them. */
static struct nunchi_error *decode_group(const struct kallsyms *k, uint32_t group,
					 struct symbol_index *index)
{
	size_t at = k->names + k->markers[group], end = kallsyms_group_end(k, group);
	uint32_t i = group * KALLSYMS_GROUP, last = i + kallsyms_group_size(k, group);

	for (; i < last; i++) {
		char *text = index->arena.data + index->arena_used;
		const uint8_t *codes;
		size_t size;

		if (!kallsyms_next_name(k->image.data, &at, end, k->long_sizes, &codes, &size))
			return kallsyms_changed(k, at);
		size = expand(&k->tokens, codes, size, text, KALLSYMS_TEXT_MAX - 1);
		if (size < 2)
			return bad_name(k, codes, i);
		text[size] = 0;
		index->addresses[i] = kallsyms_address(k, i);
		index->places[i] = (uint32_t)index->arena_used;
		index->arena_used += size + 1;
	}
	index->count = last;
	return at == end ? NULL : kallsyms_changed(k, at);
}

DEFINE_CLEANUP(struct symbol_index, symbol_index_unref)

struct nunchi_error *kallsyms_to_index(const struct kallsyms *kallsyms, struct symbol_index **ret)
{
	const struct kallsyms *k = kallsyms;
	_cleanup_(cleanup_symbol_index_unref_p) struct symbol_index *index = NULL;
	struct nunchi_error *err = symbol_index_create(&index);
	/* Names take about twice the bytes of their tokens; room costs only what is touched of it.
	 */
	size_t room = (k->names_end - k->names) * 3;

	if (!err)
		err = symbol_index_reserve(index, k->count,
					   room < SYMBOL_ARENA_MAX ? room : SYMBOL_ARENA_MAX);
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
