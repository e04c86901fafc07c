/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the word at the cursor of a statement may become: pure, on the registry of views. */
#ifndef NUNCHI_EDIT_COMPLETE_H
#define NUNCHI_EDIT_COMPLETE_H

#include "edit/edit.h"

struct candidate {
	const char *name;
	/* What comes behind the name: ' ', '(', '.', or '\0'; '"': the name needs quotes. */
	char after;
};

struct completion {
	struct candidate *found; /* by name, each once */
	size_t count, capacity;
	size_t prefix; /* bytes of the word that stand before the cursor */
	size_t common; /* bytes with which all names begin, at least `prefix` */
	bool capitals; /* the word is in capital letters, and so is what comes behind it */
	bool no_memory;
};

/*
 * The text is all of the statement, with its earlier lines; size is where the cursor stands, and
 * what comes behind is looked at too, for names of tables. Within quotes and comments there is
 * nothing. The options' names are borrowed.
 */
void complete(const struct edit_options *options, const char *text, size_t size,
	      struct completion *ret);
void completion_deinit(struct completion *completion);

#endif
