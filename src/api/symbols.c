/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/guest.h"

static void give(const struct guest_symbol *found, uint64_t offset, struct nunchi_symbol *ret)
{
	*ret = (struct nunchi_symbol){
	    .name = found->symbol.name,
	    .address = found->symbol.address,
	    .offset = offset,
	    .type = found->symbol.type,
	    .module = found->module,
	};
}

struct nunchi_error *nunchi_symbol_find(struct nunchi_guest *guest, const char *name,
					struct nunchi_symbol *ret)
{
	API_REQUIRE(guest && name && ret);

	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel_quickly(guest, &kernel);
	struct guest_symbol found;

	if (err)
		return err;
	err = kernel->system->symbol_find(kernel, name, &found);
	if (err)
		return guest_error(guest, err);
	give(&found, 0, ret);
	return NULL;
}

struct nunchi_error *nunchi_symbol_at(struct nunchi_guest *guest, uint64_t address,
				      struct nunchi_symbol *ret)
{
	API_REQUIRE(guest && ret);

	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel_quickly(guest, &kernel);
	struct guest_symbol found;

	if (err)
		return err;
	err = kernel->system->symbol_at(kernel, address, &found);
	if (err)
		return guest_error(guest, err);
	give(&found, address - found.symbol.address, ret);
	return NULL;
}
