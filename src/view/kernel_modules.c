/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/module.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(name, TEXT, "the module's name")                                                         \
	X(size, INTEGER, "bytes of all its regions")                                               \
	X(used_by, TEXT, "modules that depend on it, separated by commas")                         \
	X(status, TEXT, "Live, Loading or Unloading")                                              \
	X(address, ADDRESS, "start of its code")                                                   \
	X(address_end, ADDRESS, "end of its code region")                                          \
	X(references, INTEGER, "how often it is in use")                                           \
	X(taint, TEXT, "what it taints the kernel with: P proprietary, O out of tree, E unsigned") \
	X(module, ADDRESS, "address of its struct module")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

#define MODULE_REF_BASE 1 /* kernel/module/main.c */

struct kernel_modules {
	struct linux_kernel *kernel;
	struct linux_modules walk;
	struct object module;
	struct hash_map seen;
	struct buffer text;
};

static bool fill(void *data, struct view_row *row)
{
	static const char *const states[] = {"Live", "Loading", "Unloading"};
	struct kernel_modules *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	const struct object *module = &state->module;
	uint64_t status, base, size;
	const char *name;
	size_t length;

	if (linux_read_object(kernel, LAYOUT_module, module->address, &state->module) != MEMORY_OK)
		return false;
	status = object_u64(module, &layout->module_state);
	if (status >= ARRAY_SIZE(states))
		return false;
	length = object_text(module, &layout->module_name, &name);
	row_text(row, COLUMN_name, length ? name : "", length);
	row_integer(row, COLUMN_size, (int64_t)linux_module_size(kernel, module));
	buffer_clear(&state->text);
	if (!linux_module_users(kernel, module, &state->seen, &state->text))
		row_absent(row, COLUMN_used_by, NUNCHI_ABSENT_BAD_DATA);
	else if (state->text.size)
		row_text(row, COLUMN_used_by, state->text.data, state->text.size);
	else
		row_absent(row, COLUMN_used_by, NUNCHI_ABSENT_NOT_APPLICABLE);
	row_string(row, COLUMN_status, states[status]);
	base = object_u64(module, &layout->module_text_base);
	size = object_u64(module, &layout->module_text_size);
	row_address(row, COLUMN_address, base);
	row_address(row, COLUMN_address_end, base + size);
	row_integer(row, COLUMN_references,
		    object_s64(module, &layout->module_refcnt) - MODULE_REF_BASE);
	buffer_clear(&state->text);
	linux_module_taints(kernel, module, &state->text);
	row_text(row, COLUMN_taint, buffer_string(&state->text), state->text.size);
	row_address(row, COLUMN_module, module->address);
	return true;
}

static struct nunchi_error *kernel_modules_open(void *data, struct linux_kernel *kernel,
						const struct view_request *request)
{
	struct kernel_modules *state = data;
	struct nunchi_error *err = linux_modules_init(&state->walk, kernel);

	(void)request;
	if (err)
		return err;
	state->kernel = kernel;
	hash_map_init(&state->seen);
	buffer_init(&state->text, 0);
	return NULL;
}

static struct nunchi_error *kernel_modules_next(void *data, struct view_row *row)
{
	struct kernel_modules *state = data;

	while (linux_modules_next(&state->walk, &state->module)) {
		if (row_settle(row, state->kernel, ~(uint64_t)0, fill, state))
			return NULL;
	}
	if (state->walk.list.broken)
		row_warn(row, "the list of modules is cut short after %llu: a link is broken",
			 (unsigned long long)state->walk.list.count);
	return &error_stop;
}

static void kernel_modules_close(void *data)
{
	struct kernel_modules *state = data;

	linux_modules_deinit(&state->walk);
	object_deinit(&state->module);
	hash_map_deinit(&state->seen);
	buffer_deinit(&state->text);
}

const struct view view_kernel_modules = {
    .schema = {"kernel_modules", "loaded kernel modules", columns, ARRAY_SIZE(columns)},
    .provider = {sizeof(struct kernel_modules), kernel_modules_open, kernel_modules_next,
		 kernel_modules_close},
};
