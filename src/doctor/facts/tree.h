/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the doctor reads: the running host, a directory that looks like a host's root, or a bundle
 * that was collected on a host. All that was asked for is kept, and so is the reason where
 * something could not be had: a bundle thus holds exactly what a diagnosis needs.
 */
#ifndef NUNCHI_DOCTOR_FACTS_TREE_H
#define NUNCHI_DOCTOR_FACTS_TREE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

enum tree_kind {
	TREE_FILE,      /* a regular file's text */
	TREE_LIST,      /* the names in a directory, sorted, one a line */
	TREE_LINK,      /* what a symbolic link says */
	TREE_TIME,      /* when a file was last changed: seconds since 1970, in decimal */
	TREE_COMMAND,   /* what a command of probes.def prints */
	TREE_PROBE,     /* what the host's processor or kernel says, as text */
	TREE_INITRAMFS, /* what an initramfs holds, as doctor/facts/initramfs.h has it */
	TREE_PACKAGES   /* dpkg's status, as doctor/facts/packages.h has it */
};
#define TREE_KINDS 8

struct tree_entry {
	enum tree_kind kind;
	char *name; /* a path from the root, beginning with "/"; or the command or probe */
	char *text; /* NUL-terminated, and may have NULs inside; NULL if it could not be had */
	size_t size;
	int errnum; /* why text is NULL */
	bool cut; /* there was more than is kept (4 MiB of a file, 32 MiB of a log, 4,096 names) */
};

struct tree;

/*
 * root NULL is this host; elsewhere commands and probes are not asked for, and links lead nowhere
 * out of root. A command ends when context, which may be NULL, is cancelled.
 */
struct nunchi_error *tree_open(const char *root, const struct nunchi_context *context,
			       struct tree **ret);
/* Has nothing but what is put into it. */
struct nunchi_error *tree_create_empty(struct tree **ret);
void tree_destroy(struct tree *tree);
/* Whether it is the running host. */
bool tree_is_live(const struct tree *tree);
/* The directory, "/" for the running host, or NULL. */
const char *tree_root(const struct tree *tree);

/* Adds an entry; text is copied, and NULL where errnum says why it could not be had. */
struct nunchi_error *tree_put(struct tree *tree, enum tree_kind kind, const char *name,
			      const char *text, size_t size, int errnum);
/* Never NULL: what cannot be had has no text. Owned by the tree. */
const struct tree_entry *tree_get(struct tree *tree, enum tree_kind kind, const char *name);
/* The text alone, or NULL. */
const char *tree_text(struct tree *tree, enum tree_kind kind, const char *name);
/* What was asked for or put in so far, in that order, or NULL. */
const struct tree_entry *tree_entry(const struct tree *tree, size_t index);
/* "file", "list" … as members of a bundle are called. */
const char *tree_kind_name(enum tree_kind kind);
/* "not permitted; run it as root", "there is no such file" … Static storage. */
const char *tree_why(const struct tree_entry *entry);

DEFINE_CLEANUP(struct tree, tree_destroy)
#define _cleanup_tree_ _cleanup_(cleanup_tree_destroy_p)

#endif
