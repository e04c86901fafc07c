/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Modules in the places where the kernel keeps them: the list of modules, the directory
 * /sys/module, and the tree by which the kernel finds the module of an address. A module that hides
 * itself leaves the list, and often /sys/module too; it cannot leave the tree without losing its
 * exception table. Sources: kernel/module/{main,tree_lookup,sysfs}.c of Linux 5.10 to 7.2.
 */
#include "check/linux/compared.h"
#include "guest/linux/code.h"
#include "guest/linux/module.h"
#include "guest/linux/rbtree.h"

#define MAX_ENTRIES ((uint64_t)1 << 16)

struct places {
	struct linux_kernel *kernel;
	struct check_report *report;
	struct hash_map listed; /* addresses of struct module, with the state of each */
	struct hash_map shown;  /* in /sys/module */
	struct hash_map found;  /* in the tree */
	bool has_sysfs, has_tree;
};

static void differs(struct places *places, uint64_t module, const char *expected, const char *found,
		    const char *meaning)
{
	struct linux_kernel *kernel = places->kernel;
	char name[64] = "";
	size_t length = 0;

	if (linux_read_string(kernel, module + kernel->layout.module_name.offset, name,
			      sizeof(name) - 1, &length) != READ_OK)
		length = 0;
	name[length] = '\0';
	check_add_compared(places->report, &kernel->guest,
			   &(struct check_finding){
			       .severity = CHECK_ALARM,
			       .pid = -1,
			       .address = module,
			       .subject = name,
			       .expected = expected,
			       .found = found,
			       .meaning = meaning,
			   },
			   "it was loaded or unloaded");
}

static bool note(struct places *places, struct hash_map *map, uint64_t module, uint64_t state)
{
	enum hash_result result = hash_map_insert(map, module, state);

	places->report->no_memory |= result == HASH_NOMEM;
	return result == HASH_INSERTED;
}

static struct nunchi_error *read_list(struct places *places)
{
	struct linux_kernel *kernel = places->kernel;
	_cleanup_object_ struct object module = {0};
	struct linux_modules walk;
	struct nunchi_error *err = linux_modules_init(&walk, kernel);

	if (err)
		return err;
	while (linux_modules_next(&walk, &module)) {
		enum linux_module_state state = LINUX_MODULE_UNFORMED;

		check_unread(places->report, linux_module_state(kernel, &module, &state),
			     "the state of a module");
		/* A module without code of its own is not in the tree. */
		if (!object_u64(&module, &kernel->layout.module_text_size))
			state = LINUX_MODULE_UNFORMED;
		note(places, &places->listed, module.address, state);
	}
	check_unread(places->report, walk.list.broken ? walk.list.broken : walk.why_unread,
		     "the list of modules");
	linux_modules_deinit(&walk);
	return NULL;
}

/* The modules in /sys/module; what is built into the kernel stands there too, without a module. */
static void read_sysfs(struct places *places)
{
	struct linux_kernel *kernel = places->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_module_place);
	uint64_t variable = kernel->symbol[LINUX_module_kset], kset, node, module;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	enum read_result result;

	if (!variable || !layout->kset_list.present || !layout->module_kobject_entry.present ||
	    !layout->module_kobject_mod.present)
		return;
	result = linux_read_word(kernel, variable, &kset);
	check_unread(places->report, result, "the directory /sys/module");
	if (result != READ_OK || !kset)
		return;
	places->has_sysfs = true;
	linux_list_init(&list, kernel, kset + layout->kset_list.offset, MAX_ENTRIES, &seen);
	while (linux_list_next(&list, &node)) {
		result = linux_read_field(kernel, node - layout->module_kobject_entry.offset,
					  &layout->module_kobject_mod, &module);
		check_unread(places->report, result, "an entry of /sys/module");
		if (result == READ_OK && module)
			note(places, &places->shown, module, 0);
	}
	check_unread(places->report, list.broken, "the directory /sys/module");
}

