/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands behind the public header: the context and the guest.
 */
#ifndef NUNCHI_API_GUEST_H
#define NUNCHI_API_GUEST_H

#include "core/cancel.h"
#include "guest/linux/attach.h"
#include "guest/linux/image.h"
#include "target/target.h"

struct nunchi_context {
	unsigned flags;
	struct cancel cancel;
};

struct nunchi_guest {
	struct nunchi_context *context;
	struct target *target;
	struct linux_kernel *kernel; /* NULL until attached */
	enum nunchi_pause pause;
	bool count_pages, until_exit;
	char *symbols_path, *types_path;
	struct object task; /* the process whose address space was taken last */
	double attach_ms, query_ms;
};

/*
 * Attaches if that was not done; on a live guest also checks that it is there (NUNCHI_ERROR_GONE)
 * and that the same kernel still runs (NUNCHI_ERROR_REBOOTED).
 */
struct nunchi_error *guest_kernel(struct nunchi_guest *guest, struct linux_kernel **ret);
/* The same without asking the hypervisor, for what may be called thousands of times a second. */
struct nunchi_error *guest_kernel_quickly(struct nunchi_guest *guest, struct linux_kernel **ret);

/*
 * Copies an option structure of a caller that was built with a header of another version, whose
 * structure may be shorter or longer: what it does not have stays as it is in ret. False if size
 * does not even reach to the first option.
 */
bool guest_take_options(const void *from, size_t size, size_t first, void *ret, size_t ret_size);

/* Milliseconds of a clock that only goes forward. */
double guest_clock_ms(void);

/* Names the guest in an error that leaves the library. */
struct nunchi_error *guest_error(const struct nunchi_guest *guest, struct nunchi_error *err);

/* The address space a place is in; NULL for guest-physical. Attaches where that needs the kernel.
 */
struct nunchi_error *guest_space(struct nunchi_guest *guest, const struct nunchi_place *place,
				 struct address_space **ret);

#endif
