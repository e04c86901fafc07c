/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kind of target: how the user names one, and how its guests are opened, listed and watched. Each
 * kind's own file defines a `const struct target_kind NAME_kind`; kinds.def lists the kinds.
 */
#ifndef NUNCHI_TARGET_KIND_H
#define NUNCHI_TARGET_KIND_H

#include "target/target.h"

#include <stdbool.h>
#include <stddef.h>

/* Reports at once that guests appeared or disappeared, so that polling is not necessary. */
struct target_wake {
	/* becomes readable when there is news; -1: not available on this host */
	int fd;
	/* Makes fd not readable again; false: it will report nothing more, and is to be left alone.
	 */
	bool (*clear)(void *data);
	void (*destroy)(void *data);
	void *data;
};

struct target_kind {
	/* The prefix of the user's word: "xen:". "": any word that no other kind accepts. */
	const char *prefix;
	const struct nunchi_target_form *forms; /* forms of the word, for help */
	size_t form_count;
	struct nunchi_error *(*open)(const char *word, const struct target_options *options,
				     struct target **ret);
	/*
	 * Calls found() for each guest of this kind on this host, until found() returns false
	 * (*ret_stopped). It is no error if the host cannot have such guests. `ask` is as for
	 * target_list(). NULL: this kind is not listed.
	 */
	struct nunchi_error *(*list)(bool ask, target_found_fn *found, void *data,
				     bool *ret_stopped);
	/* Whether exactly one guest of this kind has this name. NULL if list is NULL. */
	bool (*has_guest)(const char *name);
	/* NULL: changes of guests of this kind are noticed only by listing them again. */
	struct nunchi_error *(*wake)(struct target_wake *ret);
};

/*
 * The n-th kind in the order of kinds.def, counted from 0; NULL if there are no more. Static
 * storage.
 */
const struct target_kind *target_kind(size_t n);

/*
 * The error for a word that is not a file: suggests the guest with that name if there is one,
 * otherwise lists the forms of a target.
 */
struct nunchi_error *target_no_such_file(const char *word);

#define KIND(name) extern const struct target_kind name##_kind;
#include "target/kinds.def"
#undef KIND

#endif
