/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the kind of target for a word of the user. */
#include "target/kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct target_kind *const kinds[] = {
#define KIND(name) &name##_kind,
#include "target/kinds.def"
#undef KIND
};

const struct target_kind *target_kind(size_t n)
{
	return n < ARRAY_SIZE(kinds) ? kinds[n] : NULL;
}

static bool takes(const struct target_kind *kind, const char *word)
{
	return !strncmp(word, kind->prefix, strlen(kind->prefix));
}

/* Whether the word has a scheme before any slash, as in "vmware:x". */
static bool has_scheme(const char *word)
{
	size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+");

	return length && word[length] == ':';
}

/*
 * The error for an unknown kind; the hint lists the forms of all kinds: "xen:NAME, xen:ID,
 * qemu:NAME … or PATH".
 */
static struct nunchi_error *no_such_kind(const char *word)
{
	char forms[256] = "";
	size_t used = 0;
	const struct nunchi_target_form *form;

	for (size_t n = 0; (form = nunchi_target_form(n)) && used < sizeof(forms); n++) {
		const char *before = !n ? "" : nunchi_target_form(n + 1) ? ", " : " or ";

		used += (size_t)snprintf(forms + used, sizeof(forms) - used, "%s%s", before,
					 form->word);
	}
	return error_hint(error_create(NUNCHI_ERROR_NOT_FOUND, "%s: no such kind of target", word),
			  "targets are %s", forms);
}

static const struct target_kind *kind_with_guest(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i]->has_guest && kinds[i]->has_guest(name))
			return kinds[i];
	}
	return NULL;
}

struct nunchi_error *target_no_such_file(const char *word)
{
	const struct target_kind *kind;
	struct nunchi_error *err;

	if (!*word)
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, "the name of the target is empty"),
		    "`nunchi list` shows the guests that run here");
	if (has_scheme(word))
		return no_such_kind(word);
	err = error_create(NUNCHI_ERROR_NOT_FOUND, "%s: no such file", word);
	kind = strchr(word, '/') ? NULL : kind_with_guest(word);
	if (kind)
		return error_hint(err, "did you mean %s%s?", kind->prefix, word);
	return error_hint(err, "`nunchi list` shows the guests that run here");
}

struct nunchi_error *target_open(const char *word, const struct target_options *options,
				 struct target **ret)
{
	size_t i = 0;

	/* The last kind accepts any word. */
	while (i < ARRAY_SIZE(kinds) - 1 && !takes(kinds[i], word))
		i++;
	return kinds[i]->open(word, options, ret);
}

struct nunchi_error *target_list(bool ask, target_found_fn *found, void *data)
{
	struct nunchi_error *first = NULL;
	bool stopped = false;

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && !stopped; i++) {
		struct nunchi_error *err;

		if (!kinds[i]->list)
			continue;
		err = kinds[i]->list(ask, found, data, &stopped);
		/* If one kind cannot list its guests, those of the other kinds are still listed. */
		if (first)
			nunchi_error_destroy(err);
		else
			first = err;
	}
	return first;
}

const struct nunchi_target_form *nunchi_target_form(size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (n < kinds[i]->form_count)
			return &kinds[i]->forms[n];
		n -= kinds[i]->form_count;
	}
	return NULL;
}
