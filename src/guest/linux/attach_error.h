/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The errors of linux_kernel_attach(): what was tried, and what to do next. */
#ifndef NUNCHI_GUEST_LINUX_ATTACH_ERROR_H
#define NUNCHI_GUEST_LINUX_ATTACH_ERROR_H

#include "target/target.h"

/* Two kernels fit, at these physical addresses, and none is preferred. */
struct nunchi_error *linux_attach_ambiguous(uint64_t one, uint64_t other);

/*
 * No kernel was found, or none at the physical address `chosen`, if that is not 0. reason says why
 * the best candidate was rejected, or is NULL; it is destroyed.
 */
struct nunchi_error *linux_attach_failed(struct target *target, uint64_t chosen,
					 struct nunchi_error *reason);

#endif