static void read_tree(struct places *places)
{
	struct linux_kernel *kernel = places->kernel;
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_module_place);
	uint64_t variable = kernel->symbol[LINUX_mod_tree], root, node, module;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_rbtree walk;
	enum read_result result;

	if (!variable || !layout->mod_tree_root_tree.present ||
	    !layout->mod_tree_node_mod.present || !layout->mod_tree_node_node.present ||
	    !linux_has_field(kernel, &layout->rb_node_left))
		return;
	/* There are two copies of the tree, of which one is changed at a time. */
	result = linux_read_word(kernel, variable + layout->mod_tree_root_tree.offset, &root);
	check_unread(places->report, result, "the tree of modules");
	if (result != READ_OK)
		return;
	places->has_tree = true;
	linux_rbtree_init(&walk, kernel, root, MAX_ENTRIES, &seen);
	while (linux_rbtree_next(&walk, &node)) {
		result = linux_read_field(kernel, node - layout->mod_tree_node_node.offset,
					  &layout->mod_tree_node_mod, &module);
		check_unread(places->report, result, "an entry of the tree of modules");
		if (result == READ_OK && module)
			note(places, &places->found, module, 0);
	}
	check_unread(places->report, walk.broken, "the tree of modules");
}

static void compare(struct places *places)
{
	for (size_t i = 0; i < places->shown.capacity; i++) {
		const struct hash_entry *entry = &places->shown.entries[i];

		if (entry->used && !hash_map_find(&places->listed, entry->key))
			differs(places, entry->key, "in the list of modules", "in /sys/module only",
				"The module is loaded, but the guest's lsmod does not show it: it "
				"was hidden");
	}
	for (size_t i = 0; i < places->found.capacity; i++) {
		const struct hash_entry *entry = &places->found.entries[i];

		if (entry->used && !hash_map_find(&places->listed, entry->key) &&
		    !hash_map_find(&places->shown, entry->key))
			differs(places, entry->key, "in the list of modules",
				"in the tree of modules only",
				"The module's code is in use, but neither lsmod nor /sys/module "
				"of the guest shows it: it was hidden");
	}
	for (size_t i = 0; i < places->listed.capacity; i++) {
		const struct hash_entry *entry = &places->listed.entries[i];

		/* While it is loaded or unloaded it is in some places only. */
		if (!entry->used || entry->value != LINUX_MODULE_LIVE)
			continue;
		if (places->has_sysfs && !hash_map_find(&places->shown, entry->key))
			differs(places, entry->key, "in /sys/module", "in the list of modules only",
				"The module is in use and was taken out of /sys/module");
		if (places->has_tree && !hash_map_find(&places->found, entry->key))
			differs(places, entry->key, "in the tree of modules",
				"in the list of modules only",
				"The module is in use and was taken out of the tree by which the "
				"kernel finds code");
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	struct places places = {.kernel = linux_kernel_of(guest), .report = report};
	struct nunchi_error *err = NULL;

	if (linux_without_modules(places.kernel)) {
		check_summary(report, LINUX_NO_MODULES);
		return NULL;
	}
	err = read_list(&places);
	if (!err) {
		read_sysfs(&places);
		read_tree(&places);
		if (!places.has_sysfs && !places.has_tree)
			err = linux_lacks_fields("only the list of modules can be read",
						 "module_kset and mod_tree");
	}
	if (!err) {
		/* From a place that could be read only in part nothing is known to be missing. */
		if (!report->unread)
			compare(&places);
		check_summary(report,
			      "%zu modules in the list, %zu in /sys/module, %zu in the tree",
			      places.listed.count, places.shown.count, places.found.count);
	}
	hash_map_deinit(&places.listed);
	hash_map_deinit(&places.shown);
	hash_map_deinit(&places.found);
	return err;
}

const struct check check_modules = {
    "modules", "modules that are missing from one of the places where the kernel keeps them",
    &guest_linux, run};
