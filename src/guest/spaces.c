/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/spaces.h"
#include "guest/guest.h"

/* A value that is not the root of any page table, because roots are page-aligned. */
#define NO_ROOT UINT64_MAX

void guest_spaces_deinit(struct guest_spaces *spaces)
{
	for (size_t i = 0; i < GUEST_SPACES; i++)
		address_space_destroy(spaces->items[i]);
	*spaces = (struct guest_spaces){0};
}

struct address_space *guest_space_of(struct guest_kernel *kernel, gpa_t root)
{
	struct guest_spaces *spaces = &kernel->spaces;
	size_t oldest = 0;

	for (size_t i = 0; i < GUEST_SPACES; i++) {
		if (spaces->items[i] && address_space_paging(spaces->items[i])->root.v == root.v) {
			spaces->used[i] = ++spaces->clock;
			return spaces->items[i];
		}
		if (spaces->used[i] < spaces->used[oldest])
			oldest = i;
	}
	if (!spaces->items[oldest]) {
		struct x86_paging paging = *address_space_paging(kernel->space);
		_cleanup_error_ struct nunchi_error *err =
		    address_space_create_process(kernel->memory, &paging, &spaces->items[oldest]);

		if (err)
			return NULL;
	}
	address_space_switch(spaces->items[oldest], root);
	spaces->used[oldest] = ++spaces->clock;
	return spaces->items[oldest];
}

void guest_spaces_forget(struct guest_spaces *spaces)
{
	for (size_t i = 0; i < GUEST_SPACES; i++) {
		if (spaces->items[i])
			address_space_switch(spaces->items[i], gpa(NO_ROOT));
	}
}
