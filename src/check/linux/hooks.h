/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pointers to functions in data that the kernel may write: what the checks of them have in common.
 * Such a pointer must lead to code that has an owner. Code of a module is normal at many of these
 * places, unusual at others.
 */
#ifndef NUNCHI_CHECK_LINUX_HOOKS_H
#define NUNCHI_CHECK_LINUX_HOOKS_H

#include "check/check.h"
#include "guest/linux/code.h"

struct hooks {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct symbol_index *symbols; /* borrowed */
	struct linux_code code;
	uint64_t count; /* pointers that were looked at */
};

/* Where a pointer is. */
struct hook_place {
	const char *name;   /* of the variable, list or table: "keyboard_notifier_list" */
	const char *member; /* NULL: none */
	uint64_t address;   /* of the structure that has the pointer */
	/* What code of a module is here; CHECK_OK: it is normal. */
	enum check_severity of_module;
};

/* Fails if symbols or modules cannot be read at all. */
struct nunchi_error *hooks_init(struct hooks *hooks, struct guest_kernel *guest,
				struct check_report *report);
void hooks_deinit(struct hooks *hooks);
#define _cleanup_hooks_ _cleanup_(hooks_deinit)

/* The address of a variable of the kernel; 0: it has none of this name. */
uint64_t hooks_symbol(const struct hooks *hooks, const char *name);
/*
 * The same for a struct list_head, of a name that several variables may have: the one that is the
 * head of a list. If none of them is, that is remembered as unread, and 0 is returned.
 */
uint64_t hooks_list(const struct hooks *hooks, const char *name);
/* Whether an address lies in the kernel's image. */
bool hooks_in_image(const struct hooks *hooks, uint64_t address);
/* Looks where a pointer leads; 0 leads nowhere. */
void hooks_look(struct hooks *hooks, const struct hook_place *place, uint64_t function);

/* Limit of the pointers to functions in one structure; struct proto has about 50. */
#define HOOK_MEMBERS 128
/* Limit of the size of such a structure, in bytes. */
#define HOOK_TABLE 4096

/* The members of a structure that are pointers to functions. */
struct hook_members {
	struct {
		const char *name; /* owned by the kernel's types */
		uint32_t offset;
	} items[HOOK_MEMBERS];
	size_t count;
	uint32_t size; /* bytes to read of the structure */
};

/* Finds them for "struct NAME". False if the kernel's types lack the structure or its members. */
bool hooks_members(const struct hooks *hooks, const char *type, struct hook_members *ret);
/*
 * Looks at all of them in a structure; place->member is not used. In a table of the kernel's image,
 * code of a module is a warning at least.
 */
void hooks_table(struct hooks *hooks, const struct hook_place *place,
		 const struct hook_members *members);

#endif
