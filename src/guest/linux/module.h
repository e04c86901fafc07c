/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel modules. Source: kernel/module/{main,procfs}.c (kernel/module.c before 5.19),
 * include/linux/module.h.
 */
#ifndef NUNCHI_GUEST_LINUX_MODULE_H
#define NUNCHI_GUEST_LINUX_MODULE_H

#include "core/buffer.h"
#include "core/hash.h"
#include "guest/linux/linux.h"

enum linux_module_state {
	LINUX_MODULE_LIVE,
	LINUX_MODULE_COMING,
	LINUX_MODULE_GOING,
	LINUX_MODULE_UNFORMED, /* being loaded; /proc/modules does not show it */
};

struct linux_modules {
	struct linux_kernel *kernel;
	struct linux_list list;
	struct hash_map seen;
	bool none;       /* the kernel was built without loadable modules */
	uint64_t unread; /* modules on the list whose struct module cannot be read … */
	enum read_result why_unread;
};

#define LINUX_NO_MODULES "this kernel has no loadable modules"

/* Whether the kernel's symbols tell that it was built without loadable modules. */
bool linux_without_modules(const struct linux_kernel *kernel);

/*
 * Begins a walk over the list of modules. NUNCHI_ERROR_UNSUPPORTED names the symbol or type that is
 * missing.
 */
struct nunchi_error *linux_modules_init(struct linux_modules *walk, struct linux_kernel *kernel);
void linux_modules_deinit(struct linux_modules *walk);
/* Copies the next struct module; false at the end, then see walk->list.broken and walk->unread. */
bool linux_modules_next(struct linux_modules *walk, struct object *module);

/*
 * Functions on a copied struct module. The total size of its regions in bytes, and the start and
 * end of its code.
 */
enum read_result linux_module_size(struct linux_kernel *kernel, const struct object *module,
				   uint64_t *ret);
enum read_result linux_module_code(struct linux_kernel *kernel, const struct object *module,
				   uint64_t *ret_start, uint64_t *ret_end);
/* Appends the module's name. */
enum read_result linux_module_name(struct linux_kernel *kernel, const struct object *module,
				   struct buffer *ret);
/* Gets the module's state. */
enum read_result linux_module_state(struct linux_kernel *kernel, const struct object *module,
				    enum linux_module_state *ret);
/* The number of references to the module. */
enum read_result linux_module_references(struct linux_kernel *kernel, const struct object *module,
					 int64_t *ret);
/*
 * Appends the names of the modules that use this one, separated by commas; READ_NONE if there are
 * none.
 */
enum read_result linux_module_users(struct linux_kernel *kernel, const struct object *module,
				    struct hash_map *seen, struct buffer *ret);
/* Appends the letters of the module's taint flags, as in /proc/modules. */
enum read_result linux_module_taints(struct linux_kernel *kernel, const struct object *module,
				     struct buffer *ret);
/* Whether a module that was on the list is still on it. */
bool linux_module_is_listed(struct linux_kernel *kernel, const struct object *module);

#endif
