/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

#include <string.h>

struct nunchi_error *nunchi_symbol_find(struct nunchi_guest *guest, const char *name,
					struct nunchi_symbol *ret)
{
	struct symbol_index *symbols;
	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel_quickly(guest, &kernel);
	const char *near;
	struct symbol symbol;
	size_t at;

	if (err)
		return err;
	err = kernel->system->symbols(kernel, &symbols);
	if (err)
		return guest_error(guest, err);
	if (!symbol_index_find(symbols, name, &at)) {
		err = error_create(NUNCHI_ERROR_NOT_FOUND, "no symbol \"%s\"", name);
		near = symbol_index_suggest(symbols, name);
		if (near)
			err = error_hint(err, "did you mean %s?", near);
		return guest_error(guest, err);
	}
	symbol = symbol_index_get(symbols, at);
	*ret = (struct nunchi_symbol){
	    .name = symbol.name, .address = symbol.address, .type = symbol.type};
	return NULL;
}

struct nunchi_error *nunchi_symbol_at(struct nunchi_guest *guest, uint64_t address,
				      struct nunchi_symbol *ret)
{
	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel_quickly(guest, &kernel);
	struct symbol symbol;

	if (err)
		return err;
	err = kernel->system->symbol_at(kernel, address, &symbol);
	if (err)
		return guest_error(guest, err);
	*ret = (struct nunchi_symbol){.name = symbol.name,
				      .address = symbol.address,
				      .offset = address - symbol.address,
				      .type = symbol.type};
	return NULL;
}
