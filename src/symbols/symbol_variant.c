/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/symbol_variant.h"

#include "core/cleanup.h"

#include <stdbool.h>
#include <string.h>

static const struct suffix {
	const char *text;
	enum symbol_variant variant;
	bool number_optional; /* the number is optional: ".cold" and ".cold.12" */
} suffixes[] = {
    {".llvm.", SYMBOL_VARIANT, false},      {".isra.", SYMBOL_VARIANT, false},
    {".constprop.", SYMBOL_VARIANT, false}, {".part.", SYMBOL_PIECE, false},
    {".cold.", SYMBOL_PIECE, false},        {".cold", SYMBOL_PIECE, true},
};

/*
 * The suffix at the start of *text; NULL if there is none. Moves *text past the suffix and its
 * number.
 */
static const struct suffix *take_suffix(const char **text)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t size = strlen(suffixes[i].text);
		size_t digits = 0;

		if (strncmp(*text, suffixes[i].text, size))
			continue;
		digits = strspn(*text + size, "0123456789");
		if (suffixes[i].number_optional)
			digits = 0;
		else if (!digits)
			continue;
		*text += size + digits;
		return &suffixes[i];
	}
	return NULL;
}

enum symbol_variant symbol_variant_of(const char *name, const char *wanted)
{
	enum symbol_variant variant = SYMBOL_VARIANT;
	size_t size = strlen(wanted);

	if (strncmp(name, wanted, size) || !name[size])
		return SYMBOL_UNRELATED;
	for (name += size; *name;) {
		const struct suffix *suffix = take_suffix(&name);

		if (!suffix)
			return SYMBOL_UNRELATED;
		if (suffix->variant < variant)
			variant = suffix->variant;
	}
	return variant;
}
