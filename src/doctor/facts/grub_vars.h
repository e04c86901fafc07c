/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Variables of /etc/default/grub and grub.d/(*).cfg, which are shell scripts that grub-mkconfig
 * sources. Read here is the subset in which such files are written: NAME=word with the shell's
 * quoting, $NAME and ${NAME}. Where a file does more (a command's output, an assignment under a
 * condition), the value is not guessed: the variable is marked as not exact.
 */
#ifndef NUNCHI_DOCTOR_FACTS_GRUB_VARS_H
#define NUNCHI_DOCTOR_FACTS_GRUB_VARS_H

#include "core/error.h"

#include <stddef.h>

struct grub_vars;

struct grub_var {
	const char *name;
	const char *value; /* the best that is known, "" if nothing is */
	const char *file;  /* as given to grub_vars_read() */
	unsigned line;
	bool exact; /* false: the shell may give it another value */
};

struct nunchi_error *grub_vars_create(struct grub_vars **ret);
void grub_vars_destroy(struct grub_vars *vars);
DEFINE_CLEANUP(struct grub_vars, grub_vars_destroy)
#define _cleanup_grub_vars_ _cleanup_(cleanup_grub_vars_destroy_p)

/* Reads one file more, in the order in which grub-mkconfig sources them. */
struct nunchi_error *grub_vars_read(struct grub_vars *vars, const char *file, const char *text,
				    size_t size);
/* The variable, or NULL if no file sets it. Valid until the next grub_vars_read(). */
const struct grub_var *grub_vars_find(const struct grub_vars *vars, const char *name);
size_t grub_vars_count(const struct grub_vars *vars);
const struct grub_var *grub_vars_get(const struct grub_vars *vars, size_t i);
/*
 * Where something was first met (source, eval, unset …) after which no variable is certain; NULL
 * if nowhere.
 */
const char *grub_vars_opaque(const struct grub_vars *vars, unsigned *ret_line);

#endif
