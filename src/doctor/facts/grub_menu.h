/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The menu of a generated grub.cfg, in GRUB's script language (manual of GRUB 2.06, "Shell-like
 * scripting"): entries and submenus, what each of them boots, and what the default may be. Nothing
 * is executed: of a condition, all branches are seen.
 */
#ifndef NUNCHI_DOCTOR_FACTS_GRUB_MENU_H
#define NUNCHI_DOCTOR_FACTS_GRUB_MENU_H

#include "core/error.h"

#include <stddef.h>

#define GRUB_MENU_NONE ((size_t)-1)

struct grub_entry {
	char *title;
	char *id; /* "" if it has none */
	bool submenu;
	size_t parent;      /* the submenu it is in, or GRUB_MENU_NONE */
	size_t start, size; /* its text within the file */
	/* What it boots; NULL where it does not. Arguments are as written, words joined by blanks.
	 */
	char *xen; /* the hypervisor's path */
	char *xen_arguments;
	char *kernel;
	char *kernel_arguments;
	char *initrd;
};

struct grub_menu {
	struct grub_entry *entries; /* in the order of the file */
	size_t count;
	/* Every value that the file may give `default`, but that of a one-shot boot. */
	char **defaults;
	size_t default_count;
	bool one_shot; /* it takes next_entry once, and clears it */
};

struct nunchi_error *grub_menu_parse(const char *text, size_t size, struct grub_menu *ret);
void grub_menu_deinit(struct grub_menu *menu);
#define _cleanup_grub_menu_ _cleanup_(grub_menu_deinit)

/*
 * The entry that GRUB boots for a value of `default`: a number, title or id, or several joined by
 * ">" through submenus. As GRUB does, takes the first where there is no such entry; GRUB_MENU_NONE
 * if there are no entries.
 */
size_t grub_menu_find(const struct grub_menu *menu, const char *value);
/*
 * How to name an entry for grub-reboot: ids (titles where there are none) joined by ">". To be
 * freed; NULL without memory.
 */
char *grub_menu_name(const struct grub_menu *menu, size_t entry);
/* The first entry that boots Xen, or GRUB_MENU_NONE. */
size_t grub_menu_first_xen(const struct grub_menu *menu);
/* Whether arguments, as in struct grub_entry, hold the word. */
bool grub_arguments_have(const char *arguments, const char *word);

#endif
