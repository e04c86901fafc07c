/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a kind of target is known by: how the user names one, and how its guests are opened, listed
 * and watched. A kind's own file defines a `const struct target_kind NAME_kind`; kinds.def lists
 * them.
 */
#ifndef NUNCHI_TARGET_KIND_H
#define NUNCHI_TARGET_KIND_H

#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>

/* Tells at once that guests came or went, so that nobody has to look. */
struct target_wake {
	int fd;                    /* becomes readable; -1: this host has none */
	void (*clear)(void *data); /* makes fd unreadable again */
	void (*destroy)(void *data);
	void *data;
};

struct target_kind {
	/* What the user's word begins with: "xen:". "": any word that no other kind takes. */
	const char *prefix;
	const struct nunchi_target_form *forms; /* what the word may be, for help */
	size_t form_count;
	struct nunchi_error *(*open)(const char *word, const struct target_options *options,
				     struct target **ret);
	/*
	 * Calls found for each guest of this kind on this host, until it returns false
	 * (*ret_stopped). A host that cannot have any has none: no error. For `ask` see
	 * target_list(). NULL: none is ever listed.
	 */
	struct nunchi_error *(*list)(bool ask, target_found_fn *found, void *data,
				     bool *ret_stopped);
	/* Whether exactly one guest of this kind has that name; NULL with list. */
	bool (*has_guest)(const char *name);
	/* NULL: guests of this kind are noticed only by listing them again. */
	struct nunchi_error *(*wake)(struct target_wake *ret);
};

/* The n-th kind, from 0, in the order of kinds.def; NULL past the last. Static storage. */
const struct target_kind *target_kind(size_t n);

/*
 * The error for a word that is no file: suggests the guest of that name, if there is one, or says
 * what a target may be.
 */
struct nunchi_error *target_no_such_file(const char *word);

#define KIND(name) extern const struct target_kind name##_kind;
#include "target/kinds.def"
#undef KIND

#endif
