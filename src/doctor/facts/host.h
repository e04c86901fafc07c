/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The collectors of facts: each reads a tree and adds to the facts, and knows nothing of rules. */
#ifndef NUNCHI_DOCTOR_FACTS_HOST_H
#define NUNCHI_DOCTOR_FACTS_HOST_H

#include "doctor/facts/facts.h"
#include "doctor/facts/settings.h"
#include "doctor/facts/tree.h"

/* All of what follows. */
void host_collect(struct tree *tree, struct facts *facts);

void host_collect_cpu(struct tree *tree, struct facts *facts);
void host_collect_system(struct tree *tree, struct facts *facts);
void host_collect_firmware(struct tree *tree, struct facts *facts);
void host_collect_display(struct tree *tree, struct facts *facts);
void host_collect_boot(struct tree *tree, struct facts *facts);
/* What the initramfs holds; packages. */
void host_collect_software(struct tree *tree, struct facts *facts);
/* What GRUB boots by default. */
void host_collect_grub(struct tree *tree, struct facts *facts);
void host_collect_xen(struct tree *tree, struct facts *facts);
void host_collect_kvm(struct tree *tree, struct facts *facts);

/* The options that the host's files give to Linux, its modules and Xen. */
void host_collect_settings(struct tree *tree, const struct facts *facts, struct settings *settings);

/* Of them, those in GRUB's variables. */
void host_collect_grub_settings(struct tree *tree, struct settings *settings);

/* Of them, those of modprobe.d in the booted kernel's initramfs (PLACE_INITRAMFS). */
void host_collect_initramfs_settings(struct tree *tree, const struct facts *facts,
				     struct settings *settings);
/* The booted kernel's initramfs, or NULL if it could not be looked into. */
const struct tree_entry *host_initramfs(struct tree *tree, const struct facts *facts);
/* Whether it has that module, written with '_'. */
bool host_initramfs_has(const struct tree_entry *initramfs, const char *module);

/* Adds that the key is unknown, for the reason of the entry. */
void host_unknown(struct facts *facts, enum fact_key key, const struct tree_entry *entry);
/* The release of the kernel that runs, or else of the last one that has modules; false if none. */
bool host_release(struct tree *tree, const struct facts *facts, char *release, size_t capacity);
/* The next line of text, without its end; false after the last. Bounded by size, not by NULs. */
struct line {
	const char *text;
	size_t size;
	unsigned number; /* from 1; begin with 0 */
};
bool host_next_line(const struct tree_entry *entry, struct line *line);
/* Whether a line is the name, as in a directory's list. */
bool host_lists(const struct tree_entry *list, const char *name);
/* The value of "name : value", with what is around it trimmed, into value; false if not there. */
bool host_field(const struct tree_entry *entry, const char *name, char *value, size_t capacity,
		unsigned *ret_line);

#endif
