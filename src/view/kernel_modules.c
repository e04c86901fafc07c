/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/module.h"
#include "view/linux_cells.h"

#define COLUMNS(X)                                                                                 \
	X(name, TEXT, "the module's name")                                                         \
	X(size, BYTES, "bytes of all its regions")                                                 \
	X(used_by, TEXT, "modules that depend on it, separated by commas")                         \
	X(status, TEXT, "Live, Loading or Unloading")                                              \
	X(address, ADDRESS, "start of its code")                                                   \
	X(address_end, ADDRESS, "end of its code region")                                          \
	X(references, INTEGER, "how often it is in use")                                           \
	X(taint, TEXT, "what it taints the kernel with: P proprietary, O out of tree, E unsigned") \
	X(module, ADDRESS, "address of its struct module")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct kernel_modules {
	struct linux_kernel *kernel;
	struct linux_modules walk;
	struct object module;
	struct hash_map seen;
	struct buffer text;
};

/* Gives the content of state->text to a column and clears it. */
static void put_text(struct kernel_modules *state, struct view_row *row, unsigned column,
		     enum read_result result)
{
	row_read_text(row, column, result, &state->text);
	buffer_clear(&state->text);
}

static bool fill(void *data, struct view_row *row)
{
	static const char *const states[] = {"Live", "Loading", "Unloading"};
	struct kernel_modules *state = data;
	struct linux_kernel *kernel = state->kernel;
	struct object *module = &state->module;
	struct buffer *text = &state->text;
	enum linux_module_state status = LINUX_MODULE_LIVE;
	uint64_t size = 0, start = 0, end = 0;
	enum read_result result;
	int64_t references = 0;

	buffer_clear(text);
	if (linux_read_object(kernel, LAYOUT_module, module->address, module) != READ_OK)
		return false;
	result = linux_module_state(kernel, module, &status);
	/* /proc/modules does not show such a module either. */
	if (result == READ_OK && status == LINUX_MODULE_UNFORMED)
		return false;
	if (result == READ_OK)
		row_string(row, COLUMN_status, states[status]);
	else
		row_unread(row, COLUMN_status, result);
	put_text(state, row, COLUMN_name, linux_module_name(kernel, module, text));
	put_text(state, row, COLUMN_used_by,
		 linux_module_users(kernel, module, &state->seen, text));
	put_text(state, row, COLUMN_taint, linux_module_taints(kernel, module, text));
	result = linux_module_size(kernel, module, &size);
	row_read_integer(row, COLUMN_size, result, (int64_t)size);
	result = linux_module_code(kernel, module, &start, &end);
	row_read_address(row, COLUMN_address, result, start);
	row_read_address(row, COLUMN_address_end, result, end);
	result = linux_module_references(kernel, module, &references);
	row_read_integer(row, COLUMN_references, result, references);
	row_address(row, COLUMN_module, module->address);
	/* If the module is not on the list any more, it was unloaded while it was read. */
	return !kernel->guest.live || linux_module_is_listed(kernel, module);
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
	return NULL;
}

static struct nunchi_error *kernel_modules_next(void *data, struct view_row *row)
{
	struct kernel_modules *state = data;
	const struct linux_modules *walk = &state->walk;

	while (linux_modules_next(&state->walk, &state->module)) {
		if (row_settle(row, &state->kernel->guest, ~(uint64_t)0, fill, state))
			return NULL;
	}
	if (walk->none)
		row_warn(row, LINUX_NO_MODULES);
	if (walk->list.broken)
		row_warn(row, "the list of modules is cut short after %llu: %s",
			 (unsigned long long)walk->list.count,
			 read_result_string(walk->list.broken));
	if (walk->unread)
		row_warn(row, "%llu modules of the list cannot be read: %s",
			 (unsigned long long)walk->unread, read_result_string(walk->why_unread));
	if (walk->list.broken || walk->unread)
		row_torn(row);
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
    .schema = {"kernel_modules", "loaded kernel modules", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_name), .changing = VIEW_COLUMN_BIT(COLUMN_references)},
    .providers = {{&guest_linux, sizeof(struct kernel_modules), kernel_modules_open,
		   kernel_modules_next, kernel_modules_close}},
};
