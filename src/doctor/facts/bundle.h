/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bundle: what a tree was asked for, as a .tar.gz. A member is called KIND/NAME, or
 * absent/KIND/NAME with the errno in decimal for what could not be had; "nunchi-bundle" is the
 * first, and says the version of the form.
 */
#ifndef NUNCHI_DOCTOR_FACTS_BUNDLE_H
#define NUNCHI_DOCTOR_FACTS_BUNDLE_H

#include "doctor/facts/tree.h"

/*
 * Writes a new file, under a temporary name until it is whole. Texts and names go through redact();
 * anonymous: names of the host and of users, and IP addresses, are taken out as well. The member
 * "removed.txt" says how much of what was taken out, and what is not promised.
 */
struct nunchi_error *bundle_write(
    const struct tree *tree, const char *path, bool anonymous, const struct nunchi_context *context,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data);
/* Whether a file begins as a compressed archive does. */
bool bundle_is(const char *path);
/*
 * Reads one into a new tree. Hostile archives are refused: not more than what a tree takes, nor
 * more than 1 GiB unpacked, is looked at.
 */
struct nunchi_error *bundle_read(const char *path, struct tree **ret);
/* The same of bytes in memory. */
struct nunchi_error *bundle_parse(const void *data, size_t size, const char *path,
				  struct tree **ret);

#endif
