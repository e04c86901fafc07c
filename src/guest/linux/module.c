/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/module.h"

/* Limit of the modules; a kernel with all drivers as modules has almost 7,000. */
#define MAX_MODULES 32768
/* Limit of the modules that use one module; a few modules have hundreds of users. */
#define MAX_USERS 4096
/* Limit of the memory regions; enum mod_mem_type of include/linux/module.h has 7. */
#define MAX_REGIONS 16

/* The letter of each taint flag, by bit number (include/linux/panic.h). */
static const char taint_letters[] = "PFSRMBUDAWCIOELKXTNJ";

bool linux_without_modules(const struct linux_kernel *kernel)
{
	return kernel->symbol[LINUX_text] && !kernel->symbol[LINUX_module_put] &&
	       !kernel->symbol[LINUX_modules];
}

struct nunchi_error *linux_modules_init(struct linux_modules *walk, struct linux_kernel *kernel)
{
	*walk = (struct linux_modules){.kernel = kernel};
	walk->none = linux_without_modules(kernel);
	hash_map_init(&walk->seen);
	if (walk->none)
		return NULL;
	if (!kernel->types || !linux_layout(kernel, LAYOUT_GROUP_module)->module_list.present)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "modules cannot be walked: the layout of struct "
					       "module is missing"),
				  "give the kernel's types with --types");
	if (!kernel->symbol[LINUX_modules])
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "modules cannot be walked: the symbol modules is "
					       "missing"),
				  "give the kernel's System.map with --symbols");
	linux_list_init(&walk->list, kernel, kernel->symbol[LINUX_modules], MAX_MODULES,
			&walk->seen);
	return NULL;
}

void linux_modules_deinit(struct linux_modules *walk)
{
	hash_map_deinit(&walk->seen);
}

bool linux_modules_next(struct linux_modules *walk, struct object *module)
{
	uint64_t node;

	while (!walk->none && linux_list_next(&walk->list, &node)) {
		enum read_result result =
		    linux_read_object(walk->kernel, LAYOUT_module,
				      node - walk->kernel->layout.module_list.offset, module);

		if (result == READ_OK)
			return true;
		walk->unread++;
		walk->why_unread = result;
	}
	return false;
}

enum read_result linux_module_size(struct linux_kernel *kernel, const struct object *module,
				   uint64_t *ret)
{
	const struct layout *layout = &kernel->layout;
	uint32_t stride = layout->size[LAYOUT_module_memory];
	uint64_t sum = 0, size;

	if (!layout->module_mem.present) {
		if (!layout->module_text_size.present || !layout->module_init_size.present)
			return READ_NO_LAYOUT;
		*ret = object_u64(module, &layout->module_text_size) +
		       object_u64(module, &layout->module_init_size);
		return READ_OK;
	}
	if (!stride || !layout->module_memory_size.present)
		return READ_NO_LAYOUT;
	for (unsigned i = 0; i < MAX_REGIONS && (i + 1) * stride <= layout->module_mem.size; i++) {
		enum read_result result = linux_read_field(
		    kernel, module->address + layout->module_mem.offset + i * stride,
		    &layout->module_memory_size, &size);

		if (result != READ_OK)
			return result;
		sum += size;
	}
	*ret = sum;
	return READ_OK;
}

enum read_result linux_module_code(struct linux_kernel *kernel, const struct object *module,
				   uint64_t *ret_start, uint64_t *ret_end)
{
	const struct layout *layout = &kernel->layout;

	if (!layout->module_text_base.present || !layout->module_text_size.present)
		return READ_NO_LAYOUT;
	*ret_start = object_u64(module, &layout->module_text_base);
	*ret_end = *ret_start + object_u64(module, &layout->module_text_size);
	return READ_OK;
}

enum read_result linux_module_name(struct linux_kernel *kernel, const struct object *module,
				   struct buffer *ret)
{
	return object_append_text(module, &kernel->layout.module_name, ret);
}

enum read_result linux_module_state(struct linux_kernel *kernel, const struct object *module,
				    enum linux_module_state *ret)
{
	uint64_t state = object_u64(module, &kernel->layout.module_state);

	if (!kernel->layout.module_state.present)
		return READ_NO_LAYOUT;
	if (state > LINUX_MODULE_UNFORMED)
		return READ_BAD_DATA;
	*ret = (enum linux_module_state)state;
	return READ_OK;
}

enum read_result linux_module_references(struct linux_kernel *kernel, const struct object *module,
					 int64_t *ret)
{
	enum { MODULE_REF_BASE = 1 }; /* kernel/module/main.c */
	int64_t count;
	enum read_result result = object_number(module, &kernel->layout.module_refcnt, &count);

	if (result == READ_OK)
		*ret = (int64_t)((uint64_t)count - MODULE_REF_BASE);
	return result;
}

static enum read_result append_user(struct linux_kernel *kernel, uint64_t use, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result;
	uint64_t source;
	char name[64];
	size_t length;

	result = linux_read_field(kernel, use, &layout->module_use_source, &source);
	if (result == READ_OK)
		result = linux_read_string(kernel, source + layout->module_name.offset, name,
					   sizeof(name), &length);
	if (result != READ_OK)
		return result;
	return (!ret->size || buffer_append_char(ret, ',')) && buffer_append(ret, name, length)
		   ? READ_OK
		   : READ_NO_MEMORY;
}

enum read_result linux_module_users(struct linux_kernel *kernel, const struct object *module,
				    struct hash_map *seen, struct buffer *ret)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result = READ_OK;
	struct linux_list list;
	uint64_t node;

	if (!layout->module_source_list.present || !layout->module_use_source_list.present ||
	    !layout->module_use_source.present || !layout->module_name.present ||
	    !layout->module_init.present || !layout->module_exit.present)
		return READ_NO_LAYOUT;
	linux_list_init(&list, kernel, module->address + layout->module_source_list.offset,
			MAX_USERS, seen);
	while (result == READ_OK && linux_list_next(&list, &node))
		result = append_user(kernel, node - layout->module_use_source_list.offset, ret);
	if (result != READ_OK || list.broken)
		return result != READ_OK ? result : list.broken;
	/* A module with an init function but no exit function cannot be unloaded. */
	if (object_u64(module, &layout->module_init) && !object_u64(module, &layout->module_exit) &&
	    !buffer_printf(ret, "%s[permanent]", ret->size ? "," : ""))
		return READ_NO_MEMORY;
	return ret->size ? READ_OK : READ_NONE;
}

enum read_result linux_module_taints(struct linux_kernel *kernel, const struct object *module,
				     struct buffer *ret)
{
	const struct field *field = &kernel->layout.module_taints;
	uint64_t taints = object_u64(module, field);

	if (!field->present)
		return READ_NO_LAYOUT;
	for (size_t i = 0; taint_letters[i]; i++) {
		if (taints >> i & 1 && !buffer_append_char(ret, taint_letters[i]))
			return READ_NO_MEMORY;
	}
	return READ_OK;
}

bool linux_module_is_listed(struct linux_kernel *kernel, const struct object *module)
{
	return linux_list_holds(kernel, module->address + kernel->layout.module_list.offset);
}
