/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

static const struct guest_system *const systems[] = {&guest_linux};

struct nunchi_error *guest_attach(struct target *target, const struct guest_attach_options *options,
				  struct guest_kernel **ret)
{
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		nunchi_error_destroy(err);
		err = systems[i]->attach(target, options, ret);
		if (!error_is(err, NUNCHI_ERROR_NO_KERNEL))
			return err;
	}
	return err;
}

void guest_kernel_destroy(struct guest_kernel *kernel)
{
	if (kernel)
		kernel->system->destroy(kernel);
}

void guest_prepare_types(int fd)
{
	type_index_prepare(fd);
}
