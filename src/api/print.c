/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"
#include "expression/expression.h"

#include <inttypes.h>
#include <string.h>

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

static struct nunchi_error *find_task(void *data, uint64_t pid, uint64_t *ret)
{
	const struct nunchi_guest *guest = data;

	return guest->kernel->system->process_find(guest->kernel, pid, ret);
}

static struct nunchi_error *find_per_cpu(void *data, uint64_t variable, uint64_t cpu, uint64_t *ret)
{
	const struct nunchi_guest *guest = data;

	return guest->kernel->system->per_cpu(guest->kernel, variable, cpu, ret);
}

static struct nunchi_error *find_elements(void *data, enum expression_container kind, uint64_t head,
					  bool (*give)(uint64_t element, void *give_data),
					  void *give_data)
{
	static const enum guest_container kinds[] = {
	    [EXPRESSION_LIST] = GUEST_LIST,     [EXPRESSION_HLIST] = GUEST_HLIST,
	    [EXPRESSION_RBTREE] = GUEST_RBTREE, [EXPRESSION_XARRAY] = GUEST_XARRAY,
	    [EXPRESSION_MAPLE] = GUEST_MAPLE,
	};
	const struct nunchi_guest *guest = data;

	return guest->kernel->system->container(guest->kernel, kinds[kind], head, give, give_data);
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

/* The row of the current element, or of the only value. */
struct printing {
	const struct expression_guest *on;
	struct nunchi_guest *guest;
	const char *expression;
	unsigned depth;
	bool (*give)(const struct nunchi_printed *printed, void *data);
	void *data;
};

/* The message of an error without the expression in front of it. */
static const char *message_alone(const struct nunchi_error *err, const char *expression)
{
	const char *message = nunchi_error_message(err);
	size_t size = strlen(expression);

	if (*message == '"' && !strncmp(message + 1, expression, size) &&
	    !strncmp(message + 1 + size, "\": ", 3))
		return message + size + 4;
	return message;
}

/* Fills what a program needs of the value. `plain` gets the bytes of a text. */
static struct nunchi_error *take_plain(const struct printing *printing,
				       const struct expression_value *value, struct buffer *plain,
				       struct nunchi_printed *printed)
{
	static const enum nunchi_printed_kind kinds[] = {
	    [EXPRESSION_COMPOSITE] = NUNCHI_PRINTED_COMPOSITE,
	    [EXPRESSION_SIGNED] = NUNCHI_PRINTED_SIGNED,
	    [EXPRESSION_UNSIGNED] = NUNCHI_PRINTED_UNSIGNED,
	    [EXPRESSION_TEXT] = NUNCHI_PRINTED_TEXT,
	    [EXPRESSION_NO_TEXT] = NUNCHI_PRINTED_TEXT,
	};
	enum expression_kind kind;
	struct nunchi_error *err =
	    expression_plain(printing->on, value, &kind, &printed->number, plain);

	if (err)
		return err;
	printed->kind = kinds[kind];
	if (kind == EXPRESSION_TEXT) {
		printed->text = buffer_string(plain);
		printed->text_size = plain->size;
	}
	return NULL;
}

static struct nunchi_error *print_row(const struct expression_value *value,
				      const struct nunchi_error *why, void *data)
{
	struct printing *printing = data;
	struct nunchi_printed printed = {.size = sizeof(printed)};
	_cleanup_buffer_ struct buffer text = {0}, plain = {0};
	struct nunchi_error *err;
	char type[256] = "";

	buffer_init(&text, EXPRESSION_TEXT_LIMIT);
	buffer_init(&plain, 0);
	if (cancel_requested(printing->guest->kernel->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	printed.type = type;
	printed.is_element = !value || value->is_element;
	if (value) {
		err = expression_print(printing->on, value, printing->depth, &text);
		if (!err)
			err = take_plain(printing, value, &plain, &printed);
		if (err)
			return error_context(err, "\"%s\"", printing->expression);
		expression_spell(printing->on, value, type, sizeof(type));
		printed.value = buffer_string(&text);
		printed.has_address = value->in_memory && !value->bit_size;
		printed.address = printed.has_address ? value->address : 0;
	} else {
		printed.error = message_alone(why, printing->expression);
	}
	return printing->give(&printed, printing->data) ? NULL : &error_stop;
}

static struct nunchi_error *print(struct printing *printing)
{
	struct expression_guest on = {.read = read_memory,
				      .symbol = find_symbol,
				      .name = name_address,
				      .task = find_task,
				      .per_cpu = find_per_cpu,
				      .container = find_elements,
				      .data = printing->guest};
	struct nunchi_error *err = kernel_types(printing->guest->kernel, &on.types);

	printing->on = &on;
	return err ? err : expression_evaluate(&on, printing->expression, print_row, printing);
}

struct nunchi_error *nunchi_print(struct nunchi_guest *guest, const char *expression,
				  unsigned depth,
				  bool (*give)(const struct nunchi_printed *printed, void *data),
				  void *data)
{
	API_REQUIRE(guest && expression && give);

	struct printing printing = {NULL, guest, expression, depth, give, data};
	struct nunchi_session *session = NULL;
	struct nunchi_error *err, *closed;

	if (depth > DEPTH_LIMIT)
		return error_create(NUNCHI_ERROR_ARGUMENT, "depth %u is above the limit, %d", depth,
				    DEPTH_LIMIT);
	err =
	    guest->session.open ? session_begin(guest) : nunchi_session_open(guest, NULL, &session);
	if (err)
		return err;
	err = print(&printing);
	closed = nunchi_session_close(session);
	if (!err)
		return closed;
	nunchi_error_destroy(closed);
	return err;
}
