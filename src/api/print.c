/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "expression/expression.h"

#include <inttypes.h>

#define DEPTH_LIMIT 16

static struct nunchi_error *read_memory(void *data, uint64_t address, size_t size, void *buffer)
{
	const struct nunchi_place place = {.space = NUNCHI_SPACE_KERNEL, .address = address};

	return nunchi_read(data, &place, size, buffer);
}

static struct nunchi_error *find_symbol(void *data, const char *name, uint64_t *ret)
{
	const struct nunchi_guest *guest = data;
	struct guest_symbol found;
	struct nunchi_error *err = guest->kernel->system->symbol_find(guest->kernel, name, &found);

	if (!err)
		*ret = found.symbol.address;
	return err;
}

static void name_address(void *data, uint64_t address, struct buffer *text)
{
	const struct nunchi_guest *guest = data;
	struct guest_symbol found;
	_cleanup_error_ struct nunchi_error *err =
	    guest->kernel->system->symbol_at(guest->kernel, address, &found);

	if (err)
		return;
	buffer_printf(text, " <%s", found.symbol.name);
	if (address != found.symbol.address)
		buffer_printf(text, "+0x%" PRIx64, address - found.symbol.address);
	buffer_append_char(text, '>');
}

/* The kernel's own types; those of modules are not used. */
static struct nunchi_error *kernel_types(struct guest_kernel *kernel, const struct type_index **ret)
{
	struct guest_type found;
	struct nunchi_error *err = kernel->system->type_find(kernel, "struct list_head", &found);

	if (!err)
		*ret = found.types;
	return err;
}

static struct nunchi_error *print(struct nunchi_guest *guest, const char *expression,
				  unsigned depth,
				  void (*give)(const struct nunchi_printed *printed, void *data),
				  void *data)
{
	struct expression_guest on = {
	    .read = read_memory, .symbol = find_symbol, .name = name_address, .data = guest};
	struct nunchi_error *err = kernel_types(guest->kernel, &on.types);
	_cleanup_buffer_ struct buffer text;
	struct nunchi_printed printed = {0};
	struct expression_value value;
	char type[256];

	buffer_init(&text, EXPRESSION_TEXT_LIMIT);
	if (!err)
		err = expression_evaluate(&on, expression, &value);
	if (err)
		return err;
	err = expression_print(&on, &value, depth, &text);
	if (err)
		return error_context(err, "\"%s\"", expression);
	expression_spell(&on, &value, type, sizeof(type));
	printed.type = type;
	printed.value = buffer_string(&text);
	printed.has_address = value.in_memory && !value.bit_size;
	printed.address = printed.has_address ? value.address : 0;
	give(&printed, data);
	return NULL;
}

struct nunchi_error *nunchi_print(struct nunchi_guest *guest, const char *expression,
				  unsigned depth,
				  void (*give)(const struct nunchi_printed *printed, void *data),
				  void *data)
{
	API_REQUIRE(guest && expression && give);

	struct nunchi_session *session = NULL;
	struct nunchi_error *err, *closed;

	if (depth > DEPTH_LIMIT)
		return error_create(NUNCHI_ERROR_ARGUMENT, "depth %u is above the limit, %d", depth,
				    DEPTH_LIMIT);
	err =
	    guest->session.open ? session_begin(guest) : nunchi_session_open(guest, NULL, &session);
	if (err)
		return err;
	err = print(guest, expression, depth, give, data);
	closed = nunchi_session_close(session);
	if (!err)
		return closed;
	nunchi_error_destroy(closed);
	return err;
}
