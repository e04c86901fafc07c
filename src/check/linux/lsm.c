/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions of security modules, which permit or refuse what processes do. Sources:
 * include/linux/lsm_hooks.h, security/security.c of Linux 4.6 to 7.2: lists until 6.11, a table of
 * static calls since 6.12.
 */
#include "check/linux/hooks.h"
#include "guest/linux/lookup.h"

#include <inttypes.h>
#include <string.h>

/* Limits: functions of one list; bytes of the table of lists or calls. */
#define MAX_LISTED 256
#define MAX_TABLE  ((uint64_t)1 << 20)

static void look_at_function(struct hooks *hooks, uint64_t hook, uint64_t function)
{
	struct hook_place place = {
	    .name = "security hook", .address = hook, .of_module = CHECK_NOTE};

	hooks_look(hooks, &place, function);
}

/* Follows the list at a struct hlist_head, or struct list_head until 4.16, of security_hook_list.
 */
static enum read_result look_at_list(struct hooks *hooks, uint64_t head)
{
	struct linux_kernel *kernel = hooks->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t node, function;
	enum read_result result = linux_read_word(kernel, head, &node);

	for (unsigned i = 0; result == READ_OK && node && node != head; i++) {
		uint64_t hook = node - layout->security_hook_list.offset;

		if (i == MAX_LISTED)
			return READ_LIMIT;
		result = linux_read_field(kernel, hook, &layout->security_hook_function, &function);
		if (result == READ_OK)
			look_at_function(hooks, hook, function);
		if (result == READ_OK)
			result = linux_read_word(kernel, node, &node);
	}
	return result;
}

static void look_at_lists(struct hooks *hooks, uint64_t heads)
{
	const struct layout *layout = &hooks->kernel->layout;
	uint32_t size = layout->size[LAYOUT_security_heads];
	uint32_t step = layout->security_heads_first.size;

	for (uint32_t at = 0; at + step <= size && size <= MAX_TABLE; at += step)
		check_unread(hooks->report, look_at_list(hooks, heads + at),
			     "the security hooks at 0x%" PRIx64, heads + at);
}

/* Looks at a struct lsm_static_call: what it was set to, and what it calls. */
static enum read_result look_at_call(struct hooks *hooks, const uint8_t *call)
{
	struct linux_kernel *kernel = hooks->kernel;
	const struct layout *layout = &kernel->layout;
	uint64_t hook = 0, key = 0, function = 0;
	enum read_result result = READ_OK;

	memcpy(&hook, call + layout->lsm_call_hook.offset, kernel->word_size);
	memcpy(&key, call + layout->lsm_call_key.offset, kernel->word_size);
	if (!hook)
		return READ_OK;
	result = linux_read_field(kernel, hook, &layout->security_hook_function, &function);
	if (result != READ_OK)
		return result;
	look_at_function(hooks, hook, function);
	result = linux_read_field(kernel, key, &layout->static_call_key_function, &function);
	if (result == READ_OK)
		look_at_function(hooks, key, function);
	return result;
}

static struct nunchi_error *look_at_calls(struct hooks *hooks, uint64_t table)
{
	const struct layout *layout = &hooks->kernel->layout;
	uint32_t size = layout->size[LAYOUT_lsm_calls], step = layout->size[LAYOUT_lsm_call];
	_cleanup_free_ uint8_t *bytes = NULL;
	enum read_result result;

	if (!layout->lsm_call_hook.present || !layout->lsm_call_key.present ||
	    !layout->static_call_key_function.present || !step || size > MAX_TABLE)
		return linux_lacks_fields("security hooks cannot be read",
					  "lsm_static_call and lsm_static_calls_table");
	bytes = malloc(size);
	if (!bytes)
		return &error_nomem;
	result = linux_read(hooks->kernel, table, bytes, size);
	for (uint32_t at = 0; result == READ_OK && at + step <= size; at += step)
		check_unread(hooks->report, look_at_call(hooks, bytes + at),
			     "the security hook at 0x%" PRIx64, table + at);
	check_unread(hooks->report, result, "the table of security hooks");
	return NULL;
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	const struct layout *layout = linux_layout(linux_kernel_of(guest), LAYOUT_GROUP_hooks);
	_cleanup_hooks_ struct hooks hooks = {0};
	struct nunchi_error *err = hooks_init(&hooks, guest, report);
	uint64_t heads, table;

	if (err)
		return err;
	heads = hooks_symbol(&hooks, "security_hook_heads");
	table = hooks_symbol(&hooks, "static_calls_table");
	if (!heads && !table) {
		if (hooks_symbol(&hooks, "security_file_open"))
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "this kernel's symbols lack security_hook_heads");
		check_summary(report, "this kernel has no security modules");
		return NULL;
	}
	if (!layout->security_hook_function.present ||
	    (heads && (!layout->security_hook_list.present ||
		       layout->security_heads_first.size < hooks.kernel->word_size)))
		return linux_lacks_fields("security hooks cannot be read",
					  "security_hook_list and security_hook_heads");
	if (heads)
		look_at_lists(&hooks, heads);
	else
		err = look_at_calls(&hooks, table);
	if (err)
		return err;
	check_summary(report, "%" PRIu64 " functions of security modules", hooks.count);
	return NULL;
}

const struct check check_lsm = {"lsm", "functions of security modules (LSM)", &guest_linux, run};
