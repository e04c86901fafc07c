/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/module.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(name, TEXT, "the module's name")                                                         \
	X(size, BYTES, "bytes of all its regions")                                               \
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

static void put_users(struct kernel_modules *state, struct view_row *row)
{
	enum memory_fault fault;

	buffer_clear(&state->text);
	fault = linux_module_users(state->kernel, &state->module, &state->seen, &state->text);
	if (fault != MEMORY_OK)
		row_absent(row, COLUMN_used_by, row_absence_of(fault));
	else if (state->text.size)
		row_text(row, COLUMN_used_by, state->text.data, state->text.size);
	else
		row_absent(row, COLUMN_used_by, NUNCHI_ABSENT_NOT_APPLICABLE);
}

static void put_code(struct kernel_modules *state, struct view_row *row)
{
	const struct layout *layout = &state->kernel->layout;
	uint64_t size;

	row_field_address(row, COLUMN_address, &state->module, &layout->module_text_base);
	if (layout->module_text_base.present && layout->module_text_size.present)
		row_address(row, COLUMN_address_end,
			    object_u64(&state->module, &layout->module_text_base) +
				object_u64(&state->module, &layout->module_text_size));
	else
		row_absent(row, COLUMN_address_end, NUNCHI_ABSENT_NO_LAYOUT);
	if (linux_module_size(state->kernel, &state->module, &size))
		row_integer(row, COLUMN_size, (int64_t)size);
	else
		row_absent(row, COLUMN_size, NUNCHI_ABSENT_NO_LAYOUT);
}

static void put_counts(struct kernel_modules *state, struct view_row *row)
{
	const struct layout *layout = &state->kernel->layout;

	if (layout->module_refcnt.present)
		row_integer(row, COLUMN_references,
			    (int64_t)((uint64_t)object_s64(&state->module, &layout->module_refcnt) -
				      MODULE_REF_BASE));
	else
		row_absent(row, COLUMN_references, NUNCHI_ABSENT_NO_LAYOUT);
	if (!layout->module_taints.present) {
		row_absent(row, COLUMN_taint, NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
	buffer_clear(&state->text);
	linux_module_taints(state->kernel, &state->module, &state->text);
	row_text(row, COLUMN_taint, buffer_string(&state->text), state->text.size);
}

static bool fill(void *data, struct view_row *row)
{
	static const char *const states[] = {"Live", "Loading", "Unloading"};
	struct kernel_modules *state = data;
	struct linux_kernel *kernel = state->kernel;
	const struct layout *layout = &kernel->layout;
	struct object *module = &state->module;
	uint64_t status;

	if (linux_read_object(kernel, LAYOUT_module, module->address, module) != MEMORY_OK)
		return false;
	status = object_u64(module, &layout->module_state);
	if (status >= ARRAY_SIZE(states))
		return false;
	row_field_text(row, COLUMN_name, module, &layout->module_name);
	put_code(state, row);
	put_users(state, row);
	if (layout->module_state.present)
		row_string(row, COLUMN_status, states[status]);
	else
		row_absent(row, COLUMN_status, NUNCHI_ABSENT_NO_LAYOUT);
	put_counts(state, row);
	row_address(row, COLUMN_module, module->address);
	/* Taken off the list: it was unloaded while it was looked at. */
	return !kernel->guest.live ||
	       linux_list_holds(kernel, module->address + layout->module_list.offset);
}

static struct nunchi_error *kernel_modules_open(void *data, struct guest_kernel *guest,
						const struct view_request *request)
{
	struct kernel_modules *state = data;
	struct linux_kernel *kernel = linux_kernel_of(guest);
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
		if (row_settle(row, &state->kernel->guest, ~(uint64_t)0, fill, state))
			return NULL;
	}
	if (state->walk.list.broken) {
		row_warn(row, "the list of modules is cut short after %llu: a link is broken",
			 (unsigned long long)state->walk.list.count);
		row_torn(row);
	}
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
    .providers = {{&guest_linux, sizeof(struct kernel_modules), kernel_modules_open,
		   kernel_modules_next, kernel_modules_close}},
};
