/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the symbol table in an image. Each place where the tokens of the ten digits stand in a row
 * is a candidate: tokens, names and addresses are checked, and the first table whose addresses
 * agree with its own place is used.
 */
#include "symbols/kallsyms_private.h"

#include <stdio.h>

/*
 * Limits of the search. A kernel's image has one candidate, and a few more if it contains tables of
 * UTF-16 digits.
 */
#define ANCHORS_MAX 4096
#define TABLES_MAX  8

struct search {
	size_t anchors;
	size_t token_tables; /* proven */
	/* tables whose tokens and names are valid, but whose addresses do not fit */
	size_t name_tables;
	size_t last_table; /* where the last of these tables stands */
};

void kallsyms_destroy(struct kallsyms *kallsyms)
{
	if (!kallsyms)
		return;
	free(kallsyms->tokens.text);
	free(kallsyms->markers);
	free(kallsyms);
}

DEFINE_CLEANUP(struct kallsyms, kallsyms_destroy)

struct nunchi_error *kallsyms_set_image(struct kallsyms *kallsyms, const struct kernel_image *image)
{
	/* All offsets were checked against the earlier size of the image. */
	if (image->size < kallsyms->image.size)
		return kallsyms_changed(kallsyms, 0);
	kallsyms->image.data = image->data;
	return NULL;
}

uint32_t kallsyms_count(const struct kallsyms *kallsyms)
{
	return kallsyms->count;
}

const char *kallsyms_description(const struct kallsyms *kallsyms)
{
	return kallsyms->description;
}

static void describe(struct kallsyms *k)
{
	static const char *const encodings[] = {
	    [KALLSYMS_ADDRESSES] = "absolute addresses",
	    [KALLSYMS_OFFSETS] = "offsets from a base",
	    [KALLSYMS_OFFSETS_PERCPU] = "offsets from a base, absolute per-CPU",
	    [KALLSYMS_OFFSETS_PLACE] = "offsets from their own place",
	};

	snprintf(k->description, sizeof(k->description),
		 "kallsyms at 0x%llx, %u symbols, %s, %s the names",
		 (unsigned long long)kallsyms_address_of(k, k->names), k->count,
		 encodings[k->encoding], k->addresses < k->names ? "before" : "after");
}

/* Checks the table around one candidate place. */
static struct nunchi_error *try_anchor(struct kallsyms *k, size_t anchor, struct search *search,
				       bool *ret)
{
	struct nunchi_error *err;
	bool proven = false;

	*ret = false;
	err = kallsyms_read_tokens(k, anchor, &proven);
	if (err || !proven)
		return err;
	search->token_tables++;
	search->last_table = k->token_table;
	err = kallsyms_find_names(k, &proven);
	if (err || !proven)
		return err;
	if (kallsyms_find_addresses(k) == KALLSYMS_AGREES)
		*ret = true;
	else
		search->name_tables++;
	return NULL;
}

/* The error that says why no table was found, depending on how far the checks came. */
static struct nunchi_error *not_found(const struct kernel_image *image, const struct search *search)
{
	static const char hint[] = "give the symbols as a file: --symbols System.map";
	uint64_t at = image->address.v + search->last_table;

	if (search->anchors > ANCHORS_MAX || search->token_tables >= TABLES_MAX)
		return error_hint(
		    error_create_at(NUNCHI_ERROR_DATA, image->address.v,
				    "the image has too many false candidates for a symbol table"),
		    hint);
	if (search->name_tables > 1)
		return error_hint(error_create_at(NUNCHI_ERROR_AMBIGUOUS, at,
						  "the image has %zu symbol tables, and none of "
						  "them has addresses that agree with its place",
						  search->name_tables),
				  hint);
	if (search->name_tables)
		return error_hint(
		    error_create_at(NUNCHI_ERROR_DATA, at,
				    "the addresses of the symbol table are damaged, or "
				    "of another kernel than the one it lies in"),
		    hint);
	if (search->token_tables)
		return error_hint(
		    error_create_at(NUNCHI_ERROR_DATA, at,
				    "the image has the token table of a symbol table, but no "
				    "complete table of names before it"),
		    hint);
	return error_hint(error_create_at(NUNCHI_ERROR_NOT_FOUND, image->address.v,
					  "no symbol table (kallsyms) in the image of %zu KiB",
					  image->size >> 10),
			  hint);
}

struct nunchi_error *kallsyms_find(const struct kernel_image *image, struct kallsyms **ret)
{
	_cleanup_(cleanup_kallsyms_destroy_p) struct kallsyms *k = calloc(1, sizeof(*k));
	struct search search = {0};
	size_t at = 0, anchor;

	if (!k)
		return &error_nomem;
	if ((image->word_size != 4 && image->word_size != 8) || image->address.v % 8 ||
	    image->size > UINT64_MAX - image->address.v)
		return error_create_at(
		    NUNCHI_ERROR_ARGUMENT, image->address.v,
		    "a kernel's image cannot be there, or have words of %u bytes",
		    image->word_size);
	k->image = *image;
	while (kallsyms_next_anchor(image, &at, &anchor) && search.token_tables < TABLES_MAX &&
	       search.anchors++ < ANCHORS_MAX) {
		bool found = false;
		struct nunchi_error *err = try_anchor(k, anchor, &search, &found);

		if (err)
			return err;
		if (found) {
			describe(k);
			*ret = no_cleanup_ptr(k);
			return NULL;
		}
	}
	return not_found(image, &search);
}
