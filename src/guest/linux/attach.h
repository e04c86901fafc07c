/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the kernel in a guest: candidates, witnesses (independent facts that confirm a
 * candidate), symbols and types.
 */
#ifndef NUNCHI_GUEST_LINUX_ATTACH_H
#define NUNCHI_GUEST_LINUX_ATTACH_H

#include "core/cancel.h"
#include "guest/linux/linux.h"
#include "target/target.h"

/*
 * Finds the kernel without information from outside. A candidate is accepted if at least two
 * independent witnesses confirm it, none contradicts it, and its banner can be read through the
 * derived page tables. NUNCHI_ERROR_NO_KERNEL lists what was tried; NUNCHI_ERROR_AMBIGUOUS means
 * that several kernels fit. A kernel without symbols or types is accepted (see symbols_missing,
 * types_missing). For a raw file, may change the arrangement of the memory. The target must outlive
 * the kernel.
 */
struct nunchi_error *linux_kernel_attach(struct target *target,
					 const struct guest_attach_options *options,
					 struct linux_kernel **ret);
void linux_kernel_destroy(struct linux_kernel *kernel);

/*
 * For a running guest: fails with NUNCHI_ERROR_GONE if the guest ended, and with
 * NUNCHI_ERROR_REBOOTED if another kernel runs now, or the same one was booted again or lies
 * elsewhere. An image may stay in memory long after its kernel ended; so the check uses the resets
 * that the target counted and the image to which the vCPUs' page tables lead. The hypervisor is
 * asked for these (two QMP commands take almost a millisecond) only if thorough is true; otherwise
 * the check uses the memory only.
 */
struct nunchi_error *linux_kernel_check(struct linux_kernel *kernel, struct target *target,
					bool thorough);

#endif
