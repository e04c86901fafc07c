/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(name, TEXT, "the symbol's name")                                                         \
	X(address, ADDRESS, "virtual address, or the kernel's value for per-CPU symbols")          \
	X(type, TEXT, "nm letter: t text, d data, b zeroed data, r read-only; capitals are global")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct symbols {
	struct symbol_index *index;
	size_t next;
};

static struct nunchi_error *symbols_open(void *data, struct guest_kernel *guest,
					 const struct view_request *request)
{
	struct symbols *state = data;
	struct nunchi_error *err = guest->system->symbols(guest, &state->index);

	(void)request;
	if (!err)
		symbol_index_ref(state->index);
	return err;
}

static struct nunchi_error *symbols_next(void *data, struct view_row *row)
{
	struct symbols *state = data;
	struct symbol symbol;

	if (state->next == symbol_index_count(state->index))
		return &error_stop;
	symbol = symbol_index_get(state->index, state->next++);
	row_string(row, COLUMN_name, symbol.name);
	row_address(row, COLUMN_address, symbol.address);
	row_text(row, COLUMN_type, &symbol.type, 1);
	return NULL;
}

static void symbols_close(void *data)
{
	struct symbols *state = data;

	symbol_index_unref(state->index);
}

const struct view view_symbols = {
    .schema = {"symbols", "the kernel's own symbols, by address", columns, ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_name) | VIEW_COLUMN_BIT(COLUMN_address)},
    .providers = {{&guest_linux, sizeof(struct symbols), symbols_open, symbols_next,
		   symbols_close}},
};
