/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The errors of linux_kernel_attach(): what was tried, and what to do next. */
#ifndef NUNCHI_GUEST_LINUX_ATTACH_ERROR_H
#define NUNCHI_GUEST_LINUX_ATTACH_ERROR_H

#include "guest/guest.h"
#include "target/target.h"

/* Two kernels fit, at these physical addresses, and none is preferred. */
struct nunchi_error *linux_attach_ambiguous(uint64_t one, uint64_t other);

/*
 * No kernel was found, or none at the physical address that the user chose. reason says why the
 * best candidate was rejected, or is NULL; is_kernel: the candidate is a kernel, which cannot be
 * used. Takes the reason over. Searches the memory of a saved guest for what it contains instead.
 */
struct nunchi_error *linux_attach_failed(struct target *target,
					 const struct guest_attach_options *options,
					 struct nunchi_error *reason, bool is_kernel);

#endif
