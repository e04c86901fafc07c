/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/linux/hooks.h"
#include "check/linux/compared.h"

#include <inttypes.h>
#include <string.h>

struct nunchi_error *hooks_init(struct hooks *hooks, struct guest_kernel *guest,
				struct check_report *report)
{
	struct nunchi_error *err;

	*hooks = (struct hooks){.kernel = linux_kernel_of(guest), .report = report};
	err = linux_symbols(hooks->kernel, &hooks->symbols);
	if (!err)
		err = linux_code_collect(hooks->kernel, &hooks->code);
	if (err)
		return err;
	check_unread(report, hooks->code.broken, "%s", hooks->code.incomplete);
	return NULL;
}

void hooks_deinit(struct hooks *hooks)
{
	linux_code_deinit(&hooks->code);
}

uint64_t hooks_symbol(const struct hooks *hooks, const char *name)
{
	size_t at;

	return symbol_index_find(hooks->symbols, name, &at)
		   ? symbol_index_get(hooks->symbols, at).address
		   : 0;
}

/* READ_OK if the first element of a list leads back to its head. */
static enum read_result is_head(struct linux_kernel *kernel, uint64_t head)
{
	uint64_t first, back;
	enum read_result result = linux_read_word(kernel, head, &first);

	if (result == READ_OK)
		result = linux_read_word(kernel, first + kernel->word_size, &back);
	return result == READ_OK && back != head ? READ_BAD_DATA : result;
}

uint64_t hooks_list(const struct hooks *hooks, const char *name)
{
	uint64_t first = hooks_symbol(hooks, name);
	enum read_result result = first ? is_head(hooks->kernel, first) : READ_OK;

	if (result == READ_OK)
		return first;
	for (size_t i = 0; i < symbol_index_count(hooks->symbols); i++) {
		struct symbol symbol = symbol_index_get(hooks->symbols, i);

		if (!strcmp(symbol.name, name) && is_head(hooks->kernel, symbol.address) == READ_OK)
			return symbol.address;
	}
	check_unread(hooks->report, result, "%s", name);
	return 0;
}

bool hooks_in_image(const struct hooks *hooks, uint64_t address)
{
	return address >= hooks->kernel->text_virtual && address < hooks->kernel->image_end;
}

static void report_hook(struct hooks *hooks, const struct hook_place *place, uint64_t function,
			bool of_module)
{
	_cleanup_buffer_ struct buffer subject = {0}, found = {0};

	buffer_printf(&subject, "%s%s%s", place->name, place->member ? "." : "",
		      place->member ? place->member : "");
	linux_code_describe(hooks->kernel, &hooks->code, function, &found);
	check_add_compared(
	    hooks->report, &hooks->kernel->guest,
	    &(struct check_finding){
		.severity = of_module ? place->of_module : CHECK_ALARM,
		.pid = -1,
		.address = place->address,
		.subject = check_text(hooks->report, &subject),
		.expected = of_module && place->of_module > CHECK_NOTE
				? "code of the kernel's image"
				: "code of the kernel or of a module",
		.found = check_text(hooks->report, &found),
		.meaning = !of_module ? "The kernel calls code here that belongs to no "
					"module: a hidden module hooks it"
			   : place->of_module > CHECK_NOTE
			       ? "The kernel's own function was replaced by one of a module"
			       : "A module has the kernel call it here, which few modules "
				 "do",
	    },
	    "a module was loaded or unloaded");
}

void hooks_look(struct hooks *hooks, const struct hook_place *place, uint64_t function)
{
	const struct linux_code_area *area = linux_code_at(&hooks->code, function);
	bool of_module = area && area->owner == LINUX_CODE_MODULE;

	if (!function)
		return;
	hooks->count++;
	if (area ? of_module && place->of_module > CHECK_OK : !hooks->code.broken)
		report_hook(hooks, place, function, of_module);
}

/* Whether a member is a pointer to a function. */
static bool is_function(const struct type_index *types, const struct type_member *member)
{
	struct type type;

	if (!type_index_get(types, type_index_strip(types, member->type), &type) ||
	    type.kind != TYPE_POINTER || member->bit_size || member->bit_offset % 8)
		return false;
	return type_index_get(types, type_index_strip(types, type.target), &type) &&
	       type.kind == TYPE_FUNCTION;
}

bool hooks_members(const struct hooks *hooks, const char *type, struct hook_members *ret)
{
	const struct type_index *types = hooks->kernel->types;
	struct type_member member;
	type_id id;

	ret->count = ret->size = 0;
	if (!types || !type_index_find(types, type, &id))
		return false;
	for (uint32_t i = 0; type_index_member(types, id, i, &member); i++) {
		uint64_t end = member.bit_offset / 8 + hooks->kernel->word_size;

		if (!is_function(types, &member) || end > HOOK_TABLE || ret->count == HOOK_MEMBERS)
			continue;
		ret->items[ret->count].name = member.name;
		ret->items[ret->count++].offset = (uint32_t)(member.bit_offset / 8);
		if (end > ret->size)
			ret->size = (uint32_t)end;
	}
	return ret->count > 0;
}

void hooks_table(struct hooks *hooks, const struct hook_place *place,
		 const struct hook_members *members)
{
	struct hook_place at = *place;
	uint8_t bytes[HOOK_TABLE];
	enum read_result result = linux_read(hooks->kernel, place->address, bytes, members->size);

	check_unread(hooks->report, result, "%s at 0x%" PRIx64, place->name, place->address);
	if (hooks_in_image(hooks, place->address) && at.of_module < CHECK_WARNING)
		at.of_module = CHECK_WARNING;
	for (size_t i = 0; result == READ_OK && i < members->count; i++) {
		uint64_t function = 0;

		memcpy(&function, bytes + members->items[i].offset, hooks->kernel->word_size);
		at.member = members->items[i].name;
		hooks_look(hooks, &at, function);
	}
}
